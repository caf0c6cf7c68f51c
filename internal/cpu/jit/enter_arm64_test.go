package jit

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"

	"doppel/internal/cpu/cputest"
	"doppel/internal/cpu/jit/arm64"
)

// TestEnterFrame: the frame that generated code has for the guest's calls is as
// large as it must be. Package vet wants a number there, and no constant.
func TestEnterFrame(t *testing.T) {
	code, err := os.ReadFile("enter_arm64.s")
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("TEXT ·enter(SB), 0, $%d-24", enterFrame); !strings.Contains(string(code), want) {
		t.Errorf("enter_arm64.s lacks %q", want)
	}
}

// TestCallStack: the stack of generated code is the frame of enter, with room
// for a call at each instruction of a slice and more.
func TestCallStack(t *testing.T) {
	if maxSlice > arm64.Calls || (maxSlice+maxRegionInsts)*16 > enterFrame-4096 {
		t.Errorf("a slice of %d instructions and a region of %d do not fit in %d bytes", maxSlice, maxRegionInsts, enterFrame)
	}
	_, v := machineOf(t, Options{Threshold: -1}, "1: j 1b\n", cputest.Options{})
	run(t, v, 1000) // there is code
	c := &v.code
	code := binary.LittleEndian.AppendUint32(nil, 0x910003e1)                             // mov x1, sp
	code = binary.LittleEndian.AppendUint32(code, 0xf9000261|uint32(layout.Resume)/8<<10) // str x1, [x19, #Resume]
	code = binary.LittleEndian.AppendUint32(code, arm64.Redirect(arm64.Jump, routines.Look()-c.end-len(code)))
	copy(c.mem.Bytes[c.end:], code)
	c.mem.Written(c.end, len(code))
	c.mem.Sync()
	enter(c.enterRoutine(), v.base, c.mem.Exec+uintptr(c.end))
	// The empty stack's bottom is in it.
	if got := v.resume - uint64(v.stack); got != enterFrame-16 {
		t.Errorf("the stack begins %d bytes above its entry, want %d", int64(got), enterFrame-16)
	}
}
