package check

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"doppel/internal/cpu"
	"doppel/internal/cpu/cputest"
	"doppel/internal/cpu/interp"
	"doppel/internal/cpu/jit"
	"doppel/internal/memory"
	"doppel/internal/riscv/hart"
)

func oracle(cfg hart.Config) (Engine, error) { return interp.New(cfg), nil }

// subject is the translator where there is one; elsewhere the interpreter is
// checked against itself.
func subject(cfg hart.Config) (Engine, error) {
	if !jit.Available() {
		return oracle(cfg)
	}
	return jit.New(cfg, jit.Options{Threshold: -1, CodeBytes: 1 << 20})
}

// engineOf gives each memory, that is machine, a group.
func engineOf(o Options) cputest.New {
	var mu sync.Mutex
	groups := map[*memory.Space]*Group{}
	return func(cfg hart.Config) cputest.Engine {
		mu.Lock()
		g := groups[cfg.Memory]
		if g == nil {
			g = NewGroup(o)
			groups[cfg.Memory] = g
		}
		mu.Unlock()
		v, err := g.NewVCPU(cfg)
		if err != nil {
			panic(err)
		}
		return v
	}
}

// TestContract: the engine obeys the contract, and on the way the translator is
// compared with the interpreter in all that the suite does.
func TestContract(t *testing.T) {
	for _, c := range cputest.Checks() {
		switch c.Name {
		case "ParallelFence", "ParallelCode":
			continue // harts that take turns would spin for each other for minutes
		case "Compute", "Float", "Atomics":
			continue // single steps by the thousand, for each of which memory is compared
		case "Slicing", "SaveRestore":
			if testing.Short() {
				continue // likewise
			}
		}
		t.Run(c.Name, func(t *testing.T) {
			o := Options{Subject: subject, Oracle: oracle, Unmarked: true}
			if strings.HasPrefix(c.Name, "Parallel") {
				o.Period = 200 // a hart that waits for another does so for a period
			}
			c.Func(t, engineOf(o))
		})
	}
}

// broken is an engine that does something wrong after an instruction.
type broken struct {
	Engine
	at    uint64 // Instret after that instruction
	wrong func(h *hart.Hart)
}

func (b *broken) Run(budget uint64) cpu.Exit {
	before := b.Hart().Instret
	e := b.Engine.Run(budget)
	if before < b.at && b.Hart().Instret >= b.at {
		b.wrong(b.Hart())
	}
	return e
}

const program = `
	la s0, data
	li a0, 0
loop:	addi a0, a0, 1
	sd a0, 0(s0)
	slli a1, a0, 3
	xor a2, a2, a1
	j loop
	.balign 4096
data:	.dword 0
`

func machineOf(t *testing.T, o Options) *cputest.Machine {
	o.Oracle = oracle
	return cputest.NewMachine(t, engineOf(o), program, cputest.Options{RAM: 1 << 20})
}

// TestFinds: whatever part of the state a translator gets wrong is found, at
// the instruction, and the machine is still what it was before.
func TestFinds(t *testing.T) {
	const at = 123_457
	for name, c := range map[string]struct {
		wrong func(*hart.Hart)
		field string
		value uint64 // of memory, or 0
	}{
		"register":     {func(h *hart.Hart) { h.X[12] ^= 1 << 40 }, "x12 a2", 0},
		"float":        {func(h *hart.Hart) { h.F[31] ^= 1 }, "f31", 0},
		"pc":           {func(h *hart.Hart) { h.PC ^= 4 }, "pc", 0},
		"flags":        {func(h *hart.Hart) { h.FFlags |= 1 }, "fflags", 0},
		"CSR":          {func(h *hart.Hart) { h.CSR.Sepc ^= 8 }, "sepc", 0},
		"reservation":  {func(h *hart.Hart) { h.ResValid = !h.ResValid }, "resvalid", 0},
		"instructions": {func(h *hart.Hart) { h.Instret++ }, "instret", 0},
		"memory":       {func(h *hart.Hart) { h.Memory().StoreU32(cputest.Base+0x8010, 99) }, "", 99},
	} {
		t.Run(name, func(t *testing.T) {
			m := machineOf(t, Options{Period: 10_000, Subject: func(cfg hart.Config) (Engine, error) {
				e, err := subject(cfg)
				return &broken{e, at, c.wrong}, err
			}})
			e := m.CPUs[0].Run(1 << 20)
			var d *Difference
			if e.Reason != cpu.ExitError || !errors.As(e.Err, &d) {
				t.Fatalf("exit %v, %v", e.Reason, e.Err)
			}
			t.Log(d)
			if m.Hart().Instret != 120_000 || m.U64(m.Sym("data")) >= at/5 || m.U64(cputest.Base+0x8010) != 0 {
				t.Errorf("the machine is at instruction %d and has counted %d", m.Hart().Instret, m.U64(m.Sym("data")))
			}
			if !d.Repeated || d.Instret+d.After != at || len(d.Trace) != traced {
				t.Errorf("repeated %v, found after instruction %d with %d traced, want %d", d.Repeated, d.Instret+d.After, len(d.Trace), at)
			}
			if c.field != "" && (len(d.Fields) != 1 || d.Fields[0].Name != c.field) || c.field == "" && len(d.Fields) != 0 {
				t.Errorf("fields %v, want %q", d.Fields, c.field)
			}
			if c.value != 0 && (len(d.Memory) != 1 || d.Memory[0] != Word{cputest.Base + 0x8010, c.value, 0}) || c.value == 0 && len(d.Memory) != 0 {
				t.Errorf("memory %v", d.Memory)
			}
			if again := m.CPUs[0].Run(1); again.Reason != cpu.ExitError || again.Err != e.Err {
				t.Errorf("after a difference: exit %v", again.Reason)
			}
		})
	}
}

