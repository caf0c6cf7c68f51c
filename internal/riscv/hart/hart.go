// Package hart is the architectural state of a RISC-V hart and the rules that
// every engine shares: CSRs, traps, interrupts, address translation, PMP,
// fences. Engines (internal/cpu/interp, later a translator) execute
// instructions on it and keep their own caches; the package executes nothing.
//
// Threads: one goroutine at a time runs a hart and calls its methods. Other
// goroutines use only SetInterrupt, Kick, RequestFlush and Flushed, which are
// atomic, take no locks and do not block, and Shootdown for a hart of their
// own. The function given to OnWake is called on any of these goroutines and
// on the clock's.
package hart

import (
	"runtime"
	"sync/atomic"

	"doppel/internal/clock"
	"doppel/internal/entropy"
	"doppel/internal/memory"
	"doppel/internal/riscv"
)

// Priv is a privilege mode, encoded as in the manual (priv §1.2).
type Priv = riscv.Privilege

const (
	U = riscv.User
	S = riscv.Supervisor
	M = riscv.Machine
)

// State is the explicit architectural state: plain data without pointers, so
// that generated code can address it and any engine can take it over. An
// engine keeps PC and Instret exact whenever it calls a method of Hart.
type State struct {
	X      [32]uint64 // X[0] is always 0
	F      [32]uint64 // NaN-boxed
	PC     uint64     // bit 0 is always 0
	Priv   Priv
	FRM    uint8  // fcsr.frm as written, 5 to 7 included
	FFlags uint32 // fcsr.fflags

	// The reservation of LR: the value read is compared by SC (see interp).
	ResValid bool
	ResSize  uint8
	ResAddr  memory.GPA
	ResValue uint64

	Instret uint64 // instructions retired since reset, not writable by the guest
	Halted  bool   // in WFI, not yet resumed

	CSR CSRs
}

// CSRs holds the writable control and status registers, in canonical (WARL)
// form. What is derived (mstatus.SD, sstatus, sip, sie, time, scountovf, ...)
// is not stored. Who changes them directly calls Refresh.
type CSRs struct {
	Mstatus, Mtvec, Mscratch, Mepc, Mcause, Mtval uint64
	Medeleg, Mideleg, Mie, Mip                    uint64 // Mip: the software-writable bits only
	Mcounteren, Mcountinhibit, Menvcfg, Mseccfg   uint64
	Stvec, Sscratch, Sepc, Scause, Stval, Satp    uint64
	Scounteren, Senvcfg, Stimecmp                 uint64
	Mstateen                                      [4]uint64
	// Mcyclebias and Minstretbias are what the counter shows minus Instret,
	// or the whole value of a counter that mcountinhibit holds still.
	Mcyclebias, Minstretbias uint64
	Mhpmcounter, Mhpmevent   [29]uint64 // counters 3 to 31
	PmpCfg                   [16]uint8
	PmpAddr                  [16]uint64
}

// Config says what a hart is.
type Config struct {
	ID      int
	Memory  *memory.Space
	Clock   clock.Clock    // the time CSR counts it at TimeHz
	Entropy entropy.Source // the seed CSR
	// Supervisor is set when the VMM itself is the SBI: no M-mode software
	// runs, all that can be delegated is, and an ecall from S-mode exits with
	// cpu.ExitCall. Else ecall from S traps to M as usual.
	Supervisor bool
	// Stall, if not nil, is called on the hart's goroutine for each
	// instruction with which it waits for another hart.
	Stall func()
	// Watched is set when the engine looks at the time while the hart executes
	// (Watch), and whoever has it sleep says so (Sleep, Awake): then the clock has
	// a timer for harts that sleep only. A timer that expires takes some changes
	// of threads, which, while all processors execute vCPUs, are at their cost.
	Watched bool
}

// TimeHz is the frequency of the time CSR and of mtime, as on QEMU's virt.
const TimeHz = 10_000_000

// Engine is what a hart tells the engine that runs it, always on the hart's
// own goroutine. In turn an engine brackets the execution of instructions by
// Hart.Enter and Hart.Leave, so that Shootdown knows whom to wait for, and
// calls Poll soon after Attention is not zero.
type Engine interface {
	// FlushTLB forgets the translations that f names. Flushing more is
	// allowed.
	FlushTLB(f Fence)
	// FlushCode makes all stores so far visible to instruction fetch
	// (fence.i, unpriv §3).
	FlushCode()
}

// Fence describes an sfence.vma (priv §12.2.1): the zero Fence names all
// translations, HasVA those of addresses in Size bytes from VA, HasASID those
// of one address space without the global ones.
//
// A fence for an address covers the leaf PTE that maps it, whatever its size:
// an engine that keeps parts of a superpage apart forgets all of them.
type Fence struct {
	HasVA, HasASID bool
	VA, Size       uint64
	ASID           uint16

	// Code asks for FlushCode instead of FlushTLB. RequestFlush and Shootdown
	// take it; an engine's FlushTLB never sees it.
	Code bool

	// Context says that no translation was withdrawn: only what selects among
	// them has changed (satp, or mstatus MPRV, MPP, SUM or MXR). An engine
	// whose keys cover the translation mode, ASID, DataPriv, SUM and MXR
	// has nothing to forget. No other field is set.
	Context bool
}

// Access is a kind of memory access.
type Access uint8

const (
	Load  Access = iota
	Store        // also AMO and SC; LR is a Load
	Fetch
)

func (a Access) String() string {
	switch a {
	case Load:
		return "load"
	case Store:
		return "store"
	}
	return "fetch"
}

