//go:build linux && (amd64 || arm64)

package jit

import (
	"encoding/binary"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"doppel/internal/cpu/cputest"
	"doppel/internal/riscv"
	"doppel/internal/riscv/hart"
)

// randomLoops is random code of nested loops with branches inside, which starts
// at entry. x31 counts the rounds of the outer one, x29 those of the inner ones,
// of which there are x30; x5 and x6 point to data, x5 to other data in each
// round of some inner ones. An inner loop may lie before the outer one, perhaps
// on the page before.
func randomLoops(r *rand.Rand) (code []byte, entry int) {
	rare := r.IntN(8) == 0
	put := func(in riscv.Inst) {
		raw, err := riscv.Encode(in)
		if err != nil {
			panic(err)
		}
		code = binary.LittleEndian.AppendUint32(code, raw)
	}
	straight := func() {
		c := randomBlock(r, r.IntN(2) == 0, !rare)
		code = append(code, c[:len(c)-4]...)
	}
	back := func(count uint8, to int) {
		put(riscv.Inst{Op: riscv.ADDI, Rd: count, Rs1: count, Imm: -1})
		put(riscv.Inst{Op: riscv.BNE, Rs1: count, Imm: int64(to - len(code))})
	}
	maybe := func() { // a branch over something
		skip := randomBlock(r, r.IntN(2) == 0, !rare)
		put(riscv.Inst{Op: riscv.BEQ + riscv.Op(r.IntN(6)), Rs1: uint8(r.IntN(32)), Rs2: uint8(r.IntN(32)), Imm: int64(len(skip))})
		code = append(code, skip[:len(skip)-4]...)
	}
	small := func() { // a loop that walks over pages, or goes from one to another
		put(riscv.Inst{Op: riscv.ADD, Rd: 29, Rs1: 30})
		inner := len(code)
		if r.IntN(2) == 0 {
			put(riscv.Inst{Op: riscv.ADDI, Rd: 5, Rs1: 5, Imm: int64(r.IntN(33) - 16)})
		} else {
			put(riscv.Inst{Op: riscv.SLLI, Rd: 5, Rs1: 29, Imm: int64(7 + r.IntN(5))})
			put(riscv.Inst{Op: riscv.ADD, Rd: 5, Rs1: 5, Rs2: 6})
		}
		straight()
		back(29, inner)
	}
	jump := func(at, to int) {
		raw, err := riscv.Encode(riscv.Inst{Op: riscv.JAL, Imm: int64(to - at)})
		if err != nil {
			panic(err)
		}
		binary.LittleEndian.PutUint32(code[at:], raw)
	}
	before := r.IntN(2) == 0
	if before {
		small()
		code = append(code, 0, 0, 0, 0) // a jump into the outer loop
		entry = len(code)
		put(riscv.Inst{Op: riscv.JAL, Imm: 4}) // where the loops are entered is a block's start
	}
	outer := len(code)
	if before {
		straight()
		put(riscv.Inst{Op: riscv.JAL, Imm: int64(-len(code))})
		jump(entry-4, len(code))
	}
	for range 1 + r.IntN(3) {
		switch r.IntN(4) {
		case 3:
			small()
		case 0:
			straight()
		case 1:
			maybe()
		case 2:
			put(riscv.Inst{Op: riscv.ADD, Rd: 29, Rs1: 30})
			inner := len(code)
			straight()
			maybe()
			back(29, inner)
		}
	}
	back(31, outer)
	return binary.LittleEndian.AppendUint32(code, 0x0000_006f), entry // j .
}

// checkWalks: a block that explore finds in a loop is one that leadsBack lets it
// look at. It counts these, and those that leadsBack spares it.
func checkWalks(t *testing.T, v *VCPU) (loops, others int) {
	t.Helper()
	for _, p := range v.code.pages {
		for _, b := range p.list {
			leads := v.walk.leadsBack(b)
			switch found := explore(b) != nil; {
			case found && !leads:
				t.Errorf("the block at %#x is in a loop, and leadsBack says that it is in none", uint64(b.GPA()))
			case found:
				loops++
			case !leads:
				others++
			}
		}
	}
	return loops, others
}

