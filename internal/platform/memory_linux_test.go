package platform

import (
	"os"
	"testing"
)

// TestMemory: pages are found when they have been written to, and are zero and
// gone after Discard.
func TestMemory(t *testing.T) {
	const size = 16 << 20
	m, err := NewMemory("test", size)
	if err != nil {
		t.Fatal(err)
	}
	if start, _ := m.NextData(0); start != size {
		if _, err := os.Open("/proc/self/pagemap"); err != nil {
			t.Skip(err)
		}
		t.Errorf("untouched memory has data at %#x", start)
	}
	for _, at := range []uint64{0, 5<<20 + 17, size - 1} {
		m.Bytes[at] = 1
		found := false
		for start, end := m.NextData(0); start < size; start, end = m.NextData(end) {
			if end <= start {
				t.Fatalf("data from %#x to %#x", start, end)
			}
			found = found || start <= at && at < end
		}
		if !found {
			t.Errorf("what was written at %#x was not found", at)
		}
		if start, end := m.NextData(at); start != at || end <= at {
			t.Errorf("from %#x on, data is from %#x to %#x", at, start, end)
		}
	}
	var seen byte
	for at := 8 << 20; at < 8<<20+256*os.Getpagesize(); at += os.Getpagesize() {
		seen |= m.Bytes[at]
	}
	count := map[PageState]int{}
	m.States(0, func(_ uint64, s PageState) bool {
		count[s]++
		return true
	})
	if count[PagePrivate]+count[PageSwapped] != 3 || count[PageBorrows] != 256 || seen != 0 {
		t.Errorf("3 pages were written to, and 256 others read: %v", count)
	}
	if err := m.Discard(4<<20, 4<<20); err != nil {
		t.Fatal(err)
	}
	if m.Bytes[5<<20+17] != 0 || m.Bytes[0] != 1 || m.Bytes[size-1] != 1 {
		t.Errorf("Discard does not clear, or clears too much")
	}
	if err := m.Discard(0, size); err != nil {
		t.Fatal(err)
	}
	if start, _ := m.NextData(0); start != size {
		t.Errorf("after Discard there is data at %#x", start)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if m.Close() == nil {
		t.Errorf("a second Close succeeds")
	}
}

// TestShared: what is mapped reads as what is shared until it is stored to;
// stores stay private; what is renewed is zero.
func TestShared(t *testing.T) {
	page := uint64(os.Getpagesize())
	s, err := NewShared("test", 4*page)
	if err != nil {
		t.Fatal(err)
	}
	for i := range s.Bytes {
		s.Bytes[i] = byte(uint64(i)/page + 1)
	}
	var ms [2]*Memory
	for i := range ms {
		if ms[i], err = NewMemory("test", 8*page); err != nil {
			t.Fatal(err)
		}
		ms[i].Bytes[0] = 99
		if err := ms[i].Map(2*page, 4*page, s, 0); err != nil {
			t.Fatal(err)
		}
	}
	a, b := ms[0], ms[1]
	a.Bytes[3*page] = 77
	if err := a.Renew(4*page, page); err != nil {
		t.Fatal(err)
	}
	for i, want := range []byte{99, 0, 1, 77, 0, 4, 0, 0} {
		if got := a.Bytes[uint64(i)*page]; got != want {
			t.Errorf("page %d reads %d, want %d", i, got, want)
		}
	}
	if b.Bytes[3*page] != 2 || b.Bytes[4*page] != 3 || s.Bytes[page] != 2 {
		t.Error("a store to one is seen in the other")
	}
	if n := s.Used(); n != 4*page {
		t.Errorf("%d bytes used", n)
	}
	if err := s.Free(page, page); err != nil || s.Used() != 3*page {
		t.Errorf("%v, %d bytes used", err, s.Used())
	}
	if err := s.Close(); err != nil || b.Bytes[5*page] != 4 {
		t.Error("what is shared went with its owner", err)
	}
	if MaxMappings() < 1000 {
		t.Error(MaxMappings())
	}
	for _, m := range ms {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
}
