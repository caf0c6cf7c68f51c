//go:build linux && amd64

package jit

import (
	"testing"
	"unsafe"

	"doppel/internal/cpu/cputest"
	"doppel/internal/cpu/interp"
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
		{"DataContext", layout.DataContext, in + interp.Layout.DataContext},
		{"Fetches", layout.Fetches, in + interp.Layout.Fetches},
		{"FetchContext", layout.FetchContext, in + interp.Layout.FetchContext},
		{"CodeBase", layout.CodeBase, uintptr(unsafe.Pointer(&v.codeBase))},
		{"Left", layout.Left, uintptr(unsafe.Pointer(&v.left))},
		{"Base", layout.Base, uintptr(unsafe.Pointer(&v.page))},
		{"PC", layout.PC, uintptr(unsafe.Pointer(&v.pc))},
		{"Resume", layout.Resume, uintptr(unsafe.Pointer(&v.resume))},
		{"ID", layout.ID, uintptr(unsafe.Pointer(&v.id))},
		{"Reason", layout.Reason, uintptr(unsafe.Pointer(&v.reason))},
		{"FPOn", layout.FPOn, uintptr(unsafe.Pointer(&v.fpOn))},
		{"FPMoves", layout.FPMoves, uintptr(unsafe.Pointer(&v.fpMoves))},
		{"FRM", layout.FRM, uintptr(unsafe.Pointer(&v.h.FRM))},
		{"FPUsed", layout.FPUsed, uintptr(unsafe.Pointer(&v.fpUsed))},
		{"FPStatus", layout.FPStatus, uintptr(unsafe.Pointer(&v.fpStatus))},
		{"FPClean", layout.FPClean, uintptr(unsafe.Pointer(&v.fpClean))},
	} {
		if got := v.base + uintptr(c.off); got != c.want {
			t.Errorf("%s is at %+d from the start of the VCPU, want %+d", c.name, int64(got)-int64(v.base), int64(c.want)-int64(v.base))
		}
	}
	if off := unsafe.Offsetof(codeTable{}.CodeTable); off != 0 {
		t.Errorf("the table of a page is at %d, want 0", off)
	}
}
