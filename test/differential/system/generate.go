package system

import (
	"encoding/binary"
	"math/rand/v2"

	"doppel/internal/riscv"
)

// generator makes random privileged programs. The same seed gives the same.
type generator struct {
	*rand.Rand
	// floats says that the program has floating-point instructions. FS is then
	// off or dirty: when it goes from clean to dirty is open (priv §3.1.6.6),
	// and QEMU and we differ.
	floats bool
	// jumps says that the program jumps to its data, and so must not store:
	// what it stored might be an instruction that finds a device of QEMU's.
	jumps bool
}

func newGenerator(seed uint64) *generator {
	return &generator{Rand: rand.New(rand.NewPCG(seed, 0x707269762e))}
}

// chance is true once in n times.
func (g *generator) chance(n int) bool { return g.IntN(n) == 0 }

// pick returns one of its arguments.
func pick[T any](g *generator, of ...T) T { return of[g.IntN(len(of))] }

// some returns a random subset of the bits of mask, often none or all.
func (g *generator) some(mask uint64) uint64 {
	switch g.IntN(4) {
	case 0:
		return 0
	case 1:
		return mask
	}
	return mask & g.Uint64()
}

// Virtual addresses of the programs' data: index 4 of the third table, and
// index 5 for a page of 1 GiB. As physical addresses nothing is there.
const (
	window    = 4 << 30
	superpage = window + 0x20_0000
	gigapage  = 5 << 30
)

// next makes a program.
func (g *generator) next() *program {
	p := &program{watched: make([]byte, watchedSize)}
	g.floats, g.jumps = g.chance(4), g.chance(4)
	mode := pick(g, riscv.User, riscv.Supervisor, riscv.Supervisor, riscv.Machine)
	g.csrs(p, mode)
	g.tables(p, mode)
	// What programs load is no code where they jump to: every half is reserved
	// (c.addi4spn with immediate 0, unpriv §27.5).
	for i := tablePages * page; i < watchedSize; i += 512 {
		binary.LittleEndian.PutUint64(p.watched[i:], g.Uint64()&0x001c_001c_001c_001c)
	}
	for n := 1; n < 32; n++ {
		p.table[xSlot+n] = g.value()
	}
	for n := 8; n < 16; n++ {
		p.table[xSlot+n] = g.address()
	}
	for range 1 + g.IntN(6) {
		p.units = append(p.units, g.unit())
	}
	return p
}

func (g *generator) value() uint64 {
	switch g.IntN(4) {
	case 0:
		return uint64(g.IntN(64))
	case 1:
		return 1 << g.IntN(64)
	case 2:
		return g.Uint64() & g.Uint64()
	}
	return g.Uint64()
}

// address is one that programs load from, store to or jump to.
func (g *generator) address() uint64 {
	off := pick[uint64](g, 0, 8, 16, 0xff0, 0xff8, 0xffc, 0xffd, 4, 1, uint64(g.IntN(page)))
	switch g.IntN(8) {
	case 0:
		return dataAt + uint64(g.IntN(dataPages))*page + off
	case 1:
		return superpage + (dataAt - riscvBase) + uint64(g.IntN(dataPages))*page + off
	case 2:
		return gigapage + (dataAt - riscvBase) + uint64(g.IntN(dataPages))*page + off
	case 3:
		if g.chance(3) {
			return pick(g, nowhere+off&^7, window|1<<62, window|1<<38|1<<39, ^uint64(0)-7)
		}
	}
	return window + uint64(g.IntN(18))*page + off
}

const riscvBase = watchedAt &^ 0x3fff_ffff // the gigabyte that RAM starts in

