package soak

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"

	"doppel"
	"doppel/test/guest/shell"
)

// life is one of the machines, through all its incarnations.
type life struct {
	shell.Guest
	s      *soak
	number int
	r      *rand.Rand
	cfg    doppel.Config
}

// begin makes a machine, from a state if there is one.
func (l *life) begin(saved []byte) error {
	l.shares()
	if err := l.Make(l.s.h, l.cfg); err != nil {
		return err
	}
	if saved != nil {
		if err := l.Restore(bytes.NewReader(saved)); err != nil {
			return err
		}
	}
	l.Start()
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

// settle makes a guest that has just booted what it is to be.
func (l *life) settle() error {
	if err := l.Await(shell.Up); err != nil {
		return err
	}
	return l.address()
}

// address gives the guest's card the addresses of this machine: a state that is
// restored has those of the machine that it is of.
func (l *life) address() error {
	_, err := l.Do(fmt.Sprintf("ip link set eth0 down; ip addr flush dev eth0; ip link set eth0 address %v; ip link set eth0 up; ip addr add 10.0.2.%d/24 dev eth0",
		l.cfg.NICs[0].MAC, 100+l.number))
	return err
}

// beginf begins a command.
func (l *life) beginf(format string, args ...any) error {
	return l.Begin(fmt.Sprintf(format, args...))
}

// expect compares what the guest has to say.
func (l *life) expect(want string) error {
	got, _, err := l.Answer()
	if got = strings.TrimSpace(got); err == nil && got != want {
		err = fmt.Errorf("the guest says %q, want %q", got, want)
	}
	return err
}
