package queue

import (
	"os"
	"testing"

	"doppel/internal/memory"
)

// A chain for which there is no memory is not popped, and nothing is lost: it
// comes when there is. Who stores nothing to it gets it at once.
func TestBudget(t *testing.T) {
	page := memory.GPA(os.Getpagesize())
	for name, features := range map[string]uint64{"split": 0, "packed": FeatureRingPacked} {
		t.Run(name, func(t *testing.T) {
			b := memory.NewBudget(4 * uint64(page))
			mem := &memory.Space{}
			stood := 0
			mem.Limit(b, func() { stood++ })
			const base = 0x80000000
			ram, err := mem.Add(memory.RAM, "ram", base, 16*uint64(page))
			if err != nil {
				t.Fatal(err)
			}
			defer mem.Close()
			c := Config{Size: 2, Desc: base, Driver: base + 0x400, Device: base + 0x800}
			q, err := New(mem, c, features, &owner{})
			if err != nil {
				t.Fatal(err)
			}
			put := func(at memory.GPA, b ...byte) {
				t.Helper()
				if err := mem.WriteAt(b, at); err != nil {
					t.Fatal(err)
				}
			}
			// One descriptor of four pages, device-writable.
			at, n := base+8*page, 4*page
			flags := byte(descWrite)
			if name == "packed" {
				put(base+14, 0, 0)
			}
			put(base, byte(at), byte(at>>8), byte(at>>16), byte(at>>24), 0, 0, 0, 0, byte(n), byte(n>>8), byte(n>>16), 0)
			if name == "packed" {
				put(base+14, flags|descAvail, 0)
			} else {
				put(base+12, flags, 0, 0, 0)
				put(c.Driver, 0, 0, 1, 0, 0, 0)
			}
			for range 2 {
				if q.Pop() != nil {
					t.Fatal("five of four pages are given")
				}
			}
			if !mem.Stands() || stood != 1 || mem.Account().Wants != 4*uint64(page) {
				t.Errorf("stands: %v, stood %d times, wants %d", mem.Stands(), stood, mem.Account().Wants)
			}
			chain := q.PopIdle()
			if chain == nil {
				t.Fatal("no chain")
			}
			q.Rewind([]*Chain{chain})
			put(base+8*page, 1) // a page that counts need not be had again
			put(base+9*page, 1)
			if q.Pop() != nil {
				t.Fatal("five of four pages are given")
			}
			ram.Zero()
			mem.LetGo()
			if name == "packed" {
				put(base, byte(at), byte(at>>8), byte(at>>16), byte(at>>24), 0, 0, 0, 0, byte(n-page), byte((n-page)>>8), byte((n-page)>>16), 0, 0, 0, flags|descAvail)
			} else {
				put(base, byte(at), byte(at>>8), byte(at>>16), byte(at>>24), 0, 0, 0, 0, byte(n-page), byte((n-page)>>8), byte((n-page)>>16), 0, flags)
				put(c.Driver, 0, 0, 1, 0, 0, 0)
			}
			if chain = q.Pop(); chain == nil || chain.WriteLen != 3*uint64(page) || mem.Stands() {
				t.Fatalf("with room: %+v", chain)
			}
			if b.Used() != 4*uint64(page) {
				t.Errorf("%d bytes count", b.Used())
			}
		})
	}
}
