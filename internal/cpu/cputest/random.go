package cputest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math/rand/v2"

	"doppel/internal/cpu"
	"doppel/internal/riscv"
	"doppel/internal/riscv/hart"
	"doppel/internal/state"
)

// randomMachine runs random instructions in U- or S-mode under Sv39. Code and
// data are in different pages, so that only fence.i may make a difference
// between engines that cache code and those that do not. Every trap goes to
// M-mode, which goes on four bytes further.
func randomMachine(t TB, newEngine New, seed uint64) *Machine {
	const code, data, size = 0x10000, 0x20000, 0x2000
	m := NewMachine(t, newEngine, `
	csrrw t6, mscratch, t6
	csrr t6, mepc
	addi t6, t6, 4
	csrw mepc, t6
	csrrw t6, mscratch, t6
	mret
`, Options{RAM: 1 << 20})
	r := rand.New(rand.NewPCG(seed, 1))
	ram := m.RAM.Bytes()
	for at := code; at < code+size; {
		raw, n := randomInst(r)
		binary.LittleEndian.PutUint32(ram[at:], raw)
		at += n
	}
	for i := data; i < data+size; i++ {
		ram[i] = byte(r.Uint32())
	}
	p := m.pageTable()
	priv, user := hart.U, uint64(pageU)
	if seed%2 == 0 {
		priv, user = hart.S, 0
	}
	// Neighbours in virtual memory are not neighbours in physical memory.
	const va = 0x4000_0000
	for i := uint64(0); i < size; i += pageSz {
		p.mapPage(va+i, Base+code+size-pageSz-i, pageRX|user)
		p.mapPage(va+0x10000+i, Base+data+i, pageRW|user)
	}
	h := m.Hart()
	for i := range h.X {
		switch {
		case i == 0:
		case i < 20:
			h.X[i] = va + 0x10000 + r.Uint64N(size)
		case r.Uint32N(2) == 0:
			h.X[i] = r.Uint64() >> r.Uint32N(64)
		default:
			h.X[i] = va + r.Uint64N(size)&^1
		}
		h.F[i] = r.Uint64() | uint64(r.Uint32N(2))*0xffff_ffff_0000_0000
	}
	h.CSR.Mtvec = Base
	h.CSR.Mstatus |= riscv.MstatusFS
	h.CSR.Menvcfg |= riscv.EnvcfgCBZE | riscv.EnvcfgCBCFE
	h.CSR.Senvcfg |= riscv.EnvcfgCBZE
	h.CSR.Mcounteren, h.CSR.Scounteren = 7, 7
	p.enter(m.CPUs[0], priv)
	h.PC = va + r.Uint64N(size)&^3
	return m
}

// randomInst makes an instruction of a random Op with operands that often do
// something, and tells how far on the next one is to be.
func randomInst(r *rand.Rand) (raw uint32, size int) {
	for {
		op := riscv.Op(r.Uint32N(uint32(riscv.NumOps)))
		in := riscv.Inst{Op: op, Rd: uint8(20 + r.Uint32N(12)), Rs1: uint8(r.Uint32N(32)), Rs2: uint8(r.Uint32N(32)), Rs3: uint8(r.Uint32N(32))}
		if r.Uint32N(4) == 0 {
			in.Rd = uint8(r.Uint32N(32))
		}
		in.RM = uint8(r.Uint32N(8))
		switch {
		case op == riscv.JAL || riscv.BEQ <= op && op <= riscv.BGEU:
			in.Imm = int64(r.Uint32N(256)) - 128&^1
			in.Imm &^= 1
		case op == riscv.LUI || op == riscv.AUIPC:
			in.Imm = int64(int32(r.Uint32())) >> 12 << 12
		case op == riscv.SLLIW || op == riscv.SRLIW || op == riscv.SRAIW || op == riscv.RORIW:
			in.Imm = int64(r.Uint32N(32))
		case op == riscv.JALR:
			in.Imm = int64(r.Uint32N(64))
			in.Rs1 = uint8(20 + r.Uint32N(12))
		case op >= riscv.CSRRW && op <= riscv.CSRRCI:
			in.Imm = int64([]riscv.CSR{riscv.CSRFflags, riscv.CSRFrm, riscv.CSRFcsr, riscv.CSRCycle, riscv.CSRInstret,
				riscv.CSRTime, riscv.CSRSscratch, riscv.CSRSstatus, riscv.CSRSepc, riscv.CSRSie, riscv.CSR(r.Uint32N(4096))}[r.Uint32N(11)])
		default:
			in.Imm = int64(r.Uint32N(64))
		}
		switch r.Uint32N(64) {
		case 0:
			return r.Uint32(), 4
		case 1, 2, 3:
			return r.Uint32()&^3 | r.Uint32N(3), 2
		}
		if raw, err := riscv.Encode(in); err == nil {
			return raw, 4
		}
	}
}

