package hart

import (
	"math/bits"

	"doppel/internal/riscv"
)

// Time and the counters. A cycle is an instruction: mcycle and minstret both
// follow State.Instret.

const (
	nsPerTick = 1_000_000_000 / TimeHz
	_         = uint(-(1_000_000_000 % TimeHz)) // a tick is a whole number of nanoseconds
)

// Time is the time CSR, in ticks of TimeHz.
func (h *Hart) Time() uint64 { return h.cfg.Clock.Now() / nsPerTick }

// counterEnabled tells whether the current mode may read the counters that
// bit selects in mcounteren and scounteren (priv §3.1.11, §12.1.5).
func (h *Hart) counterEnabled(bit uint64) bool {
	switch h.Priv {
	case M:
		return true
	case S:
		return h.CSR.Mcounteren&bit != 0
	}
	return h.CSR.Mcounteren&h.CSR.Scounteren&bit != 0
}

func (h *Hart) cycle() uint64 {
	return h.running(h.CSR.Mcyclebias, riscv.CounterCY)
}

func (h *Hart) instret() uint64 {
	return h.running(h.CSR.Minstretbias, riscv.CounterIR)
}

func (h *Hart) running(bias, inhibit uint64) uint64 {
	if h.CSR.Mcountinhibit&inhibit != 0 {
		return bias
	}
	return h.Instret + bias
}

// setCycle and setInstret: the write takes effect after its instruction, which
// is itself still to be counted (priv §3.1.10).
func (h *Hart) setCycle(v uint64) {
	h.CSR.Mcyclebias = h.biasFor(v, riscv.CounterCY)
}

func (h *Hart) setInstret(v uint64) {
	h.CSR.Minstretbias = h.biasFor(v, riscv.CounterIR)
}

func (h *Hart) biasFor(v, inhibit uint64) uint64 {
	if h.CSR.Mcountinhibit&inhibit != 0 {
		return v
	}
	return v - (h.Instret + 1)
}

// SetCycle and SetInstret set the counters as from now.
func (h *Hart) SetCycle(v uint64) {
	h.setCycle(v)
	if h.CSR.Mcountinhibit&riscv.CounterCY == 0 {
		h.CSR.Mcyclebias++
	}
}

func (h *Hart) SetInstret(v uint64) {
	h.setInstret(v)
	if h.CSR.Mcountinhibit&riscv.CounterIR == 0 {
		h.CSR.Minstretbias++
	}
}

// setCountinhibit holds counters still or lets them go on (priv §3.1.12).
func (h *Hart) setCountinhibit(v uint64) {
	h.pmuSync()
	cycle, instret := h.cycle(), h.instret()
	h.CSR.Mcountinhibit = v & countinhibitMask
	h.SetCycle(cycle)
	h.SetInstret(instret)
	h.pmuUpdate()
}

// Events that an hpm counter can count: the numbers of SBI's general hardware
// events (sbi §11.2.1), all others count nothing.
const (
	EventNone         = 0
	EventCycles       = 1
	EventInstructions = 2

	eventMask = 0xff
)

// The hpm counters are brought up to date by pmuSync, at every change of mode
// and of what they count, and when they are read. An overflow is seen then;
// Sscofpmf allows the interrupt to come late.

// pmuUpdate finds the hpm counters that count.
func (h *Hart) pmuUpdate() {
	h.pmuOn = 0
	for i, ev := range h.CSR.Mhpmevent {
		if e := ev & eventMask; e == EventCycles || e == EventInstructions {
			h.pmuOn |= 1 << (i + 3)
		}
	}
	h.pmuOn &^= uint32(h.CSR.Mcountinhibit)
}

// Counting tells whether an hpm counter counts something, so that changes of
// mode must come through here.
func (h *Hart) Counting() bool { return h.pmuOn != 0 }

// pmuSync counts the instructions since the last pmuSync, all of which ran in
// the current mode.
func (h *Hart) pmuSync() {
	n := h.Instret - h.pmuMark
	h.pmuMark = h.Instret
	if h.pmuOn == 0 || n == 0 {
		return
	}
	inhibit := [4]uint64{U: riscv.MhpmeventUINH, S: riscv.MhpmeventSINH, M: riscv.MhpmeventMINH}[h.Priv&3]
	for on := h.pmuOn; on != 0; on &= on - 1 {
		i := bits.TrailingZeros32(on) - 3
		ev := &h.CSR.Mhpmevent[i]
		if *ev&inhibit != 0 {
			continue
		}
		h.CSR.Mhpmcounter[i] += n
		if h.CSR.Mhpmcounter[i] < n && *ev&riscv.MhpmeventOF == 0 {
			// Sscofpmf: OF was 0, so the overflow interrupts.
			*ev |= riscv.MhpmeventOF
			h.CSR.Mip |= riscv.MipLCOFIP
			h.checkInterrupts()
		}
	}
}

func (h *Hart) hpmcounter(i riscv.CSR) uint64 {
	h.pmuSync()
	return h.CSR.Mhpmcounter[i]
}

// SetHpmcounter sets counter n, 3 to 31.
func (h *Hart) SetHpmcounter(n int, v uint64) {
	h.pmuSync()
	h.CSR.Mhpmcounter[n-3] = v
}

// SetHpmevent sets what counter n, 3 to 31, counts.
func (h *Hart) SetHpmevent(n int, v uint64) {
	h.pmuSync()
	h.CSR.Mhpmevent[n-3] = v & mhpmeventMask
	h.pmuUpdate()
}

// InhibitCounters changes mcountinhibit in the bits of mask.
func (h *Hart) InhibitCounters(mask, v uint64) {
	h.setCountinhibit(merge(h.CSR.Mcountinhibit, v, mask))
}

// scountovf shows the OF bits that S-mode may see (Sscofpmf).
func (h *Hart) scountovf() (v uint64) {
	h.pmuSync()
	for i, ev := range h.CSR.Mhpmevent {
		v |= ev >> 63 << (i + 3)
	}
	if h.Priv != M {
		v &= h.CSR.Mcounteren
	}
	return v
}
