package flash

import (
	"bytes"
	"errors"
	"testing"

	"doppel/internal/device"
	"doppel/internal/device/devicetest"
	"doppel/internal/memory"
)

const size = 1 << 20 // four blocks

func build(t testing.TB) (*Flash, *int) {
	var space memory.Space
	t.Cleanup(func() { space.Close() })
	r, err := space.Add(memory.ROM, "flash", 0x2000_0000, size)
	if err != nil {
		t.Fatal(err)
	}
	changes := new(int)
	return New(Config{Name: "flash0", Region: r, ModeChanged: func() { *changes++ }}), changes
}

func suite(t testing.TB) devicetest.Suite {
	return devicetest.Suite{
		New: func(*devicetest.Env) device.Device { f, _ := build(t); return f },
		Carry: func(from, to device.Device) {
			copy(to.(*Flash).cfg.Region.Bytes(), from.(*Flash).cfg.Region.Bytes())
		},
	}
}

func TestContract(t *testing.T) { suite(t).Run(t) }

func FuzzFlash(f *testing.F) {
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) { suite(t).Script(t, data) })
}

func rd(f *Flash, off uint64) uint32 { v, _ := f.Read(off, 4); return uint32(v) }
func wr(f *Flash, off uint64, v uint32) {
	f.Write(off, 4, uint64(v))
}

// both is a command to both chips.
func both(c uint32) uint32 { return c<<16 | c }

func TestQuery(t *testing.T) {
	f, changes := build(t)
	wr(f, 0x55*4, both(cmdQuery))
	if f.cfg.Region.Readable() || *changes != 1 {
		t.Errorf("after Query: array readable %t, %d mode changes", f.cfg.Region.Readable(), *changes)
	}
	for word, want := range map[uint64]uint32{0x10: 'Q', 0x11: 'R', 0x12: 'Y', 0x13: 1, 0x15: 0x31,
		0x27: 19, 0x28: 1, 0x2a: 10, 0x2c: 1, 0x2d: 3, 0x2e: 0, 0x2f: 0, 0x30: 2, 0x31: 'P', 0x34: '1', 0x36: 0x20, 0x3f: 0, 0x40: 0} {
		if got := rd(f, word*4); got != both(want) {
			t.Errorf("query word %#x is %#x, want %#x", word, got, both(want))
		}
	}
	wr(f, 0, both(cmdReadArray))
	if !f.cfg.Region.Readable() || *changes != 2 || rd(f, 0x10*4) != 0 {
		t.Errorf("after Read Array: readable %t, %d changes", f.cfg.Region.Readable(), *changes)
	}
	wr(f, 0, both(cmdReadID))
	if rd(f, 0) != both(0x89) || rd(f, 4) != both(0x18) || rd(f, 8) != 0 {
		t.Errorf("identifier %#x %#x %#x", rd(f, 0), rd(f, 4), rd(f, 8))
	}
}

func TestEraseAndProgram(t *testing.T) {
	f, _ := build(t)
	all := f.cfg.Region.Bytes()
	wr(f, BlockSize+8, both(cmdErase))
	wr(f, BlockSize+8, both(cmdConfirm))
	if rd(f, 0) != both(statusReady) {
		t.Fatalf("status %#x after erase", rd(f, 0))
	}
	if all[BlockSize-1] != 0 || all[BlockSize] != 0xff || all[2*BlockSize-1] != 0xff || all[2*BlockSize] != 0 {
		t.Error("erase does not cover exactly its block")
	}
	wr(f, BlockSize, both(cmdProgram))
	wr(f, BlockSize, 0x12345678)
	wr(f, BlockSize, both(cmdProgramAlt))
	wr(f, BlockSize, 0xffff0000)
	wr(f, 0, both(cmdReadArray))
	if got := rd(f, BlockSize); got != 0x12340000 {
		t.Errorf("programmed word is %#x: bits can only be cleared", got)
	}
}

