package hart

import "doppel/internal/riscv"

// Bits of Hart.Attention: why the engine should call Poll.
const (
	attnInterrupt = 1 << iota // an interrupt may be deliverable
	attnTimer                 // time may have reached stimecmp
	attnKick
	attnFlush
)

// levelInputs are the interrupt inputs that follow a level.
const levelInputs = machineInterrupts | riscv.MipSEIP | riscv.MipSTIP

// Event is what Poll found.
type Event struct {
	Kicked      bool // Kick was called
	Interrupted bool // an interrupt was taken: PC and Priv have changed
}

func (h *Hart) attend(why uint32) { h.Attention.Or(why) }

// SetInterrupt sets the level of an interrupt input, numbered as in mip. The
// input SSIP is an edge: asserting it sets mip.SSIP, which software clears;
// deasserting it does nothing. Other numbers have no effect. Any goroutine.
func (h *Hart) SetInterrupt(line uint, asserted bool) {
	bit := uint64(1) << (line & 63)
	switch {
	case line > 63:
	case bit == riscv.MipSSIP:
		if asserted && h.edges.Or(bit)&bit == 0 {
			h.attend(attnInterrupt)
			h.wake()
		}
	case bit&levelInputs == 0:
	case !asserted:
		h.lines.And(^bit)
	case h.lines.Or(bit)&bit == 0:
		h.attend(attnInterrupt)
		h.wake()
	}
}

// ClearIPI clears mip.SSIP and tells whether it was set. On the hart's own
// goroutine.
func (h *Hart) ClearIPI() (was bool) {
	h.takeEdges()
	was = h.CSR.Mip&riscv.MipSSIP != 0
	h.CSR.Mip &^= riscv.MipSSIP
	return was
}

// Kick makes Poll report it, in a Run in progress or else in the next one.
// Any goroutine.
func (h *Hart) Kick() {
	h.attend(attnKick)
	h.wake()
}

// timerExpired runs on the clock's goroutine.
func (h *Hart) timerExpired() {
	h.attend(attnTimer)
	h.wake()
}

// SetStimecmp writes stimecmp (priv §12.1.12), which is also SBI's timer.
func (h *Hart) SetStimecmp(v uint64) {
	h.CSR.Stimecmp = v
	h.updateTimer()
	h.await()
	h.checkInterrupts()
}

// updateTimer compares time with stimecmp.
func (h *Hart) updateTimer() {
	h.stip = h.CSR.Menvcfg&riscv.MenvcfgSTCE != 0 && h.Time() >= h.CSR.Stimecmp
}

// stimecmpEnabled: below M the register needs STCE and mcounteren.TM (priv §12.1.12).
func (h *Hart) stimecmpEnabled() bool {
	return h.Priv == M ||
		h.CSR.Menvcfg&riscv.MenvcfgSTCE != 0 && h.CSR.Mcounteren&riscv.CounterTM != 0
}

// takeEdges moves what came from outside to mip.
func (h *Hart) takeEdges() {
	if h.edges.Load() != 0 {
		h.CSR.Mip |= h.edges.Swap(0)
	}
}

// mip is the whole register, with the timer as it is now.
func (h *Hart) mip() uint64 {
	h.takeEdges()
	h.pmuSync()
	h.updateTimer()
	h.checkInterrupts()
	return h.pending()
}

// pending is mip as of the last look at the timer and the edges.
func (h *Hart) pending() uint64 {
	p := h.CSR.Mip | h.lines.Load()
	if h.stip {
		p |= riscv.MipSTIP
	}
	return p
}

// mipWritable are the bits that software may change (priv §3.1.9); STIP only
// while it is not stimecmp's (priv §12.1.12).
func (h *Hart) mipWritable() uint64 {
	if h.CSR.Menvcfg&riscv.MenvcfgSTCE != 0 {
		return supervisorInterrupts &^ riscv.MipSTIP
	}
	return supervisorInterrupts
}

// setMip writes the bits of mask. An edge that came after v was computed comes
// after the write: taken before it, a csrrs of another bit would lose it.
func (h *Hart) setMip(v, mask uint64) {
	h.CSR.Mip = merge(h.CSR.Mip, v, mask)
	h.checkInterrupts()
}

// deliverable finds the interrupts that the current mode must take now, and
// the mode that takes them (priv §3.1.9).
func (h *Hart) deliverable() (set uint64, to Priv) {
	p := h.pending() & h.CSR.Mie
	if p == 0 {
		return 0, M
	}
	if m := p &^ h.CSR.Mideleg; m != 0 && (h.Priv < M || h.CSR.Mstatus&riscv.MstatusMIE != 0) {
		return m, M
	}
	if s := p & h.CSR.Mideleg; h.Priv < S || h.Priv == S && h.CSR.Mstatus&riscv.MstatusSIE != 0 {
		return s, S
	}
	return 0, M
}

// checkInterrupts asks for Poll if an interrupt has become deliverable.
func (h *Hart) checkInterrupts() {
	if set, _ := h.deliverable(); set != 0 {
		h.attend(attnInterrupt)
	}
}

// priority lists the interrupts, the highest first (priv §3.1.9, §12.1.3;
// Sscofpmf: LCOFI is the lowest).
var priority = [...]riscv.Cause{
	riscv.MachineExternalInterrupt, riscv.MachineSoftwareInterrupt, riscv.MachineTimerInterrupt,
	riscv.SupervisorExternalInterrupt, riscv.SupervisorSoftwareInterrupt, riscv.SupervisorTimerInterrupt,
	riscv.LocalCounterOverflow,
}

// Poll serves what has come from outside: it runs requested flushes and takes
// the pending and enabled interrupt of the highest priority. The engine calls
// it before an instruction whenever Attention is not zero.
func (h *Hart) Poll() (ev Event) {
	why := h.Attention.Swap(0)
	if why&attnFlush != 0 {
		h.serveFlushes()
	}
	ev.Kicked = why&attnKick != 0
	h.takeEdges()
	if why&attnTimer != 0 {
		h.updateTimer()
	}
	h.pmuSync()
	if h.pending()&h.CSR.Mie != 0 {
		h.Halted = false // priv §3.3.3: WFI resumes even if it is not deliverable
	}
	set, to := h.deliverable()
	if set == 0 {
		return ev
	}
	for _, cause := range priority {
		if set>>cause.Code()&1 != 0 {
			h.enter(cause, 0, to)
			// unpriv §14.2: SC may fail for any reason. An interrupt between LR and
			// SC makes it fail, so that SC's comparison of values is exact for the
			// loops that must succeed (see interp).
			h.ResValid, h.ResSize, h.ResAddr, h.ResValue = false, 0, 0, 0
			ev.Interrupted = true
			break
		}
	}
	return ev
}

// Runnable tells whether a halted hart has a reason to go on: an interrupt that
// is pending and enabled in mie (priv §3.3.3), or a kick.
func (h *Hart) Runnable() bool {
	return h.Attention.Load()&attnKick != 0 || h.InterruptPending()
}

// InterruptPending tells whether an interrupt is pending and enabled in mie,
// whether or not the mode would take it.
func (h *Hart) InterruptPending() bool { return h.mip()&h.CSR.Mie != 0 }
