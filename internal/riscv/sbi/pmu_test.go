package sbi

import (
	"encoding/binary"
	"testing"

	"doppel/internal/riscv"
)

const allCounters = uint64(validCounters)

func TestPMUReturns(t *testing.T) {
	for _, c := range []struct {
		rule  string
		fn    uint64
		args  []uint64
		err   Error
		value uint64
	}{
		{"sbi §11.4", 0, nil, Success, 32},
		{"sbi §11.5: cycle", 1, []uint64{0}, Success, 63<<12 | 0xc00},
		{"sbi §11.5: time is none", 1, []uint64{1}, ErrInvalidParam, 0},
		{"sbi §11.5: instret", 1, []uint64{2}, Success, 63<<12 | 0xc02},
		{"sbi §11.5: the last", 1, []uint64{31}, Success, 63<<12 | 0xc1f},
		{"sbi §11.5: no such counter", 1, []uint64{32}, ErrInvalidParam, 0},
		{"sbi §11.5: no such counter", 1, []uint64{none}, ErrInvalidParam, 0},
		{"sbi §11.6: cycles", 2, []uint64{0, allCounters, 0, 1}, Success, 3},
		{"sbi §11.6: instructions", 2, []uint64{0, allCounters, 0, 2}, Success, 3},
		{"sbi §11.6: by base", 2, []uint64{8, 3, 0, 2}, Success, 8},
		{"sbi §11.6: the fixed one alone", 2, []uint64{0, 5, 0, 2}, Success, 2},
		{"sbi §11.6: the wrong fixed one", 2, []uint64{2, 1, 0, 1}, ErrNotSupported, 0},
		{"sbi §11.6: no event", 2, []uint64{0, allCounters, 0, 0}, ErrNotSupported, 0},
		{"sbi §11.6: cache misses", 2, []uint64{0, allCounters, 0, 4}, ErrNotSupported, 0},
		{"sbi §11.6: cache event", 2, []uint64{0, allCounters, 0, 0x10001}, ErrNotSupported, 0},
		{"sbi §11.6: raw event", 2, []uint64{0, allCounters, 0, 0x20000}, ErrNotSupported, 0},
		{"sbi §11.6: firmware event", 2, []uint64{0, allCounters, 0, 0xf0005}, ErrNotSupported, 0},
		{"sbi §11.6: with an invalid counter", 2, []uint64{0, 7, 0, 1}, ErrInvalidParam, 0},
		{"sbi §11.6: no counter", 2, []uint64{0, 0, 0, 1}, ErrInvalidParam, 0},
		{"sbi §11.6: reserved flag", 2, []uint64{0, 8, 1 << 8, 1}, ErrInvalidParam, 0},
		{"sbi §11.6: base out of range", 2, []uint64{32, 1, 0, 1}, ErrInvalidParam, 0},
		{"sbi §11.6: mask out of range", 2, []uint64{31, 3, 0, 1}, ErrInvalidParam, 0},
		{"sbi §11.6: mask shifted out", 2, []uint64{31, 1<<40 | 1, 0, 1}, ErrInvalidParam, 0},
		{"sbi §11.7: cycle runs", 3, []uint64{0, 1, 0}, ErrAlreadyStarted, 0},
		{"sbi §11.7: no snapshot", 3, []uint64{3, 1, 2}, ErrNoShmem, 0},
		{"sbi §11.7: reserved flag", 3, []uint64{3, 1, 4}, ErrInvalidParam, 0},
		{"sbi §11.8: stopped", 4, []uint64{3, 1, 0}, ErrAlreadyStopped, 0},
		{"sbi §11.8: cycle", 4, []uint64{0, 1, 0}, Success, 0},
		{"sbi §11.8: no snapshot", 4, []uint64{3, 1, 2}, ErrNoShmem, 0},
		{"sbi §11.8: time is none", 4, []uint64{1, 1, 0}, ErrInvalidParam, 0},
		{"sbi §11.9: no firmware counters", 5, []uint64{0}, ErrInvalidParam, 0},
		{"sbi §11.10: no firmware counters", 6, []uint64{0}, ErrInvalidParam, 0},
		{"sbi §11.11: no snapshots", 7, []uint64{ramBase, 0, 0}, ErrNotSupported, 0},
		{"sbi §11.12: flags", 8, []uint64{ramBase, 0, 1, 1}, ErrInvalidParam, 0},
		{"sbi §11.12: alignment", 8, []uint64{ramBase + 8, 0, 1, 0}, ErrInvalidParam, 0},
		{"sbi §11.12: no memory", 8, []uint64{0x10_0000, 0, 1, 0}, ErrInvalidAddress, 0},
		{"sbi §11.12: ROM", 8, []uint64{0x1000, 0, 1, 0}, ErrInvalidAddress, 0},
		{"sbi §11.12: over the end", 8, []uint64{ramBase + ramSize - 16, 0, 2, 0}, ErrInvalidAddress, 0},
		{"sbi §11.12: too many", 8, []uint64{ramBase, 0, none, 0}, ErrFailed, 0},
		{"sbi §11: no such function", 9, nil, ErrNotSupported, 0},
	} {
		f := newFake(t, 1)
		if err, value, _ := f.call(0, extPMU, c.fn, c.args...); err != c.err || value != c.value {
			t.Errorf("%s: %v, %#x; want %v, %#x", c.rule, err, value, c.err, c.value)
		}
	}
}

