package sbi

import (
	"bytes"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"doppel/internal/clock"
	"doppel/internal/entropy"
	"doppel/internal/memory"
	"doppel/internal/riscv"
	"doppel/internal/riscv/hart"
	"doppel/internal/state"
)

// TestStartStop walks a hart through its life (sbi §9.1 to §9.3).
func TestStartStop(t *testing.T) {
	f := newFake(t, 2)
	h := f.harts[1]
	if !f.Enter(0) || f.Enter(1) {
		t.Fatal("at reset hart 0 alone runs")
	}
	h.Instret = 55
	f.harts[1].CSR.Satp = 8 << 60
	if err, _, _ := f.call(0, extHSM, 0, 1, ramBase+0x40, 0xabc); err != Success || !slices.Equal(f.woken, []int{1}) {
		t.Fatalf("start: %v, woken %v", err, f.woken)
	}
	if f.Status(1) != StartPending {
		t.Errorf("status %v", f.Status(1))
	}
	if err, _, _ := f.call(0, extHSM, 0, 1, ramBase, 0); err != ErrAlreadyAvailable {
		t.Errorf("second start: %v", err)
	}
	if !f.Enter(1) || f.Status(1) != Started {
		t.Fatalf("status %v", f.Status(1))
	}
	if h.PC != ramBase+0x40 || h.X[10] != 1 || h.X[11] != 0xabc || h.CSR.Satp != 0 ||
		h.CSR.Mstatus&riscv.MstatusSIE != 0 || h.Priv != hart.S || h.Instret != 55 {
		t.Errorf("starts with %+v", h.State)
	}
	if !f.Enter(1) || h.PC != ramBase+0x40 {
		t.Error("starts twice")
	}
	if _, _, act := f.call(1, extHSM, 1); act != Halt || f.Status(1) != Stopped || f.Enter(1) {
		t.Errorf("stop: %v, status %v", act, f.Status(1))
	}
	f.SBI.Reset()
	if f.Status(0) != Started || f.Status(1) != Stopped {
		t.Error("reset")
	}
}

// TestSuspend: sbi §9.4.
func TestSuspend(t *testing.T) {
	for _, c := range []struct {
		kind   uint64
		pc     uint64
		a0, a1 uint64
		satp   uint64
	}{
		{retentive, ramBase + 4, uint64(Success), 0, 8 << 60},
		{nonRetentive, ramBase + 0x80, 0, 0x77, 0},
		{nonRetentive | 1<<32, ramBase + 0x80, 0, 0x77, 0}, // a 32-bit parameter
	} {
		f := newFake(t, 2)
		h := f.harts[0]
		h.PC = ramBase
		h.CSR.Satp = 8 << 60
		h.CSR.Mie = riscv.MipSEIP
		h.CSR.Mstatus |= riscv.MstatusSIE
		if _, _, act := f.call(0, extHSM, 3, c.kind, ramBase+0x80, 0x77); act != Halt {
			t.Fatalf("%#x: %v", c.kind, act)
		}
		if f.Status(0) != Suspended || f.Enter(0) {
			t.Fatalf("%#x: status %v", c.kind, f.Status(0))
		}
		if err, _, _ := f.call(1, extHSM, 0, 0, ramBase, 0); err != ErrAlreadyAvailable {
			t.Errorf("%#x: start of a suspended hart: %v", c.kind, err)
		}
		h.SetInterrupt(1, true) // not enabled
		h.Kick()
		if f.Enter(0) {
			t.Fatalf("%#x: resumes without an enabled interrupt", c.kind)
		}
		h.SetInterrupt(9, true)
		if !f.Enter(0) || f.Status(0) != Started {
			t.Fatalf("%#x: does not resume", c.kind)
		}
		if h.PC != c.pc || h.X[10] != c.a0 || h.X[11] != c.a1 || h.CSR.Satp != c.satp {
			t.Errorf("%#x: pc %#x, a0 %#x, a1 %#x, satp %#x", c.kind, h.PC, h.X[10], h.X[11], h.CSR.Satp)
		}
		if sie := h.CSR.Mstatus&riscv.MstatusSIE != 0; sie != (c.kind == retentive) {
			t.Errorf("%#x: SIE is %v", c.kind, sie)
		}
	}
}