func TestBuffer(t *testing.T) {
	f, _ := build(t)
	wr(f, 0, both(cmdErase))
	wr(f, 0, both(cmdConfirm))
	wr(f, 0, both(cmdBuffer))
	wr(f, 0, both(bufferWords-1))
	for i := range uint32(bufferWords) {
		wr(f, uint64(4*i), i)
	}
	if got := f.cfg.Region.Bytes()[4]; got != 0xff {
		t.Errorf("buffer was programmed before its confirmation: %#x", got)
	}
	wr(f, 0, both(cmdConfirm))
	if rd(f, 0) != both(statusReady) {
		t.Fatalf("status %#x", rd(f, 0))
	}
	wr(f, 0, both(cmdReadArray))
	for i := range uint32(bufferWords) {
		if got := rd(f, uint64(4*i)); got != i {
			t.Fatalf("word %d is %#x", i, got)
		}
	}
	// Errors: too long, not confirmed, data in another block.
	for name, script := range map[string][][2]uint32{
		"too long":      {{0, cmdBuffer}, {0, bufferWords}},
		"not confirmed": {{0, cmdBuffer}, {0, 0}, {0, 7}, {0, cmdReadArray}},
		"other block":   {{0, cmdBuffer}, {0, 0}, {BlockSize, 7}, {0, cmdConfirm}},
	} {
		wr(f, 0, both(cmdClearStatus))
		for _, w := range script {
			f.Write(uint64(w[0]), 4, uint64(w[1]))
		}
		if f.status != statusReady|statusEraseFail|statusProgFail {
			t.Errorf("%s: status %#x", name, f.status)
		}
	}
}

func TestLock(t *testing.T) {
	f, _ := build(t)
	wr(f, 0, both(cmdLock))
	wr(f, 0, both(cmdLockSet))
	wr(f, 0, both(cmdReadID))
	if rd(f, 8) != both(1) || rd(f, BlockSize+8) != 0 {
		t.Errorf("lock bits %#x %#x, want block 0 locked", rd(f, 8), rd(f, BlockSize+8))
	}
	wr(f, 0, both(cmdErase))
	wr(f, 0, both(cmdConfirm))
	if f.status != statusReady|statusEraseFail|statusLockedFail || f.cfg.Region.Bytes()[0] != 0 {
		t.Errorf("erase of a locked block: status %#x", f.status)
	}
	wr(f, 0, both(cmdClearStatus))
	wr(f, 0, both(cmdProgram))
	wr(f, 0, 0)
	if f.status != statusReady|statusProgFail|statusLockedFail {
		t.Errorf("program in a locked block: status %#x", f.status)
	}
	wr(f, 0, both(cmdLock))
	wr(f, 0, both(cmdConfirm))
	wr(f, 0, both(cmdClearStatus))
	wr(f, 0, both(cmdErase))
	wr(f, 0, both(cmdConfirm))
	if f.status != statusReady {
		t.Errorf("erase of an unlocked block: status %#x", f.status)
	}
}

type backing struct {
	b    []byte
	fail bool
}

func (b *backing) WriteAt(p []byte, off int64) (int, error) {
	if b.fail {
		return 0, errors.New("disk full")
	}
	return copy(b.b[off:], p), nil
}

func TestBacking(t *testing.T) {
	f, _ := build(t)
	b := &backing{b: make([]byte, size)}
	f.cfg.Backing = b
	wr(f, 0, both(cmdErase))
	wr(f, 0, both(cmdConfirm))
	wr(f, 8, both(cmdProgram))
	wr(f, 8, 0xdeadbeef)
	if !bytes.Equal(b.b, f.cfg.Region.Bytes()) {
		t.Error("the backing differs from the contents")
	}
	b.fail = true
	wr(f, 8, both(cmdProgram))
	wr(f, 8, 0)
	if f.status&statusProgFail == 0 {
		t.Error("a failed write does not show")
	}
}

// TestEverySize: each size of access in each mode.
func TestEverySize(t *testing.T) {
	f, _ := build(t)
	wr(f, 0, both(cmdReadStatus))
	for sz, want := range map[int]uint64{1: 0x80, 2: 0x80, 4: 0x0080_0080, 8: 0x0080_0080_0080_0080} {
		if got, _ := f.Read(0, sz); got != want {
			t.Errorf("status of %d bytes is %#x, want %#x", sz, got, want)
		}
	}
}
