//go:build linux && (amd64 || arm64)

package jit

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"unsafe"

	"doppel/internal/cpu"
	"doppel/internal/cpu/cputest"
	"doppel/internal/riscv"
	"doppel/internal/riscv/hart"
)

// The random systems live in one page of code, which S-mode and U-mode have at
// addresses of their own, and in pages of data for each of them.
const (
	codeS  = cputest.Base + 0x1000
	codeU  = cputest.Base + 0x2000
	dataS  = cputest.Base + 0x4000
	dataU  = cputest.Base + 0x5000
	onlyX  = cputest.Base + 0x6000 // what MXR makes readable
	tables = cputest.Base + 0x10000
)

// systemSatp is the value of satp with an ASID.
func systemSatp(asid uint64) uint64 {
	return riscv.SatpSv39<<riscv.SatpModeShift | asid<<riscv.SatpASIDShift | tables>>12
}

// mapSystem makes the page tables.
func mapSystem(m *cputest.Machine, global uint64) {
	const rw = riscv.PTER | riscv.PTEW
	table := func(at, index, to, flags uint64) { m.SetU64(at+index*8, to>>12<<10|flags|riscv.PTEV) }
	table(tables, 2, tables+0x1000, 0)
	table(tables+0x1000, 0, tables+0x2000, 0)
	page := func(va, pa, flags uint64) {
		table(tables+0x2000, va>>12&511, pa, flags|riscv.PTEA|riscv.PTED)
	}
	page(codeS, codeS, riscv.PTEX|riscv.PTER|global)
	page(codeU, codeS, riscv.PTEX|riscv.PTER|riscv.PTEU)
	page(dataS, dataS, rw|global)
	page(dataU, dataU, rw|riscv.PTEU)
	page(onlyX, onlyX, riscv.PTEX|riscv.PTEU)
}

// Registers with a fixed meaning in random systems; no instruction writes them.
const (
	regDataS, regDataU, regOnlyX = 5, 6, 7
	regCodeS, regCodeU           = 28, 29
	regSatp                      = 30
	regScratch                   = 26 // of the handler
)

// handlerAt is where in the page of code traps lead to.
const handlerAt = 3584

// handler ends a trap somewhere else than where it came from, so that no trap
// repeats for ever: after the instruction that trapped, or at one of the
// pages of code.
func handler(r *rand.Rand) (code []byte) {
	emit := func(in riscv.Inst) {
		raw, err := riscv.Encode(in)
		if err != nil {
			panic(err)
		}
		code = binary.LittleEndian.AppendUint32(code, raw)
	}
	csr := func(op riscv.Op, rd uint8, c riscv.CSR, rs1 uint8) {
		emit(riscv.Inst{Op: op, Rd: rd, Rs1: rs1, Imm: int64(c)})
	}
	csr(riscv.CSRRW, 4, riscv.CSRSscratch, 4)
	csr(riscv.CSRRS, 3, riscv.CSRScause, 0)
	csr(riscv.CSRRC, 2, riscv.CSRSstatus, uint8(8+r.IntN(8)))
	csr(riscv.CSRRS, 1, riscv.CSRStval, 0)
	csr(riscv.CSRRW, 4, riscv.CSRSscratch, 4)
	emit(riscv.Inst{Op: riscv.ADDI, Rd: regScratch, Imm: int64(riscv.MstatusSPP)})
	switch r.IntN(8) {
	case 0, 1, 2, 3, 4:
		csr(riscv.CSRRC, 0, riscv.CSRSstatus, regScratch)
		csr(riscv.CSRRW, 0, riscv.CSRSepc, regCodeU)
	case 5, 6:
		csr(riscv.CSRRS, 0, riscv.CSRSstatus, regScratch)
		csr(riscv.CSRRW, 0, riscv.CSRSepc, regCodeS)
	default:
		csr(riscv.CSRRS, regScratch, riscv.CSRSepc, 0)
		emit(riscv.Inst{Op: riscv.ADDI, Rd: regScratch, Rs1: regScratch, Imm: 4})
		csr(riscv.CSRRW, 0, riscv.CSRSepc, regScratch)
	}
	// Where a trap leads to moves on.
	for _, at := range []uint8{regCodeS, regCodeU} {
		emit(riscv.Inst{Op: riscv.LUI, Rd: regScratch, Imm: int64(int32(uint32(codeS + 0x1000*uint64(at-regCodeS))))})
		emit(riscv.Inst{Op: riscv.SLLI, Rd: regScratch, Rs1: regScratch, Imm: 32})
		emit(riscv.Inst{Op: riscv.SRLI, Rd: regScratch, Rs1: regScratch, Imm: 32})
		emit(riscv.Inst{Op: riscv.ADDI, Rd: at, Rs1: at, Imm: int64(4 * (1 + r.IntN(16)))})
		emit(riscv.Inst{Op: riscv.SLLI, Rd: at, Rs1: at, Imm: 53})
		emit(riscv.Inst{Op: riscv.SRLI, Rd: at, Rs1: at, Imm: 53})
		emit(riscv.Inst{Op: riscv.OR, Rd: at, Rs1: at, Rs2: regScratch})
	}
	csr(riscv.CSRRCI, 0, riscv.CSRSip, uint8(riscv.MipSSIP))
	if r.IntN(4) != 0 {
		emit(riscv.Inst{Op: riscv.BGE, Rs1: 3, Imm: 8}) // no interrupt
		csr(riscv.CSRRWI, 0, riscv.CSRSie, 0)
	}
	emit(riscv.Inst{Op: riscv.SRET})
	return code
}

