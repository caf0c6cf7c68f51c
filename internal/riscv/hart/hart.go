// Package hart is the architectural state of a RISC-V hart and the rules that
// every engine shares: CSRs, traps, interrupts, address translation, PMP,
// fences. Engines (internal/cpu/interp, later a translator) execute
// instructions on it and keep their own caches; the package executes nothing.
//
// Threads: one goroutine runs a hart. Other goroutines use only SetInterrupt,
// Kick and RequestFlush, which are atomic and take no locks.
package hart

import (
	"sync/atomic"

	"doppel/internal/clock"
	"doppel/internal/entropy"
	"doppel/internal/memory"
	"doppel/internal/riscv"
)

// Priv is a privilege mode, encoded as in the manual (priv §1.2).
type Priv uint8

const (
	U Priv = 0
	S Priv = 1
	M Priv = 3
)

// State is the explicit architectural state: plain data without pointers, so
// that generated code can address it and any engine can take it over.
type State struct {
	X      [32]uint64 // X[0] is always 0
	F      [32]uint64 // NaN-boxed
	PC     uint64
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
// form. What is derived (sstatus, sip, sie, time, ...) is not stored.
type CSRs struct {
	Mstatus, Mtvec, Mscratch, Mepc, Mcause, Mtval uint64
	Medeleg, Mideleg, Mie, Mip                    uint64 // Mip: the software-writable bits only
	Mcounteren, Mcountinhibit, Menvcfg, Mseccfg   uint64
	Stvec, Sscratch, Sepc, Scause, Stval, Satp    uint64
	Scounteren, Senvcfg, Stimecmp, Scountovf      uint64
	Mstateen, Sstateen                            [4]uint64
	Mcyclebias, Minstretbias                      uint64     // written value minus running value
	Mhpmcounter, Mhpmevent                        [29]uint64 // counters 3 to 31
	PmpCfg                                        [16]uint8
	PmpAddr                                       [16]uint64
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
}

// TimeHz is the frequency of the time CSR and of mtime, as on QEMU's virt.
const TimeHz = 10_000_000

// Engine is what a hart tells the engine that runs it, always on the hart's
// own goroutine.
type Engine interface {
	// FlushTLB forgets translations: all of them, or if !f.All those of one
	// address (HasVA) and/or one ASID (HasASID). Flushing more is allowed.
	// It is also called, with All, when a CSR write changes how addresses are
	// translated in a way that the engine's keys do not cover (PMP, mstatus
	// MXR/SUM/MPRV, menvcfg, satp if ASIDs are not in the key).
	FlushTLB(f Fence)
	// FlushCode makes all stores so far visible to instruction fetch
	// (fence.i, unpriv §3).
	FlushCode()
}

// Fence describes an sfence.vma (priv §4.2.1).
type Fence struct {
	HasVA, HasASID bool
	VA, Size       uint64 // Size bytes from VA, if HasVA
	ASID           uint16
}

// Access is a kind of memory access.
type Access uint8

const (
	Load  Access = iota
	Store        // also AMO and SC, LR as Load
	Fetch
)

// Mapping is the result of a translation: one naturally aligned block of
// memory in which the whole access lies, with what the current mode may do.
type Mapping struct {
	GPA               memory.GPA // of the address asked for
	VABase            uint64     // of the block
	Size              uint64     // of the block, at least one page unless PMP splits it
	Read, Write, Exec bool       // Write only once the D bit is set
	Global            bool
	IO                bool // Svpbmt type NC or IO, for engines that care
}

// Hart is one hart.
type Hart struct {
	State
	cfg    Config
	engine Engine

	// Attention is not zero when something from outside, or a change of
	// interrupt enables, wants the engine to call Poll before the next block.
	Attention atomic.Uint32
	lines     atomic.Uint64 // levels of the interrupt inputs, as mip bits
}

var _ = riscv.Cause(0)
