package sbi

import (
	"encoding/binary"
	"math/bits"

	"doppel/internal/memory"
	"doppel/internal/riscv"
	"doppel/internal/riscv/hart"
)

// Counters have the numbers of their CSRs: 0 cycle, 2 instret, 3 to 31 the
// programmable ones. 1, which would be time, is none.
const (
	numCounters   = 32
	fixedCounters = uint64(riscv.CounterCY | riscv.CounterIR)
	validCounters = (1<<numCounters - 1) &^ riscv.CounterTM
)

// Flags of the calls (sbi §11.6 to §11.8).
const (
	cfgSkipMatch  = 1 << 0
	cfgClearValue = 1 << 1
	cfgAutoStart  = 1 << 2
	cfgSetUINH    = 1 << 5
	cfgSetSINH    = 1 << 6
	cfgSetMINH    = 1 << 7
	cfgAll        = 1<<8 - 1

	startInitValue    = 1 << 0
	startInitSnapshot = 1 << 1

	stopReset        = 1 << 0
	stopTakeSnapshot = 1 << 1
)

// pmu serves extension PMU (sbi §11) for the hart's own counters.
func pmu(h *hart.Hart, fn uint64, a [5]uint64) ret {
	switch fn {
	case 0:
		return ok(numCounters)
	case 1:
		if a[0] >= numCounters || validCounters>>a[0]&1 == 0 {
			return fail(ErrInvalidParam)
		}
		const width = 64
		return ok((width-1)<<12 | uint64(riscv.CSRCycle) + a[0])
	case 2:
		return pmuConfig(h, a)
	case 3:
		return pmuStart(h, a)
	case 4:
		return pmuStop(h, a)
	case 5, 6:
		return fail(ErrInvalidParam) // there are no firmware counters
	case 8:
		return pmuEventInfo(h.Memory(), a)
	}
	return fail(ErrNotSupported)
}

// counterSet returns the counters of a mask, by their bits.
func counterSet(base, mask uint64) (set uint64, valid bool) {
	if base >= numCounters || mask == 0 || mask<<base>>base != mask {
		return 0, false
	}
	set = mask << base
	return set, set&^uint64(validCounters) == 0
}

// pmuEvent returns the hart's number of an event that can be counted.
func pmuEvent(idx uint64) (event uint64, counted bool) {
	switch idx { // type 0, general hardware events, have the number 0 above
	case hart.EventCycles, hart.EventInstructions:
		return idx, true
	}
	return 0, false
}

// pmuConfig finds a counter for an event (sbi §11.6).
func pmuConfig(h *hart.Hart, a [5]uint64) ret {
	set, valid := counterSet(a[0], a[1])
	flags := a[2]
	if !valid || flags&^uint64(cfgAll) != 0 {
		return fail(ErrInvalidParam)
	}
	n := bits.TrailingZeros64(set)
	if flags&cfgSkipMatch == 0 {
		event, counted := pmuEvent(a[3])
		if !counted {
			return fail(ErrNotSupported)
		}
		if n = findCounter(h, set, event); n < 0 {
			return fail(ErrNotSupported)
		}
		if n >= 3 {
			h.SetHpmevent(n, event|filter(flags))
		}
	}
	if flags&cfgClearValue != 0 {
		setCounter(h, n, 0)
	}
	if flags&cfgAutoStart != 0 {
		startCounter(h, n)
	}
	return ok(uint64(n))
}

// findCounter prefers the programmable counters: they filter and overflow.
func findCounter(h *hart.Hart, set, event uint64) int {
	idle := set & h.CSR.Mcountinhibit
	for free := idle &^ fixedCounters; free != 0; free &= free - 1 {
		if n := bits.TrailingZeros64(free); h.CSR.Mhpmevent[n-3] == 0 {
			return n
		}
	}
	switch {
	case event == hart.EventCycles && set&riscv.CounterCY != 0:
		return 0
	case event == hart.EventInstructions && set&riscv.CounterIR != 0:
		return 2
	}
	return -1
}

