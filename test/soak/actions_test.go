package soak

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"strings"
	"time"

	"doppel"
)

// action is something that happens to a machine, as often as its weight says.
type action struct {
	name   string
	weight int
	do     func(l *life) error
}

var actions = []action{
	{"compute", 6, (*life).compute},
	{"disk", 4, (*life).disk},
	{"network", 3, (*life).network},
	{"flood", 3, (*life).flood},
	{"idle", 2, func(l *life) error { l.sleep(300); return nil }},
	{"balloon", 2, (*life).balloon},
	{"reset", 1, (*life).reset},
	{"panic", 1, (*life).panics},
	{"power-off", 1, (*life).powerOff},
	{"death", 1, (*life).die},
}

// choose takes one of some by chance.
func (l *life) choose(all []action) action {
	sum := 0
	for _, a := range all {
		sum += a.weight
	}
	n := l.r.IntN(sum)
	for _, a := range all {
		if n -= a.weight; n < 0 {
			return a
		}
	}
	return all[0]
}

// do does something, and counts it.
func (l *life) do(all []action) error {
	a := l.choose(all)
	if err := a.do(l); err != nil {
		return fmt.Errorf("%s: %w", a.name, err)
	}
	l.s.count(a.name)
	return nil
}

func (l *life) sleep(ms int) { time.Sleep(time.Duration(l.r.IntN(ms)) * time.Millisecond) }

// compute lets the guest work something out that is known here, and disturbs
// it meanwhile.
func (l *life) compute() error {
	from, n := l.r.IntN(1000), 2000+l.r.IntN(30_000)
	if err := l.beginf("seq %d %d | md5sum", from, from+n); err != nil {
		return err
	}
	if err := l.disturb(); err != nil {
		return err
	}
	var numbers bytes.Buffer
	for i := from; i <= from+n; i++ {
		fmt.Fprintln(&numbers, i)
	}
	return l.expect(fmt.Sprintf("%x  -", md5.Sum(numbers.Bytes())))
}

// disk writes what is random and reads it again, not from the guest's cache.
func (l *life) disk() error {
	const command = "dd if=/dev/urandom of=/tmp/x bs=64k count=%[1]d 2>/dev/null; dd if=/tmp/x of=/dev/vda bs=64k seek=%[2]d conv=fsync 2>/dev/null; " +
		"echo 3 > /proc/sys/vm/drop_caches; dd if=/dev/vda bs=64k skip=%[2]d count=%[1]d 2>/dev/null | cmp - /tmp/x && echo same; rm /tmp/x"
	if err := l.beginf(command, 1+l.r.IntN(40), l.r.IntN(64)); err != nil {
		return err
	}
	if err := l.disturb(); err != nil {
		return err
	}
	return l.expect("same")
}

// network asks the gateway for a sign of life. It may be lost beside a flood.
func (l *life) network() error {
	const tries = 20
	for range tries {
		got, err := l.Do("ping -c 1 -W 3 10.0.2.2 | grep -c ' time='")
		if err != nil || strings.TrimSpace(got) == "1" {
			return err
		}
	}
	return fmt.Errorf("the gateway does not answer %d times", tries)
}

// flood burdens the host and the neighbours for a while.
func (l *life) flood() error {
	floods := []string{
		"yes > /dev/ttyS0",
		"dd if=/dev/urandom of=/dev/null bs=64k 2> /dev/null",
		"dd if=/dev/zero of=/dev/vda bs=256k count=64 conv=fsync 2> /dev/null",
		"dd if=/dev/vda of=/dev/null bs=1M iflag=direct 2> /dev/null",
		"ping -A -q -s 1000 10.0.2.2 > /dev/null",
		fmt.Sprintf("ping -A -q -s 1000 10.0.2.%d > /dev/null", 100+l.r.IntN(lives)),
	}
	command := floods[l.r.IntN(len(floods))]
	if err := l.beginf("%s & p=$!; usleep %d; kill -9 $p; wait $p", command, 1000*(20+l.r.IntN(400))); err != nil {
		return err
	}
	if err := l.disturb(); err != nil {
		return err
	}
	_, _, err := l.Answer()
	return err
}

// balloon takes memory and gives it back.
func (l *life) balloon() error {
	for range 1 + l.r.IntN(3) {
		if err := l.SetBalloon(uint64(l.r.IntN(40)) << 20); err != nil {
			return err
		}
		l.sleep(100)
	}
	return l.SetBalloon(0)
}

// disturbances are what a guest does not notice.
var disturbances = []action{
	{"nothing", 2, func(*life) error { return nil }},
	{"pause", 3, (*life).pause},
	{"restore", 2, (*life).restore},
	{"merge", 1, func(l *life) error { l.s.h.MergeMemory(); return nil }},
	{"stats", 1, func(l *life) error { l.Counts(); l.Stats(); l.Memory(); return nil }},
}

func (l *life) disturb() error {
	for range l.r.IntN(3) {
		l.sleep(60)
		if err := l.do(disturbances); err != nil {
			return err
		}
	}
	return nil
}

// pause stops the guest for a while, in which nothing happens in it.
func (l *life) pause() error {
	if err := l.Pause(); err != nil {
		return err
	}
	before := l.Stats().Instructions()
	l.sleep(100)
	if n := l.Stats().Instructions() - before; n != 0 {
		return fmt.Errorf("while it is paused it executes %d instructions", n)
	}
	return l.Resume()
}

// restore goes on in a new machine, with another share and perhaps another
// engine.
func (l *life) restore() error {
	saved, err := l.Freeze()
	if err != nil {
		return err
	}
	return l.begin(saved)
}

// reset restarts the machine in the middle of something.
func (l *life) reset() error {
	if err := l.Begin("seq 1000000 | md5sum"); err != nil {
		return err
	}
	l.sleep(100)
	l.Out.Clear()
	if err := l.Reset(); err != nil {
		return err
	}
	return l.settle()
}

// panics kills the guest's kernel, which then starts again.
func (l *life) panics() error {
	l.Out.Clear()
	if err := l.Type("echo c > /proc/sysrq-trigger"); err != nil {
		return err
	}
	return l.settle()
}

// powerOff ends the guest by its own will. Another takes its place.
func (l *life) powerOff() error {
	if err := l.Type("poweroff -f"); err != nil {
		return err
	}
	if err := l.Wait(); err != nil {
		return err
	}
	return l.rebirth()
}

// die ends the machine in the middle of something.
func (l *life) die() error {
	if err := l.Begin("dd if=/dev/zero of=/dev/vda bs=64k count=200 conv=fsync"); err != nil {
		return err
	}
	l.sleep(50)
	return l.rebirth()
}

// rebirth replaces the machine, by one that boots or by one that others were
// made of too.
func (l *life) rebirth() error {
	if err := l.End(); err != nil {
		return err
	}
	l.Out.Clear()
	if l.r.IntN(2) == 0 {
		if err := l.begin(nil); err != nil {
			return err
		}
		return l.settle()
	}
	return l.join()
}

// join begins from the state of a machine that had booted.
func (l *life) join() error {
	if err := l.begin(l.s.saved); err != nil {
		return err
	}
	return l.address()
}

// live lets the machine live until the time is over.
func (l *life) live() error {
	if err := l.join(); err != nil {
		return err
	}
	for time.Now().Before(l.s.until) {
		if err := l.do(actions); err != nil {
			return err
		}
	}
	// Whatever it has been through, it is in its right mind.
	if err := l.compute(); err != nil {
		return err
	}
	if s := l.Status(); s != doppel.Running {
		return fmt.Errorf("at the end it is %v", s)
	}
	return l.End()
}
