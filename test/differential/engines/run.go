package engines

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"doppel/internal/cpu"
	"doppel/internal/cpu/cputest"
	"doppel/internal/cpu/interp"
	"doppel/internal/cpu/jit"
	"doppel/internal/entropy"
	"doppel/internal/memory"
	"doppel/internal/riscv"
	"doppel/internal/riscv/hart"
	"doppel/internal/state"
)

// machine is memory and one hart, whose engine may change.
type machine struct {
	engines []cputest.Engine
	cur     int
	ram     *memory.Region
	space   *memory.Space
}

// newMachine makes one that has the engines in turn.
func newMachine(tb testing.TB, makers ...cputest.New) *machine {
	tb.Helper()
	m := &machine{space: &memory.Space{}}
	var err error
	if m.ram, err = m.space.Add(memory.RAM, "ram", base, ramSize); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { m.space.Close() })
	for _, f := range makers {
		m.engines = append(m.engines, f(hart.Config{Memory: m.space, Clock: new(cputest.Still), Entropy: entropy.NewSeeded(1)}))
	}
	return m
}

func interpreter(c hart.Config) cputest.Engine { return interp.New(c) }

// translator makes one that the host is known to allow.
func translator(o jit.Options) cputest.New {
	return func(c hart.Config) cputest.Engine {
		v, err := jit.New(c, o)
		if err != nil {
			panic(err)
		}
		return v
	}
}

func (m *machine) cpu() cputest.Engine { return m.engines[m.cur] }

// load puts a world into the machine. What its engines have translated of
// other worlds stays, as far as it is the same.
func (m *machine) load(w *world) {
	copy(m.ram.Bytes(), w.ram)
	m.cur = 0
	c := m.cpu()
	c.Reset()
	for line := range uint(12) {
		c.SetInterrupt(line, false)
	}
	c.Hart().State = w.state
	c.Hart().Refresh()
	c.FlushTLB()
	c.Hart().RequestFlush(hart.Fence{Code: true})
}

// change goes on with the next engine.
func (m *machine) change() error {
	if len(m.engines) == 1 {
		return nil
	}
	var e state.Encoder
	m.cpu().Save(&e)
	m.cur = (m.cur + 1) % len(m.engines)
	d := state.NewDecoder(e.Data())
	if err := m.cpu().Restore(d, m.cpu().StateVersion()); err != nil {
		return err
	}
	return d.Done()
}

// stop is where and how a Run ended.
type stop struct {
	reason cpu.ExitReason
	mmio   cpu.MMIO
}

// run executes up to n instructions and serves the exit.
func (m *machine) run(n uint64) (stop, error) {
	c := m.cpu()
	e := c.Run(n)
	s := stop{reason: e.Reason}
	switch e.Reason {
	case cpu.ExitBudget:
	case cpu.ExitMMIO:
		s.mmio = e.MMIO
		a := uint64(e.MMIO.Addr)
		c.CompleteMMIO(a*0x9e37_79b9_7f4a_7c15, a>>3&1 == 0)
	case cpu.ExitHalt:
		c.Hart().Halted = false // as if something had happened
	default:
		return s, fmt.Errorf("exit %v: %v", e.Reason, e.Err)
	}
	return s, nil
}

// event is what happens between two Runs.
type event struct {
	budget uint64
	change bool // of engine, where there are two
	line   int  // of interrupts, toggled; -1 for none
	flush  bool // of all translations
	code   bool // a remote fence.i

	// Before which a device stores an instruction, if word is not 0.
	at   memory.GPA
	word uint32
}

// devices has some of the events replace instructions of the program.
func (p *program) devices(events []event) {
	for i := range events {
		if e := &events[i]; e.code && len(p.sites) > 0 {
			e.at, e.word = base+memory.GPA(p.codeOffset(p.sites[p.r.IntN(len(p.sites))])), p.replacement()
		}
	}
}

// schedule is a list of events that covers so many instructions.
func schedule(r *rand.Rand, total uint64) (all []event) {
	// Some run in few long parts, in which loops get hot, some in short ones.
	longest := 1 << (2 + r.IntN(18))
	if r.IntN(2) == 0 {
		longest = 1 << (9 + r.IntN(8))
	}
	for n := uint64(0); n < total; {
		e := event{budget: 1 + r.Uint64N(uint64(longest)), line: -1, change: r.IntN(8) == 0}
		if r.IntN(8) == 0 {
			e.budget = 1 + r.Uint64N(8)
		}
		switch r.IntN(64) {
		case 0, 1:
			e.line = 1 + 2*r.IntN(6)
		case 2:
			e.flush = true
		case 3:
			e.code = true
		}
		e.budget = min(e.budget, total-n)
		n += e.budget
		all = append(all, e)
	}
	return all
}

// stopError is a difference at a stop.
type stopError struct {
	stop int
	error
}

func stopOf(err error) int {
	var s stopError
	if errors.As(err, &s) {
		return s.stop
	}
	return 0
}

