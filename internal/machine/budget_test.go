package machine

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"doppel/internal/memory"
	"doppel/internal/riscv/asm"
)

// fills has each hart store to pages of its own as fast as it can, PAGES in
// all, a word that is the page's address. The word at 0x80100000 counts harts
// that are done.
const fills = `
	csrr t0, mhartid
	li   t1, 0x80200000
	slli t2, t0, 12
	add  t1, t1, t2
	li   t3, HARTS * 4096
	li   t4, 0x80200000 + PAGES * 4096
1:	sd   t1, 8(t1)
	add  t1, t1, t3
	bltu t1, t4, 1b
	li   t1, 0x80100000
	li   t0, 1
	amoadd.d zero, t0, (t1)
2:	wfi
	j    2b
`

const (
	fillHarts = 4
	fillPages = 2048
)

func filler(t *testing.T, engine string, b *memory.Budget) *Machine {
	t.Helper()
	p, err := asm.Assemble(fills, asm.Options{Origin: 0x80000000, Symbols: map[string]uint64{"HARTS": fillHarts, "PAGES": fillPages}})
	if err != nil {
		t.Fatal(err)
	}
	cfg := bare(t, "")
	cfg.Firmware.Data, cfg.Engine, cfg.CPUs, cfg.Memory, cfg.Budget = p.Code, engine, fillHarts, 64<<20, b
	m, _, _ := start(t, cfg)
	return m
}

func filled(m *Machine) bool {
	var word [8]byte
	m.Memory().ReadAt(word[:], 0x80100000)
	return binary.LittleEndian.Uint64(word[:]) == fillHarts
}

// private is what machines take of the host, which nobody counts but the host.
func private(t *testing.T, all ...*Machine) (sum uint64) {
	t.Helper()
	for _, m := range all {
		u, ok := m.MemoryUsage()
		if !ok {
			t.Skip("the host does not tell what memory takes")
		}
		if n := m.Account().Taken; n < u.Private+u.Swapped { // asked later: it does not fall by itself
			t.Errorf("%d bytes count, of %d", n, u.Private)
		}
		sum += u.Private
	}
	return sum
}

// Machines with several harts, which store at full speed, never take more than
// the budget, though nobody looks. They stand then, and all that one can do
// with a machine works. When there is room they go on as if nothing had been.
func TestBudget(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		const limit = 12 << 20 // of 16 that they want, and their programs
		b := memory.NewBudget(limit)
		one, two := filler(t, engine, b), filler(t, engine, b)
		look := func() {
			t.Helper()
			if n := private(t, one, two); n > limit {
				t.Fatalf("machines take %d bytes of %d", n, limit)
			}
		}
		stand := func() {
			t.Helper()
			eventually(t, "a stop of both", func() bool {
				look()
				return (one.Stands() || filled(one)) && (two.Stands() || filled(two))
			})
		}
		stand()
		if n := b.Used(); n > limit || n < limit-2*fillHarts*memory.PageSize {
			t.Errorf("%d bytes count in the end, of %d", n, limit)
		}
		for range 20 { // they are let go for nothing
			one.LetGo()
			two.LetGo()
			stand()
		}
		if filled(one) && filled(two) {
			t.Fatal("both have all that they want: this test shows nothing")
		}
		m, other := one, two
		if filled(m) {
			m, other = two, one
		}
		var saved bytes.Buffer
		for _, do := range []func() error{m.Pause, func() error { return m.Save(&saved) }, m.Resume, m.Pause, m.Resume} {
			if err := do(); err != nil {
				t.Fatal(err)
			}
		}
		if !m.WithMemory(time.Minute, func(*memory.Region) {}) || !m.CountMemory(time.Minute) {
			t.Error("a machine that stands does not rest")
		}
		stand()
		if err := m.Reset(); err != nil {
			t.Fatal(err)
		}
		stand() // it is let go by nobody
		look()
		other.Close()
		eventually(t, "all pages", func() bool {
			m.LetGo()
			return filled(m)
		})
		checkFilled(t, m)
		// What was saved goes on as well.
		n := b.Used()
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		if b.Used() != 0 {
			t.Errorf("with all machines closed %d bytes count, before %d", b.Used(), n)
		}
		p, err := asm.Assemble(fills, asm.Options{Origin: 0x80000000, Symbols: map[string]uint64{"HARTS": fillHarts, "PAGES": fillPages}})
		if err != nil {
			t.Fatal(err)
		}
		cfg := bare(t, "")
		cfg.Firmware.Data, cfg.Engine, cfg.CPUs, cfg.Memory, cfg.Budget = p.Code, engine, fillHarts, 64<<20, b
		again, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		if err := again.Restore(&saved); err != nil {
			t.Fatal(err)
		}
		private(t, again)
		begin(again)
		eventually(t, "all pages", func() bool { return filled(again) })
		checkFilled(t, again)
		private(t, again)
	})
}

func checkFilled(t *testing.T, m *Machine) {
	t.Helper()
	for page := range memory.GPA(fillPages) {
		at := 0x80200000 + page*memory.PageSize
		var word [8]byte
		m.Memory().ReadAt(word[:], at+8)
		if got := binary.LittleEndian.Uint64(word[:]); got != uint64(at) {
			t.Fatalf("page %d has %#x", page, got)
		}
	}
}

// A restore for which there is no memory fails, after who governs memory was
// asked for some; with it, it works.
func TestRestoreBudget(t *testing.T) {
	m := filler(t, "auto", nil)
	eventually(t, "all pages", func() bool { return filled(m) })
	if err := m.Pause(); err != nil {
		t.Fatal(err)
	}
	var saved bytes.Buffer
	if err := m.Save(&saved); err != nil {
		t.Fatal(err)
	}
	for _, helps := range []bool{false, true} {
		b := memory.NewBudget(10 << 20)
		other := &memory.Space{}
		other.Limit(b, func() {})
		ram, err := other.Add(memory.RAM, "ram", 0, 4<<20)
		if err != nil {
			t.Fatal(err)
		}
		ram.MarkDirtyRange(0, ram.Size)
		cfg := bare(t, "1:\tj 1b\n")
		cfg.CPUs, cfg.Memory, cfg.Budget = fillHarts, 64<<20, b
		cfg.MakeRoom = func() {
			if helps {
				ram.Zero()
			}
		}
		again, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := again.Restore(bytes.NewReader(saved.Bytes())); (err == nil) != helps {
			t.Errorf("room is made: %v, restore: %v", helps, err)
		}
		again.Close()
		other.Close()
		if b.Used() != 0 {
			t.Errorf("%d bytes count in the end", b.Used())
		}
	}
}
