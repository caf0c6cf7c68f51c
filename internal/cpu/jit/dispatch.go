//go:build linux && (amd64 || arm64)

package jit

import (
	"slices"
	"time"
	"unsafe"

	"doppel/internal/cpu/interp"
	"doppel/internal/cpu/jit/abi"
	"doppel/internal/cpu/jit/lower"
	"doppel/internal/memory"
)

// sliceWork is for hart.Watch: a slice is about ten microseconds.
const sliceWork = 8

const pageMask = memory.PageSize - 1

// run executes until Run is to end. It goes back and forth between the
// interpreter, which also takes interrupts and ends Run, and code.
func (v *VCPU) run() {
	for v.in.Interpret() {
		v.h.Watch(1)
		gpa, host := v.in.Hot()
		b := v.translate(gpa, host, v.h.PC)
		switch {
		case b == nil:
			v.in.Keep()
			continue
		case b.across:
			v.in.Defer()
		}
		if v.native(b) {
			return
		}
		v.stats.Cold++
	}
}

// native runs code from b, which is at the hart's PC, as long as there is code
// to run. end means that Run is to end with the interpreter's Exit; else the
// state is complete, for the interpreter to go on.
func (v *VCPU) native(b *block) (end bool) {
	h := &v.h
	v.fresh()
	code := b.code
	v.page = h.PC &^ pageMask
	v.seen(b.page, v.page)
	v.fpUsed = 0
	for {
		// reserve is what is left of the budget after this slice.
		left := v.in.Left()
		reserve := max(left-v.slice, 0)
		v.left = uint64(left - reserve)
		granted := uint32(min(reserve/v.slice, v.own))
		v.more = granted
		ended := int32(1) // slices
	resume:
		h.Watch(1)
		v.readyFloat()
		v.freshFar()
		v.freshSites()
		v.code.mem.Sync()
		v.crossed = 0
		enter(v.code.enterRoutine(), v.base, code)
		if v.fpUsed != 0 {
			h.FFlags |= guestFlags(v.fpStatus)
		}
		v.syncReservation()
		if own := granted - v.more; own != 0 {
			granted = v.more
			ended += int32(own)
			reserve -= int64(own) * v.slice
			v.stats.Slices += uint64(own)
		}
		left = reserve + int64(v.left)
		switch v.reason {
		case abi.ExitSlow:
			v.stats.Slow++
			b := v.code.blocks[v.id>>8]
			pc := v.page | uint64(b.start)
			v.stats.SlowOps[b.Op(int(v.id&0xff))]++
			switch v.in.Execute(&b.Block, int(v.id&0xff), pc, left+int64(b.Len())) {
			case interp.Next:
				code = uintptr(v.resume)
				goto resume
			case interp.End:
				return true
			}
			// A jump or a trap.
			if code = v.find(h.PC); code == 0 {
				return false
			}
		case abi.ExitLink:
			v.sync(left)
			v.stats.Links++
			from, n := v.code.blocks[v.id>>8], int(v.id&0xff)
			if from.links[n].far {
				va := v.page
				if code = v.find(v.pc); code == 0 {
					return false
				}
				v.linkFar(from, n, va, code)
				break
			}
			b := from.page.block(uint64(v.pc & pageMask))
			if b == nil {
				// What translated code leads to comes before other code.
				gpa := from.page.gpa | memory.GPA(v.pc&pageMask)
				if !v.in.Warm(gpa, v.code.threshold-v.code.threshold/4) {
					return false
				}
				evictions := v.stats.Evictions
				b = v.translate(gpa, v.code.hostOf(from.page, v.pc), v.pc)
				if b == nil || b.across || v.stats.Evictions != evictions {
					return false
				}
			}
			code = v.code.link(from, n, b)
		case abi.ExitLookup:
			v.sync(left)
			v.stats.Lookups++
			if code = v.find(v.pc); code == 0 {
				return false
			}
		case abi.ExitAcross:
			v.sync(left)
			return false
		case abi.ExitInterpret:
			v.stats.Shared++
			v.interpretFrom(left)
			return false
		case abi.ExitBudget:
			v.sync(left)
			h.Watch(ended * sliceWork)
			v.stats.Slices++
			if reserve == 0 {
				v.in.Own() // the interpreter knows how to end at an instruction
				return false
			}
			if code = v.find(v.pc); code == 0 {
				return false
			}
			v.sample(v.pc)
		case abi.ExitPause:
			v.sync(left)
			h.Watch(ended * sliceWork)
			v.stats.Slices++
			if reserve == 0 {
				v.in.Own()
				return false
			}
			if h.Attention.Load() != 0 {
				return false
			}
			entry, again := v.warm(ended)
			if !again {
				entry = uintptr(v.resume)
			}
			if code = entry; code != 0 {
				continue
			}
			if code = v.find(v.pc); code == 0 {
				return false
			}
		}
		if h.Attention.Load() != 0 {
			return false
		}
		v.page = h.PC &^ pageMask
	}
}

