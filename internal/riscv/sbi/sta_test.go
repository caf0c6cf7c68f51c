package sbi

import (
	"encoding/binary"
	"testing"

	"doppel/internal/memory"
	"doppel/internal/state"
)

const sta = ramBase + 0x1040

// steals returns the fields of the structure at sta.
func steals(t *testing.T, f *fake) (sequence uint32, steal uint64, preempted byte) {
	t.Helper()
	b := make([]byte, staSize)
	if err := f.mem.ReadAt(b, sta); err != nil {
		t.Fatal(err)
	}
	return binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint64(b[8:]), b[16]
}

func TestStealTimeReturns(t *testing.T) {
	for _, c := range []struct {
		name   string
		fn     uint64
		args   []uint64
		absent bool
		want   Error
	}{
		{"sbi §16.1: set", 0, []uint64{sta, 0, 0}, false, Success},
		{"sbi §16.1: stop", 0, []uint64{none, none, 0}, false, Success},
		{"sbi §16.1: flags", 0, []uint64{sta, 0, 1}, false, ErrInvalidParam},
		{"sbi §16.1: flags on stop", 0, []uint64{none, none, 1}, false, ErrInvalidParam},
		{"sbi §16.1: alignment", 0, []uint64{sta + 32, 0, 0}, false, ErrInvalidParam},
		{"sbi §16.1: half of all ones", 0, []uint64{none, 0, 0}, false, ErrInvalidParam},
		{"sbi §16.1: upper bits", 0, []uint64{sta, 1, 0}, false, ErrInvalidAddress},
		{"sbi §16.1: no memory", 0, []uint64{ramBase + ramSize, 0, 0}, false, ErrInvalidAddress},
		{"sbi §16.1: the last of memory", 0, []uint64{ramBase + ramSize - 64, 0, 0}, false, Success},
		{"sbi §16.1: not writable", 0, []uint64{0x1000, 0, 0}, false, ErrInvalidAddress},
		{"sbi §16.1: the end of addresses", 0, []uint64{none &^ 63, 0, 0}, false, ErrInvalidAddress},
		{"no such function", 1, []uint64{sta, 0, 0}, false, ErrNotSupported},
		{"not offered", 0, []uint64{sta, 0, 0}, true, ErrNotSupported},
	} {
		f := newFake(t, 1)
		f.StealTime = !c.absent
		if got, _, _ := f.call(0, extSTA, c.fn, c.args...); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		offered := uint64(1)
		if c.absent {
			offered = 0
		}
		if _, got, _ := f.call(0, extBase, 3, extSTA); got != offered {
			t.Errorf("%s: probe gives %d", c.name, got)
		}
	}
}

func TestStealTime(t *testing.T) {
	f := newFake(t, 2)
	f.StealTime = true
	f.Stole(1, 5) // nobody asked yet
	f.Preempted(1)
	if err := f.mem.WriteAt([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17}, sta); err != nil {
		t.Fatal(err)
	}
	f.call(1, extSTA, 0, sta, 0, 0)
	expect := func(sequence uint32, steal uint64, preempted byte) {
		t.Helper()
		if q, s, p := steals(t, f); q != sequence || s != steal || p != preempted {
			t.Errorf("sequence %d, steal %d, preempted %d; want %d, %d, %d", q, s, p, sequence, steal, preempted)
		}
	}
	expect(0, 0, 0) // sbi §16.1: zeroed
	f.Preempted(1)
	expect(0, 0, 1)
	f.Stole(1, 1000)
	expect(2, 1000, 0)
	f.Stole(1, 0)
	f.Preempted(0) // another hart
	f.Stole(0, 9)
	expect(2, 1000, 0)

	// Another machine goes on where this one was.
	b := saved(f.SBI)
	g := newFake(t, 2)
	g.StealTime = true
	if err := restored(g.SBI, b); err != nil {
		t.Fatal(err)
	}
	g.Stole(1, 23)
	if q, s, _ := steals(t, g); q != 4 || s != 1023 {
		t.Errorf("restored: sequence %d, steal %d", q, s)
	}

	f.call(1, extSTA, 0, none, none, 0)
	f.Stole(1, 7)
	expect(2, 1000, 0)
	f.call(1, extSTA, 0, sta, 0, 0)
	f.SBI.Reset()
	f.Stole(1, 7)
	expect(0, 0, 0)
}

// TestRestoreStealTime: a saved structure is where one may be, and state of
// before has none.
func TestRestoreStealTime(t *testing.T) {
	section := func(on bool, at, total uint64, sequence uint32) []byte {
		var e state.Encoder
		e.U32(1)
		e.U8(uint8(Started))
		e.U64(0)
		e.U64(0)
		e.Bool(false)
		e.U8(0)
		e.Bool(on)
		e.U64(at)
		e.U64(total)
		e.U32(sequence)
		return e.Data()
	}
	for _, c := range []struct {
		on        bool
		at, total uint64
		sequence  uint32
		ok        bool
	}{
		{false, 0, 0, 0, true}, {true, sta, 5, 2, true}, {true, sta, 5, 1, false}, {true, sta + 8, 0, 0, false},
		{true, 0x1000, 0, 0, false}, {true, 0, 0, 0, false}, {true, none &^ 63, 0, 0, false}, {false, sta, 0, 0, false},
	} {
		if err := restored(newFake(t, 1).SBI, section(c.on, c.at, c.total, c.sequence)); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c, err)
		}
	}
	old := section(false, 0, 0, 0)
	f := newFake(t, 1)
	d := state.NewDecoder(old[:len(old)-21])
	if err := f.Restore(d, 1); err != nil || d.Done() != nil {
		t.Errorf("version 1: %v, %v", err, d.Done())
	}
	if canSteal(f.mem, memory.GPA(sta+1)) {
		t.Error("a structure at an odd address")
	}
}