// filter turns the hints of config_flags into the bits of mhpmevent.
func filter(flags uint64) (v uint64) {
	for _, f := range [...]struct{ flag, bit uint64 }{
		{cfgSetUINH, riscv.MhpmeventUINH}, {cfgSetSINH, riscv.MhpmeventSINH}, {cfgSetMINH, riscv.MhpmeventMINH},
	} {
		if flags&f.flag != 0 {
			v |= f.bit
		}
	}
	return v
}

// setCounter sets a counter's value. M-mode's view of the fixed ones counts
// the instruction that writes; here that is the ecall, which retires nothing.
func setCounter(h *hart.Hart, n int, v uint64) {
	switch n {
	case 0:
		h.SetCycle(v)
	case 2:
		h.SetInstret(v)
	default:
		h.SetHpmcounter(n, v)
	}
}

func startCounter(h *hart.Hart, n int) {
	if n >= 3 {
		// The counter may interrupt again (Sscofpmf).
		h.SetHpmevent(n, h.CSR.Mhpmevent[n-3]&^riscv.MhpmeventOF)
	}
	h.InhibitCounters(1<<n, 0)
}

// pmuStart starts a set of counters (sbi §11.7).
func pmuStart(h *hart.Hart, a [5]uint64) ret {
	set, valid := counterSet(a[0], a[1])
	flags := a[2]
	switch {
	case !valid || flags&^(startInitValue|startInitSnapshot) != 0:
		return fail(ErrInvalidParam)
	case flags&startInitSnapshot != 0:
		return fail(ErrNoShmem)
	}
	r := ok(0)
	for ; set != 0; set &= set - 1 {
		n := bits.TrailingZeros64(set)
		if h.CSR.Mcountinhibit>>n&1 == 0 {
			r = fail(ErrAlreadyStarted)
			continue
		}
		if flags&startInitValue != 0 {
			setCounter(h, n, a[3])
		}
		startCounter(h, n)
	}
	return r
}

// pmuStop stops a set of counters (sbi §11.8).
func pmuStop(h *hart.Hart, a [5]uint64) ret {
	set, valid := counterSet(a[0], a[1])
	flags := a[2]
	switch {
	case !valid || flags&^(stopReset|stopTakeSnapshot) != 0:
		return fail(ErrInvalidParam)
	case flags&stopTakeSnapshot != 0:
		return fail(ErrNoShmem)
	}
	r := ok(0)
	if h.CSR.Mcountinhibit&set != 0 {
		r = fail(ErrAlreadyStopped)
	}
	h.InhibitCounters(set, set)
	if flags&stopReset != 0 {
		for ; set != 0; set &= set - 1 {
			if n := bits.TrailingZeros64(set); n >= 3 {
				h.SetHpmevent(n, 0)
			}
		}
	}
	return r
}

// maxEventInfo bounds the work of one call.
const maxEventInfo = 4096

// pmuEventInfo tells which events of a list in guest memory can be counted
// (sbi §11.13).
func pmuEventInfo(mem *memory.Space, a [5]uint64) ret {
	const entry = 16
	lo, hi, n, flags := a[0], a[1], a[2], a[3]
	if flags != 0 || lo%entry != 0 {
		return fail(ErrInvalidParam)
	}
	if n > maxEventInfo {
		return fail(ErrFailed) // sbi §3.2: our limit is stricter
	}
	buf := make([]byte, n*entry)
	if r := mem.Find(memory.GPA(lo), n*entry); hi != 0 || r == nil || !r.Writable() || mem.ReadAt(buf, memory.GPA(lo)) != nil {
		return fail(ErrInvalidAddress)
	}
	for e := buf; len(e) != 0; e = e[entry:] {
		idx := binary.LittleEndian.Uint32(e)
		if idx>>20 != 0 {
			return fail(ErrInvalidParam)
		}
		out := uint32(0)
		if _, counted := pmuEvent(uint64(idx)); counted {
			out = 1
		}
		binary.LittleEndian.PutUint32(e[4:], out)
	}
	if mem.WriteAt(buf, memory.GPA(lo)) != nil {
		return fail(ErrInvalidAddress)
	}
	return ok(0)
}
