package arm64

// Where a slice ends in a region that is there to stay, all that the engine does
// most times is begin the next: that takes a dozen instructions here.

// another begins the next slice and goes on at resume, if it may.
func (e *Emitter) another(resume int) {
	e.callRoutine(e.r.more)
	e.bc2(gt, resume)
}

// moreRoutine makes the routine that begins a slice, unless the engine is to
// do it. The flags are those of the budget, which then is used up. It uses X1
// to X3 and forgets the guest's calls, as the engine does.
func (a *asm) moreRoutine(l *Layout) {
	field := func(k width, t Reg, off int32) { a.access(k, t, state, off, X3) }
	field(load32, X1, l.System.Attention)
	asked := a.cbnz(false, X1)
	field(load32, X1, l.More)
	none := a.cbz(false, X1)
	a.subsI(false, X1, X1, 1)
	field(store32, X1, l.More)
	a.mov(X2, LR)
	a.forgetCalls(l)
	a.mov(LR, X2)
	field(load64, X1, l.Slice)
	a.rrr(opAdd, true, budget, budget, X1)
	a.here(asked, none)
	a.subsI(true, ZR, budget, 0)
	a.ret()
}
