//go:build linux && (amd64 || arm64)

// Package jit is the binary translator: the engine that turns hot guest code
// into code of the host and leaves everything else to the interpreter, whose
// state, TLBs and slow paths it shares.
//
// A block that the interpreter has run often is lowered to micro-operations
// (lower, ir), which the host's back end (amd64, arm64) makes code of. Code stays
// inside until something is not inline: then the engine (dispatch.go) has the
// interpreter execute that one instruction and resumes, links a jump, finds a
// block, or ends Run. Code is kept by physical page and privilege (cache.go).
// Hot loops are made regions (region.go, graph.go, opt).
//
// What it does not do: decode, exceptions but calls from U-mode, page walks,
// rounding to nearest with ties away from zero. None of these is ever in
// generated code.
//
// Threads: as internal/cpu says. VCPUs share nothing but guest memory, and
// there are no locks. Generated code runs in slices of bounded length, after
// which Go gets a chance to stop the goroutine and interrupts are looked at.
package jit

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"unsafe"

	"doppel/internal/cpu"
	"doppel/internal/cpu/interp"
	"doppel/internal/cpu/jit/abi"
	"doppel/internal/cpu/jit/ir"
	"doppel/internal/cpu/jit/opt"
	"doppel/internal/memory"
	"doppel/internal/platform"
	"doppel/internal/riscv/hart"
	"doppel/internal/state"
)

const (
	// slice is how many instructions run without a look at Attention or a
	// chance for the garbage collector, about 10 microseconds.
	defaultSlice = maxSlice
	// maxSlice bounds how many calls generated code keeps on the stack.
	maxSlice = 16384
	// defaultMore is how many slices a region begins by itself: time is looked at
	// seldom enough for that, and a collection waits for 40 microseconds at most
	// where code is fast, as that of regions is.
	defaultMore = 3
	// threshold is how often a block is interpreted first.
	threshold = 32

	defaultCodeBytes = 128 << 20
)

// VCPU translates one hart's code.
//
// Generated code addresses all that it needs from one register, so that the
// hart and the interpreter are parts of the VCPU. It writes the hart's
// registers and ctx, and reads the interpreter's TLBs and context.
type VCPU struct {
	h       hart.Hart
	context // near, for hosts whose displacements are short
	in      interp.VCPU

	code  cache
	emit  *emitter
	block ir.Block
	group group // for translate
	walk  walk  // for promote
	share opt.Sharer
	stats Stats

	generation uint64 // of interp, that the active pages belong to
	base       uintptr

	userEpoch, kernelEpoch uint64 // of the interpreter, that the sites belong to
	codeEpoch              uint64 // and links to other pages
	samples                int    // see Options
	warmSlices             int    // that end in a region before it is made again
	own                    int64  // see Options.More

	sites  sites
	consts [len(hostConsts)]uint64
}

// context is what generated code and the engine tell each other.
type context struct {
	left, page, pc, resume uint64
	slice                  int64
	more                   uint32
	resHost                uint64
	id, reason             uint32
	fpOn, fpIf, fpUsed     uint32
	fpMoves, asks          uint32
	fpStatus, fpClean      uint32
	codeBase               uintptr
	stack                  uintptr
	crossed                uint32
	addends                [abi.Addends]uint64
}

var (
	_ cpu.VCPU = (*VCPU)(nil)

	layout   = makeLayout()
	routines = newRoutines(&layout)
)

// bias makes the registers reachable with displacements of one byte.
const bias = 128

