package amd64

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

// Calls is how many instructions of the guest may be executed between an
// entry of code and its exit, each of which may be a call, and CallStack how
// many bytes those need above the stack pointer with which code is entered:
// what a region executes beyond its budget and what stubs push are in the rest.
const (
	Calls     = 16384
	CallStack = Calls*16 + 24<<10
)

// noReturn is no address that a return leads to: it is odd.
const noReturn = 1

// startCalls begins a stack without calls. What is pushed must be above the
// stack pointer of the entry: what is below it belongs to others.
func (a *asm) startCalls(l *Layout) {
	a.movMR(at(state, l.Stack), RSP)
	a.bottom()
}

// bottom puts the stack pointer at the upper end of what is for calls.
func (a *asm) bottom() {
	a.lea(RSP, at(RSP, CallStack))
	a.byte(0x6a, noReturn, 0x6a, noReturn) // push twice
}

// forgetCalls empties the stack.
func (a *asm) forgetCalls(l *Layout) {
	a.movRM(RSP, at(state, l.Stack))
	a.bottom()
}

// calls is the call of what follows, which returns to an offset, where addr
// leads.
func (e *Emitter) calls(addr Reg, off int32) {
	e.byte(0x50 | byte(addr)) // push
	over := e.call()
	// A return has left the address in RAX.
	e.byte(0x59) // pop rcx
	e.lea(page, at(RAX, -off))
	if e.region != nil {
		e.exitTo(off)
	} else {
		e.goTo(off, false, 0)
	}
	e.here(over)
}

// indirect goes on at the address in RAX, after the JumpReg in.
func (e *Emitter) indirect(in *ir.Inst) {
	switch {
	case in.Dst == 0 && isLink(in.A):
		e.returns()
	case isLink(in.Dst):
		e.leaPage(RCX, in.Target)
		e.calls(RCX, in.Target)
		e.lookup()
	default:
		e.lookup()
	}
}

// returns returns to the address in RAX.
func (e *Emitter) returns() {
	e.aluRM(aluCmp, true, RAX, at(RSP, 8))
	e.patch(e.jcc(ccNE), e.r.far-e.at)
	e.byte(0xc3)
}