// answer is what a device at the address reads as.
func answer(e cpu.Exit) (value uint64, ok bool) {
	return uint64(e.MMIO.Addr) * 0x9e37_79b9_7f4a_7c15, e.MMIO.Addr>>3&1 == 0
}

// trace is what single steps find: the hart after each, and where Run ended
// for another reason than the budget.
type trace struct {
	at    []uint64 // a digest of the hart after the step
	exits map[int]cpu.ExitReason
	final []byte
}

func digest(h *hart.Hart) uint64 {
	d := fnv.New64a()
	var b [8]byte
	for _, regs := range [][32]uint64{h.X, h.F} {
		for _, v := range regs {
			binary.LittleEndian.PutUint64(b[:], v)
			d.Write(b[:])
		}
	}
	fmt.Fprint(d, h.PC, h.Priv, h.Instret, h.FFlags, h.CSR.Mcause, h.CSR.Mtval)
	return d.Sum64()
}

// final is all that the guest can see.
func (m *Machine) final() []byte {
	var e state.Encoder
	m.CPUs[0].Save(&e)
	d := fnv.New64a()
	d.Write(m.RAM.Bytes())
	e.U64(d.Sum64())
	return e.Data()
}

// singleSteps finds out. Each step retires an instruction, or traps, or says what
// else has ended it: an engine that stands still has spent no budget.
func singleSteps(m *Machine, steps int) trace {
	tr := trace{exits: map[int]cpu.ExitReason{}}
	c, h := m.CPUs[0], m.Hart()
	for n := range steps {
		pc, retired := h.PC, h.Instret
		e := c.Run(1)
		switch e.Reason {
		case cpu.ExitBudget:
			if trapped := h.PC == h.CSR.Mtvec; h.Instret != retired+1 && !(trapped && h.Instret == retired) {
				m.T.Fatalf("step %d: %d instructions retired at pc %#x, and pc is %#x now", n, h.Instret-retired, pc, h.PC)
			}
		case cpu.ExitMMIO:
			tr.exits[n] = e.Reason
			c.CompleteMMIO(answer(e))
		case cpu.ExitHalt:
			// Nothing will wake it: go on as if something had.
			tr.exits[n] = e.Reason
			c.Hart().Halted = false
		default:
			m.T.Fatalf("step %d: exit %v (%v)", n, e.Reason, e.Err)
		}
		tr.at = append(tr.at, digest(c.Hart()))
	}
	tr.final = m.final()
	return tr
}

// slices runs the machine in parts of random length and holds it to the trace.
// between is called before each part.
func slices(m *Machine, seed uint64, tr trace, r *rand.Rand, between func()) {
	m.T.Helper()
	for pos := 0; pos < len(tr.at); {
		between()
		c := m.CPUs[0]
		n := min(1+r.IntN(1<<r.IntN(10)), len(tr.at)-pos)
		e := c.Run(uint64(n))
		end := pos + n
		if e.Reason != cpu.ExitBudget {
			for end = pos; end < pos+n && tr.exits[end] == 0; end++ {
			}
			if end == pos+n || tr.exits[end] != e.Reason {
				m.T.Fatalf("seed %d: steps %d to %d: exit %v (%v) at pc %#x, which single steps do not have", seed, pos, pos+n, e.Reason, e.Err, c.Hart().PC)
			}
			end++
			switch e.Reason {
			case cpu.ExitMMIO:
				c.CompleteMMIO(answer(e))
			case cpu.ExitHalt:
				c.Hart().Halted = false
			}
		}
		if digest(c.Hart()) != tr.at[end-1] {
			m.T.Fatalf("seed %d: after steps %d to %d the hart (pc %#x) is not what single steps make it", seed, pos, end, c.Hart().PC)
		}
		pos = end
	}
	if !bytes.Equal(m.final(), tr.final) {
		m.T.Fatalf("seed %d: the final state is not that of single steps", seed)
	}
}