// readyFloat says what of floating point may run inline. What has made the
// host's flags the guest's relies on that when it is resumed.
func (v *VCPU) readyFloat() {
	v.fpOn, v.fpMoves, v.fpIf = 0, 0, 0
	if clean, ok := fpControl(v.h.FRM); ok {
		v.fpIf, v.fpClean = 1, clean
	}
	if v.in.FPReady() {
		v.fpMoves, v.fpOn = 1, v.fpIf
	}
	v.fpUsed &= v.fpOn
}

// syncReservation makes the hart's reservation what code has left.
func (v *VCPU) syncReservation() {
	h := &v.h
	switch {
	case !h.ResValid:
		h.ResSize, h.ResAddr, h.ResValue = 0, 0, 0
	case v.resHost != 0:
		h.ResAddr = v.in.GPAOf(uintptr(v.resHost))
	}
	v.resHost = 0
}

// sync makes the hart's PC and count those that code has left with.
func (v *VCPU) sync(left int64) {
	v.h.PC = v.pc
	v.h.Instret += uint64(v.in.Left() - left)
}

// fresh makes what leads to code belong to the interpreter's generation.
func (v *VCPU) fresh() {
	if g := v.in.Generation(); g != v.generation {
		v.generation = g
		v.code.advance(g, &v.stats)
	}
}

// codeOf is for the interpreter's TLB for fetches. Only pages that are active
// in the translator's generation are there, which fresh goes through when that
// of the interpreter has passed it.
func (v *VCPU) codeOf(gpa memory.GPA, va uint64) unsafe.Pointer {
	if p := v.code.pages[v.code.key(gpa)]; p != nil && p.current(v.generation) {
		v.seen(p, va)
		return unsafe.Pointer(p.codeTable)
	}
	return unsafe.Pointer(&v.code.none)
}

// find returns the code at the virtual address pc, where the hart is to go on,
// or 0 if there is none yet or something else is to happen first.
func (v *VCPU) find(pc uint64) uintptr {
	v.fresh()
	if v.in.Left() <= 0 || v.h.Attention.Load() != 0 {
		return 0 // a page walk would be too early
	}
	gpa, code, ok := v.in.Code(pc)
	if !ok {
		return 0
	}
	p := (*codeTable)(*code).page
	if !p.current(v.generation) {
		if p = v.code.page(gpa, v.generation, &v.stats); p == nil {
			return 0
		}
		*code = unsafe.Pointer(p.codeTable)
	}
	v.seen(p, pc)
	off := p.CodeTable[gpa&pageMask/2]
	if off == uint32(routines.Look()) {
		return 0
	}
	return v.code.mem.Exec + uintptr(off)
}

// maxGroup is how many blocks are translated at once.
const maxGroup = 32