// wakers is a platform of goroutines that sleep on a channel each.
type wakers []chan struct{}

func (w wakers) notify(id int) {
	select {
	case w[id] <- struct{}{}:
	default:
	}
}
func (w wakers) Wake(id int)                  { w.notify(id) }
func (w wakers) Reset(ResetType, ResetReason) {}
func (w wakers) WriteConsole(p []byte) int    { return len(p) }
func (w wakers) ReadConsole([]byte) int       { return 0 }

// TestHartsRace: hart 0 starts the others again and again; these send fences
// and IPIs to all and stop.
func TestHartsRace(t *testing.T) {
	const n, rounds = 4, 100
	mem := &memory.Space{}
	if _, err := mem.Add(memory.RAM, "ram", ramBase, ramSize); err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	w := make(wakers, n)
	harts := make([]*hart.Hart, n)
	clk := clock.NewHost()
	for i := range harts {
		w[i] = make(chan struct{}, 1)
		harts[i] = hart.New(hart.Config{ID: i, Memory: mem, Clock: clk, Entropy: entropy.NewSeeded(1), Supervisor: true}, nil)
		harts[i].OnWake(func() { w.notify(i) })
	}
	s := New(harts, w)
	var starts [n]int
	var done atomic.Bool
	var end sync.WaitGroup
	call := func(id int, ext, fn uint64, args ...uint64) Error {
		h := harts[id]
		h.X[17], h.X[16] = ext, fn
		copy(h.X[10:16], append(args, 0, 0, 0, 0, 0, 0))
		s.Call(h)
		return Error(h.X[10])
	}
	for id := 1; id < n; id++ {
		end.Add(1)
		go func() {
			defer end.Done()
			for !done.Load() {
				if !s.Enter(id) {
					<-w[id]
					continue
				}
				h := harts[id]
				h.Enter()
				h.Poll()
				h.Leave()
				if h.X[11] != uint64(starts[id]) || h.PC != ramBase {
					t.Errorf("hart %d starts with %d at %#x, want %d", id, h.X[11], h.PC, starts[id])
				}
				starts[id]++
				call(id, extRFENCE, 1, 0, none)
				call(id, extIPI, 0, 0, none)
				call(id, extHSM, 1)
			}
		}()
	}
	var next [n]uint64
	for range rounds {
		for id := 1; id < n; id++ {
			if call(0, extHSM, 0, uint64(id), ramBase, next[id]) == Success {
				next[id]++
			}
			harts[0].Enter()
			harts[0].Poll()
			harts[0].Leave()
		}
	}
	for id := 1; id < n; id++ { // wait for the last ones to stop
		for s.Status(id) != Stopped {
			harts[0].Poll()
		}
	}
	done.Store(true)
	for id := 1; id < n; id++ {
		w.notify(id)
	}
	end.Wait()
	for id := 1; id < n; id++ {
		if starts[id] != int(next[id]) || starts[id] == 0 {
			t.Errorf("hart %d has started %d times, want %d", id, starts[id], next[id])
		}
	}
}

func saved(s *SBI) []byte {
	var e state.Encoder
	s.Save(&e)
	return e.Data()
}

func restored(s *SBI, b []byte) error {
	d := state.NewDecoder(b)
	if err := s.Restore(d, s.StateVersion()); err != nil {
		return err
	}
	return d.Done()
}