// follow applies the events to all machines, which the same program is in, and
// compares them with the first after each.
func follow(events []event, ms ...*machine) error {
	lines := uint64(0) // of interrupts
	for i, ev := range events {
		if ev.line >= 0 {
			lines ^= 1 << ev.line
		}
		for k, m := range ms {
			if ev.change {
				if err := m.change(); err != nil {
					return stopError{i, fmt.Errorf("stop %d: change of engine of machine %d: %w", i, k, err)}
				}
			}
			c := m.cpu()
			if ev.line >= 0 {
				c.SetInterrupt(uint(ev.line), lines>>ev.line&1 != 0)
			}
			if ev.flush {
				c.Hart().RequestFlush(hart.Fence{})
			}
			if ev.word != 0 {
				if err := m.space.WriteAt(binary.LittleEndian.AppendUint32(nil, ev.word), ev.at); err != nil {
					return stopError{i, err}
				}
			}
			if ev.code {
				c.Hart().RequestFlush(hart.Fence{Code: true})
			}
		}
		// Devices and WFI end a Run early: go on for a while.
		for range 32 {
			budget, err := step(ev.budget, ms)
			if err != nil {
				return stopError{i, fmt.Errorf("stop %d: %w", i, err)}
			}
			if budget {
				break
			}
		}
	}
	for _, m := range ms[1:] {
		if a, b := ms[0].ram.Bytes(), m.ram.Bytes(); !bytes.Equal(a, b) {
			for i := range a {
				if a[i] != b[i] {
					return fmt.Errorf("memory at %#x: %#x, translated %#x", base+i, a[i], b[i])
				}
			}
		}
	}
	return nil
}

// step runs all machines once, and compares how they stop. It tells whether
// they spent the budget.
func step(n uint64, ms []*machine) (budget bool, err error) {
	var first stop
	for k, m := range ms {
		h := m.cpu().Hart()
		at := h.PC
		s, err := m.run(n)
		if err != nil {
			return false, fmt.Errorf("%d instructions from pc %#x, machine %d: %w", n, at, k, err)
		}
		if k == 0 {
			first = s
			continue
		}
		if d := differ(ms[0].cpu().Hart(), h); d != "" || s != first {
			return false, fmt.Errorf("%d instructions from pc %#x: interpreter %+v, machine %d %+v\n%s", n, at, first, k, s, d)
		}
	}
	return first.reason == cpu.ExitBudget, nil
}

// differ lists the fields in which two harts differ; "" if in none.
func differ(a, b *hart.Hart) string {
	if a.State == b.State {
		return ""
	}
	var sb strings.Builder
	var walk func(name string, x, y reflect.Value)
	walk = func(name string, x, y reflect.Value) {
		switch x.Kind() {
		case reflect.Struct:
			for i := range x.NumField() {
				walk(name+" "+x.Type().Field(i).Name, x.Field(i), y.Field(i))
			}
		case reflect.Array:
			for i := range x.Len() {
				walk(fmt.Sprintf("%s[%d]", name, i), x.Index(i), y.Index(i))
			}
		default:
			if !x.Equal(y) {
				fmt.Fprintf(&sb, " %s: %#x, translated %#x\n", name, x.Interface(), y.Interface())
			}
		}
	}
	walk("", reflect.ValueOf(a.State), reflect.ValueOf(b.State))
	return sb.String()
}

// written finds a byte of the code in RAM that is not the program's and not of an
// instruction that may be replaced.
func (p *program) written(ram []byte) (va uint64, ok bool) {
	for off := range codePages * page {
		at := p.codeOffset(off)
		if ram[at] != p.ram[at] && !slices.ContainsFunc(p.sites, func(s int) bool { return off >= s && off < s+4 }) {
			return p.entry() + uint64(off), true
		}
	}
	return 0, false
}

// last lists the interpreter's steps of an event that went wrong, so that the
// report shows the code that matters.
func last(tb testing.TB, p *program, events []event, upTo int) string {
	m := newMachine(tb, interpreter)
	m.load(p.world)
	if follow(events[:upTo], m) != nil {
		return ""
	}
	const shown = 60
	var lines []string
	h := m.cpu().Hart()
	for n := uint64(0); n < min(events[upTo].budget, 1<<20); n++ {
		at := h.PC
		text := fmt.Sprintf("  %#x", at)
		if mp, _, ok := h.Translate(at, 2, hart.Fetch); ok && mp.GPA >= base && mp.GPA < base+ramSize-4 {
			raw := binary.LittleEndian.Uint32(m.ram.Bytes()[mp.GPA-base:])
			text += "  " + riscv.Decode(raw).Disassemble(at)
		}
		s, err := m.run(1)
		if err != nil || s.reason != cpu.ExitBudget {
			text += fmt.Sprintf("  %v %v", s.reason, err)
		}
		if lines = append(lines, text); len(lines) > 4*shown {
			lines = append(lines[:0], lines[len(lines)-shown:]...)
		}
	}
	return strings.Join(lines[max(0, len(lines)-shown):], "\n")
}