// csrs chooses the control state.
func (g *generator) csrs(p *program, mode riscv.Privilege) {
	// One pending at a time: QEMU without AIA takes the lowest number first,
	// where priv §3.1.9 has external before software before timer.
	interrupts, enabled := uint64(0), uint64(0)
	if g.chance(4) {
		interrupts, enabled = pick[uint64](g, 1<<1, 1<<5, 1<<9), 0x222
	}
	codeMode := uint64(0)
	if g.chance(4) {
		codeMode = 1 // vectored
	}
	satp := uint64(0)
	if g.IntN(4) > 0 {
		level := 8 + g.Uint64N(3)
		satp = level<<60 | g.Uint64N(3)<<44 | g.root(level)
	}
	// Not the counter overflow interrupt: with it delegated, QEMU has no sie.LCOFIE (Sscofpmf).
	values := map[riscv.CSR]uint64{
		riscv.CSRMtvec: mtvecAt | codeMode, riscv.CSRStvec: stvecAt | g.Uint64N(2),
		riscv.CSRMedeleg: g.some(0xb3ff), riscv.CSRMideleg: g.some(0x222),
		riscv.CSRMcounteren: g.some(0xffff_ffff), riscv.CSRScounteren: g.some(0xffff_ffff),
		riscv.CSRMscratch: g.value(), riscv.CSRSscratch: g.value(), riscv.CSRMepc: codeAt,
		riscv.CSRSepc: g.address() &^ 1, riscv.CSRMcause: g.Uint64N(16), riscv.CSRScause: g.Uint64N(16),
		riscv.CSRMtval: g.value(), riscv.CSRStval: g.value(),
		riscv.CSRMenvcfg: g.some(1<<61|1<<62) | g.some(1<<63) | g.envcfg(), riscv.CSRSenvcfg: g.envcfg(),
		riscv.CSRMstateen0: g.some(1<<62 | 1<<63), riscv.CSRStimecmp: ^uint64(0),
		riscv.CSRSatp: satp, riscv.CSRMip: g.some(interrupts), riscv.CSRMie: g.some(enabled),
	}
	g.pmp(values)
	for i, c := range given {
		p.table[i] = values[c]
	}
	p.table[fcsrSlot] = g.Uint64N(256)
	may := uint64(statusBits | riscv.MstatusFS)
	if mode == riscv.Machine { // else mret clears it, but setup's own loads would meet it
		may |= riscv.MstatusMPRV
	}
	p.table[mstatusSlot] = g.Uint64()&may | uint64(mode)<<riscv.MstatusMPPShift
	if g.floats {
		p.table[mstatusSlot] |= riscv.MstatusFS
		if g.chance(4) {
			p.table[mstatusSlot] &^= riscv.MstatusFS
		}
	}
	if interrupts != 0 {
		p.table[mstatusSlot] |= g.some(riscv.MstatusSIE)
	}
}

// statusBits are those of mstatus that programs change.
const statusBits = riscv.MstatusSPP | riscv.MstatusSPIE | riscv.MstatusMPIE | riscv.MstatusSUM | riscv.MstatusMXR |
	riscv.MstatusTVM | riscv.MstatusTW | riscv.MstatusTSR

// root is the PPN of the table that a mode starts from.
func (g *generator) root(level uint64) uint64 { return watchedAt>>12 + 10 - level }

// pmp lets most programs at everything, with a few regions that differ.
func (g *generator) pmp(values map[riscv.CSR]uint64) {
	region := func() (addr, cfg uint64) {
		base := uint64(watchedAt) + g.Uint64N(tablePages+dataPages)*page
		// W without R is reserved (priv §3.7.1): QEMU keeps it, we do not.
		perm := pick[uint64](g, 0, 1, 3, 4, 5, 7)
		switch g.IntN(4) {
		case 0: // off
			return base >> 2, perm
		case 1: // top of range
			return base>>2 + g.Uint64N(16), 1<<3 | perm
		case 2: // 4 bytes
			return base>>2 + g.Uint64N(4), 2<<3 | perm
		}
		return base>>2 | (1<<pick[uint64](g, 0, 1, 4, 9, 10) - 1), 3<<3 | perm
	}
	cfg := uint64(0x1f) << 24
	values[riscv.CSRPmpaddr3] = 1<<54 - 1
	if g.chance(2) {
		for i, c := range []riscv.CSR{riscv.CSRPmpaddr0, riscv.CSRPmpaddr1, riscv.CSRPmpaddr2} {
			addr, one := region()
			values[c] = addr
			cfg |= one << (8 * i)
		}
	}
	if g.chance(16) {
		cfg = cfg&0xff_ffff | 0x18<<24 // nothing else open
	}
	values[riscv.CSRPmpcfg0] = cfg
}
