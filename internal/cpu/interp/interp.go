// Package interp is the reference interpreter: the engine that is clear
// first, complete, and what other engines are checked against.
//
// It executes instructions. What an instruction is (internal/riscv), CSRs,
// traps and address translation (internal/riscv/hart) and floating point
// (internal/riscv/fp) are not its business.
//
// How it runs: instructions are decoded once into blocks (block.go), which one
// function executes (exec.go) and which link to each other; what is rare or
// long is left to functions that it calls (slow.go). Loads, stores and
// instruction fetch go through TLBs that lead straight to host memory
// (tlb.go). All of that can be thrown away at any time: the state is the
// hart's.
//
// Threads: as internal/cpu says, one goroutine runs a VCPU; Kick and
// SetInterrupt come from any. VCPUs share nothing but guest memory, and there
// are no locks.
package interp

import (
	"fmt"
	"runtime/debug"
	"unsafe"

	"doppel/internal/cpu"
	"doppel/internal/memory"
	"doppel/internal/riscv"
	"doppel/internal/riscv/hart"
	"doppel/internal/state"
)

// VCPU interprets one hart.
type VCPU struct {
	h   *hart.Hart
	mem *memory.Space

	// What selects among translations and blocks; see tlb.go.
	dataCtx, fetchCtx uint64
	jumpKey           uint64
	ctxs              [numKinds]uint64 // contexts for the present satp
	gen               uint64           // of blocks; counts fence.i

	userEpoch, kernelEpoch uint64 // see DataEpochs
	seenUser, seenKernel   uint64 // contexts that they belong to
	machineKind            uint64 // kind of the data context when last in M
	fpReady                bool   // mstatus.FS is Dirty: floating point needs no check
	direct                 uint8  // what a translator may do by itself: see direct.go

	misses [hart.Fetch + 1]uint64 // of TLBs, by the kind of access

	mark   int64 // Instret plus what is left of the budget
	heat   int64 // of a new block
	basic  bool  // a branch ends a block
	heatOf func(memory.GPA) int64
	hot    *block
	own    bool // the next block is executed even if it is hot
	// codeOf gives what a translator has for a page of code.
	codeOf    func(gpa memory.GPA, va uint64) unsafe.Pointer
	codePages map[uint64]struct{} // virtual pages that a translator relies on
	reliedOn  [256]uint64         // some of them, plus one, by their lowest bits
	codeEpoch uint64              // see CodeEpoch

	exit    cpu.Exit
	pending pending

	seenPriv             hart.Priv
	seenSatp, seenStatus uint64
	epoch                uint64
	spaces               map[uint64]uint64 // satp to number
	nextSpace            uint64
	unshared             bool // S-mode has pages that are not global
	super                [2]addressRange
	jumpPages            pageSet // that v.jumps has entries of, since the epoch began

	blocks     blockCache
	decoded    Decoded
	raw        []byte  // where blocks' bytes for a translator are cut from
	executed   block   // of a translator
	nlinks     int     // of the block that is being decoded
	common     *Common // that it is the interpreter of, or nil
	missed     missed  // while the hart was in a Common
	part       block   // the start of a block, where the budget ends in it
	single     block   // an instruction that is not in the cache
	singleRaw  [4]byte
	singleCode [3]inst
	partCode   [maxWhole]inst

	loads                 [tlbSize]tlbEntry
	stores                [tlbSize]tlbEntry
	moreLoads, moreStores secondLevel
	fetches               [fetchTLBSize]fetchEntry
	jumps                 [jumpSize]jumpEntry
}

var (
	_ cpu.VCPU    = (*VCPU)(nil)
	_ hart.Engine = engine{}
)

// engine is the hart's view of a VCPU.
type engine struct{ v *VCPU }

func (e engine) FlushTLB(f hart.Fence) { e.v.flushTLB(f) }

func (e engine) FlushCode() { e.v.flushCode() }

