package aclint

import (
	"math"
	"testing"

	"doppel/internal/device"
	"doppel/internal/device/devicetest"
)

const hz = 10_000_000

func build(e *devicetest.Env, harts int) (*ACLINT, []*devicetest.Line, []*devicetest.Line) {
	var software, timer []*devicetest.Line
	cfg := Config{Clock: e.Clock, Hz: hz}
	for i := range harts {
		s, t := &devicetest.Line{}, &devicetest.Line{}
		if i == 0 {
			t = e.Line // so that the contract suite sees it
		}
		software, timer = append(software, s), append(timer, t)
		cfg.Harts = append(cfg.Harts, Hart{Software: s, Timer: t})
	}
	return New(cfg), software, timer
}

func suite() devicetest.Suite {
	return devicetest.Suite{New: func(e *devicetest.Env) device.Device { a, _, _ := build(e, 3); return a }}
}

func TestContract(t *testing.T) { suite().Run(t) }

func FuzzACLINT(f *testing.F) { suite().Fuzz(f) }

func TestSoftwareInterrupt(t *testing.T) {
	a, software, _ := build(devicetest.NewEnv(), 3)
	for i := range 3 {
		a.Write(uint64(4*i), 4, 0xffff_ffff)
		for j := range 3 {
			if software[j].Level != (j == i) {
				t.Errorf("msip of hart %d set: line of hart %d is %t", i, j, software[j].Level)
			}
		}
		if v, ok := a.Read(uint64(4*i), 4); v != 1 || !ok {
			t.Errorf("msip of hart %d reads %#x, %t; want 1", i, v, ok)
		}
		a.Write(uint64(4*i), 4, 0xffff_fffe)
		if software[i].Level {
			t.Errorf("line of hart %d stays after msip = 0", i)
		}
	}
}

func TestTimer(t *testing.T) {
	env := devicetest.NewEnv()
	a, _, timer := build(env, 2)
	if timer[0].Level || timer[1].Level {
		t.Fatal("timer interrupt after reset")
	}
	a.Write(mtimecmpBase+8, 8, 1000)
	env.Clock.Advance(1000*100 - 1)
	if timer[1].Level {
		t.Fatal("timer interrupt a nanosecond early")
	}
	env.Clock.Advance(1)
	if !timer[1].Level || timer[0].Level {
		t.Fatalf("at mtimecmp: lines %t, %t; want only hart 1's", timer[0].Level, timer[1].Level)
	}
	a.Write(mtimecmpBase+8, 8, math.MaxUint64)
	if timer[1].Level {
		t.Error("line stays after mtimecmp moved to the end of time")
	}
	a.Write(mtimecmpBase, 8, 0)
	if !timer[0].Level {
		t.Error("mtimecmp = 0 does not interrupt at once")
	}
}

// TestHalves: RV32 code writes mtimecmp in two halves.
func TestHalves(t *testing.T) {
	env := devicetest.NewEnv()
	a, _, _ := build(env, 1)
	a.Write(mtimecmpBase, 4, 0x89ab_cdef)
	a.Write(mtimecmpBase+4, 4, 0x0123_4567)
	if v, _ := a.Read(mtimecmpBase, 8); v != 0x0123_4567_89ab_cdef {
		t.Errorf("mtimecmp is %#x", v)
	}
	a.Write(mtimeOff, 8, 0xffff_fff0)
	env.Clock.Advance(0x20 * 100)
	low, _ := a.Read(mtimeOff, 4)
	high, _ := a.Read(mtimeOff+4, 4)
	if low != 0x10 || high != 1 {
		t.Errorf("mtime is %#x:%#x, want 1:10", high, low)
	}
	a.Write(mtimeOff+4, 4, 7)
	if v, _ := a.Read(mtimeOff, 8); v != 0x7_0000_0010 {
		t.Errorf("mtime is %#x after its high half was written", v)
	}
}

// TestWriteTime: moving mtime moves what is due.
func TestWriteTime(t *testing.T) {
	env := devicetest.NewEnv()
	a, _, timer := build(env, 1)
	a.Write(mtimecmpBase, 8, 5000)
	a.Write(mtimeOff, 8, 5000)
	if !timer[0].Level {
		t.Error("no interrupt when mtime jumps to mtimecmp")
	}
	a.Write(mtimeOff, 8, 0)
	if timer[0].Level {
		t.Error("interrupt stays when mtime goes back")
	}
	env.Clock.Advance(5000 * 100)
	if !timer[0].Level {
		t.Error("no interrupt when mtime comes to mtimecmp again")
	}
}

func TestSizes(t *testing.T) {
	a, _, _ := build(devicetest.NewEnv(), 1)
	for _, c := range []struct {
		off  uint64
		size int
		ok   bool
	}{
		{0, 1, false}, {0, 2, false}, {0, 4, true}, {0, 8, false},
		{mtimecmpBase, 2, false}, {mtimecmpBase, 4, true}, {mtimecmpBase, 8, true},
		{mtimeOff, 1, false}, {mtimeOff + 4, 4, true}, {mtimeOff, 8, true},
		{mtimecmpBase + 8*MaxHarts - 8, 8, true}, // a hart that is not there
	} {
		if _, ok := a.Read(c.off, c.size); ok != c.ok {
			t.Errorf("read of %d at %#x: %t, want %t", c.size, c.off, ok, c.ok)
		}
		if ok := a.Write(c.off, c.size, 0); ok != c.ok {
			t.Errorf("write of %d at %#x: %t, want %t", c.size, c.off, ok, c.ok)
		}
	}
}
