package machine

import (
	"bytes"
	"encoding/binary"
	"testing"

	"doppel/internal/board"
	"doppel/internal/entropy"
	"doppel/internal/memory"
)

// FuzzBus gives the devices of a whole machine arbitrary accesses, as a guest
// can: sixteen bytes an access, which choose window, offset, size and value.
func FuzzBus(f *testing.F) {
	f.Add([]byte("0123456789abcdef0123456789abcdef"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := New(Config{Memory: MinMemory, CPUs: 2, Firmware: File{"fw", []byte("code")}, Entropy: entropy.NewSeeded(1)})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		windows := board.Map()
		for ; len(data) >= 16; data = data[16:] {
			w := windows[int(data[0])%len(windows)]
			size := 1 << (data[1] & 3)
			off := uint64(binary.LittleEndian.Uint32(data[4:])) % max(w.Size, 1)
			gpa := w.Base + memory.GPA(off&^uint64(size-1))
			v := binary.LittleEndian.Uint64(data[8:]) & (^uint64(0) >> (64 - 8*size))
			if data[1]&4 != 0 {
				m.bus.Write(gpa, size, v)
			} else if got, ok := m.bus.Read(gpa, size); ok && got&^(^uint64(0)>>(64-8*size)) != 0 {
				t.Errorf("read of %d bytes at %#x returns %#x", size, uint64(gpa), got)
			}
		}
		sections, err := m.SaveState()
		if err != nil || len(sections) == 0 {
			t.Fatal(err)
		}
	})
}

// FuzzRestore gives a new machine arbitrary saved state.
func FuzzRestore(f *testing.F) {
	cfg := Config{Memory: MinMemory, CPUs: 1, Firmware: File{"fw", []byte("code")}, Entropy: entropy.NewSeeded(1)}
	build := func(t testing.TB) *Machine {
		m, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	m := build(f)
	defer m.Close()
	var saved bytes.Buffer
	if err := m.Save(&saved); err != nil {
		f.Fatal(err)
	}
	f.Add(saved.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		m := build(t)
		defer m.Close()
		m.Restore(bytes.NewReader(data))
	})
}