// pending is a load or store that ExitMMIO has asked for.
type pending struct {
	on    bool
	write bool
	op    riscv.Op
	rd    uint8
	next  uint64 // pc after it
	va    uint64
}

// New returns a VCPU in its state at power-on.
func New(cfg hart.Config) *VCPU {
	v := new(VCPU)
	v.Init(new(hart.Hart), cfg)
	return v
}

// Init is New in memory that the caller has. v and h are zero.
func (v *VCPU) Init(h *hart.Hart, cfg hart.Config) {
	v.h, v.mem = h, cfg.Memory
	v.spaces = make(map[uint64]uint64)
	v.nextSpace, v.gen, v.heat = 1, 1, never
	v.codeOf = func(memory.GPA, uint64) unsafe.Pointer { return nil }
	v.codePages = make(map[uint64]struct{})
	v.blocks.init(maxCacheBytes)
	h.Init(cfg, nil)
	h.SetEngine(engine{v})
	v.forgetAll()
}

// Hart is the state that the VCPU runs on.
func (v *VCPU) Hart() *hart.Hart { return v.h }

func (v *VCPU) forgetAll() {
	v.unshared = false
	v.flushTLB(hart.Fence{})
	v.gen++
	v.pending = pending{}
}

func (v *VCPU) ID() int                               { return v.h.ID() }
func (v *VCPU) Kick()                                 { v.h.Kick() }
func (v *VCPU) SetInterrupt(line uint, asserted bool) { v.h.SetInterrupt(line, asserted) }
func (v *VCPU) Runnable() bool                        { return v.h.Runnable() }
func (v *VCPU) OnWake(fn func())                      { v.h.OnWake(fn) }
func (v *VCPU) FlushTLB()                             { v.flushTLB(hart.Fence{}) }
func (v *VCPU) Instructions() uint64                  { return v.h.Instret }
func (v *VCPU) StateName() string                     { return v.h.StateName() }
func (v *VCPU) StateVersion() uint32                  { return v.h.StateVersion() }
func (v *VCPU) Save(e *state.Encoder)                 { v.h.Save(e) }

// Trim is for cpu.Trimmer.
func (v *VCPU) Trim() {
	v.blocks.init(v.blocks.limit)
	v.forgetBlocks()
	v.hot, v.raw = nil, nil
}

// Restore is for state.Component. Memory may have changed as well.
func (v *VCPU) Restore(d *state.Decoder, version uint32) error {
	err := v.h.Restore(d, version)
	v.forgetAll()
	return err
}

// Reset is for cpu.VCPU.
func (v *VCPU) Reset() {
	v.h.Reset()
	v.forgetAll()
}

// Run is for cpu.VCPU.
func (v *VCPU) Run(budget uint64) (exit cpu.Exit) {
	defer func() {
		if p := recover(); p != nil {
			// No guest can cause this; it is here so that a bug of ours stops
			// one machine and not the process.
			exit = cpu.Exit{Reason: cpu.ExitError, Err: fmt.Errorf("BUG: interpreter at guest pc %#x: %v\n%s", v.h.PC, p, debug.Stack())}
		}
	}()
	if v.pending.on {
		return cpu.Exit{Reason: cpu.ExitError, Err: fmt.Errorf("BUG: hart %d runs with an access not completed", v.ID())}
	}
	left := int64(min(budget, 1<<62))
	if left == 0 {
		return cpu.Exit{Reason: cpu.ExitBudget}
	}
	v.prepare()
	if v.h.Halted && v.h.Attention.Load() == 0 {
		if !v.h.Runnable() {
			return cpu.Exit{Reason: cpu.ExitHalt}
		}
		v.h.Halted = false
	}
	v.h.Enter() // before any instruction: other harts' fences wait for those that run
	defer v.h.Leave()
	v.h.PC &^= 1 // priv §3.1.14: as in epc; a debugger may have set it
	v.refresh()
	v.mark = int64(v.h.Instret) + left
	v.proceed()
	return v.exit
}