func TestSaveRestore(t *testing.T) {
	f, g := newFake(t, 4), newFake(t, 4)
	f.call(0, extHSM, 0, 1, ramBase+0x10, 7)                   // starting
	f.call(0, extHSM, 3, nonRetentive, ramBase+0x20, 8)        // suspended
	f.call(0, extFWFT, 0, featureMisalignedDeleg, 1, flagLock) // locked
	f.call(2, extFWFT, 0, featureADUpdating, 1, flagLock)      // locked
	g.call(0, extFWFT, 0, featureADUpdating, 1, flagLock)      // must go
	b := saved(f.SBI)
	if err := restored(g.SBI, b); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(saved(g.SBI), b) {
		t.Error("saved again, the bytes differ")
	}
	if g.Status(0) != Suspended || g.Status(1) != StartPending || g.Status(2) != Stopped {
		t.Errorf("status %v, %v, %v", g.Status(0), g.Status(1), g.Status(2))
	}
	if !g.Enter(1) || g.harts[1].PC != ramBase+0x10 || g.harts[1].X[11] != 7 {
		t.Errorf("hart 1 starts at %#x", g.harts[1].PC)
	}
	g.harts[0].CSR.Mie = riscv.MipSSIP
	g.harts[0].SetInterrupt(1, true)
	if !g.Enter(0) || g.harts[0].PC != ramBase+0x20 {
		t.Errorf("hart 0 resumes at %#x", g.harts[0].PC)
	}
	if err := restored(newFake(t, 3).SBI, b); err == nil {
		t.Error("state of another number of harts is accepted")
	}
	for n := range b {
		if restored(g.SBI, b[:n]) == nil {
			t.Errorf("%d of %d bytes are accepted", n, len(b))
		}
	}
}

func FuzzRestore(f *testing.F) {
	m := newFake(f, 2)
	f.Add(saved(m.SBI))
	f.Fuzz(func(t *testing.T, b []byte) {
		if restored(m.SBI, b) != nil {
			return
		}
		again := saved(m.SBI)
		if err := restored(m.SBI, again); err != nil || !bytes.Equal(again, saved(m.SBI)) {
			t.Fatalf("saved again: %v", err)
		}
		for id := range m.harts {
			m.Enter(id)
			if err := m.harts[id].PC & 1; err != 0 {
				t.Fatal("odd pc")
			}
		}
	})
}

// FuzzCall makes calls with any registers: no panic, nothing outside memory,
// bounded output.
func FuzzCall(f *testing.F) {
	exts := []uint64{extBase, extTIME, extIPI, extRFENCE, extHSM, extSRST, extPMU, extDBCN, extFWFT, none,
		0, 1, 2, 3, 4, 5, 6, 7, 8}
	for i := range exts {
		f.Add(uint8(i), uint64(0), uint64(1), uint64(ramBase), uint64(0), uint64(0), uint64(0))
		f.Add(uint8(i), uint64(2), uint64(3), none, uint64(1), uint64(2), uint64(3))
	}
	m := newFake(f, 3)
	f.Fuzz(func(t *testing.T, ext uint8, fn, a0, a1, a2, a3, a4 uint64) {
		m.out, m.room, m.in, m.woken, m.resets = nil, 1<<20, []byte("typed"), nil, nil
		h := m.harts[0]
		h.PC = ramBase
		h.X = [32]uint64{10: a0, 11: a1, 12: a2, 13: a3, 14: a4, 16: fn, 17: exts[int(ext)%len(exts)]}
		switch m.Call(h) {
		case Continue:
			if h.PC != ramBase+4 && h.PC != h.CSR.Stvec&^3 {
				t.Fatalf("pc %#x", h.PC)
			}
		case Halt:
			m.SBI.Reset()
		case Stop:
			if len(m.resets) != 1 {
				t.Fatalf("%d resets", len(m.resets))
			}
		case Retry:
			t.Fatal("waits with room in the console")
		}
		if len(m.out) > maxConsole {
			t.Fatalf("%d bytes of output", len(m.out))
		}
	})
}
