package cputest

import (
	"bytes"
	"sync/atomic"
	"time"

	"doppel/internal/cpu"
	"doppel/internal/riscv"
	"doppel/internal/state"
)

// checkBudget: Run stops after exactly so many instructions, wherever in the
// code that is, and a trap counts as one.
func checkBudget(t TB, newEngine New) {
	m := NewMachine(t, newEngine, `
	la t0, trap
	csrw mtvec, t0
	li a0, 0
loop:	addi a0, a0, 1		# a0 is the number of instructions since the loop's start
	addi a0, a0, 1
	beqz x0, 1f
	nop
1:	addi a0, a0, 2
	.rept 70
	addi a0, a0, 1
	.endr
	addi a0, a0, 2
	ecall			# counts one, and the handler's 5
	j loop
	.balign 4
trap:	csrr t1, mepc
	addi t1, t1, 4
	csrw mepc, t1
	addi a0, a0, 6		# with j loop
	mret
`, Options{})
	c, h := m.CPUs[0], m.Hart()
	m.exit(c.Run(4), cpu.ExitBudget) // la is two
	m.want("pc", h.PC, m.Sym("loop"))
	round := uint64(2 + 1 + 1 + 70 + 1 + 1 + 5 + 1)
	for n := uint64(1); n <= 2*round; n++ {
		// n rounds in steps of n reach the loop's start again each n-th time.
		h.PC, h.X[10] = m.Sym("loop"), 0
		for range round {
			m.exit(c.Run(n), cpu.ExitBudget)
		}
		if h.PC != m.Sym("loop") || h.X[10] != n*round {
			t.Fatalf("steps of %d: pc %#x after a multiple of the loop's length, a0 %d, want %#x and %d", n, h.PC, h.X[10], m.Sym("loop"), n*round)
		}
	}
	before := c.Instructions()
	m.exit(c.Run(0), cpu.ExitBudget)
	m.want("instructions of an empty budget", c.Instructions()-before, 0)
	h.CSR.Mtvec = 0 // an endless chain of fetch faults still ends
	h.PC = 0
	m.exit(c.Run(1000), cpu.ExitBudget)
	m.want("instructions of faults", c.Instructions()-before, 0)
	m.want("cause", h.CSR.Mcause, uint64(riscv.InstructionAccessFault))
}

// deadline is when a check gives up waiting for another goroutine.
const deadline = 20 * time.Second

// background runs f on another goroutine; done fails unless it ends soon.
func background(t TB, f func()) (done func()) {
	ch := make(chan struct{})
	go func() {
		defer close(ch)
		f()
	}()
	return func() {
		t.Helper()
		select {
		case <-ch:
		case <-time.After(deadline):
			t.Fatalf("not done after %v", deadline)
		}
	}
}

// checkKick: Kick ends a Run in progress, or the next one, once.
func checkKick(t TB, newEngine New) {
	m := NewMachine(t, newEngine, "loop: addi a0, a0, 1\nj loop\nwfi: wfi\nnop\n", Options{})
	c, h := m.CPUs[0], m.Hart()
	for range 20 {
		start := make(chan struct{})
		var e cpu.Exit
		done := background(t, func() {
			close(start)
			// Bounded, so that an engine that loses kicks ends as well.
			e = c.Run(1 << 30)
		})
		<-start
		c.Kick()
		done()
		m.exit(e, cpu.ExitKicked)
	}
	c.Kick()
	c.Kick()
	m.exit(c.Run(100), cpu.ExitKicked)
	m.exit(c.Run(100), cpu.ExitBudget)
	var woken atomic.Int32
	c.OnWake(func() { woken.Add(1) })
	h.PC = m.Sym("wfi")
	m.exit(c.Run(100), cpu.ExitHalt)
	if c.Runnable() {
		t.Errorf("runnable in WFI")
	}
	c.Kick()
	if !c.Runnable() || woken.Load() == 0 {
		t.Errorf("a kick did not wake: runnable %v, %d calls", c.Runnable(), woken.Load())
	}
	m.exit(c.Run(100), cpu.ExitKicked)
	m.exit(c.Run(100), cpu.ExitHalt)
}

