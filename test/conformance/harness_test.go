package conformance

import (
	_ "embed"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"doppel/internal/cpu"
	"doppel/internal/riscv"
	"doppel/internal/riscv/asm"
	"doppel/test/bare"
)

//go:embed prelude.asm
var prelude string

const (
	finisher = 0x10_0000
	// kernelAt is where a supervisor-mode kernel starts.
	kernelAt = bare.Base + 0x20_0000
	limit    = 5_000_000
)

// program is an assembled test.
type program struct {
	*asm.Program
	supervisor bool
	move       bool   // to another processor after each slice
	limit      uint64 // instructions, limit if 0
}

func assemble(t *testing.T, body string, supervisor bool) *program {
	t.Helper()
	origin, setup := uint64(bare.Base), "\tcall machine\n"
	if supervisor {
		origin, setup = kernelAt, "\tli t0, 0x6000\n\tcsrs sstatus, t0\n\tlla t0, strap\n\tcsrw stvec, t0\n"
	}
	p, err := asm.Assemble(prelude+setup+body+"\n\tj pass\n", asm.Options{Origin: origin})
	if err != nil {
		t.Fatal(err)
	}
	return &program{Program: p, supervisor: supervisor}
}

// run executes the program and tells how it ended, "" for a pass. seen, if not
// nil, takes the instructions that were executed.
func (p *program) run(t *testing.T, e bare.Engine, slice uint64, seen map[riscv.Op]bool) string {
	t.Helper()
	m := bare.New(t, e, bare.Config{Supervisor: p.supervisor})
	m.Load(p.Origin, p.Code)
	m.Start(p.Origin)
	m.Move = p.move
	var code uint64
	ended := false
	m.MMIO = func(a cpu.MMIO) (uint64, bool) {
		if a.Addr != finisher || !a.Write || a.Size != 4 {
			return 0, false
		}
		code, ended = a.Data, true
		return 0, true
	}
	most := p.limit
	if most == 0 {
		most = limit
	}
	err := m.Run(most, slice, func() bool {
		if seen != nil && !ended {
			if pc := m.Hart.PC; pc >= bare.Base && pc+4 <= bare.Base+uint64(len(m.RAM)) {
				seen[riscv.Decode(binary.LittleEndian.Uint32(m.RAM[pc-bare.Base:])).Op] = true
			}
		}
		return ended
	})
	word := func(symbol string, off uint64) uint64 {
		return binary.LittleEndian.Uint64(m.RAM[p.Symbols[symbol]+off-bare.Base:])
	}
	switch {
	case err != nil:
		return fmt.Sprintf("did not end: %v; last label %s", err, p.label(m.Hart.PC))
	case code == 0x5555 && word("tohost", 0) == 1:
		return ""
	case code == 1<<16|0x3333 && word("tohost", 0) == 3:
		pc := word("failure", 0)
		return fmt.Sprintf("at %s: want %#x, got %#x\n%s", p.label(pc), word("failure", 8), word("failure", 16), p.listing(pc))
	}
	return fmt.Sprintf("ended with code %#x, tohost %#x", code, word("tohost", 0))
}

// label is the last label at or before an address.
func (p *program) label(pc uint64) string {
	best, at := "?", uint64(0)
	for name, v := range p.Symbols {
		if v >= p.Origin && v <= pc && (v > at || v == at && name < best) {
			best, at = name, v
		}
	}
	return fmt.Sprintf("%s+%#x", best, pc-at)
}

// listing disassembles what comes before an address.
func (p *program) listing(pc uint64) string {
	var b strings.Builder
	for a := max(p.Origin, pc-48); a < pc && a+4 <= p.End(); {
		i := riscv.Decode(binary.LittleEndian.Uint32(p.Code[a-p.Origin:]))
		fmt.Fprintf(&b, "  %#x  %s\n", a, i.Disassemble(a))
		a += uint64(i.Len)
	}
	return b.String()
}
