//go:build linux && (amd64 || arm64)

package jit

import (
	"testing"
	"unsafe"

	"doppel/internal/cpu/cputest"
	"doppel/internal/cpu/interp"
	"doppel/internal/cpu/jit/abi"
	"doppel/internal/riscv/hart"
)

// TestLayout: what generated code addresses is what it is meant to be. All of
// it is checked against the fields' own addresses.
func TestLayout(t *testing.T) {
	m := cputest.NewMachine(t, engineOf(Options{}), "nop\n", cputest.Options{})
	v := m.CPUs[0].(*VCPU)
	in := uintptr(unsafe.Pointer(&v.in))
	for _, c := range []struct {
		name string
		off  int32
		want uintptr
	}{
		{"X", layout.X, uintptr(unsafe.Pointer(&v.h.X))},
		{"F", layout.F, uintptr(unsafe.Pointer(&v.h.F))},
		{"FFlags", layout.FFlags, uintptr(unsafe.Pointer(&v.h.FFlags))},
		{"Loads", layout.Loads, in + interp.Layout.Loads},
		{"Stores", layout.Stores, in + interp.Layout.Stores},
		{"MoreLoads", layout.MoreLoads, in + interp.Layout.MoreLoads},
		{"MoreStores", layout.MoreStores, in + interp.Layout.MoreStores},
		{"DataContext", layout.DataContext, in + interp.Layout.DataContext},
		{"Fetches", layout.Fetches, in + interp.Layout.Fetches},
		{"FetchContext", layout.FetchContext, in + interp.Layout.FetchContext},
		{"CodeBase", layout.CodeBase, uintptr(unsafe.Pointer(&v.codeBase))},
		{"Left", layout.Left, uintptr(unsafe.Pointer(&v.left))},
		{"Slice", layout.Slice, uintptr(unsafe.Pointer(&v.slice))},
		{"More", layout.More, uintptr(unsafe.Pointer(&v.more))},
		{"Base", layout.Base, uintptr(unsafe.Pointer(&v.page))},
		{"Asks", layout.Asks, uintptr(unsafe.Pointer(&v.asks))},
		{"Addends", layout.Addends, uintptr(unsafe.Pointer(&v.addends))},
		{"Crossed", layout.Crossed, uintptr(unsafe.Pointer(&v.crossed))},
		{"Stack", layout.Stack, uintptr(unsafe.Pointer(&v.stack))},
		{"PC", layout.PC, uintptr(unsafe.Pointer(&v.pc))},
		{"Resume", layout.Resume, uintptr(unsafe.Pointer(&v.resume))},
		{"ID", layout.ID, uintptr(unsafe.Pointer(&v.id))},
		{"Reason", layout.Reason, uintptr(unsafe.Pointer(&v.reason))},
		{"FPOn", layout.FPOn, uintptr(unsafe.Pointer(&v.fpOn))},
		{"ResHost", layout.ResHost, uintptr(unsafe.Pointer(&v.resHost))},
		{"ResValue", layout.ResValue, uintptr(unsafe.Pointer(&v.h.ResValue))},
		{"ResValid", layout.ResValid, uintptr(unsafe.Pointer(&v.h.ResValid))},
		{"ResSize", layout.ResSize, uintptr(unsafe.Pointer(&v.h.ResSize))},
		{"FPMoves", layout.FPMoves, uintptr(unsafe.Pointer(&v.fpMoves))},
		{"FRM", layout.FRM, uintptr(unsafe.Pointer(&v.h.FRM))},
		{"FPUsed", layout.FPUsed, uintptr(unsafe.Pointer(&v.fpUsed))},
		{"FPStatus", layout.FPStatus, uintptr(unsafe.Pointer(&v.fpStatus))},
		{"FPClean", layout.FPClean, uintptr(unsafe.Pointer(&v.fpClean))},
		{"Priv", layout.System.Priv, uintptr(unsafe.Pointer(&v.h.Priv))},
		{"Mstatus", layout.System.Mstatus, uintptr(unsafe.Pointer(&v.h.CSR.Mstatus))},
		{"Mie", layout.System.Mie, uintptr(unsafe.Pointer(&v.h.CSR.Mie))},
		{"Mip", layout.System.Mip, uintptr(unsafe.Pointer(&v.h.CSR.Mip))},
		{"Stvec", layout.System.Stvec, uintptr(unsafe.Pointer(&v.h.CSR.Stvec))},
		{"Sscratch", layout.System.Sscratch, uintptr(unsafe.Pointer(&v.h.CSR.Sscratch))},
		{"Sepc", layout.System.Sepc, uintptr(unsafe.Pointer(&v.h.CSR.Sepc))},
		{"Scause", layout.System.Scause, uintptr(unsafe.Pointer(&v.h.CSR.Scause))},
		{"Stval", layout.System.Stval, uintptr(unsafe.Pointer(&v.h.CSR.Stval))},
		{"Satp", layout.System.Satp, uintptr(unsafe.Pointer(&v.h.CSR.Satp))},
		{"Attention", layout.System.Attention, uintptr(unsafe.Pointer(&v.h.Attention))},
		{"Lines", layout.System.Lines, uintptr(unsafe.Pointer(&v.h)) + hart.Layout.Lines},
		{"TimerPending", layout.System.TimerPending, uintptr(unsafe.Pointer(&v.h)) + hart.Layout.TimerPending},
		{"Contexts", layout.System.Contexts, in + interp.Layout.Contexts},
		{"JumpKey", layout.System.JumpKey, in + interp.Layout.JumpKey},
		{"SeenPriv", layout.System.SeenPriv, in + interp.Layout.SeenPriv},
		{"SeenStatus", layout.System.SeenStatus, in + interp.Layout.SeenStatus},
		{"FPReady", layout.System.FPReady, in + interp.Layout.FPReady},
		{"Direct", layout.System.Direct, in + interp.Layout.Direct},
		{"Limit", layout.System.Limit, in + interp.Layout.Limit},
		{"FPIf", layout.System.FPIf, uintptr(unsafe.Pointer(&v.fpIf))},
	} {
		if got := v.base + uintptr(c.off); got != c.want {
			t.Errorf("%s is at %+d from the start of the VCPU, want %+d", c.name, int64(got)-int64(v.base), int64(c.want)-int64(v.base))
		}
	}
	if interp.Layout.Ways != abi.SetEntries {
		t.Errorf("%d ways, want %d", interp.Layout.Ways, abi.SetEntries)
	}
	if off := unsafe.Offsetof(codeTable{}.CodeTable); off != 0 {
		t.Errorf("the table of a page is at %d, want 0", off)
	}
}
