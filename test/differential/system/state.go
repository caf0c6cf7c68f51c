package system

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"doppel/internal/riscv"
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

// engine is a machine of ours.
type engine struct {
	*bare.Machine
	name string
}

func newEngine(t *testing.T, e bare.Engine) *engine {
	return &engine{Machine: bare.New(t, e, bare.Config{RAMSize: ramSize}), name: e.Name}
}

// execute runs a program and returns the state that it ends in.
func (e *engine) execute(p *program) (*state, error) {
	for _, piece := range p.memory() {
		e.Load(piece.addr, piece.data)
	}
	e.Load(codeAt, p.code())
	e.Start(setupAt)
	if err := e.Run(2000, 1, func() bool { return stops[e.Hart.PC] }); err != nil {
		return nil, err
	}
	h := e.Hart
	s := &state{x: h.X, pc: h.PC, priv: riscv.Privilege(h.Priv)}
	h.Priv = hart.M // to read all CSRs, floating point too
	fs := h.CSR.Mstatus & riscv.MstatusFS
	for i, c := range compared {
		h.CSR.Mstatus |= riscv.MstatusFS
		if c.csr == riscv.CSRMstatus {
			h.CSR.Mstatus = h.CSR.Mstatus&^riscv.MstatusFS | fs
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