const (
	randomSeeds = 30
	randomSteps = 3000
)

// checkSlicing: any split of the budget gives the same states.
func checkSlicing(t TB, newEngine New) {
	for seed := range uint64(randomSeeds) {
		tr := singleSteps(randomMachine(t, newEngine, seed), randomSteps)
		for range 3 {
			r := rand.New(rand.NewPCG(seed, 2))
			slices(randomMachine(t, newEngine, seed), seed, tr, r, func() {})
		}
	}
}

// checkSaveRestore: saving and restoring into another machine at any exit
// changes nothing, and a restored hart saves to the same bytes.
func checkSaveRestore(t TB, newEngine New) {
	for seed := range uint64(randomSeeds) {
		tr := singleSteps(randomMachine(t, newEngine, seed), randomSteps)
		r := rand.New(rand.NewPCG(seed, 3))
		m := randomMachine(t, newEngine, seed)
		spare := randomMachine(t, newEngine, seed+1)
		slices(m, seed, tr, r, func() {
			if r.IntN(4) != 0 {
				return
			}
			saved := save(m.CPUs[0])
			copy(spare.RAM.Bytes(), m.RAM.Bytes())
			d := state.NewDecoder(saved)
			if err := spare.CPUs[0].Restore(d, spare.CPUs[0].StateVersion()); err != nil {
				t.Fatalf("seed %d: restore: %v", seed, err)
			}
			if err := d.Done(); err != nil {
				t.Fatalf("seed %d: restore: %v", seed, err)
			}
			if !bytes.Equal(save(spare.CPUs[0]), saved) {
				t.Fatalf("seed %d: a restored hart saves to other bytes", seed)
			}
			*m, *spare = *spare, *m
		})
	}
}

