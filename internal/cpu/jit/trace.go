//go:build linux && (amd64 || arm64)

package jit

import (
	"doppel/internal/cpu/jit/abi"
	"doppel/internal/cpu/jit/ir"
)

// tracer tells the debugging aids, if they are wanted, what becomes of a VCPU's
// code.
type tracer struct {
	hart    int
	dump    *Dumper
	perfMap *PerfMap
}

// routines names what all code shares.
func (t *tracer) routines(c *cache) {
	t.perfMap.Add(c.mem.Exec, len(routines.Bytes), "doppel:routines")
	r := t.dump.Begin("routines", t.hart, 0, 0)
	r.Code(routineCode(routines), c.mem.Exec)
	r.End()
}

// block tells of a block that is at the virtual address pc; lowered is what
// its code was made of.
func (t *tracer) block(b *block, pc uint64, lowered *ir.Block, code []byte, links []abi.Link) {
	t.perfMap.Add(b.code, len(code), "guest:block %#x [gpa %#x]", pc, uint64(b.GPA()))
	r := t.dump.Begin("block", t.hart, pc, b.GPA())
	if t.dump != nil {
		r.Guest(pc, b.Insts(nil))
	}
	r.Pass("lowering", lowered)
	r.Code(code, b.code)
	for n, l := range links {
		r.Note("link %d at +%04x to page offset %#x", n, l.Patch, l.Target)
	}
	r.End()
}

// linked tells that a jump of a block leads to another from now on.
func (t *tracer) linked(from *block, n int, to *block) {
	if t.dump != nil {
		t.dump.Event(t.hart, "link %d of block gpa %#x leads to block gpa %#x", n, uint64(from.GPA()), uint64(to.GPA()))
	}
}

// dropped tells that a page's code is void since memory has changed.
func (t *tracer) dropped(p *codePage) {
	if t.dump != nil {
		t.dump.Event(t.hart, "page gpa %#x has changed: its %d blocks are dropped", uint64(p.gpa)&^pageMask, len(p.list))
	}
}

// evicted tells that all code is forgotten.
func (t *tracer) evicted(c *cache) {
	if t.dump != nil {
		t.dump.Event(t.hart, "code cache full: all %d blocks in %d bytes are evicted", len(c.blocks), c.end)
	}
}