// systemCode fills a page with privileged instructions and some others.
func systemCode(r *rand.Rand, machine bool) []byte {
	code := make([]byte, 0, 4096)
	csrs := []riscv.CSR{riscv.CSRSstatus, riscv.CSRSstatus, riscv.CSRSstatus, riscv.CSRSscratch, riscv.CSRScause, riscv.CSRStval,
		riscv.CSRSepc, riscv.CSRStvec, riscv.CSRSatp, riscv.CSRSip, riscv.CSRSie, riscv.CSRFcsr, riscv.CSRInstret, riscv.CSRSenvcfg}
	if machine {
		csrs = append(csrs, riscv.CSRMstatus, riscv.CSRMepc, riscv.CSRMenvcfg, riscv.CSRMhpmevent3)
	}
	free := func() uint8 { // a register that may be written
		for {
			if n := uint8(r.IntN(regScratch)); n < regDataS || n > regOnlyX {
				return n
			}
		}
	}
	for len(code) < 4096 {
		in := riscv.Inst{Rd: free(), Rs1: uint8(r.IntN(28)), Rs2: uint8(r.IntN(32)), RM: riscv.DYN}
		switch r.IntN(16) {
		case 0, 1, 2, 3, 4:
			in.Op = riscv.CSRRW + riscv.Op(r.IntN(6))
			c := csrs[r.IntN(len(csrs))]
			in.Imm = int64(c)
			imm := in.Op >= riscv.CSRRWI
			switch c {
			case riscv.CSRStvec:
				in.Op, in.Rs1 = []riscv.Op{riscv.CSRRSI, riscv.CSRRCI}[r.IntN(2)], uint8(r.IntN(4))
			case riscv.CSRSepc, riscv.CSRMepc:
				in.Op, in.Rs1 = riscv.CSRRW, regCodeS
				if r.IntN(2) == 0 {
					in.Rs1 = regCodeU
				}
			case riscv.CSRSatp:
				in.Op, in.Rs1 = riscv.CSRRW, regSatp+uint8(r.IntN(2))
			}
			if (c == riscv.CSRSepc || c == riscv.CSRSatp) && r.IntN(3) == 0 {
				in.Op, in.Rs1 = riscv.CSRRS, 0
			}
			if imm && c != riscv.CSRStvec && in.Op >= riscv.CSRRWI {
				in.Rs1 = []uint8{0, 2, 2, 2, uint8(r.IntN(32))}[r.IntN(5)]
			}
		case 5:
			in.Op = []riscv.Op{riscv.ECALL, riscv.ECALL, riscv.ECALL, riscv.SRET, riscv.SFENCE_VMA}[r.IntN(5)]
			switch {
			case in.Op != riscv.SFENCE_VMA:
				in = riscv.Inst{Op: in.Op}
			case r.IntN(2) == 0:
				in = riscv.Inst{Op: in.Op, Rs1: regDataS + uint8(r.IntN(2))}
			default:
				in = riscv.Inst{Op: in.Op}
			}
			if machine && r.IntN(3) == 0 {
				in = riscv.Inst{Op: riscv.MRET}
			}
		case 6, 7:
			in.Op = []riscv.Op{riscv.LD, riscv.SD, riscv.LW, riscv.SB, riscv.LBU}[r.IntN(5)]
			in.Rs1, in.Imm = regDataS+uint8(r.IntN(3)), int64(r.IntN(64))*8
		case 8:
			in.Op, in.Rs1 = riscv.CBO_ZERO, regDataS+uint8(r.IntN(2))
		case 9:
			in.Op, in.Rs3 = []riscv.Op{riscv.FADD_D, riscv.FDIV_S, riscv.FLD, riscv.FSD, riscv.FMV_X_D}[r.IntN(5)], 0
			if in.Op == riscv.FLD || in.Op == riscv.FSD {
				in.Rs1, in.Imm = regDataS+uint8(r.IntN(2)), int64(r.IntN(64))*8
			}
		case 10:
			in.Op, in.Imm = riscv.BEQ+riscv.Op(r.IntN(6)), int64(4*(1+r.IntN(8)))
		default:
			in.Op, in.Imm = []riscv.Op{riscv.ADDI, riscv.XOR, riscv.ADD, riscv.SLLI, riscv.AND}[r.IntN(5)], int64(r.IntN(32))
		}
		if riscv.FLW > in.Op && in.Op < riscv.CSRRW && in.Rd >= 28 {
			in.Rd = 0
		}
		raw, err := riscv.Encode(in)
		if err != nil {
			continue
		}
		code = binary.LittleEndian.AppendUint32(code, raw)
	}
	h := handler(r)
	copy(code[handlerAt:], h)
	// The page ends with a jump back into it.
	raw, _ := riscv.Encode(riscv.Inst{Op: riscv.JAL, Imm: -4092 + 4*int64(r.IntN(500))})
	binary.LittleEndian.PutUint32(code[4092:], raw)
	return code
}

