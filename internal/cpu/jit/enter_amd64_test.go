package jit

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"

	"doppel/internal/cpu/cputest"
	"doppel/internal/cpu/jit/amd64"
)

// TestEnterFrame: the frame that generated code has for the guest's calls is as
// large as it must be. Package vet wants a number there, and no constant.
func TestEnterFrame(t *testing.T) {
	code, err := os.ReadFile("enter_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("TEXT ·enter(SB), 0, $%d-24", enterFrame); !strings.Contains(string(code), want) {
		t.Errorf("enter_amd64.s lacks %q", want)
	}
}

// TestCallStack: the stack of generated code is the frame of enter, with room
// for a call at each instruction of a slice and more.
func TestCallStack(t *testing.T) {
	if maxSlice > amd64.Calls || (maxSlice+maxRegionInsts)*16 > enterFrame-4096 {
		t.Errorf("a slice of %d instructions and a region of %d do not fit in %d bytes", maxSlice, maxRegionInsts, enterFrame)
	}
	_, v := machineOf(t, Options{Threshold: -1}, "1: j 1b\n", cputest.Options{})
	run(t, v, 1000) // there is code
	c := &v.code
	code := append([]byte{0x49, 0x89, 0xa7}, binary.LittleEndian.AppendUint32(nil, uint32(layout.Resume))...) // mov [r15+Resume], rsp
	code = binary.LittleEndian.AppendUint32(append(code, 0xe9), uint32(routines.Look()-c.end-len(code)-5))
	copy(c.mem.Bytes[c.end:], code)
	c.mem.Written(c.end, len(code))
	c.mem.Sync()
	enter(c.enterRoutine(), v.base, c.mem.Exec+uintptr(c.end))
	// The return address below the frame, and the empty stack's bottom in it.
	if got := v.resume - uint64(v.stack); got != enterFrame-16 {
		t.Errorf("the stack begins %d bytes above its entry, want %d", int64(got), enterFrame-16)
	}
}