func makeLayout() abi.Layout {
	var v *VCPU // for the offsets only
	const origin = unsafe.Offsetof(v.h) + unsafe.Offsetof(v.h.State) + unsafe.Offsetof(v.h.State.X) + bias
	rel := func(off uintptr) int32 { return int32(int64(off) - int64(origin)) }
	hartAt := unsafe.Offsetof(v.h) + unsafe.Offsetof(v.h.State)
	in, ctx := unsafe.Offsetof(v.in), unsafe.Offsetof(v.context)
	l := interp.Layout
	csr := hartAt + unsafe.Offsetof(v.h.State.CSR)
	var c *hart.CSRs
	return abi.Layout{
		System: abi.System{
			Priv:    rel(hartAt + unsafe.Offsetof(v.h.State.Priv)),
			Mstatus: rel(csr + unsafe.Offsetof(c.Mstatus)), Mie: rel(csr + unsafe.Offsetof(c.Mie)), Mip: rel(csr + unsafe.Offsetof(c.Mip)),
			Stvec: rel(csr + unsafe.Offsetof(c.Stvec)), Sscratch: rel(csr + unsafe.Offsetof(c.Sscratch)),
			Sepc: rel(csr + unsafe.Offsetof(c.Sepc)), Scause: rel(csr + unsafe.Offsetof(c.Scause)),
			Stval: rel(csr + unsafe.Offsetof(c.Stval)), Satp: rel(csr + unsafe.Offsetof(c.Satp)),
			Attention: rel(unsafe.Offsetof(v.h) + hart.Layout.Attention), Lines: rel(unsafe.Offsetof(v.h) + hart.Layout.Lines),
			TimerPending: rel(unsafe.Offsetof(v.h) + hart.Layout.TimerPending),
			Contexts:     rel(in + l.Contexts), JumpKey: rel(in + l.JumpKey),
			SeenPriv: rel(in + l.SeenPriv), SeenStatus: rel(in + l.SeenStatus), FPReady: rel(in + l.FPReady),
			Direct: rel(in + l.Direct), Limit: rel(in + l.Limit), FPIf: rel(ctx + unsafe.Offsetof(v.context.fpIf)),
		},
		X: rel(hartAt + unsafe.Offsetof(v.h.State.X)), F: rel(hartAt + unsafe.Offsetof(v.h.State.F)),
		FFlags: rel(hartAt + unsafe.Offsetof(v.h.State.FFlags)),
		Loads:  rel(in + l.Loads), Stores: rel(in + l.Stores), TLBEntries: int32(l.Entries),
		MoreLoads: rel(in + l.MoreLoads), MoreStores: rel(in + l.MoreStores), TLBSets: int32(l.Sets),
		DataContext: rel(in + l.DataContext),
		Fetches:     rel(in + l.Fetches), FetchEntries: int32(l.FetchEntries), FetchContext: rel(in + l.FetchContext),
		CodeBase: rel(ctx + unsafe.Offsetof(v.context.codeBase)),
		Left:     rel(ctx + unsafe.Offsetof(v.context.left)), Base: rel(ctx + unsafe.Offsetof(v.context.page)),
		Slice: rel(ctx + unsafe.Offsetof(v.context.slice)), More: rel(ctx + unsafe.Offsetof(v.context.more)),
		Stack: rel(ctx + unsafe.Offsetof(v.context.stack)), Asks: rel(ctx + unsafe.Offsetof(v.context.asks)),
		PC: rel(ctx + unsafe.Offsetof(v.context.pc)), Resume: rel(ctx + unsafe.Offsetof(v.context.resume)),
		ID: rel(ctx + unsafe.Offsetof(v.context.id)), Reason: rel(ctx + unsafe.Offsetof(v.context.reason)),
		ResHost: rel(ctx + unsafe.Offsetof(v.context.resHost)), ResValue: rel(hartAt + unsafe.Offsetof(v.h.State.ResValue)),
		ResValid: rel(hartAt + unsafe.Offsetof(v.h.State.ResValid)), ResSize: rel(hartAt + unsafe.Offsetof(v.h.State.ResSize)),
		FPOn: rel(ctx + unsafe.Offsetof(v.context.fpOn)), FPUsed: rel(ctx + unsafe.Offsetof(v.context.fpUsed)),
		FPMoves: rel(ctx + unsafe.Offsetof(v.context.fpMoves)), FRM: rel(hartAt + unsafe.Offsetof(v.h.State.FRM)),
		Addends: rel(ctx + unsafe.Offsetof(v.context.addends)), Crossed: rel(ctx + unsafe.Offsetof(v.context.crossed)),
		SiteTable: rel(unsafe.Offsetof(v.sites) + unsafe.Offsetof(v.sites.table)),
		SiteLogs:  rel(unsafe.Offsetof(v.sites) + unsafe.Offsetof(v.sites.logs)),
		Consts:    rel(unsafe.Offsetof(v.consts)),
		FPStatus:  rel(ctx + unsafe.Offsetof(v.context.fpStatus)), FPClean: rel(ctx + unsafe.Offsetof(v.context.fpClean)),
	}
}

// Options change what New makes; zero values are the defaults.
type Options struct {
	CodeBytes int   // limit of the code cache
	Threshold int64 // how often a block is interpreted first; -1 for never
	Samples   int   // slices that end in a block before its loop is made a region; -1 for no regions
	Slice     int64 // instructions that run without a look at interrupts
	More      int   // slices that a region may begin by itself, one after the other; -1 for none

	Dump    *Dumper  // is told of every translation
	PerfMap *PerfMap // names what is translated for perf
}