// statusValue is a value whose bits are those of mstatus and of interrupts
// often enough.
func statusValue(r *rand.Rand) uint64 {
	bits := []uint64{riscv.MstatusSIE, riscv.MstatusSPIE, riscv.MstatusSPP, riscv.MstatusSUM, riscv.MstatusFS, 1 << riscv.MstatusFSShift,
		riscv.MstatusMPP, riscv.MstatusMXR, riscv.MipSTIP, riscv.MipSEIP, riscv.MipSSIP}
	v := value(r)
	for range r.IntN(6) {
		v ^= bits[r.IntN(len(bits))]
	}
	if r.IntN(4) != 0 {
		v &^= riscv.MstatusMXR | riscv.MstatusTVM | riscv.MstatusTSR | riscv.MstatusMPRV
	}
	return v
}

// derived is what the interpreter keeps of the state for its TLBs and the code.
type derived struct {
	context, fetch, key, status uint64
	fp, direct                  uint8
}

func derivedOf(v *VCPU) derived {
	word := func(off int32) uint64 { return *(*uint64)(unsafe.Add(unsafe.Pointer(&v.h.X), int64(off)+bias)) }
	s := &layout.System
	return derived{word(layout.DataContext), word(layout.FetchContext), word(s.JumpKey), word(s.SeenStatus), uint8(word(s.FPReady)), uint8(word(s.Direct))}
}

// TestSystem compares the translator with the interpreter in random systems:
// pages of privileged instructions that change mode, sstatus and address space
// all the time, while interrupts come and go, after every few instructions.
func TestSystem(t *testing.T) {
	for _, c := range []struct {
		name    string
		machine bool
		options Options
	}{
		{"Supervisor", false, Options{Threshold: -1}},
		{"Machine", true, Options{Threshold: -1}},
		{"Regions", false, Options{Threshold: -1, Samples: 1, Slice: 70}},
	} {
		t.Run(c.name, func(t *testing.T) { testSystem(t, c.machine, c.options) })
	}
}

