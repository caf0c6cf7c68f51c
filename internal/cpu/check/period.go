package check

import (
	"bytes"
	"fmt"

	"doppel/internal/cpu"
	"doppel/internal/riscv/hart"
)

// Run is for cpu.VCPU.
func (v *VCPU) Run(budget uint64) cpu.Exit {
	switch {
	case v.failed != nil:
		return cpu.Exit{Reason: cpu.ExitError, Err: v.failed}
	case v.asked:
		return cpu.Exit{Reason: cpu.ExitError, Err: fmt.Errorf("BUG: hart %d runs with an access not completed", v.ID())}
	}
	for budget > 0 {
		exit, ran := v.period(min(budget, v.g.o.Period))
		if exit.Reason != cpu.ExitBudget {
			return exit
		}
		budget -= ran
	}
	return cpu.Exit{Reason: cpu.ExitBudget}
}

// period runs n instructions, or fewer. It returns how many, if the exit is
// ExitBudget.
func (v *VCPU) period(n uint64) (exit cpu.Exit, ran uint64) {
	v.g.mu.Lock()
	defer v.g.mu.Unlock()
	defer v.g.o.Rest()()
	v.h.Enter()
	defer v.h.Leave()
	if exit := v.attend(); exit.Reason != cpu.ExitBudget {
		return exit, 0
	}
	if err := v.begin(); err != nil {
		return v.fail(err)
	}
	v.pass(&v.subject, n)
	v.pass(&v.oracle, n)
	if !v.same() {
		agreed, d := v.diagnose(n)
		if d != nil {
			return v.fail(d)
		}
		n = agreed
	}
	v.pages.Each(v.commit)
	v.noteStores()
	v.h.Assume(v.subject.Hart())
	if !v.g.o.Unmarked {
		v.clock.reach(v.subject.clock.Now())
	}
	v.asked = v.subject.exit.Reason == cpu.ExitMMIO
	return v.subject.exit, n
}

func (v *VCPU) fail(err error) (exit cpu.Exit, ran uint64) {
	v.failed = err
	return cpu.Exit{Reason: cpu.ExitError, Err: err}, 0
}

// attend serves what has come from outside since the last period. Any exit but
// ExitBudget ends Run.
func (v *VCPU) attend() (exit cpu.Exit) {
	h := &v.h
	h.PC &^= 1 // priv §3.1.14: as in epc; a debugger may have set it
	if h.Attention.Load() != 0 {
		if ev := h.Poll(); ev.Kicked {
			exit.Reason = cpu.ExitKicked
		} else if h.Halted {
			exit.Reason = cpu.ExitHalt
		}
	} else if h.Halted {
		if !h.Runnable() {
			exit.Reason = cpu.ExitHalt
		}
		h.Halted = exit.Reason == cpu.ExitHalt
	}
	return exit
}

// begin makes both views show memory as it is, and notes the start.
func (v *VCPU) begin() error {
	if !v.opened {
		for _, s := range v.sides() {
			if err := s.view.Open(v.mem); err != nil {
				return err
			}
		}
		v.opened = true
	}
	if v.g.o.Unmarked {
		for _, s := range v.sides() {
			if err := s.view.FetchAll(); err != nil {
				return err
			}
		}
	} else {
		v.g.fetchChanged(v)
	}
	v.pages.Clear()
	v.tape.bytes = v.tape.bytes[:0]
	v.start.Assume(&v.h)
	v.start.AssumeInputs(&v.h)
	now := v.clock.Now()
	for _, s := range v.sides() {
		s.clock.base, s.clock.from = now, v.start.Instret
		if !v.g.o.Unmarked {
			s.clock.rate = nsPerInst
		}
	}
	return nil
}

// fetchChanged brings pages that were changed from outside to all views.
func (g *Group) fetchChanged(v *VCPU) {
	g.pages.Clear()
	g.pages = v.subject.view.Changed(g.pages)
	g.pages.Each(func(region int, off uint64) { g.fetch(region, off, nil) })
	for _, w := range g.vcpus {
		w.unfenced = w.unfenced.Add(g.pages)
	}
}

// fetch brings a page to all views but those of one VCPU.
func (g *Group) fetch(region int, off uint64, but *VCPU) {
	for _, v := range g.vcpus {
		if v != but && v.opened {
			v.subject.view.Fetch(region, off)
			v.oracle.view.Fetch(region, off)
		}
	}
}

// commit makes a page of the period the machine's.
func (v *VCPU) commit(region int, off uint64) {
	v.subject.view.Commit(region, off)
	v.g.fetch(region, off, v)
}

// pass runs n instructions of the period, from its start, on one side.
func (v *VCPU) pass(s *side, n uint64) {
	h := s.Hart()
	s.tape.at = 0
	h.Assume(&v.start)
	h.AssumeInputs(&v.start)
	s.ForgetStores()
	s.exit = s.Run(n)
}

// state is what is compared of the hart: of a reservation that is not valid,
// nothing.
func (s *side) state() hart.State {
	st := s.Hart().State
	if !st.ResValid {
		st.ResSize, st.ResAddr, st.ResValue = 0, 0, 0
	}
	return st
}

// same compares all that the two sides have made, and notes the pages that
// were stored to.
func (v *VCPU) same() bool {
	a, b := &v.subject, &v.oracle
	v.pages = a.view.Stored(v.pages)
	v.pages = b.view.Stored(v.pages)
	same := a.exit.Reason == b.exit.Reason && a.exit.MMIO == b.exit.MMIO && a.state() == b.state()
	v.pages.Each(func(region int, off uint64) {
		x, _ := a.view.Page(region, off)
		y, _ := b.view.Page(region, off)
		same = same && bytes.Equal(x, y)
	})
	return same
}

// CompleteMMIO is for cpu.VCPU.
func (v *VCPU) CompleteMMIO(value uint64, ok bool) {
	if !v.asked {
		return
	}
	v.asked = false
	for _, s := range v.sides() {
		s.CompleteMMIO(value, ok)
	}
	if v.subject.state() != v.oracle.state() {
		v.failed = v.describe()
		return
	}
	v.h.Assume(v.subject.Hart())
}

// noteStores keeps account of what may have changed since the oracle's last
// fence.i: the pages of this period, and those of the ones before if there was
// no fence.i in it.
func (v *VCPU) noteStores() {
	if g, ok := v.oracle.Engine.(interface{ Generation() uint64 }); ok {
		if n := g.Generation(); n != v.generation {
			v.generation = n
			v.unfenced.Clear()
		}
	}
	v.unfenced = v.unfenced.Add(v.pages)
	for _, w := range v.g.vcpus {
		if w != v {
			w.unfenced = w.unfenced.Add(v.pages)
		}
	}
}
