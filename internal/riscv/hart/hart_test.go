package hart

import (
	"testing"
	"time"

	"doppel/internal/clock"
	"doppel/internal/entropy"
	"doppel/internal/memory"
	"doppel/internal/riscv"
)

const ramBase = 0x8000_0000

// fakeClock is a clock that tests set.
type fakeClock struct {
	now    uint64
	timers []*fakeTimer
}

type fakeTimer struct {
	clock    *fakeClock
	fn       func()
	deadline uint64
	armed    bool
}

func (c *fakeClock) Now() uint64     { return c.now }
func (c *fakeClock) Wall() time.Time { return time.Unix(0, 0) }
func (c *fakeClock) NewTimer(fn func()) clock.Timer {
	t := &fakeTimer{clock: c, fn: fn}
	c.timers = append(c.timers, t)
	return t
}
func (t *fakeTimer) Arm(d uint64) { t.deadline, t.armed = d, true }
func (t *fakeTimer) Stop()        { t.armed = false }

func (c *fakeClock) set(now uint64) {
	c.now = now
	for _, t := range c.timers {
		if t.armed && now >= t.deadline {
			t.armed = false
			t.fn()
		}
	}
}

// recorder is an engine that notes what it is told.
type recorder struct {
	tlb  []Fence
	code int
}

func (r *recorder) FlushTLB(f Fence) { r.tlb = append(r.tlb, f) }
func (r *recorder) FlushCode()       { r.code++ }

// withdrawn counts the flushes that are not mere changes of context.
func (r *recorder) withdrawn() (n int) {
	for _, f := range r.tlb {
		if !f.Context {
			n++
		}
	}
	return n
}

type machine struct {
	*Hart
	rec *recorder
	clk *fakeClock
	mem *memory.Space
}

const ramSize = 1 << 20

func newMachine(t testing.TB, supervisor bool) *machine {
	t.Helper()
	mem := &memory.Space{}
	if _, err := mem.Add(memory.RAM, "ram", ramBase, ramSize); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := mem.Close(); err != nil {
			t.Error(err)
		}
	})
	m := &machine{rec: &recorder{}, clk: &fakeClock{}, mem: mem}
	m.Hart = New(Config{ID: 3, Memory: mem, Clock: m.clk, Entropy: entropy.NewSeeded(1), Supervisor: supervisor}, m.rec)
	m.rec.tlb, m.rec.code = nil, 0
	return m
}

func (m *machine) write(t testing.TB, c riscv.CSR, v uint64) {
	t.Helper()
	if !m.WriteCSR(uint16(c), v) {
		t.Fatalf("write of %v in %v-mode is illegal", c, m.Priv)
	}
}

func (m *machine) read(t testing.TB, c riscv.CSR) uint64 {
	t.Helper()
	v, ok := m.ReadCSR(uint16(c))
	if !ok {
		t.Fatalf("read of %v in %v-mode is illegal", c, m.Priv)
	}
	return v
}

func (m *machine) store(t testing.TB, gpa, v uint64) {
	t.Helper()
	var b [8]byte
	for i := range b {
		b[i] = byte(v >> (8 * i))
	}
	if err := m.mem.WriteAt(b[:], memory.GPA(gpa)); err != nil {
		t.Fatal(err)
	}
}

func (m *machine) load(t testing.TB, gpa uint64) uint64 {
	t.Helper()
	v, err := m.mem.LoadU64(memory.GPA(gpa))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func BenchmarkTranslate(b *testing.B) {
	for _, mode := range []uint64{riscv.SatpSv39, riscv.SatpSv57} {
		b.Run(map[uint64]string{riscv.SatpSv39: "Sv39", riscv.SatpSv57: "Sv57"}[mode], func(b *testing.B) {
			m := newMachine(b, true)
			levels := int(mode) - 5
			for i := range levels {
				pte := uint64(ramBase+0x1000*(i+1))>>12<<10 | riscv.PTEV
				if i == levels-1 {
					pte |= riscv.PTER | riscv.PTEW | riscv.PTEA | riscv.PTED
				}
				m.store(b, uint64(ramBase+0x1000*i), pte)
			}
			m.write(b, riscv.CSRSatp, mode<<60|ramBase>>12)
			for b.Loop() {
				if _, c, ok := m.Translate(8, 8, Load); !ok {
					b.Fatal(c)
				}
			}
		})
	}
}

func BenchmarkAccessCSR(b *testing.B) {
	m := newMachine(b, true)
	for _, c := range []riscv.CSR{riscv.CSRSscratch, riscv.CSRSepc, riscv.CSRSstatus, riscv.CSRScause, riscv.CSRSatp, riscv.CSRTime} {
		b.Run(c.String(), func(b *testing.B) {
			for b.Loop() {
				m.AccessCSR(uint16(c), CSRSet, 0, false, true)
			}
		})
	}
	b.Run("sstatus.SIE", func(b *testing.B) {
		for b.Loop() {
			m.AccessCSR(uint16(riscv.CSRSstatus), CSRSet, 2, true, true)
			m.AccessCSR(uint16(riscv.CSRSstatus), CSRClear, 2, true, true)
		}
	})
}

func BenchmarkPoll(b *testing.B) {
	m := newMachine(b, true)
	for b.Loop() {
		m.attend(attnInterrupt)
		m.Poll()
	}
}