func testSystem(t *testing.T, machine bool, options Options) {
	rounds := *roundsFlag / 20
	if testing.Short() {
		rounds /= 4
	}
	p := newPair(t, options, "nop\n", cputest.Options{RAM: 1 << 18, Supervisor: !machine})
	a, b, v := p.a, p.b, p.v
	r := rand.New(rand.NewPCG(*seedFlag, 11))
	var counts struct{ calls, interrupts, users int }
	for round := range rounds {
		code := systemCode(r, machine)
		s := hart.State{PC: codeS + 4*r.Uint64N(1000), Priv: hart.S, CSR: a.Hart().CSR}
		for i := 1; i < 32; i++ {
			s.X[i], s.F[i] = statusValue(r), floatValue(r)
		}
		s.X[regDataS], s.X[regDataU], s.X[regOnlyX] = dataS, dataU, onlyX
		s.X[regCodeS], s.X[regCodeU] = codeS+4*r.Uint64N(1000), codeU+4*r.Uint64N(1000)
		s.X[regSatp], s.X[regSatp+1] = systemSatp(1), systemSatp(2)
		s.CSR.Satp, s.CSR.Stvec, s.CSR.Sepc = systemSatp(1), codeS+handlerAt, codeU+4*r.Uint64N(1000)
		s.CSR.Mstatus = s.CSR.Mstatus&^riscv.MstatusMXR | statusValue(r)&(riscv.MstatusSIE|riscv.MstatusSPIE|riscv.MstatusFS|riscv.MstatusSUM)
		s.CSR.Mie = riscv.MipSTIP | riscv.MipSEIP | riscv.MipSSIP
		if machine {
			s.CSR.Mtvec, s.CSR.Mepc = codeS+4*r.Uint64N(1000), codeU
			s.CSR.Medeleg, s.CSR.Mideleg = r.Uint64()&0xb3ff, r.Uint64()&0x222
			s.CSR.Menvcfg = r.Uint64() & (riscv.EnvcfgCBZE | riscv.MenvcfgADUE | riscv.MenvcfgSTCE)
			s.CSR.Mcounteren = r.Uint64()
			s.CSR.Mhpmevent[0] = r.Uint64() & 2
			s.CSR.PmpCfg[0], s.CSR.PmpAddr[0] = 0x1f, 1<<54-1
			s.CSR.Mstatus &^= riscv.MstatusTSR | riscv.MstatusTVM | riscv.MstatusMPRV
			if r.IntN(4) == 0 {
				s.CSR.Mstatus |= r.Uint64() & (riscv.MstatusTSR | riscv.MstatusTVM)
			}
			if r.IntN(2) == 0 {
				s.CSR.Medeleg, s.CSR.Mideleg = 0xb3ff, 0x222
			}
		}
		global := r.Uint64() & riscv.PTEG
		for _, m := range p.both() {
			copy(m.RAM.Bytes()[codeS-cputest.Base:], code)
			clear(m.RAM.Bytes()[dataS-cputest.Base:][:0x3000])
			mapSystem(m, global)
			h := m.Hart()
			h.State = s
			h.Refresh()
			h.SetStimecmp(^uint64(0))
			m.CPUs[0].FlushTLB()
			refetch(m)
		}
		// The first steps are long, for code to be made and linked.
		for step := range 60 {
			line, level, budget := []uint{1, 5, 9}[r.IntN(3)], r.IntN(2) == 0, 1+r.Uint64N(40)
			timer := []uint64{0, ^uint64(0)}[r.IntN(2)]
			what := r.IntN(8)
			if step < 5 {
				budget, what = 500, 3
			}
			before, ram := a.Hart().State, append([]byte(nil), a.RAM.Bytes()[:0x20000]...)
			var exits [2]cpu.Exit
			for i, m := range p.both() {
				switch what {
				case 0, 1:
					m.CPUs[0].SetInterrupt(line, level)
				case 2:
					m.Hart().SetStimecmp(timer)
				case 3, 4, 5:
					m.CPUs[0].SetInterrupt(5, false)
					m.CPUs[0].SetInterrupt(9, false)
					m.Hart().SetStimecmp(^uint64(0))
					m.Hart().CSR.Mie = riscv.MipSTIP | riscv.MipSEIP | riscv.MipSSIP
					m.Hart().Refresh()
				}
				exits[i] = m.CPUs[0].Run(budget)
				if exits[i].Reason == cpu.ExitCall {
					m.Hart().PC += 4
				}
			}
			ha, hb := a.Hart(), b.Hart()
			if exits[0].Reason != exits[1].Reason || exits[1].Err != nil || ha.State != hb.State ||
				string(a.RAM.Bytes()[:0x10000]) != string(b.RAM.Bytes()[:0x10000]) {
				t.Errorf("exits %v, %v (%v)", exits[0].Reason, exits[1].Reason, exits[1].Err)
				diffState(t, &ha.State, &hb.State)
				narrow(t, p, before, ram, budget)
				t.Fatalf("seed %d round %d step %d, %d instructions: the translator differs", *seedFlag, round, step, budget)
			}
			// What code has changed must be what the interpreter derives.
			got := derivedOf(v)
			hb.CSR.Mstatus ^= riscv.MstatusSUM
			v.in.Begin(1)
			hb.CSR.Mstatus ^= riscv.MstatusSUM
			v.in.Begin(1)
			if want := derivedOf(v); got != want {
				t.Fatalf("seed %d round %d step %d: derived %+v, want %+v, in mode %v", *seedFlag, round, step, got, want, hb.Priv)
			}
			if hb.CSR.Scause>>63 != 0 {
				counts.interrupts++
			} else if hb.CSR.Scause == uint64(riscv.EnvironmentCallFromU) {
				counts.calls++
			}
			if hb.Priv == hart.U {
				counts.users++
			}
			if exits[0].Reason == cpu.ExitHalt {
				break
			}
		}
	}
	if counts.interrupts < rounds || counts.users < rounds || counts.calls < rounds/4 {
		t.Errorf("this test shows little: %+v in %d rounds", counts, rounds)
	}
	t.Logf("%+v\n%v", counts, v.stats)
}

