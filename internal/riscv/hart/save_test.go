package hart

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"testing"

	"doppel/internal/riscv"
	"doppel/internal/state"
)

func save(h *Hart) []byte {
	var e state.Encoder
	h.Save(&e)
	return e.Data()
}

func restore(h *Hart, b []byte) error {
	d := state.NewDecoder(b)
	if err := h.Restore(d, 1); err != nil {
		return err
	}
	return d.Done()
}

// scramble fills all state with what a guest could have brought about.
func (m *machine) scramble(t testing.TB, rng *rand.Rand) {
	for i := 1; i < 32; i++ {
		m.X[i], m.F[i] = rng.Uint64(), rng.Uint64()
	}
	m.PC = rng.Uint64() &^ 1
	m.Instret = rng.Uint64()
	m.FRM, m.FFlags = uint8(rng.IntN(8)), uint32(rng.IntN(32))
	m.ResValid, m.ResSize, m.ResAddr, m.ResValue = true, 8, ramBase, rng.Uint64()
	m.Halted = rng.IntN(2) == 0
	top := m.Priv
	for n := range 4096 {
		c := riscv.CSR(n)
		if c == riscv.CSRPmpcfg0 || c == riscv.CSRPmpcfg2 {
			continue // would lock pmpaddr
		}
		m.WriteCSR(uint16(n), rng.Uint64())
	}
	if top == M {
		m.write(t, riscv.CSRPmpcfg0, rng.Uint64())
		m.write(t, riscv.CSRPmpcfg2, rng.Uint64())
	}
	m.CSR.Satp = legalSatp(m.CSR.Satp, uint64(8+rng.IntN(3))<<60|rng.Uint64()>>4)
	for _, line := range []uint{3, 7, 9, 11, 1} {
		m.SetInterrupt(line, rng.IntN(2) == 0)
	}
	m.Priv = []Priv{U, S, top}[rng.IntN(3)]
}

// TestSaveRestore: a restored hart has the same state, saves the same bytes,
// and has told its engine to forget.
func TestSaveRestore(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 0))
		supervisor := seed&1 != 0
		m, n := newMachine(t, supervisor), newMachine(t, supervisor)
		m.scramble(t, rng)
		n.scramble(t, rng) // what was there before must not show through
		n.rec.tlb, n.rec.code = nil, 0
		saved := save(m.Hart)
		if err := restore(n.Hart, saved); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if !reflect.DeepEqual(m.State, n.State) {
			t.Fatalf("seed %d: state differs:\n%+v\n%+v", seed, m.State, n.State)
		}
		if again := save(n.Hart); !bytes.Equal(saved, again) {
			t.Fatalf("seed %d: saved again, the bytes differ", seed)
		}
		if !reflect.DeepEqual(m.pmp.entries[:m.pmp.n], n.pmp.entries[:n.pmp.n]) || m.pmp.open != n.pmp.open || m.pmuOn != n.pmuOn {
			t.Fatalf("seed %d: derived state differs", seed)
		}
		if n.rec.withdrawn() == 0 || n.rec.code == 0 || n.Attention.Load() == 0 {
			t.Fatalf("seed %d: the engine is not told", seed)
		}
		// Both go on in the same way.
		if ev1, ev2 := m.pollAll(), n.pollAll(); ev1.Interrupted != ev2.Interrupted || !reflect.DeepEqual(m.State, n.State) {
			t.Fatalf("seed %d: %+v and %+v:\n%+v\n%+v", seed, ev1, ev2, m.State, n.State)
		}
		m.mem.Close()
		n.mem.Close()
	}
}

func (m *machine) pollAll() Event {
	m.attend(attnTimer | attnInterrupt)
	return m.Poll()
}

// TestRestoreTimer: the timer runs on, whatever the clock says at the time.
func TestRestoreTimer(t *testing.T) {
	m, n := newMachine(t, true), newMachine(t, true)
	m.write(t, riscv.CSRSie, riscv.MipSTIP)
	m.write(t, riscv.CSRStimecmp, 1000)
	n.clk.now = 5 // the clock is restored after the hart
	if err := restore(n.Hart, save(m.Hart)); err != nil {
		t.Fatal(err)
	}
	n.clk.set(999 * nsPerTick)
	n.Poll()
	if n.Runnable() {
		t.Error("too early")
	}
	n.clk.set(1000 * nsPerTick)
	if n.Attention.Load() == 0 || !n.Runnable() {
		t.Error("the timer does not expire")
	}
}

func TestRestoreTruncated(t *testing.T) {
	m := newMachine(t, false)
	saved := save(m.Hart)
	for n := range saved {
		if err := restore(m.Hart, saved[:n]); err == nil {
			t.Fatalf("%d of %d bytes are accepted", n, len(saved))
		}
	}
	if err := restore(m.Hart, append(saved, 0)); err == nil {
		t.Error("a byte too many is accepted")
	}
}

// FuzzRestore: whatever is accepted is a state that the registers can hold.
func FuzzRestore(f *testing.F) {
	m := newMachine(f, false)
	s := newMachine(f, true)
	f.Add(save(m.Hart), false)
	f.Add(save(s.Hart), true)
	f.Fuzz(func(t *testing.T, b []byte, supervisor bool) {
		h := m
		if supervisor {
			h = s
		}
		if restore(h.Hart, b) != nil {
			return
		}
		checkLegal(t, h)
		saved := save(h.Hart)
		if err := restore(h.Hart, saved); err != nil {
			t.Fatalf("refuses its own: %v", err)
		}
		if !bytes.Equal(saved, save(h.Hart)) {
			t.Fatal("saved again, the bytes differ")
		}
		h.Poll()
		for _, acc := range []Access{Load, Store, Fetch} {
			h.Translate(h.PC, 2, acc)
		}
		checkLegal(t, h)
	})
}

// TestRestoreBits flips each bit of a saved hart.
func TestRestoreBits(t *testing.T) {
	for _, supervisor := range []bool{false, true} {
		m := newMachine(t, supervisor)
		m.scramble(t, rand.New(rand.NewPCG(9, 9)))
		saved := save(m.Hart)
		for i := range len(saved) * 8 {
			b := bytes.Clone(saved)
			b[i/8] ^= 1 << (i % 8)
			if restore(m.Hart, b) == nil {
				checkLegal(t, m)
				m.Poll()
			}
		}
	}
}

func checkLegal(t *testing.T, m *machine) {
	t.Helper()
	if err := m.State.check(m.Supervisor()); err != nil {
		t.Fatal(err)
	}
	c := m.CSR
	c.legalize()
	if m.Supervisor() {
		c.supervise()
	}
	if c != m.CSR {
		t.Fatalf("registers are not legal:\n%+v\n%+v", m.CSR, c)
	}
}
