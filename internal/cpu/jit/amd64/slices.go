package amd64

// Where a slice ends in a region that is there to stay, all that the engine does
// most times is begin the next: that takes a dozen instructions here and 170 ns there.

// another begins the next slice and goes on at resume, if it may.
func (e *Emitter) another(resume int) {
	e.callRoutine(e.r.more)
	e.patch(e.jcc(ccG), resume)
}

// moreRoutine makes the routine that begins a slice, unless the engine is to
// do it. The flags are those of the budget, which then is used up. It uses RCX
// and forgets the guest's calls, as the engine does.
func (a *asm) moreRoutine(l *Layout) {
	a.byte(0x59) // pop rcx
	a.aluMI(aluCmp, false, at(state, l.System.Attention), 0)
	asked := a.jcc(ccNE)
	a.aluMI(aluCmp, false, at(state, l.More), 0)
	none := a.jcc(ccE)
	a.aluMI(aluSub, false, at(state, l.More), 1)
	a.forgetCalls(l)
	a.aluRM(aluAdd, true, budget, at(state, l.Slice))
	a.here(asked, none)
	a.rr(wide(0x85), budget, budget)
	a.rr(op{code: 0xff}, 4, RCX) // jmp rcx
}
