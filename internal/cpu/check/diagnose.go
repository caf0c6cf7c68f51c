package check

import (
	"encoding/binary"
	"reflect"

	"doppel/internal/cpu"
	"doppel/internal/memory"
	"doppel/internal/riscv"
	"doppel/internal/riscv/hart"
)

const (
	traced   = 24   // instructions before a difference that are shown
	suspects = 1024 // instructions before a difference in which its cause is
	maxWords = 16   // of memory that are shown
)

// diagnose finds where the two sides, which differ after a period of n
// instructions, begin to differ: it repeats parts of the period.
//
// A difference is excused if code was executed there that may have changed
// since the last fence.i: until then an engine may execute what was there
// before (unpriv §6.1, Zifencei). Linux does so while it patches itself. Then d
// is nil, both sides are where they agree, after some instructions, and both
// forget their code.
func (v *VCPU) diagnose(n uint64) (agreed uint64, d *Difference) {
	d = v.describe()
	if v.replay(n) {
		if v.unfencedCode(v.trace(n, n)) && v.replay(n) {
			return v.excuse(n), nil
		}
		return 0, d
	}
	// They agree after lo instructions and differ after hi.
	lo, hi := uint64(0), n
	for hi-lo > 1 {
		if mid := lo + (hi-lo)/2; v.replay(mid) {
			lo = mid
		} else {
			hi = mid
		}
	}
	steps := v.trace(hi, suspects)
	if lo > 0 && v.unfencedCode(steps) && v.replay(lo) {
		return v.excuse(lo), nil
	}
	if v.replay(hi) {
		return 0, d
	}
	d = v.describe()
	d.Repeated, d.After, d.Trace = true, hi, steps[max(len(steps)-traced, 0):]
	return 0, d
}

// excuse makes both engines forget their code.
func (v *VCPU) excuse(n uint64) uint64 {
	v.excused++
	for _, s := range v.sides() {
		s.Hart().RequestFlush(hart.Fence{Code: true})
	}
	return n
}

// unfencedCode tells whether one of the instructions is in a page that may have
// changed since the last fence.i.
func (v *VCPU) unfencedCode(steps []Step) bool {
	pages := map[memory.GPA]bool{}
	for _, s := range steps {
		pages[s.GPA&^(memory.PageSize-1)] = true
	}
	found := false
	look := func(region int, off uint64) {
		found = found || pages[v.oracle.view.GPA(region, off)]
	}
	v.unfenced.Each(look)
	v.pages.Each(look)
	return found
}

// replay runs n instructions of the period once more and compares.
func (v *VCPU) replay(n uint64) (same bool) {
	v.rewind()
	v.pass(&v.subject, n)
	v.pass(&v.oracle, n)
	return v.same()
}

// rewind makes memory what it was at the period's start. Code may be in it, so
// that both engines must look at it again. The harts follow in pass.
func (v *VCPU) rewind() {
	for _, s := range v.sides() {
		if s.exit.Reason == cpu.ExitMMIO {
			s.CompleteMMIO(0, true)
		}
		s.exit = cpu.Exit{}
		v.pages = s.view.Stored(v.pages)
		v.pages.Each(s.view.Fetch)
		s.Hart().RequestFlush(hart.Fence{Code: true})
	}
}

// trace lists the last of the period's first n instructions, at most most of
// them, as the oracle executes them.
func (v *VCPU) trace(n, most uint64) (steps []Step) {
	v.rewind()
	s := &v.oracle
	v.pass(s, n-min(n, most))
	for range min(n, most) {
		steps = append(steps, v.at(s.Hart()))
		if s.exit = s.Run(1); s.exit.Reason != cpu.ExitBudget {
			break
		}
	}
	return steps
}

// at is the instruction that a hart executes next, if it can be fetched.
func (v *VCPU) at(h *hart.Hart) Step {
	st := Step{PC: h.PC}
	var raw [4]byte
	for i := uint64(0); i < 4; i += 2 {
		m, _, ok := h.Translate(h.PC+i, 2, hart.Fetch)
		if !ok || h.Memory().ReadAt(raw[i:i+2], m.GPA) != nil {
			return st
		}
		if i == 0 {
			st.GPA = m.GPA
		}
		if raw[0]&3 != 3 {
			break
		}
	}
	st.Inst = riscv.Decode(binary.LittleEndian.Uint32(raw[:]))
	return st
}

// describe tells how the two sides differ now.
func (v *VCPU) describe() *Difference {
	d := &Difference{Hart: v.ID(), PC: v.start.PC, Instret: v.start.Instret, Subject: v.subject.exit, Oracle: v.oracle.exit}
	d.compare("", reflect.ValueOf(v.subject.state()), reflect.ValueOf(v.oracle.state()))
	v.pages.Each(func(region int, off uint64) {
		x, _ := v.subject.view.Page(region, off)
		y, _ := v.oracle.view.Page(region, off)
		for i := 0; i < len(x); i += 8 {
			w := Word{v.subject.view.GPA(region, off+uint64(i)), binary.LittleEndian.Uint64(x[i:]), binary.LittleEndian.Uint64(y[i:])}
			if w.Subject == w.Oracle {
				continue
			}
			if d.Words++; len(d.Memory) < maxWords {
				d.Memory = append(d.Memory, w)
			}
		}
	})
	return d
}
