package move

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"doppel"
	"doppel/test/guest"
)

// work is an init that keeps processor, timers, disk and entropy source busy,
// and checks what comes back.
const work = `#!/bin/sh
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
echo 3 > /proc/sys/kernel/printk
` + guest.Load + `
echo "initramfs is up"
for i in $(seq 1 12); do
	dd if=/dev/urandom of=/tmp/$i bs=64k count=4 2>/dev/null
	a=$(md5sum < /tmp/$i)
	dd if=/tmp/$i of=/dev/vda bs=64k seek=$((i * 4)) count=4 conv=fsync 2>/dev/null || echo "disk write fails"
	echo 3 > /proc/sys/vm/drop_caches
	b=$(dd if=/dev/vda bs=64k skip=$((i * 4)) count=4 2>/dev/null | md5sum)
	test "$a" = "$b" || echo "block $i differs"
	usleep 50000
	echo "step $i"
done
echo "harts: $(nproc)"
dmesg | grep -i -E 'stall|lockup|Oops|BUG|timed out|I/O error'
echo "all done"
poweroff -f
`

const limit = 5 * time.Minute

// TestMove boots Linux and moves it again and again.
func TestMove(t *testing.T) {
	f := guest.Get(t)
	for _, c := range []struct {
		cpus    int
		engines []string // of the machines, in turn
	}{{1, []string{"auto", "interp"}}, {3, []string{"auto"}}} {
		cpus := c.cpus
		t.Run(fmt.Sprintf("%d harts, %v", cpus, c.engines), func(t *testing.T) {
			dir := t.TempDir()
			disk := filepath.Join(dir, "disk.raw")
			if err := os.WriteFile(disk, make([]byte, 8<<20), 0o600); err != nil {
				t.Fatal(err)
			}
			out := &guest.Output{}
			moves := move(t, doppel.Config{
				Kernel: f.Kernel, Initrd: f.WriteInitramfs(t, work), Append: "console=ttyS0 panic=-1", CPUs: cpus,
				Memory: 256 << 20, Disks: []doppel.Disk{{Path: disk}}, Console: doppel.WriteOnly(out),
			}, c.engines, out)
			check(t, out.String(), cpus)
			t.Logf("moved %d times", moves)
		})
	}
}

func check(t *testing.T, text string, cpus int) {
	t.Helper()
	text = strings.ReplaceAll(text, "\r", "")
	_, tail, _ := strings.Cut(text, "initramfs is up\n")
	var want strings.Builder
	for i := range 12 {
		fmt.Fprintf(&want, "step %d\n", i+1)
	}
	fmt.Fprintf(&want, "harts: %d\nall done\n", cpus)
	if !strings.HasPrefix(tail, want.String()) {
		t.Errorf("the guest does not come through; its console:\n%s", text)
	}
}

// move runs cfg to its end and moves it on the way, from engine to engine; it
// returns how often.
func move(t *testing.T, cfg doppel.Config, engines []string, out *guest.Output) (moves int) {
	t.Helper()
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 0))
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var saved []byte
	for {
		cfg.Engine = engines[moves%len(engines)]
		m, err := doppel.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if saved != nil {
			restore(t, m, saved)
		}
		pause := time.Duration(rnd.IntN(1500)) * time.Millisecond
		result, err := runFor(ctx, m, pause)
		switch {
		case err != nil:
			t.Fatalf("%v after %d moves (seed %d); console:\n%s", err, moves, seed, out.String())
		case m.Status() == doppel.Stopped:
			if result.Reason != doppel.PowerOff {
				t.Errorf("the guest ended with %+v", result)
			}
			if err := m.Close(); err != nil {
				t.Error(err)
			}
			return moves
		}
		var b bytes.Buffer
		if err := m.Save(&b); err != nil {
			t.Fatal(err)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		saved = b.Bytes()
		moves++
	}
}

// restore fills a new machine, whose own save must then be the same.
func restore(t *testing.T, m *doppel.Machine, saved []byte) {
	t.Helper()
	if err := m.Restore(bytes.NewReader(saved)); err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	if err := m.Save(&again); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(saved, again.Bytes()) {
		t.Error("the save of a restored machine differs from what it was restored from")
	}
}

// runFor runs a machine for a while and pauses it, if it has not ended before.
func runFor(ctx context.Context, m *doppel.Machine, d time.Duration) (doppel.Result, error) {
	type end struct {
		doppel.Result
		error
	}
	ended := make(chan end, 1)
	go func() {
		r, err := m.Run(ctx)
		ended <- end{r, err}
	}()
	select {
	case e := <-ended:
		return e.Result, e.error
	case <-time.After(d):
	}
	for m.Status() == doppel.Created { // the goroutine above has not got to it
		time.Sleep(time.Millisecond)
	}
	if m.Pause() == nil {
		return doppel.Result{}, nil
	}
	e := <-ended
	return e.Result, e.error
}