// TestInputs: what comes from outside is the same for both engines: time,
// random numbers, interrupts, another hart's fences.
func TestInputs(t *testing.T) {
	m := cputest.NewMachine(t, engineOf(Options{Subject: subject, Oracle: oracle, Period: 1000}), `
	la t0, trap
	csrw mtvec, t0
	li t0, 1<<11
	csrw mie, t0
	csrsi mstatus, 8
loop:	csrr a0, time
	add a1, a1, a0
	csrrw a2, seed, x0
	xor a3, a3, a2
	csrr a4, minstret
	add a1, a1, a4
	j loop
	.balign 4
trap:	addi a5, a5, 1
	lw a6, 0(zero)		# quiet the device
	mret
`, cputest.Options{})
	c := m.CPUs[0]
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 200 {
			c.SetInterrupt(11, true)
			m.Hart().RequestFlush(hart.Fence{HasVA: true, VA: cputest.Base, Size: 4096})
			time.Sleep(100 * time.Microsecond)
		}
	}()
	for ended := false; !ended; {
		select {
		case <-done:
			ended = true
		default:
		}
		switch e := c.Run(100_000); e.Reason {
		case cpu.ExitBudget:
		case cpu.ExitMMIO:
			c.SetInterrupt(11, false)
			c.CompleteMMIO(uint64(m.Hart().X[15]), true)
		default:
			t.Fatalf("exit %v: %v", e.Reason, e.Err)
		}
	}
	if h := m.Hart(); h.X[15] < 10 || h.X[13] == 0 || h.X[16] == 0 || h.Time() == 0 {
		t.Errorf("%d interrupts, random bits %#x, device %#x, time %d", h.X[15], h.X[13], h.X[16], h.Time())
	}
}

// unfenced is code that changes an instruction without a fence.i and executes
// it, in a loop.
const unfenced = `
	la s0, one
	li s2, 0x00150513	# addi a0, a0, 1
	li s3, 0x00250513	# addi a0, a0, 2
loop:	sw s2, 0(s0)
	jal ra, one
	jal ra, two
	sw s3, 0(s0)
	jal ra, one
	jal ra, two
	j loop
	.balign 4096
one:	nop
	ret
	.balign 4096
two:	addi a1, a1, 1
	ret
`

// forgetful sees stores to code sooner than it must.
type forgetful struct{ Engine }

func (f forgetful) Run(budget uint64) cpu.Exit {
	var e cpu.Exit
	for budget > 0 && e.Reason == cpu.ExitBudget {
		f.Hart().RequestFlush(hart.Fence{Code: true})
		n := min(budget, 777)
		e = f.Engine.Run(n)
		budget -= n
	}
	return e
}

// TestUnfenced: engines may differ in when they see code that was changed
// without a fence.i; what goes wrong meanwhile is found.
func TestUnfenced(t *testing.T) {
	build := func(at uint64) *cputest.Machine {
		o := Options{Period: 10_000, Oracle: oracle, Subject: func(cfg hart.Config) (Engine, error) {
			e, err := subject(cfg)
			return &broken{forgetful{e}, at, func(h *hart.Hart) { h.X[11] ^= 1 << 40 }}, err
		}}
		return cputest.NewMachine(t, engineOf(o), unfenced, cputest.Options{RAM: 1 << 20})
	}
	m := build(0)
	if e := m.CPUs[0].Run(40_000); e.Reason != cpu.ExitBudget {
		t.Fatalf("exit %v: %v", e.Reason, e.Err)
	}
	v := m.CPUs[0].(*VCPU)
	if v.excused == 0 || m.Hart().Instret != 40_000 {
		t.Errorf("%d differences excused in %d instructions: this test shows nothing", v.excused, m.Hart().Instret)
	}
	const at = 23_457
	var d *Difference
	if e := build(at).CPUs[0].Run(40_000); !errors.As(e.Err, &d) || d.Instret+d.After != at {
		t.Errorf("exit %v: %v; want a difference after instruction %d", e.Reason, e.Err, at)
	}
}