// checkInterrupts: an input that is raised while the hart runs is taken soon,
// and precisely.
func checkInterrupts(t TB, newEngine New) {
	m := NewMachine(t, newEngine, `
	la t0, trap
	csrw mtvec, t0
	li t0, 1<<11
	csrw mie, t0
	csrsi mstatus, 8
	li s0, 0
	li s1, 0
loop:	addi s0, s0, 1		# s0 and s1 are in step
	addi s1, s1, 1
	j loop
	.balign 4
trap:	csrr a0, mcause
	csrr a1, mepc
	sub a2, s0, s1
	lw a3, 0(zero)
out:	j out
`, Options{})
	c, h := m.CPUs[0], m.Hart()
	var e cpu.Exit
	started := make(chan struct{})
	done := background(t, func() {
		close(started)
		e = c.Run(1 << 30)
	})
	<-started
	c.SetInterrupt(11, true)
	done()
	m.exit(e, cpu.ExitMMIO) // the handler's load
	c.CompleteMMIO(0, true)
	m.want("mcause", h.X[10], uint64(riscv.MachineExternalInterrupt))
	at := h.X[11]
	if at != Base && at != m.Sym("loop")+4 && h.X[12] != 0 {
		t.Errorf("epc %#x, s0-s1 = %d", at, int64(h.X[12]))
	}
	if at == m.Sym("loop")+4 && h.X[12] != 1 {
		t.Errorf("at the second instruction s0-s1 = %d, want 1", int64(h.X[12]))
	}
	// Between two instructions of a straight line, and with a pending input
	// that becomes enabled by an instruction.
	c.SetInterrupt(11, false)
	h.CSR.Mcause = 0
	m.want("mip", mip(h), 0)
	h.CSR.Mstatus |= riscv.MstatusMIE
	h.PC = m.Sym("loop")
	m.exit(c.Run(1), cpu.ExitBudget)
	c.SetInterrupt(11, true)
	m.exit(c.Run(1), cpu.ExitBudget)
	m.want("epc of an interrupt between two steps", h.CSR.Mepc, m.Sym("loop")+4)
	m.want("cause", h.CSR.Mcause, uint64(riscv.MachineExternalInterrupt))
	h.CSR.Mstatus &^= riscv.MstatusMIE
	h.CSR.Mcause = 0
	c.Run(1)
	h.PC = Base
	enable := m.Sym("loop") - 12
	m.exit(c.Run((enable-h.PC)/4+2), cpu.ExitBudget)
	m.want("epc after interrupts are enabled", h.CSR.Mepc, enable+4)
	// The level falls before it is looked at.
	c.SetInterrupt(11, false)
	h.CSR.Mstatus |= riscv.MstatusMIE
	h.PC, h.CSR.Mcause = m.Sym("loop"), 0
	c.SetInterrupt(11, true)
	c.SetInterrupt(11, false)
	m.exit(c.Run(3), cpu.ExitBudget)
	m.want("cause of an input that fell", h.CSR.Mcause, 0)
}

func mip(h interface {
	ReadCSR(uint16) (uint64, bool)
}) uint64 {
	v, _ := h.ReadCSR(uint16(riscv.CSRMip))
	return v
}

