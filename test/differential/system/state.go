package system

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"doppel/internal/cpu"
	"doppel/internal/riscv"
	"doppel/internal/riscv/asm"
	"doppel/internal/riscv/hart"
	"doppel/test/bare"
)

// state is what a program ends with.
type state struct {
	x      [32]uint64
	pc     uint64
	priv   riscv.Privilege
	csr    [len(compared)]uint64
	memory []byte // from watchedAt
}

// compared lists the CSRs, and the bits of each that are not.
var compared = [...]struct {
	csr    riscv.CSR
	ignore uint64
}{
	{csr: riscv.CSRFcsr},
	{csr: riscv.CSRMstatus},
	{csr: riscv.CSRMedeleg},
	{csr: riscv.CSRMideleg},
	{csr: riscv.CSRMie},
	// What devices pend is not compared here; bit 2 is of the hypervisor extension, QEMU has it without.
	{csr: riscv.CSRMip, ignore: 1<<2 | 1<<3 | 1<<7 | 1<<11},
	{csr: riscv.CSRMtvec},
	{csr: riscv.CSRMcounteren},
	{csr: riscv.CSRMcountinhibit},
	{csr: riscv.CSRMscratch},
	{csr: riscv.CSRMepc, ignore: 1},
	{csr: riscv.CSRMcause},
	{csr: riscv.CSRMtval},
	{csr: riscv.CSRMenvcfg},
	{csr: riscv.CSRMstateen0},
	{csr: riscv.CSRStvec},
	{csr: riscv.CSRSscratch},
	{csr: riscv.CSRSepc, ignore: 1}, // priv §12.1.7: bit 0 is always zero; QEMU keeps it
	{csr: riscv.CSRScause},
	{csr: riscv.CSRStval},
	{csr: riscv.CSRSatp},
	{csr: riscv.CSRScounteren},
	{csr: riscv.CSRSenvcfg},
	{csr: riscv.CSRPmpcfg0},
	{csr: riscv.CSRPmpaddr0, ignore: 0x3ff << 54}, // priv §3.7.1: 54 bits; QEMU keeps 64
	{csr: riscv.CSRPmpaddr1, ignore: 0x3ff << 54},
	{csr: riscv.CSRPmpaddr2, ignore: 0x3ff << 54},
	{csr: riscv.CSRPmpaddr3, ignore: 0x3ff << 54},
}

// difference tells where two states differ; "" if nowhere.
func difference(want, got *state) string {
	var b strings.Builder
	line := func(name string, w, g uint64) {
		if w != g {
			fmt.Fprintf(&b, "  %-12s QEMU %#018x  engine %#018x\n", name, w, g)
		}
	}
	for n := range 32 {
		line(riscv.XName(uint8(n)), want.x[n], got.x[n])
	}
	line("pc", want.pc, got.pc)
	line("privilege", uint64(want.priv), uint64(got.priv))
	for i, c := range compared {
		line(c.csr.String(), want.csr[i], got.csr[i])
	}
	if !bytes.Equal(want.memory, got.memory) {
		for i := 0; i < len(want.memory); i += 8 {
			line(fmt.Sprintf("%#x", watchedAt+i), binary.LittleEndian.Uint64(want.memory[i:]), binary.LittleEndian.Uint64(got.memory[i:]))
		}
	}
	return b.String()
}

// stopAt is an address where nothing is, and stopCode a store to it.
const stopAt = 0x100

var stopCode = asm.MustAssemble(fmt.Sprintf("sw zero, %d(zero)", stopAt), asm.Options{}).Code

// engine is a machine of ours.
type engine struct {
	*bare.Machine
	name string
}

func newEngine(t *testing.T, e bare.Engine) *engine {
	return &engine{Machine: bare.New(t, e, bare.Config{RAMSize: ramSize}), name: e.Name}
}

// execute runs a program, an instruction at a time, and returns the state that
// it ends in.
func (e *engine) execute(p *program) (*state, error) {
	e.load(p)
	e.MMIO = nil
	if err := e.Run(2000, 1, func() bool { return stops[e.Hart.PC] }); err != nil {
		return nil, err
	}
	return e.state()
}

// executeWhole does the same in one go, so that instructions run as an engine
// likes to run them. Only a program that ends in M-mode can be stopped so: the
// first instruction of the trap handler stores where nothing is.
func (e *engine) executeWhole(p *program) (s *state, err error) {
	e.load(p)
	e.MMIO = func(a cpu.MMIO) (uint64, bool) {
		if a.Addr == stopAt && s == nil {
			s, err = e.state()
		}
		return 0, false
	}
	if rerr := e.Run(64<<16, 1<<16, func() bool { return s != nil || err != nil }); rerr != nil {
		return nil, rerr
	}
	return s, err
}

func (e *engine) load(p *program) {
	for _, piece := range p.memory() {
		e.Load(piece.addr, piece.data)
	}
	e.Load(codeAt, p.code())
	for pc := range stops {
		e.Load(pc, stopCode)
	}
	e.Start(setupAt)
}

// state is the state that the hart is in.
func (e *engine) state() (*state, error) {
	h := e.Hart
	priv, status := h.Priv, h.CSR.Mstatus
	defer func() { h.Priv, h.CSR.Mstatus = priv, status }()
	s := &state{x: h.X, pc: h.PC, priv: riscv.Privilege(priv)}
	h.Priv = hart.M // to read all CSRs, floating point too
	for i, c := range compared {
		h.CSR.Mstatus = status | riscv.MstatusFS
		if c.csr == riscv.CSRMstatus {
			h.CSR.Mstatus = status
		}
		v, ok := h.ReadCSR(uint16(c.csr))
		if !ok {
			return nil, fmt.Errorf("there is no %v", c.csr)
		}
		s.csr[i] = v &^ c.ignore
	}
	s.memory = bytes.Clone(e.RAM[watchedAt-bare.Base:][:watchedSize])
	return s, nil
}
