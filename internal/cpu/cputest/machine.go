// Package cputest is the contract suite of RISC-V engines: Run checks that an
// engine obeys internal/cpu and executes what internal/riscv describes. Every
// engine's tests call it in one line; its own test runs it on a broken engine,
// to show that it can fail.
//
// It knows no engine, and looks at nothing but the contract, the hart and
// guest memory. Machine is for engines' own tests and benchmarks too.
package cputest

import (
	"encoding/binary"
	"time"

	"doppel/internal/clock"
	"doppel/internal/cpu"
	"doppel/internal/entropy"
	"doppel/internal/memory"
	"doppel/internal/riscv/asm"
	"doppel/internal/riscv/hart"
)

// Engine is a vCPU that runs a RISC-V hart.
type Engine interface {
	cpu.VCPU
	Hart() *hart.Hart
}

// New makes an engine.
type New func(hart.Config) Engine

// Base is where RAM starts, and what a Machine's program is assembled for.
const Base = 0x8000_0000

// Still is a clock whose time is what Ns says.
type Still struct{ Ns uint64 }

func (c *Still) Now() uint64                 { return c.Ns }
func (c *Still) Wall() time.Time             { return time.Unix(0, int64(c.Ns)) }
func (c *Still) NewTimer(func()) clock.Timer { return noTimer{} }

type noTimer struct{}

func (noTimer) Arm(uint64) {}
func (noTimer) Stop()      {}

// Machine is memory and harts, without devices.
type Machine struct {
	T     TB
	Mem   *memory.Space
	RAM   *memory.Region
	CPUs  []Engine
	Clock *Still
	Prog  *asm.Program

	tables uint64 // pages at the end of RAM that hold page tables
}

// Options say what NewMachine makes; the zero value is one hart in M-mode.
type Options struct {
	Harts      int
	Supervisor bool
	RAM        uint64 // bytes; 16 MiB if 0
}

// NewMachine assembles src for Base, loads it, and points every hart at its
// start with its number in a0. The test's end frees the memory.
func NewMachine(t TB, newEngine New, src string, o Options) *Machine {
	t.Helper()
	if o.RAM == 0 {
		o.RAM = 16 << 20
	}
	m := &Machine{T: t, Mem: new(memory.Space), Clock: new(Still)}
	ram, err := m.Mem.Add(memory.RAM, "ram", Base, o.RAM)
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() { m.Mem.Close() })
	m.RAM = ram
	m.Prog, err = asm.Assemble(src, asm.Options{Origin: Base})
	if err != nil {
		t.Fatalf("%v\n%s", err, src)
	}
	copy(ram.Bytes(), m.Prog.Code)
	for i := range max(o.Harts, 1) {
		c := newEngine(hart.Config{ID: i, Memory: m.Mem, Clock: m.Clock, Entropy: entropy.NewSeeded(1), Supervisor: o.Supervisor, Watched: true})
		c.Hart().PC = Base
		c.Hart().X[10] = uint64(i)
		m.CPUs = append(m.CPUs, c)
	}
	return m
}

// Hart is the first one.
func (m *Machine) Hart() *hart.Hart { return m.CPUs[0].Hart() }

// Sym is the address of a label.
func (m *Machine) Sym(name string) uint64 {
	v, ok := m.Prog.Symbols[name]
	if !ok {
		m.T.Fatalf("no label %s", name)
	}
	return v
}

// U64 reads RAM.
func (m *Machine) U64(addr uint64) uint64 {
	return binary.LittleEndian.Uint64(m.RAM.Bytes()[addr-Base:])
}

// SetU64 writes RAM, as a device would.
func (m *Machine) SetU64(addr, v uint64) {
	binary.LittleEndian.PutUint64(m.RAM.Bytes()[addr-Base:], v)
	m.RAM.MarkDirtyRange(addr-Base, 8)
}