// TestCounting goes the way of a driver: configure, start, overflow, stop.
func TestCounting(t *testing.T) {
	f := newFake(t, 1)
	h := f.harts[0]
	read := func(c riscv.CSR) uint64 { v, _ := h.ReadCSR(uint16(c)); return v }
	config := func(flags uint64) uint64 {
		err, n, _ := f.call(0, extPMU, 2, 0, allCounters, flags, 2)
		if err != Success {
			t.Fatal(err)
		}
		return n
	}
	a, b := config(cfgClearValue), config(cfgSetSINH|cfgAutoStart|cfgClearValue)
	if a == b || a < 3 || b < 3 {
		t.Fatalf("counters %d and %d", a, b)
	}
	if err, _, _ := f.call(0, extPMU, 3, a, 1, startInitValue, ^uint64(0)-4); err != Success {
		t.Fatal(err)
	}
	h.Instret += 5
	if got := read(riscv.CSRCycle + riscv.CSR(a)); got != 0 {
		t.Errorf("counter %d is %d, want 0", a, got)
	}
	if got := read(riscv.CSRCycle + riscv.CSR(b)); got != 0 {
		t.Errorf("counter %d is %d: S-mode is inhibited", b, got)
	}
	if read(riscv.CSRScountovf) != 1<<a || read(riscv.CSRSip) != riscv.MipLCOFIP {
		t.Errorf("scountovf %#x, sip %#x", read(riscv.CSRScountovf), read(riscv.CSRSip))
	}
	if err, _, _ := f.call(0, extPMU, 4, a, 1, 0); err != Success {
		t.Error(err)
	}
	h.Instret += 5
	if got := read(riscv.CSRCycle + riscv.CSR(a)); got != 0 {
		t.Errorf("counter %d counts while stopped: %d", a, got)
	}
	f.call(0, extPMU, 3, a, 1, 0)
	if read(riscv.CSRScountovf) != 0 {
		t.Error("a start leaves OF set")
	}
	// A counter stays its event's until a stop with reset.
	f.call(0, extPMU, 4, a, 1, 0)
	if n := config(0); n == a {
		t.Error("a stopped counter is given away")
	}
	f.call(0, extPMU, 4, a, 1, stopReset)
	if n := config(0); n != a {
		t.Errorf("counter %d, want %d, which is free again", n, a)
	}
	// sbi §11.6: SKIP_MATCH takes the first of the set.
	if err, n, _ := f.call(0, extPMU, 2, 0, 1<<a|1<<b, cfgSkipMatch|cfgClearValue, 0); err != Success || n != min(a, b) {
		t.Errorf("skip match: %v, %d", err, n)
	}
	// The fixed counters can be set and stopped, too.
	f.call(0, extPMU, 4, 0, 5, 0)
	f.call(0, extPMU, 3, 0, 4, startInitValue, 1000)
	h.Instret += 7
	if c, i := read(riscv.CSRCycle), read(riscv.CSRInstret); i != 1007 || c != 10 {
		t.Errorf("cycle %d, instret %d; want 10, 1007", c, i)
	}
}

func TestEventInfo(t *testing.T) {
	f := newFake(t, 1)
	events := []uint32{1, 2, 3, 0x10000, 0xf0005}
	want := []uint32{1, 1, 0, 0, 0}
	buf := make([]byte, 16*len(events))
	for i, e := range events {
		binary.LittleEndian.PutUint32(buf[16*i:], e)
		binary.LittleEndian.PutUint32(buf[16*i+4:], 0xffff)
	}
	if err := f.mem.WriteAt(buf, ramBase); err != nil {
		t.Fatal(err)
	}
	if err, _, _ := f.call(0, extPMU, 8, ramBase, 0, uint64(len(events)), 0); err != Success {
		t.Fatal(err)
	}
	if err := f.mem.ReadAt(buf, ramBase); err != nil {
		t.Fatal(err)
	}
	for i, w := range want {
		if got := binary.LittleEndian.Uint32(buf[16*i+4:]); got != w {
			t.Errorf("event %#x: %d, want %d", events[i], got, w)
		}
	}
	binary.LittleEndian.PutUint32(buf, 1<<20)
	if err := f.mem.WriteAt(buf, ramBase); err != nil {
		t.Fatal(err)
	}
	if err, _, _ := f.call(0, extPMU, 8, ramBase, 0, 1, 0); err != ErrInvalidParam {
		t.Errorf("reserved bits of an event: %v", err)
	}
}
