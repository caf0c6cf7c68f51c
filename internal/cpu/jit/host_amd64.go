//go:build linux

package jit

import (
	"encoding/binary"

	"golang.org/x/sys/cpu"

	"doppel/internal/cpu/jit/abi"
	"doppel/internal/cpu/jit/amd64"
	"doppel/internal/cpu/jit/ir"
	"doppel/internal/riscv"
)

type emitter = amd64.Emitter

func newRoutines(l *abi.Layout) *amd64.Routines { return amd64.NewRoutines((*amd64.Layout)(l)) }

// routineCode is what of the routines is code.
func routineCode(r *amd64.Routines) []byte { return r.Bytes[:r.Data] }

func newEmitter(l *abi.Layout, r *amd64.Routines) *emitter {
	return amd64.NewEmitter((*amd64.Layout)(l), r)
}

// enterFrame is what code has of the stack.
const enterFrame = amd64.CallStack

//go:noescape
func enter(routine, state, code uintptr)

// hasShared: accesses of blocks can share a check.
const hasShared = true

// hasAcross: the back end has ir.Across.
const hasAcross = true

// lacking is what New says if not Available.
const lacking = "this processor lacks x86-64-v3 (AVX2, BMI2, FMA) or PCLMULQDQ"

// Available tells whether this host can run the code that is generated: it
// needs x86-64-v3 and PCLMULQDQ, that is processors since 2013.
func Available() bool {
	x := &cpu.X86
	return x.HasSSE42 && x.HasPOPCNT && x.HasBMI1 && x.HasBMI2 && x.HasAVX2 && x.HasFMA && x.HasPCLMULQDQ
}

// fpControl is MXCSR as code is to start with in a rounding mode: all
// exceptions masked, no flags. ok is false for modes that the host lacks.
func fpControl(frm uint8) (mxcsr uint32, ok bool) {
	rc := [...]uint32{riscv.RNE: 0, riscv.RTZ: 3, riscv.RDN: 1, riscv.RUP: 2}
	if int(frm) >= len(rc) {
		return 0, false
	}
	return 0x1f80 | rc[frm]<<13, true
}

// guestFlags is what MXCSR's sticky flags are in fflags (unpriv §21.2): NV, DZ,
// OF, UF, NX, from the top. The host has them the other way round, and one for
// denormal operands.
func guestFlags(mxcsr uint32) uint32 {
	return mxcsr&1<<4 | mxcsr>>2&1<<3 | mxcsr>>3&1<<2 | mxcsr>>4&1<<1 | mxcsr>>5&1
}

// patchLink makes the jump whose displacement is at the start of code lead to
// what is at a distance from there.
func patchLink(code []byte, distance int64) {
	binary.LittleEndian.PutUint32(code, uint32(distance-4))
}

// hasRegions: this host's back end makes regions.
const hasRegions = true

// hasChecks: the back end has ir.Check.
const hasChecks = true

// hasMerged: the back end gains by accesses that have one site.
const hasMerged = true

// hasTables: the back end goes on in a region by a table where a JumpReg may lead to many blocks.
const hasTables = true

func regionOp(in *ir.Inst) bool { return amd64.RegionOp(in) }

func emitRegion(e *emitter, r *ir.Region, sites int32, at, id int) abi.Code {
	return e.Region(r, sites, at, id)
}

// emitApart makes the code of a block that does not jump to itself but, by a
// link, to what is the block at its start.
func emitApart(e *emitter, b *ir.Block, at, id int) abi.Code { return e.EmitApart(b, at, id) }

const jumpBytes = 5

// putJump makes the instruction at the start of code a jump over a distance.
func putJump(code []byte, distance int64) {
	code[0] = 0xe9
	binary.LittleEndian.PutUint32(code[1:], uint32(distance-jumpBytes))
}

var hostConsts = amd64.Consts

// farRoutine is where jumps to other pages that are not linked lead.
func farRoutine() int { return routines.FarRoutine() }
