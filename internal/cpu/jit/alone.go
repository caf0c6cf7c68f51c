//go:build linux && (amd64 || arm64)

package jit

import (
	"doppel/internal/cpu/interp"
	"doppel/internal/cpu/jit/abi"
	"doppel/internal/cpu/jit/lower"
	"doppel/internal/riscv"
)

// Accesses of a block that share a check are in one page, or the interpreter
// does all that is left of the basic block. Where they often lie in two pages, as
// in a function whose frame does, the block is made again with a check for each.

const (
	// maxCrosses in crossSlices slices take half a percent of the time.
	maxCrosses  = 16
	crossSlices = 64
)

// interpretFrom makes the hart's state that before the instruction which code
// has left to the interpreter, with what follows.
func (v *VCPU) interpretFrom(left int64) {
	b, n := v.code.blocks[v.id>>8], int(v.id&0xff)
	var buf [interp.MaxBlock]riscv.Inst
	insts := b.Insts(buf[:0])
	v.pc = v.page | uint64(b.start)
	for i := range insts[:n] {
		v.pc += uint64(insts[i].Len)
	}
	v.sync(left + int64(len(insts)-n))
	v.in.Own()
	if v.crossed == 0 {
		return
	}
	h := b.heat()
	if now := v.stats.Slices; now-h.counted > crossSlices {
		h.crosses, h.counted = 0, now
	}
	if h.crosses++; h.crosses == maxCrosses {
		v.separate(b)
	}
}

// separate makes a block's code again, with a check for each access, and has the
// one before lead there.
func (v *VCPU) separate(b *block) {
	c := &v.code
	if b.alone() != nil || b.region() != nil && b.region().blocks != 0 {
		return
	}
	var buf [interp.MaxBlock]riscv.Inst
	lower.Block(int32(b.start), b.Insts(buf[:0]), &v.block)
	made := emitApart(v.emit, &v.block, c.end, len(c.blocks))
	if c.end+len(made.Bytes) > len(c.mem.Bytes) || len(c.blocks)+1 >= abi.MaxBlocks {
		return
	}
	alone := &block{Block: b.Block, start: b.start, page: b.page}
	alone.code = c.add(alone, made)
	b.heat().alone = alone
	at := int(b.code - c.mem.Exec)
	putJump(c.mem.Bytes[at:], int64(alone.code)-int64(b.code))
	c.mem.Written(at, jumpBytes)
	v.stats.Separated++
	v.stats.Bytes += uint64(len(made.Bytes))
	c.trace.block(alone, v.page|uint64(b.start), &v.block, made.Bytes, made.Links)
}