// translate returns the code of the block at gpa, which is mapped at pc, or nil
// if there can be none. The blocks that the interpreter has gone on to from
// there, and that are warm at least, are translated with it: else the code
// would be left for each of them again and again.
func (v *VCPU) translate(gpa memory.GPA, host unsafe.Pointer, pc uint64) *block {
	g := &v.group
	g.blocks, g.followed = g.blocks[:0], g.followed[:0]
	b := v.blockAt(gpa, host, pc)
	if b == nil || b.across {
		return b
	}
	warm, evictions := v.code.threshold-v.code.threshold/4, v.stats.Evictions
	for i := 0; i < len(g.blocks); i++ {
		from := g.blocks[i].block
		followed := g.followed[g.blocks[i].first:g.blocks[i].end]
		for n := range from.links {
			l := &from.links[n]
			if l.far || l.taken || !slices.Contains(followed, uint16(l.target)) {
				continue
			}
			to := from.page.block(uint64(l.target))
			if to == nil {
				at := from.page.gpa | memory.GPA(l.target)
				if len(g.blocks) == maxGroup || !v.in.Warm(at, warm) {
					continue
				}
				to = v.blockAt(at, v.code.hostOf(from.page, uint64(l.target)), pc&^pageMask|uint64(l.target))
				if v.stats.Evictions != evictions {
					return v.blockAt(gpa, host, pc) // all of the group is gone
				}
				if to == nil || to.across {
					continue
				}
				v.in.Heat(at)
			}
			v.code.link(from, n, to)
		}
	}
	return b
}

// group is the blocks that translate makes.
type group struct {
	blocks   []grouped
	followed []uint16 // offsets in the page
}

// grouped is one of a group, that the interpreter has followed to the places
// from first to end of followed.
type grouped struct {
	block      *block
	first, end int
}

func (g *group) add(b *block, followed []uint16) {
	n := len(g.followed)
	g.followed = append(g.followed, followed...)
	g.blocks = append(g.blocks, grouped{b, n, len(g.followed)})
}

// blockAt is translate for one block. One that is new is added to the group.
func (v *VCPU) blockAt(gpa memory.GPA, host unsafe.Pointer, pc uint64) *block {
	v.fresh()
	p := v.code.page(gpa, v.generation, &v.stats)
	if p != nil {
		if b := p.block(uint64(gpa & pageMask)); b != nil {
			return b
		}
	}
	// The clock takes as long as a block of a few instructions.
	timed := v.stats.Blocks%timedBlocks == 0
	var start time.Time
	if timed {
		start = time.Now()
	}
	var starts *interp.Places
	if p != nil {
		starts = &p.starts
	}
	src := v.in.Decode(gpa, host, v.code.threshold/2, starts)
	across := src == nil
	if across && hasAcross && pc == v.h.PC { // else it is too early for a page walk
		src = v.in.DecodeAcross(gpa, host)
	}
	if src == nil {
		return nil
	}
	b := &block{Block: src.Block, start: uint16(gpa & pageMask), across: across}
	lower.Block(int32(b.start), src.Insts, &v.block)
	if hasShared {
		v.share.Block(&v.block)
	}
	made := v.emit.Emit(&v.block, v.code.end, len(v.code.blocks))
	if v.code.full || v.code.end+len(made.Bytes) > len(v.code.mem.Bytes) || len(v.code.blocks)+1 >= abi.MaxBlocks {
		// Full: begin anew. No code is running.
		v.evict()
		v.stats.Evictions++
		p = nil
		made = v.emit.Emit(&v.block, v.code.end, 0)
		if v.code.end+len(made.Bytes) > len(v.code.mem.Bytes) {
			return nil
		}
	}
	if p == nil {
		p = v.code.newPage(gpa, host, v.generation)
	}
	b.page = p
	b.code = v.code.add(b, made)
	b.offset = uint32(b.code - v.code.mem.Exec)
	p.add(b)
	if !across {
		v.group.add(b, src.Followed)
	}
	v.stats.Blocks++
	v.stats.Bytes += uint64(len(made.Bytes))
	v.code.trace.block(b, pc, &v.block, made.Bytes, made.Links)
	if timed {
		v.stats.Compile += timedBlocks * time.Since(start)
	}
	return b
}

// evict forgets all code. None is running.
func (v *VCPU) evict() {
	v.code.trace.evicted(&v.code)
	v.code.forget()
	v.forget(&v.sites.user)
	v.forget(&v.sites.kernel)
}

// Trim is for cpu.Trimmer.
func (v *VCPU) Trim() {
	end := v.code.end
	v.evict()
	v.code.blocks, v.code.links, v.group, v.walk = nil, nil, group{}, walk{}
	_ = v.code.mem.Release(v.code.end, end) // a host that cannot keeps it
	v.in.Trim()
	v.stats.Trims++
}

// timedBlocks is how many blocks' translation is timed as often as one's.
const timedBlocks = 16