// TestRandomLoops compares loops that are made regions, where the host has
// them, with the interpreter in all state, at random instructions.
func TestRandomLoops(t *testing.T) { compareLoops(t, false) }

// TestRandomLoopsInPages: the same where each page of data is somewhere else.
func TestRandomLoopsInPages(t *testing.T) { compareLoops(t, true) }

// leafTable is where, in RAM, shuffle has the entries of the pages of RAM.
const leafTable = 0x22000

// shuffle makes page tables of Sv39 in RAM, for S-mode, in which the pages of
// data are mixed, and code is where it is.
func shuffle(r *rand.Rand, ram []byte) (satp uint64) {
	const root, middle, leaf = 0x20000, 0x21000, leafTable
	const table, mapped = riscv.PTEV, riscv.PTEV | riscv.PTER | riscv.PTEW | riscv.PTEX | riscv.PTEA | riscv.PTED
	entry := func(at, pa, flags uint64) { binary.LittleEndian.PutUint64(ram[at:], (cputest.Base+pa)>>12<<10|flags) }
	clear(ram[root : leaf+4096])
	entry(root+8*(cputest.Base>>30), middle, table)
	entry(middle, leaf, table)
	const first, last = 4, 0x1c // pages that are compared
	for i := range uint64(first) {
		entry(leaf+8*i, i<<12, mapped)
	}
	for i, to := range r.Perm(last - first) {
		entry(leaf+8*uint64(first+i), uint64(first+to)<<12, mapped)
	}
	return 8<<60 | (cputest.Base+root)>>12
}

// inPages puts a machine in S-mode, in the address space that shuffle makes. All
// physical memory is open to it (priv §3.7.1). The caller refreshes the hart.
func inPages(m *cputest.Machine, r *rand.Rand) {
	h := m.Hart()
	h.Priv, h.CSR.Satp = hart.S, shuffle(r, m.RAM.Bytes())
	h.CSR.PmpAddr[0] = ^uint64(0) >> 10
	h.CSR.PmpCfg[0] = riscv.PMPNAPOT<<riscv.PMPAShift | riscv.PMPR | riscv.PMPW | riscv.PMPX
}

func compareLoops(t *testing.T, paged bool) {
	rounds := *roundsFlag / 4
	if testing.Short() {
		rounds /= 10
	}
	dump := filepath.Join(t.TempDir(), "dump")
	d, err := CreateDump(dump)
	if err != nil {
		t.Fatal(err)
	}
	p := newPair(t, Options{Threshold: -1, Samples: 1, Slice: 150, Dump: d}, "nop\n", cputest.Options{RAM: 1 << 18})
	seed := *seedFlag
	loops, others := 0, 0
	for round := range rounds {
		r := rand.New(rand.NewPCG(seed, uint64(round)))
		code, entry := randomLoops(r)
		if len(code) > 4000 {
			continue
		}
		var x, f [32]uint64
		for i := 1; i < 32; i++ {
			x[i] = value(r)
		}
		for i := range f {
			f[i] = floatValue(r)
		}
		x[5], x[6] = dataAt+r.Uint64N(2)*r.Uint64N(4096), dataAt+8*r.Uint64N(8)
		x[30], x[31] = 1+r.Uint64N(20), 20+r.Uint64N(20)
		mem := make([]byte, 8192)
		for i := range mem {
			mem[i] = byte(r.Uint32())
		}
		at := cputest.Base + 0x1000 + 2*r.Uint64N(uint64(4096-len(code))/2)
		if r.IntN(2) == 0 { // from one page into the next
			at = cputest.Base + 0x2000 - 2*(1+r.Uint64N(uint64(len(code))/2))
			if entry > 0 && r.IntN(4) != 0 { // what lies before the outer loop is in the first
				at = cputest.Base + 0x2000 - uint64(entry)
			}
		}
		for _, m := range p.both() {
			copy(m.RAM.Bytes()[at-cputest.Base:], code)
			clear(m.RAM.Bytes()[0x3000:])
			copy(m.RAM.Bytes()[dataAt-cputest.Base:], mem)
			h := m.Hart()
			h.State = hart.State{X: x, F: f, FFlags: 0, PC: at + uint64(entry), Priv: hart.M, CSR: h.CSR}
			h.CSR.Mtvec = cputest.Base
			h.CSR.Mstatus |= riscv.MstatusFS
			if paged {
				inPages(m, rand.New(rand.NewPCG(seed, uint64(round))))
			}
			h.Refresh()
			m.CPUs[0].FlushTLB()
			refetch(m)
		}
		for step := range 6 {
			budget := 1 + r.Uint64N(4000)
			p.spend(t, budget, "seed %d round %d step %d", seed, round, step)
			if !p.alike() {
				for i := 0; i < len(code); i += 4 {
					in := riscv.Decode(binary.LittleEndian.Uint32(code[i:]))
					t.Logf("%#x %s", at+uint64(i), in.Disassemble(at+uint64(i)))
				}
			}
			p.compare(t, "seed %d round %d step %d", seed, round, step)
		}
		l, n := checkWalks(t, p.v)
		loops, others = loops+l, others+n
	}
	if hasRegions && (loops < rounds/4 || others < rounds/4) {
		t.Errorf("%d blocks were in loops, and %d were seen not to be: this test shows too little", loops, others)
	}
	s := p.v.stats
	if hasRegions && s.Regions < uint64(rounds)/2 {
		t.Errorf("only %d regions were made of %d programs: this test shows nothing", s.Regions, rounds)
	}
	if hasMerged && s.Merged < uint64(rounds)/20 {
		t.Errorf("only %d accesses of %d programs have the site of another: this test shows nothing", s.Merged, rounds)
	}
	t.Log(s)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if checkCycles == nil {
		return
	}
	if regions, looks, _ := checkCycles(t, dump); regions < rounds/2 || looks < regions {
		t.Errorf("%d looks at the budget in %d regions were found: this test shows nothing", looks, regions)
	}
}