// narrow finds the first instruction after a state that makes a difference.
func narrow(t *testing.T, p *pair, before hart.State, ram []byte, budget uint64) {
	last := before
	for n := range budget {
		for _, m := range p.both() {
			m.Hart().State = before
			copy(m.RAM.Bytes(), ram)
			m.Hart().Refresh()
			m.CPUs[0].FlushTLB()
			m.CPUs[0].Run(n + 1)
		}
		a, b := &p.a.Hart().State, &p.b.Hart().State
		if *a != *b {
			raw := binary.LittleEndian.Uint32(p.a.RAM.Bytes()[codeS-cputest.Base+last.PC&pageMask:])
			t.Logf("instruction %d at %#x makes a difference: %s", n+1, last.PC, riscv.Decode(raw).Disassemble(last.PC))
			t.Logf("before: %+v", last)
			diffState(t, a, b)
			return
		}
		last = *a
	}
	t.Log("not when it is tried again")
}

// TestFPOff: an instruction that switches floating point off does so for code
// that has raised flags before, which does not look any more.
func TestFPOff(t *testing.T) {
	m, v := machineOf(t, Options{Threshold: -1}, `
	la t0, trap
	csrw stvec, t0
	li s0, 0x6000
	fcvt.d.l fa1, s0
	li s1, 0
	li s2, 0
loop:	csrs sstatus, s0
	fadd.d fa0, fa1, fa1
	csrc sstatus, s0
	fadd.d fa0, fa1, fa1	# traps
	addi s1, s1, 1
	j loop
	.balign 4
trap:	csrr a0, sepc
	addi a0, a0, 4
	csrw sepc, a0
	addi s2, s2, 1
	sret
`, cputest.Options{Supervisor: true})
	m.Hart().CSR.Mstatus |= riscv.MstatusFS
	run(t, v, 10_000)
	if x := m.Hart().X; x[9] < 500 || x[18]-x[9] > 1 {
		t.Errorf("%d traps in %d rounds", x[18], x[9])
	}
}
