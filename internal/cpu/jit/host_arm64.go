//go:build linux

package jit

import (
	"encoding/binary"

	"golang.org/x/sys/cpu"

	"doppel/internal/cpu/jit/abi"
	"doppel/internal/cpu/jit/arm64"
	"doppel/internal/cpu/jit/ir"
	"doppel/internal/riscv"
)

type emitter = arm64.Emitter

func newRoutines(l *abi.Layout) *arm64.Routines {
	return arm64.NewRoutines((*arm64.Layout)(l), cpu.ARM64.HasATOMICS)
}

// routineCode is what of the routines is code.
func routineCode(r *arm64.Routines) []byte { return r.Bytes }

func newEmitter(l *abi.Layout, r *arm64.Routines) *emitter {
	return arm64.NewEmitter((*arm64.Layout)(l), r)
}

// enterFrame is what code has of the stack.
const enterFrame = arm64.CallStack

//go:noescape
func enter(routine, state, code uintptr)

// lacking is what New says if not Available.
const lacking = "this processor lacks floating point"

// Available tells whether this host can run the code that is generated: it
// needs Armv8.0.
func Available() bool { return cpu.ARM64.HasFP && cpu.ARM64.HasASIMD }

// fpControl is FPCR as code is to start with in a rounding mode. ok is false
// for modes that the host lacks.
func fpControl(frm uint8) (fpcr uint32, ok bool) {
	if frm > uint8(riscv.RUP) {
		return 0, false
	}
	return arm64.Control(ir.Nearest + ir.Round(frm)), true
}

// guestFlags is what FPSR's sticky flags are in fflags (unpriv §21.2): NV, DZ,
// OF, UF, NX, from the top. The host has them the other way round.
func guestFlags(fpsr uint32) uint32 {
	return fpsr&1<<4 | fpsr>>1&1<<3 | fpsr>>2&1<<2 | fpsr>>3&1<<1 | fpsr>>4&1
}

// patchLink makes the branch at the start of code lead to what is at a distance
// from there.
func patchLink(code []byte, distance int64) {
	binary.LittleEndian.PutUint32(code, arm64.Redirect(binary.LittleEndian.Uint32(code), int(distance)))
}

// hasShared: every access of this host's blocks has its own check.
const hasShared = false

// hasAcross: see host_amd64.go.
const hasAcross = true

// hasRegions: this host's back end makes regions.
const hasRegions = true

// hasChecks: the back end has no ir.Check yet.
const hasChecks = false

// hasMerged: accesses that have one site would confuse the back end, which keeps
// pointers by site.
const hasMerged = false

// hasTables: the back end compares the target of a JumpReg with each block's address.
const hasTables = false

func regionOp(in *ir.Inst) bool { return arm64.RegionOp(in) }

func emitRegion(e *emitter, r *ir.Region, sites int32, at, id int) abi.Code {
	return e.Region(r, sites, at, id)
}

// emitApart: see host_amd64.go.
func emitApart(e *emitter, b *ir.Block, at, id int) abi.Code { return e.EmitApart(b, at, id) }

const jumpBytes = 4

// putJump makes the instruction at the start of code a jump over a distance.
func putJump(code []byte, distance int64) {
	binary.LittleEndian.PutUint32(code, arm64.Redirect(arm64.Jump, int(distance)))
}

var hostConsts [1]uint64

// farRoutine: see host_amd64.go.
func farRoutine() int { return routines.FarRoutine() }
