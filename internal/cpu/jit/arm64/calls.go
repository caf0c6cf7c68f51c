package arm64

import "doppel/internal/cpu/jit/ir"

// Calls of the guest are calls of the host, which predicts where those return
// to. A call leaves on the stack the guest's return address and the host's, in
// whose block the jump to the code there is a link like any other. A return
// compares the guest's address on top of the stack with where it leads, and
// returns there if that is it; else it finds its way as other indirect jumps
// do, and leaves the stack alone.
//
// What is on the stack holds as long as code is not left and the context of
// fetches is the same: nothing else makes code void or moves it. A call takes
// an instruction of the slice, which bounds the stack (see jit.maxSlice).

// isLink tells whether calls leave their return address in r (unpriv §2.5.1).
func isLink(r ir.Reg) bool { return r == 1 || r == 5 }

// Calls is how many instructions of the guest may be executed between an entry
// of code and its exit, each of which may be a call, and CallStack how many bytes
// those need above the stack pointer with which code is entered: what a region
// executes beyond its budget and the trampoline's own are in the rest.
const (
	Calls     = 16384
	CallStack = Calls*16 + 24<<10
)

// noReturn is no address that a return leads to: it is odd.
const noReturn = 1

// SP has the number of ZR.
const sp = ZR

// push2 pushes t above u.
func (a *asm) push2(t, u Reg) {
	const down = -16 / 8 & 0x7f
	a.put32(0xa9800000 | down<<15 | uint32(u)<<10 | uint32(sp)<<5 | uint32(t))
}

// startCalls begins a stack without calls. What is pushed must be above the
// stack pointer of the entry: what is below it belongs to others. X1 is lost.
func (a *asm) startCalls(l *Layout) {
	a.addI(true, X1, sp, 0, LR)
	a.access(store64, X1, state, l.Stack, LR)
	a.bottom()
}

// bottom puts the stack pointer, which is that of the entry, at the upper end of
// what is for calls. X1 is lost.
func (a *asm) bottom() {
	a.addI(true, sp, sp, CallStack, X1)
	a.movI(X1, noReturn)
	a.push2(X1, X1)
}

// endCalls makes the stack pointer that of the entry. X1 is lost.
func (a *asm) endCalls(l *Layout) {
	a.access(load64, X1, state, l.Stack, X1)
	a.addI(true, sp, X1, 0, LR)
}

// forgetCalls empties the stack. X1 is lost.
func (a *asm) forgetCalls(l *Layout) {
	a.endCalls(l)
	a.bottom()
}

// calls is the call of what follows, which returns to an offset, where addr
// leads.
func (e *Emitter) calls(addr Reg, off int32) {
	over := e.bl()
	// A return has left the address in X0.
	e.addI(true, sp, sp, 16, X1)
	e.addI(true, page, X0, -int64(off), X1)
	if e.region != nil {
		e.link(off)
	} else {
		e.goTo(off)
	}
	e.here(over)
	e.push2(addr, LR)
}

// indirect goes on at the address in X0, after the JumpReg in.
func (e *Emitter) indirect(in *ir.Inst) {
	switch {
	case in.Dst == 0 && isLink(in.A):
		e.returns()
	case isLink(in.Dst):
		e.leaPage(X1, int64(in.Target))
		e.calls(X1, in.Target)
		e.asm.lookup(e.l, e.r.look-e.at)
	default:
		e.asm.lookup(e.l, e.r.look-e.at)
	}
}

// returns returns to the address in X0.
func (e *Emitter) returns() {
	e.pair(true, X1, LR, sp, 0)
	e.cmp(true, X0, X1)
	same := e.bc(eq)
	e.leave(e.r.far)
	e.here(same)
	e.ret()
}
