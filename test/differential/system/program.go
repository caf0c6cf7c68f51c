package system

import (
	_ "embed"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"doppel/internal/riscv"
	"doppel/internal/riscv/asm"
	"doppel/test/bare"
)

// Where things are in RAM.
const (
	setupAt = bare.Base
	mtvecAt = bare.Base + 0x1000
	stvecAt = bare.Base + 0x1400
	codeAt  = bare.Base + 0x2000
	tableAt = bare.Base + 0x3000
	// Page tables, root first, and the pages that programs load from and store
	// to: what is compared.
	watchedAt   = bare.Base + 0x1_0000
	tablePages  = 5
	dataPages   = 4
	dataAt      = watchedAt + tablePages*page
	watchedSize = 64 << 10 // all that a range of Svnapot can lead to
	page        = 0x1000
	nowhere     = 0x9000_0000 // no memory, no device
)

// given lists the CSRs that a program starts with, in the order of the table.
// mstatus comes last: its MPP decides the mode.
var given = [...]riscv.CSR{
	riscv.CSRMtvec, riscv.CSRStvec, riscv.CSRMedeleg, riscv.CSRMideleg, riscv.CSRMcounteren, riscv.CSRScounteren,
	riscv.CSRMscratch, riscv.CSRSscratch, riscv.CSRMepc, riscv.CSRSepc, riscv.CSRMcause, riscv.CSRScause,
	riscv.CSRMtval, riscv.CSRStval, riscv.CSRMcountinhibit, riscv.CSRMenvcfg, riscv.CSRSenvcfg, riscv.CSRMstateen0,
	riscv.CSRStimecmp, riscv.CSRPmpaddr0, riscv.CSRPmpaddr1, riscv.CSRPmpaddr2, riscv.CSRPmpaddr3, riscv.CSRPmpcfg0,
	riscv.CSRSatp, riscv.CSRMip, riscv.CSRMie,
	riscv.CSRMseccfg, riscv.CSRMhpmevent5, riscv.CSRPmpaddr15, riscv.CSRSstateen0, riscv.CSRMstateen1, // always 0
}

const (
	fcsrSlot    = len(given)
	mstatusSlot = fcsrSlot + 1
	xSlot       = mstatusSlot + 1
	slots       = xSlot + 32
)

// program is a start state, memory and a few instructions that end with ebreak.
type program struct {
	table   [slots]uint64
	watched []byte // tables and data
	units   [][]uint32
}

// stops are where a program ends: the trap vectors.
var stops = func() map[uint64]bool {
	m := map[uint64]bool{}
	for _, base := range []uint64{mtvecAt, stvecAt} {
		for _, n := range []uint64{0, 1, 3, 5, 7, 9, 11, 13} {
			m[base+4*n] = true
		}
	}
	return m
}()

//go:embed setup.asm
var setupText string

var setup = func() []byte {
	var csrs strings.Builder
	for i, c := range given {
		fmt.Fprintf(&csrs, "\tld t5, %d(t6)\n\tcsrw %v, t5\n", 8*i, c)
	}
	return asm.MustAssemble(strings.Replace(setupText, "\nCSRS\n", "\n"+csrs.String(), 1), asm.Options{Origin: setupAt,
		Symbols: map[string]uint64{"TABLE": tableAt, "FCSR": 8 * uint64(fcsrSlot), "MSTATUS": 8 * uint64(mstatusSlot), "X": 8 * uint64(xSlot)}}).Code
}()

// piece is memory that a program wants.
type piece struct {
	addr uint64
	data []byte
}

func (p *program) memory() []piece {
	table := make([]byte, 0, 8*slots)
	for _, v := range p.table {
		table = binary.LittleEndian.AppendUint64(table, v)
	}
	return []piece{{setupAt, setup}, {tableAt, table}, {watchedAt, p.watched}}
}

const ebreak = 0x0010_0073

func (p *program) code() (b []byte) {
	for _, u := range p.units {
		for _, raw := range u {
			b = binary.LittleEndian.AppendUint32(b, raw)
		}
	}
	return binary.LittleEndian.AppendUint32(b, ebreak)
}

// with returns the program with other units.
func (p *program) with(units [][]uint32) *program {
	q := *p
	q.units = units
	return &q
}

// vital are the CSRs without which a program does not start or end.
var vital = map[riscv.CSR]bool{riscv.CSRMtvec: true, riscv.CSRStvec: true, riscv.CSRMepc: true, riscv.CSRPmpcfg0: true}

// minimize takes units out, and then parts of the start state, while the
// difference stays.
func (p *program) minimize(differs func(*program) bool) *program {
	for i := len(p.units) - 1; i >= 0; i-- {
		if q := p.with(slices.Delete(slices.Clone(p.units), i, i+1)); differs(q) {
			p = q
		}
	}
	for i := range p.table {
		if p.table[i] == 0 || i < len(given) && vital[given[i]] {
			continue
		}
		q := *p
		q.table[i] = 0
		if differs(&q) {
			p = &q
		}
	}
	return p
}

// String lists the program and what it starts from.
func (p *program) String() string {
	var b strings.Builder
	show := func(name string, v uint64) {
		if v != 0 {
			fmt.Fprintf(&b, "  %-12s %#x\n", name, v)
		}
	}
	for i, c := range given {
		show(c.String(), p.table[i])
	}
	show("fcsr", p.table[fcsrSlot])
	show("mstatus", p.table[mstatusSlot])
	for n := range 32 {
		show(riscv.XName(uint8(n)), p.table[xSlot+n])
	}
	for i := 0; i < tablePages*page; i += 8 {
		show(fmt.Sprintf("%#x", watchedAt+i), binary.LittleEndian.Uint64(p.watched[i:]))
	}
	pc := uint64(codeAt)
	for _, u := range append(slices.Clone(p.units), []uint32{ebreak}) {
		for _, raw := range u {
			fmt.Fprintf(&b, "  %#x: %08x  %s\n", pc, raw, riscv.Decode(raw).Disassemble(pc))
			pc += 4
		}
	}
	return b.String()
}
