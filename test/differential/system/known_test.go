package system

import (
	"encoding/binary"
	"testing"

	"doppel/internal/riscv"
	"doppel/internal/riscv/asm"
	"doppel/test/bare"
)

// known is a difference between QEMU and us, with a program that shows it.
type known struct {
	name string
	why  string
	mode riscv.Privilege
	csrs map[riscv.CSR]uint64
	// status is mstatus without MPP; x8 and x9 are registers to start with.
	status, x8, x9 uint64
	leaves         []uint64 // entries of the window's pages; then the mode is Sv39
	code           string
}

// shown are the tolerances in the order of their list, then what random
// programs are kept away from: QEMU's departures from the specification, and
// choices that it leaves open.
var shown = []known{
	{name: tolerances[0].name, mode: riscv.Machine, x8: ^uint64(0x3f), code: "cbo.clean (s0)"},
	{name: tolerances[1].name, mode: riscv.Supervisor, x8: dataAt, code: "cbo.zero (s0)",
		csrs: map[riscv.CSR]uint64{riscv.CSRPmpaddr0: (dataAt + 8) >> 2, riscv.CSRPmpcfg0: 0x1f<<24 | 0x11, riscv.CSRMenvcfg: 0xf0}},
	{name: tolerances[2].name, mode: riscv.Supervisor, x8: dataAt + 1, code: "ld t0, (s0)",
		csrs: map[riscv.CSR]uint64{riscv.CSRPmpaddr0: (dataAt + 4) >> 2, riscv.CSRPmpcfg0: 0x1f<<24 | 0x10}},
	{name: tolerances[3].name, mode: riscv.Supervisor, x8: window, code: "amoadd.d t0, t0, (s0)",
		csrs: map[riscv.CSR]uint64{riscv.CSRMenvcfg: 1 << 61}, leaves: []uint64{dataAt>>2 | pteV | pteR}},
	{name: tolerances[4].name, mode: riscv.Supervisor, x8: window, code: "amoadd.d t0, t0, (s0)",
		csrs: map[riscv.CSR]uint64{riscv.CSRMenvcfg: 1 << 61}, leaves: []uint64{nowhere>>2 | pteV | pteR | pteW | pteA}},
	{name: tolerances[5].name, mode: riscv.Supervisor, x8: window, code: "amoadd.d t0, t0, (s0)",
		leaves: []uint64{nowhere>>2 | pteV | pteR | pteA | pteD}},
	{name: tolerances[6].name, mode: riscv.Supervisor, x8: window + 0xffc, code: "sd t0, 0(s0)",
		leaves: []uint64{nowhere>>2 | pteV | pteR | pteW | pteA | pteD, 0}},

	{name: "mret without PMP entries", mode: riscv.User, csrs: map[riscv.CSR]uint64{riscv.CSRPmpcfg0: 0}, code: "nop",
		why: "priv §3.7.1: the fetch behind it is what faults; in QEMU mret does"},
	{name: "interrupt priority", mode: riscv.User, csrs: map[riscv.CSR]uint64{riscv.CSRMie: 0x222, riscv.CSRMip: 0x222}, code: "nop",
		why: "priv §3.1.9: SEI, SSI, STI; QEMU without AIA: the lowest number"},
	{name: "bit 0 of epc", mode: riscv.Machine, x8: 1, code: "csrw sepc, s0\n csrr t0, sepc", why: "priv §12.1.7: always zero"},
	{name: "width of pmpaddr", mode: riscv.Machine, x8: ^uint64(0), code: "csrw pmpaddr0, s0\n csrr t0, pmpaddr0",
		why: "priv §3.7.1: 54 bits, the others are zero"},
	{name: "PMP that writes without reading", mode: riscv.Machine, x8: 2, code: "csrs pmpcfg0, s0\n csrr t0, pmpcfg0",
		why: "priv §3.7.1: reserved; WARL"},
	{name: "CBIE 2", mode: riscv.Machine, x8: 0x20, code: "csrw menvcfg, s0\n csrr t0, menvcfg", why: "priv §3.1.18: reserved; WARL"},
	{name: "hypervisor interrupts without hypervisor", mode: riscv.Machine, x8: 4, code: "csrw mip, s0\n csrr t0, mip",
		why: "priv §3.1.9: bits of what is not there are zero"},
	{name: "local interrupts", mode: riscv.Machine, x8: 1 << 18, code: "csrw mie, s0\n csrr t0, mie",
		why: "priv §3.1.9: bits of what is not there are zero"},
	{name: "sie.LCOFIE", mode: riscv.Supervisor, x8: 1 << 13, csrs: map[riscv.CSR]uint64{riscv.CSRMideleg: 1 << 13},
		code: "csrw sie, s0\n csrr t0, sie", why: "Sscofpmf: writable once delegated"},
	{name: "mstateen1h", mode: riscv.Machine, code: "csrr t0, 0x31d", why: "Smstateen: of RV32 only"},
	{name: "fences of Svinval in U-mode", mode: riscv.User, code: "sfence.inval.ir", why: "priv §9: illegal there"},
	{name: "reading with FS clean", mode: riscv.Machine, status: 0x4000, code: "fmv.x.d t0, ft0",
		why: "priv §3.1.6.6: dirty may come early; with us the first use sets it"},
	{name: "SC without a reservation", mode: riscv.Machine, x8: nowhere, code: "sc.w t0, t0, (s0)",
		why: "unpriv §13.2 leaves open whether it faults"},
	{name: "value of a fault of cbo.zero", mode: riscv.User, x8: window + 16, leaves: []uint64{dataAt>>2 | pteV | pteU | pteR | pteA | pteD},
		csrs: map[riscv.CSR]uint64{riscv.CSRMenvcfg: 0xf0, riscv.CSRSenvcfg: 0xf0},
		code: "cbo.zero (s0)", why: "any address in the block will do; QEMU names its start"},
}

