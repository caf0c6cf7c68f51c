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
	for at := 8 << 20; at < 9<<20; at += 4096 {
		seen |= m.Bytes[at]
	}
	if u, ok := m.Usage(); ok && u.Private+u.Swapped != 3*uint64(os.Getpagesize()) || seen != 0 {
		t.Errorf("three pages were written to, and others read: %+v", u)
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