// Mapping is the result of a translation: a block of memory in which the whole
// access lies, with what the mode of the access may do there. A block of at
// least a page is naturally aligned. If PMP divides the page, VABase and Size
// are those of the access itself: the mapping then must not be kept.
type Mapping struct {
	GPA    memory.GPA // of the address asked for
	VABase uint64     // of the block
	Size   uint64     // of the block
	// What is allowed; Write only once the D bit is set. While MPRV makes the
	// modes of fetches and of other accesses differ, only those are set that
	// belong to the access asked for.
	Read, Write, Exec bool
	Global            bool
	IO                bool // Svpbmt type NC or IO, for engines that care
}

// Hart is one hart.
type Hart struct {
	State
	cfg    Config
	engine Engine
	wake   func()
	timer  clock.Timer // expires when time reaches stimecmp

	// Attention is not zero when something from outside, or a change of
	// interrupt enables, wants the engine to call Poll before the next block.
	Attention atomic.Uint32
	lines     atomic.Uint64 // levels of the interrupt inputs, as mip bits
	edges     atomic.Uint64 // mip bits raised from outside, not yet in CSR.Mip
	flushes   flushQueue

	stip    bool   // time has reached stimecmp, as of the last look
	armed   bool   // timer, for a sleep
	watch   int32  // what is left of the work until the next look, see Watch
	due     uint64 // the time of stimecmp, never if it was told of or cannot come
	ram     ramWindow
	pmp     pmp    // derived from PmpCfg and PmpAddr
	pmuOn   uint32 // hpm counters that count something, by number
	pmuMark uint64 // Instret up to which Mhpmcounter is counted

	observe func(cause riscv.Cause, tval uint64, to Priv) // nil: nobody looks
}

// New returns a hart after Reset. The engine may be nil until SetEngine.
func New(cfg Config, engine Engine) *Hart {
	h := new(Hart)
	h.Init(cfg, engine)
	return h
}

// Init is New in memory that the caller has: a translator keeps the hart where
// its code finds it. h is zero.
func (h *Hart) Init(cfg Config, engine Engine) {
	h.cfg, h.engine, h.wake = cfg, engine, func() {}
	if engine == nil {
		h.engine = noEngine{}
	}
	h.timer = cfg.Clock.NewTimer(h.timerExpired)
	h.Reset()
}

type noEngine struct{}

func (noEngine) FlushTLB(Fence) {}
func (noEngine) FlushCode()     {}

// SetEngine changes the engine. The hart is not running.
func (h *Hart) SetEngine(e Engine) { h.engine = e }

// OnWake sets the function that is called, from any goroutine, when the hart
// may have become runnable or was kicked. Set it before the hart runs.
func (h *Hart) OnWake(fn func()) { h.wake = fn }

// ID is the hart's number: mhartid.
func (h *Hart) ID() int { return h.cfg.ID }

// Stall is for instructions with which a hart waits for another (PAUSE, WRS): it
// lets others run.
func (h *Hart) Stall() {
	if h.cfg.Stall != nil {
		h.cfg.Stall()
		return
	}
	runtime.Gosched()
}

// Supervisor tells whether the VMM is the SBI of this hart.
func (h *Hart) Supervisor() bool { return h.cfg.Supervisor }

// Memory is the guest physical memory that the hart sees.
func (h *Hart) Memory() *memory.Space { return h.cfg.Memory }

// Reset puts the hart in its state at power-on (priv §3.4), or, with
// Config.Supervisor, in that of a hart that the SBI starts (sbi §9.1): the
// caller sets PC, a0 and a1. Interrupt inputs keep their levels: they belong
// to the devices.
func (h *Hart) Reset() {
	h.State = State{Priv: M}
	h.CSR.Mstatus = mstatusFixed
	if h.cfg.Supervisor {
		h.Priv = S
		h.CSR.superviseReset()
	}
	h.edges.Store(0)
	h.SetStimecmp(^uint64(0)) // not defined by Sstc: no timer interrupt until one is asked for
	h.Refresh()
	h.flushAll()
}

// StartSupervisor resets the hart and enters S-mode at pc (sbi §9.1). Retired
// instructions stay counted.
func (h *Hart) StartSupervisor(pc, opaque uint64) {
	n := h.Instret
	h.Reset()
	h.Instret, h.pmuMark = n, n
	h.ResumeSupervisor(pc, opaque)
}

// ResumeSupervisor enters S-mode at pc after a non-retentive suspend (sbi
// §9.4): with satp and sstatus.SIE 0, the hart's number in a0 and opaque in
// a1. What else is left undefined keeps its value.
func (h *Hart) ResumeSupervisor(pc, opaque uint64) {
	h.Priv = S
	h.PC = pc &^ 1
	h.X[10], h.X[11] = uint64(h.cfg.ID), opaque
	h.setMstatus(h.CSR.Mstatus &^ riscv.MstatusSIE)
	h.setSatp(0)
	h.Halted = false
}

// Refresh derives again what depends on State, after it was changed directly
// (by a debugger, by the SBI). Translations are the caller's to flush.
func (h *Hart) Refresh() {
	h.pmpUpdate()
	h.pmuMark = h.Instret
	h.pmuUpdate()
	h.attend(attnInterrupt | attnTimer)
}

// flushAll makes the engine forget everything that it derived from memory.
func (h *Hart) flushAll() {
	h.engine.FlushTLB(Fence{})
	h.engine.FlushCode()
}