// checkHalt: WFI halts unless an interrupt is pending and enabled in mie, and
// resumes after it even if mstatus keeps the interrupt from being taken.
func checkHalt(t TB, newEngine New) {
	m := NewMachine(t, newEngine, `
	li t0, 1<<7
	csrw mie, t0
	wfi
after:	li a0, 1
	wfi
	li a0, 2
done:	j done
`, Options{})
	c, h := m.CPUs[0], m.Hart()
	var woken atomic.Int32
	c.OnWake(func() { woken.Add(1) })
	for range 3 {
		m.exit(c.Run(1000), cpu.ExitHalt)
		m.want("pc", h.PC, m.Sym("after"))
		m.want("instructions", c.Instructions(), 3)
	}
	if c.Runnable() {
		t.Errorf("runnable without an interrupt")
	}
	c.SetInterrupt(11, true) // not enabled
	m.exit(c.Run(1000), cpu.ExitHalt)
	n := woken.Load()
	c.SetInterrupt(7, true)
	if !c.Runnable() || woken.Load() == n {
		t.Errorf("an interrupt did not wake: runnable %v, %d calls", c.Runnable(), woken.Load()-n)
	}
	m.Finish()
	m.want("a0: the second WFI does not halt", h.X[10], 2)
}

func save(c state.Component) []byte {
	var e state.Encoder
	c.Save(&e)
	return e.Data()
}

// checkReset: after Reset the engine is as new, whatever was before.
func checkReset(t TB, newEngine New) {
	m := NewMachine(t, newEngine, `
	li a0, 5
	csrw mscratch, a0
	la t0, user
	csrw mepc, t0
	mret
user:	j user
`, Options{})
	c := m.CPUs[0]
	other := NewMachine(t, newEngine, "nop", Options{}).CPUs[0]
	other.Reset()
	m.exit(c.Run(1000), cpu.ExitBudget)
	c.Reset()
	if !bytes.Equal(save(c), save(other)) {
		t.Errorf("the state after Reset is not that of a new engine")
	}
	m.want("instructions", c.Instructions(), 0)
	m.Hart().PC = Base
	m.exit(c.Run(1), cpu.ExitBudget)
	m.want("a0", m.Hart().X[10], 5)
}

// checkNames: harts are told apart.
func checkNames(t TB, newEngine New) {
	m := NewMachine(t, newEngine, "csrr a1, mhartid\n", Options{Harts: 3})
	seen := map[string]bool{}
	for i, c := range m.CPUs {
		m.want("ID", uint64(c.ID()), uint64(i))
		m.exit(c.Run(1), cpu.ExitBudget)
		m.want("mhartid", c.Hart().X[11], uint64(i))
		if seen[c.StateName()] || c.StateName() == "" || c.StateVersion() == 0 {
			t.Errorf("hart %d has the state section %q, version %d", i, c.StateName(), c.StateVersion())
		}
		seen[c.StateName()] = true
	}
}

// checkTimerBetweenExits: a hart that is brought out of Run again and again
// before it has done much, as one is that spins for what its own timer will do, still
// learns that the time has come.
func checkTimerBetweenExits(t TB, newEngine New) {
	for _, kicked := range []bool{false, true} {
		m := NewMachine(t, newEngine, `
	la t0, trap
	csrw mtvec, t0
	li t0, 1<<63		# STCE
	csrw menvcfg, t0
	li t0, 10
	csrw stimecmp, t0
	li t0, 1<<5		# STIE
	csrw mie, t0
	la t0, loop
	csrw mepc, t0
	li t0, 1<<5		# SPIE, MPP = U
	csrw mstatus, t0
	li t0, -1
	csrw pmpaddr0, t0
	li t0, 0x1f
	csrw pmpcfg0, t0
	mret
loop:	pause
	j loop
	.balign 4
trap:	j trap
`, Options{})
		c, h := m.CPUs[0], m.Hart()
		m.exit(c.Run(100), cpu.ExitBudget)
		m.Clock.Ns = 1_000_000
		for range 2000 {
			if kicked {
				c.Kick()
				m.exit(c.Run(50), cpu.ExitKicked)
			}
			m.exit(c.Run(50), cpu.ExitBudget)
		}
		m.want("pc", h.PC, m.Sym("trap"))
	}
}
