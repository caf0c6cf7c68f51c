package soak

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"doppel"
)

// patience is how long a guest may take for anything: eight of them share the
// host with whatever else runs there.
const patience = 5 * time.Minute

// up is what a guest prints when it has booted.
const up = "initramfs is up"

// life is one of the machines, through all its incarnations.
type life struct {
	s      *soak
	number int
	r      *rand.Rand
	cfg    doppel.Config
	out    output
	jobs   int

	m     *doppel.Machine
	in    *io.PipeWriter
	ended chan error // from Run
}

// output is what the guest has printed since it was last cleared.
type output struct {
	mu sync.Mutex
	b  []byte
}

// maxOutput bounds what is kept; no answer is that long.
const maxOutput = 1 << 20

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.b = append(o.b, p...)
	o.b = o.b[:copy(o.b, o.b[max(0, len(o.b)-maxOutput):])]
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.b)
}

func (o *output) clear() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.b = o.b[:0]
}

// begin makes a machine, from a state if there is one.
func (l *life) begin(saved []byte) error {
	l.shares()
	r, w := io.Pipe()
	l.in = w
	cfg := l.cfg
	cfg.Console = doppel.Stream(r, &l.out)
	m, err := l.s.h.New(cfg)
	if err != nil {
		return err
	}
	l.m, l.ended = m, make(chan error, 1)
	if saved != nil {
		if err := m.Restore(bytes.NewReader(saved)); err != nil {
			return err
		}
	}
	ended := l.ended
	go func() {
		result, err := m.Run(context.Background())
		if err == nil && result.Reason == doppel.Finished {
			err = fmt.Errorf("the guest ended with %+v", result)
		}
		ended <- err
	}()
	for m.Status() == doppel.Created {
		time.Sleep(time.Millisecond)
	}
	return nil
}

// shares chooses what a new incarnation gets of the processors.
func (l *life) shares() {
	l.cfg.CPUWeight, l.cfg.CPUCap, l.cfg.CPUAffinity = 20+l.r.IntN(300), "", ""
	if l.r.IntN(4) == 0 {
		l.cfg.CPUCap = fmt.Sprintf("%d%%", 30+l.r.IntN(70))
	}
	if all := doppel.Processors(); l.r.IntN(4) == 0 {
		l.cfg.CPUAffinity = fmt.Sprint(all[l.r.IntN(len(all))])
	}
	l.cfg.Engine = "auto"
	if l.s.long && l.r.IntN(10) == 0 {
		l.cfg.Engine = "interp"
	}
}

// end closes the machine.
func (l *life) end() error {
	err := l.m.Close()
	err = errors.Join(err, <-l.ended)
	l.in.Close()
	l.m = nil // with all that it still refers to
	return err
}

// await waits for a text on the console.
func (l *life) await(text string) error {
	for deadline := time.Now().Add(patience); !strings.Contains(l.out.String(), text); time.Sleep(5 * time.Millisecond) {
		select {
		case err := <-l.ended:
			l.ended <- err
			return fmt.Errorf("the machine has ended (%v), without %q", err, text)
		default:
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("in %v there was no %q", patience, text)
		}
	}
	return nil
}

// send types a line.
func (l *life) send(format string, args ...any) error {
	_, err := fmt.Fprintf(l.in, format+"\n", args...)
	return err
}

// settle makes a guest that has just booted what it is to be.
func (l *life) settle() error {
	if err := l.await(up); err != nil {
		return err
	}
	return l.address()
}

// address gives the guest's card the addresses of this machine: a state that is
// restored has those of the machine that it is of.
func (l *life) address() error {
	return l.job("ip link set eth0 down; ip addr flush dev eth0; ip link set eth0 address %v; ip link set eth0 up; ip addr add 10.0.2.%d/24 dev eth0", l.cfg.NICs[0].MAC, 100+l.number)
}

// job runs a command and waits for its end.
func (l *life) job(format string, args ...any) error {
	if err := l.start(format, args...); err != nil {
		return err
	}
	_, err := l.answer()
	return err
}

// start types a command, and returns when the guest has begun with it: from
// then on it is all the guest's, whatever happens to the machine.
func (l *life) start(format string, args ...any) error {
	l.jobs++
	l.out.clear()
	if err := l.send("echo go-$((%d+0)); %s; echo end-$((%[1]d+0))", l.jobs, fmt.Sprintf(format, args...)); err != nil {
		return err
	}
	return l.await(fmt.Sprintf("go-%d\r\n", l.jobs))
}

// answer waits for the end of the command that was started, and returns what it
// printed.
func (l *life) answer() (string, error) {
	end := fmt.Sprintf("end-%d\r\n", l.jobs)
	if err := l.await(end); err != nil {
		return "", err
	}
	_, text, _ := strings.Cut(l.out.String(), fmt.Sprintf("go-%d\r\n", l.jobs))
	text, _, _ = strings.Cut(text, end)
	return strings.TrimSpace(strings.ReplaceAll(text, "\r", "")), nil
}