// checkCycles checks that no way back in the regions of a dump is without a look
// at the budget, where there is a reader of the host's code.
var checkCycles func(t *testing.T, dump string) (regions, looks, tables int)

// TestStrays: a region that was made by data in one page is given up when they
// lie in several, and made for that.
func TestStrays(t *testing.T) {
	if !hasRegions {
		t.Skip("this host's back end makes no regions")
	}
	m, v := machineOf(t, Options{Threshold: -1, Samples: 2, Slice: 400}, `
	la s0, data
	li s5, 0	# of 256 rounds are in the other page
	li s4, 6364136223846793005
	li a0, 0
1:	mul s3, s3, s4	# in no order that turns of the loop could have each a page for
	addi s3, s3, 1
	srli s2, s3, 56
	sltu s2, s2, s5
	slli s2, s2, 12
	add t0, s0, s2
	ld t1, 0(t0)
	add a0, a0, t1
	sd a0, 8(t0)
	addi a1, a1, 1
	j 1b
	.balign 4096
data:	.8byte 1
	.zero 4088
	.8byte 1
	.zero 4088
`, cputest.Options{})
	for range 20 {
		run(t, v, 20_000)
	}
	first := v.stats
	if first.Regions < 2 || first.Strayed != 0 {
		t.Fatalf("%v, %d given up, by data in one page", first, first.Strayed)
	}
	// As often as the region does not stand it, but too seldom for the next to
	// see of itself that the accesses roam.
	m.Hart().X[21] = 7
	for range 100 {
		run(t, v, 20_000)
	}
	m.Hart().X[21] = 128
	for range 40 {
		run(t, v, 20_000)
	}
	misses := uint32(0)
	for i := range v.sites.table {
		misses += v.sites.table[i].state >> 1
	}
	if misses > 1000 {
		t.Errorf("%d accesses missed their sites", misses)
	}
	if s := v.stats; s.Strayed != 1 || s.Regions < first.Regions+2 {
		t.Errorf("%v, %d given up", s, s.Strayed)
	}
	if h := m.Hart(); h.X[10] != h.X[11] && h.X[10] != h.X[11]+1 {
		t.Errorf("sum %d after %d rounds", h.X[10], h.X[11])
	}
}