// build makes the program.
func (k *known) build() *program {
	p := &program{watched: make([]byte, watchedSize)}
	values := map[riscv.CSR]uint64{riscv.CSRMtvec: mtvecAt, riscv.CSRStvec: stvecAt, riscv.CSRMepc: codeAt,
		riscv.CSRStimecmp: ^uint64(0), riscv.CSRPmpaddr3: 1<<54 - 1, riscv.CSRPmpcfg0: 0x1f << 24}
	if k.leaves != nil {
		put := func(table, index int, pte uint64) {
			binary.LittleEndian.PutUint64(p.watched[table*page+8*index:], pte)
		}
		code := uint64(riscvBase)>>2 | pteV | pteR | pteW | pteX | pteA | pteD
		if k.mode == riscv.User {
			code |= pteU
		}
		put(2, riscvBase>>30, code)
		put(2, window>>30, (watchedAt+3*page)>>2|pteV)
		put(3, 0, (watchedAt+4*page)>>2|pteV)
		for i, pte := range k.leaves {
			put(4, i, pte)
		}
		values[riscv.CSRSatp] = 8<<60 | (watchedAt+2*page)>>12
	}
	for c, v := range k.csrs {
		values[c] = v
	}
	for i, c := range given {
		p.table[i] = values[c]
	}
	p.table[mstatusSlot] = k.status | uint64(k.mode)<<riscv.MstatusMPPShift
	p.table[xSlot+8], p.table[xSlot+9] = k.x8, k.x9
	b := asm.MustAssemble(k.code, asm.Options{Origin: codeAt}).Code
	for ; len(b) > 0; b = b[4:] {
		p.units = append(p.units, []uint32{binary.LittleEndian.Uint32(b)})
	}
	return p
}

// Every difference that is tolerated or avoided is there. One that is not, on
// a newer QEMU perhaps, must go from its list, so that the lists stay exact.
func TestKnownDifferences(t *testing.T) {
	m := start(t, qemu(t))
	for pc := range stops {
		if err := m.breakpoint(pc); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.store(setupAt, setup); err != nil {
		t.Fatal(err)
	}
	for _, be := range bare.Engines {
		e := newEngine(t, be)
		for n, k := range shown {
			p := k.build()
			want, err := m.execute(p)
			if err != nil {
				t.Fatalf("%s: QEMU: %v", k.name, err)
			}
			got, err := e.execute(p)
			if err != nil {
				t.Errorf("%s: %s: %v", k.name, e.name, err)
				continue
			}
			d := difference(want, got)
			switch {
			case d == "":
				t.Errorf("%s: %s and QEMU agree: take it off the list\n%v", k.name, e.name, p)
			case n < len(tolerances) && tolerated(p, want, got) != n:
				t.Errorf("%s: the difference is another one:\n%s", k.name, d)
			case n >= len(tolerances) && k.why == "":
				t.Errorf("%s: no reason is given", k.name)
			}
		}
	}
}
