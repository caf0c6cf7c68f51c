package machine

import (
	"time"

	"doppel/internal/cpu"
	"doppel/internal/cpu/interp"
)

// A vCPU that has done little for half a minute gives back what it has decoded
// and translated, once, until it has worked again: of a guest that is idle that
// is most of what it takes beside its memory.
const (
	idleWindow  = 10 * time.Second // that a vCPU is looked at for
	idleWindows = 3                // of little work one after the other
	idleRate    = 1_000_000        // instructions a second that are little
)

// idleness watches how much a vCPU does.
type idleness struct {
	since   uint64 // the window's start, by the guest's clock
	insns   uint64 // then
	windows int    // of little work; below 0 once memory was given back
}

// halted is called at halts. It returns true when memory is to be given back.
func (i *idleness) halted(now, insns uint64) bool {
	took := now - i.since
	if took < uint64(idleWindow) {
		return false
	}
	little := (insns-i.insns)/(took/uint64(time.Second)) < idleRate
	i.since, i.insns = now, insns
	switch {
	case !little:
		i.windows = 0
		return false
	case i.windows < 0:
		return false
	}
	// One sleep may be as long as several windows.
	i.windows += int(min(took/uint64(idleWindow), idleWindows))
	if i.windows < idleWindows {
		return false
	}
	i.windows = -1
	return true
}

// trim has a vCPU that is idle give memory back. It is called by the vCPU's
// goroutine, outside of Run.
func (m *Machine) trim(v *vcpu) {
	if t, ok := v.VCPU.(cpu.Trimmer); ok && v.idle.halted(m.clock.Now(), v.insns.Load()) {
		t.Trim()
	}
}

// A vCPU that wakes up for little work does it in an interpreter that all such
// vCPUs of the process have in common (interp.Common): code of its own would
// not be in the host's caches, and would not pay for its translation either.
// How much it may do there is an allowance, which comes back with time.
const (
	allowanceRate = 500_000 // instructions a second
	maxAllowance  = 2 * allowanceRate
)

// allowance is what a vCPU may still execute in a Common, in instructions.
type allowance struct {
	left  int64
	at    uint64 // when it last came back, by the guest's clock
	insns uint64 // that are counted
	calm  bool   // it is used
}

// woken is called after halts.
func (a *allowance) woken(now, insns uint64) {
	a.spend(insns)
	const whole = maxAllowance * uint64(time.Second) / allowanceRate
	back := min(now-a.at, whole) * allowanceRate / uint64(time.Second)
	a.left, a.at = min(a.left+int64(back), maxAllowance), now
	a.calm = a.calm || a.left >= maxAllowance/2
}

// spend is called with the instructions executed so far.
func (a *allowance) spend(insns uint64) {
	a.left = max(a.left-int64(min(insns-a.insns, maxAllowance)), 0)
	a.insns = insns
	a.calm = a.calm && a.left > 0
}

// commons are those of the process, as long as it has machines.
var commons interp.Commons

// visitor is a VCPU that can run in a Common.
type visitor interface {
	RunIn(*interp.Common, uint64) cpu.Exit
}

// execute is Run, where that is best done.
func (m *Machine) execute(v *vcpu) cpu.Exit {
	a := &v.allowance
	if !a.calm || v.visitor == nil {
		return v.Run(m.budget)
	}
	c := commons.Take(v.hart)
	exit := v.visitor.RunIn(c, min(m.budget, uint64(a.left)))
	commons.Give(c)
	a.spend(v.Instructions())
	return exit
}

// unwind gives a vCPU all of its allowance: most machines that are restored have
// been idle, and will be.
func (m *Machine) unwind(v *vcpu) {
	v.allowance = allowance{left: maxAllowance, at: m.clock.Now(), insns: v.Instructions(), calm: true}
}
