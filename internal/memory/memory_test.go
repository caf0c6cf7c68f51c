package memory

import (
	"bytes"
	"errors"
	"math"
	"sync"
	"testing"
)

func space(t *testing.T) (*Space, *Region, *Region) {
	t.Helper()
	var s Space
	rom, err := s.Add(ROM, "rom", 0x1000, PageSize)
	if err != nil {
		t.Fatal(err)
	}
	ram, err := s.Add(RAM, "ram", 0x8000_0000, 16*PageSize)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return &s, ram, rom
}

func TestAddRejects(t *testing.T) {
	s, _, _ := space(t)
	for _, c := range []struct {
		base GPA
		size uint64
	}{
		{0x8000_0800, PageSize}, {0x10000, 0}, {0x10000, 100},
		{0x8000_0000, PageSize}, {0x8000_f000, PageSize}, {0x7fff_f000, 2 * PageSize},
		{math.MaxUint64 - PageSize + 1, 2 * PageSize},
	} {
		if _, err := s.Add(RAM, "bad", c.base, c.size); err == nil {
			t.Errorf("Add(%#x, %#x) was accepted", c.base, c.size)
		}
	}
}

// TestEdges walks the edge table of address and length: 0, the last byte, one
// past it, straddling, holes, 2^32 and 2^64-1.
func TestEdges(t *testing.T) {
	s, ram, _ := space(t)
	end := ram.Base + GPA(ram.Size)
	for _, c := range []struct {
		gpa GPA
		n   uint64
		ok  bool
	}{
		{ram.Base, 0, true}, {ram.Base, 1, true}, {ram.Base, ram.Size, true}, {ram.Base, ram.Size + 1, false},
		{end - 1, 1, true}, {end - 1, 2, false}, {end, 1, false}, {end, 0, false}, {ram.Base - 1, 2, false},
		{0, 1, false}, {1 << 32, 1, false}, {math.MaxUint64, 1, false}, {math.MaxUint64, 2, false},
		{ram.Base, math.MaxUint64, false}, {end - 8, math.MaxUint64 - 7, false}, {0x1000, 4, false}, // ROM is not for DMA
	} {
		if _, err := s.Slice(c.gpa, c.n); (err == nil) != c.ok {
			t.Errorf("Slice(%#x, %#x): %v, want ok %v", uint64(c.gpa), c.n, err, c.ok)
		}
	}
	for _, gpa := range []GPA{end, end - 1, ram.Base + 1, 0, math.MaxUint64} {
		if _, err := s.LoadU16(gpa); !errors.Is(err, ErrRange) {
			t.Errorf("LoadU16(%#x): %v, want ErrRange", uint64(gpa), err)
		}
		if err := s.StoreU16(gpa, 1); !errors.Is(err, ErrRange) {
			t.Errorf("StoreU16(%#x): %v, want ErrRange", uint64(gpa), err)
		}
	}
}

func TestValues(t *testing.T) {
	s, ram, rom := space(t)
	a := ram.Base + 64
	if err := s.WriteAt([]byte{1, 2, 3, 4, 5, 6, 7, 8}, a); err != nil {
		t.Fatal(err)
	}
	if err := s.StoreU16(a+2, 0xaabb); err != nil {
		t.Fatal(err)
	}
	if err := s.StoreU32(a+4, 0x11223344); err != nil {
		t.Fatal(err)
	}
	v16, _ := s.LoadU16(a + 2)
	v32, _ := s.LoadU32(a)
	v64, _ := s.LoadU64(a)
	if v16 != 0xaabb || v32 != 0xaabb0201 || v64 != 0x11223344aabb0201 {
		t.Errorf("read %#x %#x %#x", v16, v32, v64)
	}
	if ok, err := s.CompareAndSwapU64(a, v64, 9); !ok || err != nil {
		t.Errorf("compare and swap: %v %v", ok, err)
	}
	if ok, _ := s.CompareAndSwapU64(a, v64, 10); ok {
		t.Error("compare and swap took a wrong old value")
	}
	if s.WriteAt([]byte{1}, rom.Base) == nil {
		t.Error("wrote to ROM")
	}
	p := []byte{1}
	if err := s.ReadAt(p, rom.Base); err != nil || p[0] != 0 {
		t.Errorf("ROM reads %v, %v", p, err)
	}
	rom.SetReadable(false)
	if s.ReadAt(p, rom.Base) == nil {
		t.Error("read a ROM in command mode")
	}
}

func TestDirtyLog(t *testing.T) {
	s, ram, _ := space(t)
	s.WriteAt([]byte{1}, ram.Base) // before the log starts
	ram.StartDirtyLog()
	s.WriteAt(make([]byte, PageSize+1), ram.Base+2*PageSize-1)
	s.StoreU16(ram.Base+5*PageSize, 1)
	s.Slice(ram.Base+15*PageSize, PageSize)
	want := []uint64{1<<1 | 1<<2 | 1<<5 | 1<<15}
	if got := ram.CollectDirty(); got[0] != want[0] {
		t.Errorf("dirty %b, want %b", got[0], want[0])
	}
	if got := ram.CollectDirty(); got[0] != 0 {
		t.Errorf("collected twice: %b", got[0])
	}
}

// TestNeighbours hammers 16-bit values that share a word: no store may lose
// the other half (virtio ring indices stand side by side).
func TestNeighbours(t *testing.T) {
	s, ram, _ := space(t)
	const rounds = 20000
	var wg sync.WaitGroup
	for half := range GPA(4) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			a := ram.Base + 2*half
			for i := range uint16(rounds) {
				s.StoreU16(a, i)
				if v, _ := s.LoadU16(a); v != i {
					t.Errorf("half %d: stored %d, read %d", half, i, v)
					return
				}
			}
		}()
	}
	wg.Wait()
}

// TestMessagePassing is the litmus test MP: data, then flag; a reader that
// sees the flag sees the data.
func TestMessagePassing(t *testing.T) {
	s, ram, _ := space(t)
	data, flag := ram.Base, ram.Base+PageSize
	const rounds = 20000
	var stores sync.WaitGroup
	defer stores.Wait()
	stores.Go(func() {
		for i := range uint64(rounds) {
			s.StoreU32(data, uint32(i+1))
			s.StoreU16(flag, uint16(i+1))
		}
	})
	for seen := uint16(0); seen != uint16(rounds%65536); {
		seen, _ = s.LoadU16(flag)
		if v, _ := s.LoadU32(data); uint16(v) < seen && v < rounds {
			t.Fatalf("flag %d before data %d", seen, v)
		}
	}
}

func TestRegionsAreZero(t *testing.T) {
	s, ram, _ := space(t)
	p := make([]byte, ram.Size)
	if err := s.ReadAt(p, ram.Base); err != nil || !bytes.Equal(p, make([]byte, ram.Size)) {
		t.Error("new memory is not zero")
	}
}
