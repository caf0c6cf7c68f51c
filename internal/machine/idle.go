package machine

import (
	"time"

	"doppel/internal/cpu"
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
