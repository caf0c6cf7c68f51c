// Package bare runs programs of tests on an engine with memory and nothing
// else: no devices, no firmware. What lies outside RAM is the test's to answer.
//
// It lists the engines, so that a test that uses it covers them all. A Machine
// is used by one goroutine.
package bare

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"doppel/internal/clock"
	"doppel/internal/cpu"
	"doppel/internal/cpu/interp"
	"doppel/internal/cpu/jit"
	"doppel/internal/entropy"
	"doppel/internal/memory"
	"doppel/internal/riscv/hart"
	"doppel/internal/state"
)

// Engine is a way to run instructions.
type Engine struct {
	Name string
	new  func(hart.Config) (cpu.VCPU, *hart.Hart)
}

// Engines lists all there are.
var Engines = []Engine{
	{"interp", func(c hart.Config) (cpu.VCPU, *hart.Hart) { v := interp.New(c); return v, v.Hart() }},
}

func init() {
	if jit.Available() {
		// Code is translated the second time that it runs, and a loop made a
		// region soon, or never.
		Engines = append(Engines,
			JIT("jit", jit.Options{Threshold: 1, CodeBytes: 1 << 20, Samples: -1}),
			JIT("jit with regions", jit.Options{Threshold: 1, CodeBytes: 1 << 20, Samples: 2, Slice: 30}))
	}
}

// JIT is the translator with options of the test's own.
func JIT(name string, o jit.Options) Engine {
	return Engine{name, func(c hart.Config) (cpu.VCPU, *hart.Hart) {
		v, err := jit.New(c, o)
		if err != nil {
			panic(err) // a host that forbids executable memory
		}
		return v, v.Hart()
	}}
}

// Base is where RAM starts, and RAMSize how long it is unless a Config says so.
const (
	Base    = 0x8000_0000
	RAMSize = 16 << 20
)

// Config says how a machine differs from one hart in M-mode at Base.
type Config struct {
	RAMSize    uint64 // default RAMSize
	Supervisor bool   // the hart has no M-mode: see hart.Config
	ID         int
}

// Machine is one hart and its memory.
type Machine struct {
	VCPU cpu.VCPU
	Hart *hart.Hart
	Mem  *memory.Space
	RAM  []byte // from Base

	// Move says that the machine moves to a new processor, by saving and
	// restoring its state, after each step of Run.
	Move bool

	fresh func() (cpu.VCPU, *hart.Hart)

	// MMIO answers accesses outside RAM. Nil, or ok false, is an access fault.
	MMIO func(cpu.MMIO) (v uint64, ok bool)
}

// New makes a machine that goes when the test ends.
func New(tb testing.TB, e Engine, cfg Config) *Machine {
	tb.Helper()
	return NewHarts(tb, e, cfg, 1)[0]
}

// NewHarts makes machines that share their memory, with IDs from cfg.ID on.
// Each may run on a goroutine of its own.
func NewHarts(tb testing.TB, e Engine, cfg Config, n int) []*Machine {
	tb.Helper()
	if cfg.RAMSize == 0 {
		cfg.RAMSize = RAMSize
	}
	mem := &memory.Space{}
	r, err := mem.Add(memory.RAM, "ram", Base, cfg.RAMSize)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := mem.Close(); err != nil {
			tb.Error(err)
		}
	})
	now := clock.NewHost()
	now.Resume()
	var ms []*Machine
	for id := cfg.ID; id < cfg.ID+n; id++ {
		m := &Machine{Mem: mem, RAM: r.Bytes()}
		m.fresh = func() (cpu.VCPU, *hart.Hart) {
			return e.new(hart.Config{ID: id, Memory: mem, Clock: now, Entropy: entropy.NewSeeded(1), Supervisor: cfg.Supervisor})
		}
		m.VCPU, m.Hart = m.fresh()
		ms = append(ms, m)
	}
	return ms
}

// move saves the processor and goes on with a new one of the same state.
func (m *Machine) move() error {
	var e, again state.Encoder
	m.VCPU.Save(&e)
	v, h := m.fresh()
	d := state.NewDecoder(e.Data())
	if err := v.Restore(d, m.VCPU.StateVersion()); err != nil {
		return err
	}
	if err := d.Done(); err != nil {
		return err
	}
	v.Save(&again)
	if !bytes.Equal(e.Data(), again.Data()) {
		return errors.New("a restored processor saves another state")
	}
	m.VCPU, m.Hart = v, h
	return nil
}

// Load copies a program to an address in RAM, before Start.
func (m *Machine) Load(addr uint64, code []byte) {
	copy(m.RAM[addr-Base:][:len(code)], code)
}

// Start puts the hart in its state at power-on, at an address. The engine
// forgets what it knew of the memory.
func (m *Machine) Start(pc uint64) {
	m.VCPU.Reset()
	m.Hart.PC = pc
}

// Run executes until done says so, asked before each batch of step
// instructions, or until an error, an exit that the machine does not serve, or
// limit instructions.
func (m *Machine) Run(limit, step uint64, done func() bool) error {
	for n := uint64(0); n < limit; n += step {
		if done != nil && done() {
			return nil
		}
		if m.Move && n > 0 {
			if err := m.move(); err != nil {
				return err
			}
		}
		switch x := m.VCPU.Run(step); x.Reason {
		case cpu.ExitBudget, cpu.ExitKicked:
		case cpu.ExitMMIO:
			v, ok := uint64(0), false
			if m.MMIO != nil {
				v, ok = m.MMIO(x.MMIO)
			}
			m.VCPU.CompleteMMIO(v, ok)
		case cpu.ExitError:
			return x.Err
		default:
			return fmt.Errorf("exit %v at pc %#x", x.Reason, m.Hart.PC)
		}
	}
	if done != nil && done() {
		return nil
	}
	return fmt.Errorf("%d instructions were not enough: pc %#x, mcause %#x, mepc %#x", limit, m.Hart.PC, m.Hart.CSR.Mcause, m.Hart.CSR.Mepc)
}