// New returns a VCPU in its state at power-on. It fails if the host has no
// memory for code, or forbids it.
func New(cfg hart.Config, o Options) (*VCPU, error) {
	v := &VCPU{}
	if err := v.init(cfg, o); err != nil {
		return nil, err
	}
	return v, nil
}

func (v *VCPU) init(cfg hart.Config, o Options) error {
	if !Available() {
		return errors.New("translator: " + lacking)
	}
	if o.CodeBytes == 0 {
		o.CodeBytes = defaultCodeBytes
	}
	switch {
	case o.Threshold == 0:
		o.Threshold = threshold
	case o.Threshold < 0:
		o.Threshold = 0
	}
	if o.Samples == 0 {
		o.Samples = regionSamples
	}
	if o.Slice == 0 {
		o.Slice = defaultSlice
	}
	switch {
	case o.More == 0:
		o.More = defaultMore
	case o.More < 0:
		o.More = 0
	}
	o.Slice = min(max(o.Slice, interp.MaxBlock), maxSlice) // a slice has room for any block
	mem, err := platform.NewCodeMemory("code", o.CodeBytes)
	if err != nil {
		return fmt.Errorf("translator: %w", err)
	}
	runtime.AddCleanup(v, func(m *platform.CodeMemory) { m.Close() }, mem)
	v.emit = newEmitter(&layout, routines)
	v.in.Init(&v.h, cfg)
	v.in.SetCodeOf(v.codeOf)
	v.code.init(mem, &v.in, &v.h.Priv)
	v.code.threshold, v.code.drops = o.Threshold, make(map[memory.GPA]int)
	v.in.SetHeat(o.Threshold)
	v.in.SetHeatOf(v.code.patience)
	v.base = uintptr(unsafe.Pointer(&v.h.X)) + bias
	v.samples, v.slice, v.consts = o.Samples, o.Slice, hostConsts
	v.own = int64(o.More)
	v.warmSlices = warmSlices * o.Samples
	if o.Samples < regionSamples {
		v.warmSlices = o.Samples * regionSamples
	}
	v.sites.init()
	v.codeBase = mem.Exec
	v.code.trace = tracer{cfg.ID, o.Dump, o.PerfMap}
	v.code.trace.routines(&v.code)
	return nil
}

// Hart is the state that the VCPU runs on.
func (v *VCPU) Hart() *hart.Hart { return &v.h }

func (v *VCPU) ID() int                               { return v.in.ID() }
func (v *VCPU) Kick()                                 { v.in.Kick() }
func (v *VCPU) SetInterrupt(line uint, asserted bool) { v.in.SetInterrupt(line, asserted) }
func (v *VCPU) Runnable() bool                        { return v.in.Runnable() }
func (v *VCPU) OnWake(fn func())                      { v.in.OnWake(fn) }
func (v *VCPU) ForgetStores()                         { v.in.ForgetStores() }
func (v *VCPU) Instructions() uint64                  { return v.in.Instructions() }
func (v *VCPU) StateName() string                     { return v.in.StateName() }
func (v *VCPU) StateVersion() uint32                  { return v.in.StateVersion() }
func (v *VCPU) Save(e *state.Encoder)                 { v.in.Save(e) }
func (v *VCPU) CompleteMMIO(value uint64, ok bool)    { v.in.CompleteMMIO(value, ok) }

// FlushTLB is for cpu.VCPU. Memory may have changed as well.
func (v *VCPU) FlushTLB() {
	v.code.distrust(v.generation)
	v.in.FlushTLB()
}

// Reset is for cpu.VCPU.
func (v *VCPU) Reset() {
	v.code.distrust(v.generation)
	v.in.Reset()
}

// Restore is for state.Component.
func (v *VCPU) Restore(d *state.Decoder, version uint32) error {
	v.code.distrust(v.generation)
	return v.in.Restore(d, version)
}

// RunIn is Run in a Common: nothing is translated, and nothing that is is used.
func (v *VCPU) RunIn(c *interp.Common, budget uint64) cpu.Exit {
	v.stats.Common++
	return v.in.RunIn(c, budget)
}

// Run is for cpu.VCPU.
func (v *VCPU) Run(budget uint64) (exit cpu.Exit) {
	defer func() {
		if p := recover(); p != nil {
			// No guest can cause this; it is here so that a bug of ours stops
			// one machine and not the process.
			exit = cpu.Exit{Reason: cpu.ExitError, Err: fmt.Errorf("BUG: translator at guest pc %#x, or behind it in the page %#x: %v\n%s", v.h.PC, v.page, p, debug.Stack())}
		}
	}()
	v.h.Enter()
	defer v.h.Leave()
	if v.in.Begin(budget) {
		v.run()
	}
	return v.in.Exit()
}