// Hostile runs bytes as code, page tables and state, and fails if the engine
// does not take it: every Run must end by its budget or an ordinary exit.
func Hostile(t TB, newEngine New, seed uint64, input []byte) {
	m := NewMachine(t, newEngine, "nop", Options{RAM: 1 << 18})
	ram := m.RAM.Bytes()
	r := rand.New(rand.NewPCG(seed, 4))
	for at := 0; at < 0x8000; at += 4 {
		raw, _ := randomInst(r)
		binary.LittleEndian.PutUint32(ram[at:], raw)
	}
	copy(ram, input)
	// Page tables at 0x10000 whose entries mostly lead back into RAM.
	for at := 0x10000; at < 0x14000; at += 8 {
		pte := (Base+r.Uint64N(1<<18))>>12<<10 | r.Uint64N(256)
		if r.Uint32N(3) == 0 {
			pte = Base>>12<<10 + uint64(0x10+r.Uint32N(4))<<10 | riscv.PTEV
		}
		if r.Uint32N(8) == 0 {
			pte = r.Uint64()
		}
		binary.LittleEndian.PutUint64(ram[at:], pte)
	}
	c, h := m.CPUs[0], m.Hart()
	for i := range h.X[1:] {
		h.X[i+1] = [...]uint64{r.Uint64(), Base + r.Uint64N(1<<18), r.Uint64N(1 << 39), uint64(r.Uint32N(4096))}[r.Uint32N(4)]
		h.F[i] = r.Uint64()
	}
	for range 20 {
		h.WriteCSR(uint16(riscv.CSRPmpcfg0), r.Uint64())
		h.WriteCSR(uint16(riscv.CSRPmpaddr0)+uint16(r.Uint32N(16)), (Base+r.Uint64N(1<<18))>>2)
	}
	if r.Uint32N(2) == 0 { // usually PMP lets everything through
		h.CSR.PmpCfg[0], h.CSR.PmpAddr[0] = 0x1f, 1<<54-1
	}
	h.CSR.Mtvec = Base + r.Uint64N(0x8000)&^3
	h.CSR.Stvec = Base + r.Uint64N(0x8000)&^3
	h.CSR.Medeleg = r.Uint64() & 0xb3ff
	h.CSR.Menvcfg = r.Uint64() & (riscv.MenvcfgADUE | riscv.MenvcfgPBMTE | riscv.EnvcfgCBZE)
	h.CSR.Mstatus |= riscv.MstatusFS | r.Uint64()&(riscv.MstatusSUM|riscv.MstatusMXR)
	h.CSR.Satp = []uint64{0, 8, 9, 10}[r.Uint32N(4)]<<riscv.SatpModeShift | (Base+0x10000)>>12
	h.Priv = []hart.Priv{hart.U, hart.S, hart.M}[r.Uint32N(3)]
	h.Refresh()
	c.FlushTLB()
	for range 40 {
		e := c.Run(500)
		switch e.Reason {
		case cpu.ExitBudget, cpu.ExitKicked:
		case cpu.ExitMMIO:
			if s := e.MMIO.Size; s == 0 || s&(s-1) != 0 || s > 8 || uint64(e.MMIO.Addr)%uint64(s) != 0 {
				t.Fatalf("seed %d: MMIO exit %+v", seed, e.MMIO)
			}
			c.CompleteMMIO(answer(e))
		case cpu.ExitHalt:
			h.Halted = false
		default:
			t.Fatalf("seed %d: exit %v: %v", seed, e.Reason, e.Err)
		}
		if h.X[0] != 0 {
			t.Fatalf("seed %d: x0 is %#x before pc %#x", seed, h.X[0], h.PC)
		}
	}
}

// checkHostile: random bytes and random page tables in every mode.
func checkHostile(t TB, newEngine New) {
	for seed := range uint64(150) {
		input := make([]byte, 0x2000)
		r := rand.New(rand.NewPCG(seed, 5))
		if seed%3 == 0 {
			input = nil // instructions only
		}
		for i := range input {
			input[i] = byte(r.Uint32())
		}
		Hostile(t, newEngine, seed, input)
	}
}

// checkHostileState: a saved state with bytes changed is refused, or is a
// state that runs.
func checkHostileState(t TB, newEngine New) {
	for seed := range uint64(400) {
		m := randomMachine(t, newEngine, seed%8)
		c := m.CPUs[0]
		if e := c.Run(1 + seed); e.Reason == cpu.ExitMMIO {
			c.CompleteMMIO(answer(e))
		}
		saved := save(c)
		r := rand.New(rand.NewPCG(seed, 6))
		for range 1 + r.IntN(8) {
			saved[r.IntN(len(saved))] = byte(r.Uint32())
		}
		if r.IntN(8) == 0 {
			saved = saved[:r.IntN(len(saved))]
		}
		d := state.NewDecoder(saved)
		if c.Restore(d, c.StateVersion()) != nil || d.Done() != nil {
			c.Reset()
			continue
		}
		again := save(c)
		if c.Restore(state.NewDecoder(again), c.StateVersion()) != nil || !bytes.Equal(save(c), again) {
			t.Fatalf("seed %d: an accepted state does not survive saving and restoring", seed)
		}
		for range 10 {
			e := c.Run(200)
			if e.Reason == cpu.ExitMMIO {
				c.CompleteMMIO(answer(e))
			}
			if e.Reason == cpu.ExitError || c.Hart().X[0] != 0 {
				t.Fatalf("seed %d: exit %v (%v), x0 %#x", seed, e.Reason, e.Err, c.Hart().X[0])
			}
			c.Hart().Halted = false
		}
	}
}
