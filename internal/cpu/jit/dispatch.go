//go:build linux && amd64

package jit

import (
	"unsafe"

	"doppel/internal/cpu/interp"
	"doppel/internal/cpu/jit/abi"
	"doppel/internal/cpu/jit/lower"
	"doppel/internal/memory"
	"doppel/internal/riscv"
)

const pageMask = memory.PageSize - 1

// run executes until Run is to end. It goes back and forth between the
// interpreter, which also takes interrupts and ends Run, and code.
func (v *VCPU) run() {
	for v.in.Interpret() {
		gpa, host := v.in.Hot()
		b := v.blockAt(gpa, host)
		if b == nil {
			v.in.Keep()
			continue
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
	if _, global, ok := v.in.Locate(h.PC); ok {
		v.note(h.PC, b, global)
	}
	code := b.code
	v.page = h.PC &^ pageMask
	for {
		// reserve is what is left of the budget after this slice.
		left := v.in.Left()
		reserve := max(left-slice, 0)
		v.left = uint64(left - reserve)
	resume:
		v.fpOn = 0
		if v.in.FPReady() && h.FRM == uint8(riscv.RNE) {
			v.fpOn = 1
		}
		enter(v.code.enterRoutine(), v.base, code)
		if v.fpUsed != 0 {
			h.FFlags |= guestFlags(v.fpStatus)
			v.fpUsed = 0
		}
		left = reserve + int64(v.left)
		switch v.reason {
		case abi.ExitSlow:
			v.stats.Slow++
			b = v.code.blocks[v.id>>8]
			pc := v.page | uint64(b.start)
			if op := b.Op(int(v.id & 0xff)); op < riscv.NumOps {
				v.stats.SlowOps[op]++
			}
			switch v.in.Execute(b.Block, int(v.id&0xff), pc, left+b.count) {
			case interp.Next:
				code = uintptr(v.resume)
				goto resume
			case interp.End:
				return true
			}
			// A jump or a trap.
			if b = v.find(h.PC); b == nil {
				return false
			}
		case abi.ExitLink:
			v.sync(left)
			v.stats.Links++
			from := v.code.blocks[v.id>>8]
			b = from.page.blocks[uint16(v.pc&pageMask)]
			if b == nil {
				return false
			}
			v.code.link(from, int(v.id&0xff), b)
		case abi.ExitLookup:
			v.sync(left)
			v.stats.Lookups++
			if b = v.find(v.pc); b == nil {
				return false
			}
		case abi.ExitBudget:
			v.sync(left)
			v.stats.Slices++
			if reserve == 0 {
				return false // the interpreter knows how to end at an instruction
			}
			if b = v.find(v.pc); b == nil {
				return false
			}
		}
		if h.Attention.Load() != 0 {
			return false
		}
		code = b.code
		v.page = h.PC &^ pageMask
	}
}

// sync makes the hart's PC and count those that code has left with.
func (v *VCPU) sync(left int64) {
	v.h.PC = v.pc
	v.h.Instret += uint64(v.in.Left() - left)
}

// fresh makes the jump cache and the keys belong to the state.
func (v *VCPU) fresh() {
	if g := v.in.Generation(); g != v.generation {
		v.generation = g
		if !v.code.advance(g, &v.stats) {
			v.jumps = [jumpEntries]jumpEntry{}
		}
	}
	key, global := v.in.JumpKeys()
	v.keys = [2]uint64{key, key}
	if v.global {
		v.keys[1] = global
	}
}

// jumpIndex is also in the back ends' lookup.
func jumpIndex(pc uint64) uint64 { return (pc ^ pc>>12) >> 1 % jumpEntries }

// find returns the block at the virtual address pc, if there is one and it is
// known to be there without a page walk.
func (v *VCPU) find(pc uint64) *block {
	v.fresh()
	gpa, global, ok := v.in.Locate(pc)
	if !ok {
		return nil
	}
	b := v.code.find(gpa, v.generation, &v.stats)
	if b != nil {
		v.note(pc, b, global)
	}
	return b
}

// note puts b, which is at pc, into the jump cache.
func (v *VCPU) note(pc uint64, b *block, global bool) {
	key := v.keys[pc>>63]
	if pc>>63 != 0 && !global && key != v.keys[0] {
		// Not a kernel that marks its pages global.
		v.global = false
		v.jumps = [jumpEntries]jumpEntry{}
		v.fresh()
		key = v.keys[1]
	}
	v.jumps[jumpIndex(pc)] = jumpEntry{pc: pc, key: key, code: b.code}
	v.in.Noted(pc)
}

// blockAt returns the code of the block at gpa, translated if need be, or nil
// if it cannot be.
func (v *VCPU) blockAt(gpa memory.GPA, host unsafe.Pointer) *block {
	v.fresh()
	if b := v.code.find(gpa, v.generation, &v.stats); b != nil {
		return b
	}
	p := v.code.pages[gpa>>memory.PageShift]
	src := v.in.Decode(gpa, host)
	if src == nil {
		return nil
	}
	b := &block{Block: src, start: uint16(gpa & pageMask), count: int64(len(src.Insts))}
	lower.Block(int32(b.start), src.Insts, &v.block)
	made := v.emit.Emit(&v.block, v.code.end, len(v.code.blocks))
	if v.code.end+len(made.Bytes) > len(v.code.mem.Bytes) || len(v.code.blocks)+1 >= abi.MaxBlocks {
		// Full: begin anew. No code is running.
		v.code.trace.evicted(&v.code)
		v.code.forget()
		v.jumps = [jumpEntries]jumpEntry{}
		v.stats.Evictions++
		p = nil
		made = v.emit.Emit(&v.block, v.code.end, 0)
		if v.code.end+len(made.Bytes) > len(v.code.mem.Bytes) {
			return nil
		}
	}
	if p == nil {
		p = &codePage{generation: v.generation, blocks: make(map[uint16]*block), gpa: gpa, lo: memory.PageSize,
			host: unsafe.Add(host, -int(gpa&pageMask))}
		v.code.pages[gpa>>memory.PageShift] = p
		v.code.active = append(v.code.active, p)
	}
	b.page = p
	p.add(b)
	at := v.code.end
	v.code.put(at, made.Bytes)
	b.code = v.code.mem.Exec + uintptr(at)
	b.links = append(b.links, made.Links...)
	for i := range b.links {
		b.links[i].Patch += at
	}
	v.code.end = (at + len(made.Bytes) + 15) &^ 15
	v.code.blocks = append(v.code.blocks, b)
	v.stats.Blocks++
	v.stats.Bytes += uint64(len(made.Bytes))
	v.code.trace.block(b, v.h.PC, &v.block, made.Bytes, made.Links)
	return b
}
