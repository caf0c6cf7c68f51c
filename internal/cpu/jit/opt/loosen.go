package opt

import "doppel/internal/cpu/jit/ir"

// loosen leaves out the sign extension of words of joined regions where nobody
// but an exit reads the upper half. An exit, which is rare, extends what is
// known to be a word there, and so does a block that is executed much less often
// than what leads there. That takes extensions out of chains of operations from
// one pass of a loop to the next.
func loosen(r *ir.Region) {
	if !r.Joined {
		return
	}
	known := wordsAtStart(r)
	// read has the registers whose upper half is read from the start of a block on.
	read := make([]uint32, len(r.Blocks))
	// after is what of it matters at the end of block n that leads to another one:
	// what is executed much less often extends words itself.
	after := func(n, to int) uint32 {
		if r.Blocks[n].Weight/4 >= max(1, r.Blocks[to].Weight) {
			return read[to] &^ uint32(known[to])
		}
		return read[to]
	}
	for changed := true; changed; {
		changed = false
		for n := len(r.Blocks) - 1; n >= 0; n-- {
			if now := upperReads(r, n, known[n], after, nil); now != read[n] {
				read[n], changed = now, true
			}
		}
	}
	for n := range r.Blocks {
		upperReads(r, n, known[n], after, func(in *ir.Inst) { in.Flags |= ir.Loose })
	}
	for changed := true; changed; {
		changed = false
		for n := range r.Blocks {
			b := &r.Blocks[n]
			loose := b.Loose &^ read[n]
			flow := func(target int32) {
				if to := r.Find(target); to >= 0 && loose&^r.Blocks[to].Loose != 0 {
					r.Blocks[to].Loose |= loose
					changed = true
				}
			}
			for i := range b.Insts {
				in := &b.Insts[i]
				if in.Op == ir.Branch || in.Op == ir.Jump || in.Op == ir.Check {
					flow(in.Target)
				}
				loose = in.LooseAfter(loose)
			}
			for _, target := range b.Returns {
				flow(target)
			}
		}
	}
	for n := range r.Blocks {
		b := &r.Blocks[n]
		var extend []ir.Inst
		for x := ir.Reg(1); x < ir.F0; x++ {
			if b.Loose&read[n]>>x&1 != 0 {
				extend = append(extend, ir.Inst{Op: ir.Add, Flags: ir.Immediate | ir.Word, Dst: x, A: x})
			}
		}
		if len(extend) > 0 {
			b.Insts = append(extend, b.Insts...)
		}
	}
}

// upperReads gives the registers whose upper half is read from the start of a
// block on, given what matters of that for others, and what is known there to be
// words. It calls found for each Inst whose result's upper half is not read.
func upperReads(r *ir.Region, n int, known wordSet, after func(n, to int) uint32, found func(*ir.Inst)) (now uint32) {
	b := &r.Blocks[n]
	words := make([]wordSet, len(b.Insts)) // before each
	for i := range b.Insts {
		words[i] = known
		known = known.after(&b.Insts[i])
	}
	for i := len(b.Insts) - 1; i >= 0; i-- {
		in := &b.Insts[i]
		need := true
		if d := in.Def(); d != 0 && d < ir.F0 {
			need = now>>d&1 != 0
			if !need && lowOnly(in) && found != nil {
				found(in)
			}
			now &^= 1 << d
		}
		switch {
		case in.Op == ir.JumpReg:
			now = ^uint32(0)
		case leaves(in):
			now |= ^uint32(words[i])
			if in.Op == ir.Branch || in.Op == ir.Jump || in.Op == ir.Check {
				if to := r.Find(in.Target); to >= 0 {
					now |= after(n, to)
				}
			}
		}
		reads := func(x ir.Reg) {
			if x < ir.F0 {
				now |= 1 << x
			}
		}
		switch {
		case lowOnly(in), in.Masks(), in.CarriesUpper() && !need:
		case in.Op == ir.ZextShl, in.Op == ir.SextB, in.Op == ir.SextH, in.Op == ir.ZextH:
		case in.Op == ir.Store && in.Size <= 4:
			reads(in.A)
		default:
			in.Uses(reads)
		}
	}
	return now
}
