package cputest_test

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"

	"doppel/internal/cpu"
	"doppel/internal/cpu/cputest"
	"doppel/internal/cpu/interp"
	"doppel/internal/memory"
	"doppel/internal/riscv"
	"doppel/internal/riscv/hart"
	"doppel/internal/state"
)

// recorder is a testing.TB of which the failures are wanted.
type recorder struct {
	failed   atomic.Bool
	cleanups []func()
}

func (r *recorder) Helper()                   {}
func (r *recorder) Cleanup(f func())          { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Errorf(string, ...any)     { r.failed.Store(true) }
func (r *recorder) Fatalf(f string, a ...any) { r.failed.Store(true); runtime.Goexit() }

// fails runs a check and tells whether it failed.
func fails(c cputest.Check, newEngine cputest.New) bool {
	r := new(recorder)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.Func(r, newEngine)
	}()
	<-done
	for _, f := range r.cleanups {
		f()
	}
	return r.failed.Load()
}

// broken is an engine with one thing wrong. It runs step by step, so that it
// can look at every instruction; nil functions change nothing.
type broken struct {
	*interp.VCPU
	before   func(b *broken, in riscv.Inst)
	after    func(b *broken, in riscv.Inst)
	run      func(b *broken, budget uint64) (uint64, bool)
	complete func(b *broken, value uint64, ok bool) (uint64, bool)
	flush    bool // FlushTLB does nothing
	noKick   bool
	noInput  bool
	noReset  bool
	noSave   bool // Restore forgets
	noWake   bool
	sameName bool
	runs     int
}

// at decodes the instruction at pc in M-mode or with the page table that
// cputest makes, as far as that is simple; else it gives ILLEGAL.
func (b *broken) at() riscv.Inst {
	h := b.Hart()
	var raw [4]byte
	for i := 0; i < 4; i += 2 {
		m, _, ok := h.Translate(h.PC+uint64(i), 2, hart.Fetch)
		if !ok || h.Memory().ReadAt(raw[i:i+2], m.GPA) != nil {
			break
		}
	}
	return riscv.Decode(uint32(raw[0]) | uint32(raw[1])<<8 | uint32(raw[2])<<16 | uint32(raw[3])<<24)
}

func (b *broken) Run(budget uint64) cpu.Exit {
	if b.run != nil {
		budget, _ = b.run(b, budget)
	}
	if b.before == nil && b.after == nil || budget > 1<<20 {
		return b.VCPU.Run(budget)
	}
	for range budget {
		in := b.at()
		if b.before != nil {
			b.before(b, in)
		}
		pc := b.Hart().PC
		e := b.VCPU.Run(1)
		if e.Reason != cpu.ExitBudget {
			return e
		}
		if b.after != nil && b.Hart().PC != pc {
			b.after(b, in)
		}
	}
	return cpu.Exit{Reason: cpu.ExitBudget}
}

func (b *broken) CompleteMMIO(value uint64, ok bool) {
	if b.complete != nil {
		value, ok = b.complete(b, value, ok)
	}
	b.VCPU.CompleteMMIO(value, ok)
}

func (b *broken) FlushTLB() {
	if !b.flush {
		b.VCPU.FlushTLB()
	}
}

func (b *broken) Kick() {
	if !b.noKick {
		b.VCPU.Kick()
	}
}

func (b *broken) OnWake(f func()) {
	if !b.noWake {
		b.VCPU.OnWake(f)
	}
}

func (b *broken) SetInterrupt(line uint, asserted bool) {
	if !b.noInput {
		b.VCPU.SetInterrupt(line, asserted)
	}
}

func (b *broken) StateName() string {
	if b.sameName {
		return "cpu0"
	}
	return b.VCPU.StateName()
}

func (b *broken) Reset() {
	if !b.noReset {
		b.VCPU.Reset()
	}
}

func (b *broken) Restore(d *state.Decoder, version uint32) error {
	err := b.VCPU.Restore(d, version)
	if b.noSave {
		b.Hart().X[7]++
	}
	return err
}

// wrong makes the result of an instruction wrong.
func wrong(op riscv.Op) broken {
	return broken{after: func(b *broken, in riscv.Inst) {
		if in.Op == op && in.Rd != 0 {
			b.Hart().X[in.Rd] ^= 1 << 40
		}
	}}
}

// skipped makes an instruction do nothing.
func skipped(op riscv.Op) broken {
	return broken{before: func(b *broken, in riscv.Inst) {
		if in.Op == op {
			b.Hart().PC += uint64(in.Len)
		}
	}}
}

// TestBroken shows that the suite can fail: each fault is found by the check
// that is there for it.
func TestBroken(t *testing.T) {
	checks := map[string]cputest.Check{}
	for _, c := range cputest.Checks() {
		checks[c.Name] = c
	}
	saw := map[string]bool{}
	for _, tt := range []struct {
		check, fault string
		b            broken
	}{
		{"Compute", "clmulr is wrong", wrong(riscv.CLMULR)},
		{"Compute", "addi does nothing", skipped(riscv.ADDI)},
		{"ComputeX0", "x0 keeps what is written", broken{after: func(b *broken, in riscv.Inst) {
			if in.Op == riscv.LD && in.Rd == 0 {
				b.Hart().X[0] = 5
			}
		}}},
		{"Branches", "bgeu is never taken", skipped(riscv.BGEU)},
		{"Jumps", "the link is wrong", wrong(riscv.JALR)},
		{"Float", "fnmsub.s drops a flag", broken{after: func(b *broken, in riscv.Inst) {
			if in.Op == riscv.FNMSUB_S {
				b.Hart().FFlags &^= 1
			}
		}}},
		{"FloatModes", "frm 5 is taken for RNE", broken{before: func(b *broken, in riscv.Inst) {
			if b.Hart().FRM == 5 {
				b.Hart().FRM = 0
			}
		}}},
		{"FloatState", "fld does not make FS dirty", broken{after: func(b *broken, in riscv.Inst) {
			if in.Op == riscv.FLD && b.Hart().CSR.Mcause == 0 {
				b.Hart().CSR.Mstatus &^= 1 << riscv.MstatusFSShift
			}
		}}},
		{"LoadStore", "lwu sign-extends", broken{after: func(b *broken, in riscv.Inst) {
			if in.Op == riscv.LWU {
				b.Hart().X[in.Rd] = uint64(int64(int32(b.Hart().X[in.Rd])))
			}
		}}},
		{"LoadStore", "sh does nothing", skipped(riscv.SH)},
		{"MMIO", "the value is cut", broken{complete: func(_ *broken, v uint64, ok bool) (uint64, bool) { return v & 0xffffffff, ok }}},
		{"MMIO", "no answer is taken for one", broken{complete: func(_ *broken, v uint64, ok bool) (uint64, bool) { return v, true }}},
		{"PageCrossing", "mtval is that of the first page", broken{after: func(b *broken, in riscv.Inst) {
			if in.Op == riscv.SD {
				b.Hart().CSR.Mtval -= 4096
			}
		}}},
		{"DataFaults", "the flush is lost", broken{flush: true}},
		{"ROM", "the flush is lost", broken{flush: true}},
		{"CacheBlocks", "cbo.zero does nothing", skipped(riscv.CBO_ZERO)},
		{"DirtyLog", "the flush is lost", broken{flush: true}},
		{"Atomics", "amomaxu.w is wrong", wrong(riscv.AMOMAXU_W)},
		{"Atomics", "amocas.q does nothing", skipped(riscv.AMOCAS_Q)},
		{"Reservations", "sc stores without a reservation", broken{before: func(b *broken, in riscv.Inst) {
			h := b.Hart()
			if in.Op == riscv.SC_D {
				h.ResValid, h.ResSize, h.ResAddr = true, 8, 0x80010000
			}
		}}},
		{"AtomicFaults", "the cause is a load's", broken{after: func(b *broken, in riscv.Inst) {
			if in.Op == riscv.AMOCAS_Q {
				b.Hart().CSR.Mcause = uint64(riscv.LoadAddressMisaligned)
			}
		}}},
		{"Privilege", "sret does nothing", skipped(riscv.SRET)},
		{"Illegal", "mtval is zero", broken{after: func(b *broken, in riscv.Inst) {
			if in.Op == riscv.ILLEGAL {
				b.Hart().CSR.Mtval = 0
			}
		}}},
		{"SupervisorCall", "the pc is after the call", broken{before: func(b *broken, in riscv.Inst) {
			if in.Op == riscv.ECALL {
				b.Hart().PC += 4
			}
		}}},
		{"Counters", "a trap counts", broken{after: func(b *broken, in riscv.Inst) {
			if in.Op == riscv.ECALL {
				b.Hart().Instret++
			}
		}}},
		{"Contexts", "satp is not written", skipped(riscv.CSRRW)},
		{"Fences", "sfence.vma does nothing", skipped(riscv.SFENCE_VMA)},
		{"Fences", "sinval.vma does nothing", skipped(riscv.SINVAL_VMA)},
		{"Fences", "FlushTLB does nothing", broken{flush: true}},
		{"FetchFaults", "mtval is mepc", broken{after: func(b *broken, in riscv.Inst) {
			b.Hart().CSR.Mtval = b.Hart().CSR.Mepc
		}}},
		{"SelfModifying", "fence.i does nothing", skipped(riscv.FENCE_I)},
		{"AcrossPages", "addi is wrong", wrong(riscv.ADDI)},
		{"Budget", "one too many", broken{run: func(_ *broken, n uint64) (uint64, bool) { return n + 1, true }}},
		{"TimerBetweenExits", "the timer does not interrupt", broken{before: func(b *broken, in riscv.Inst) {
			b.Hart().CSR.Mie &^= riscv.MipSTIP
		}}},
		{"Slicing", "it stands still now and then", broken{run: func(b *broken, n uint64) (uint64, bool) {
			if b.runs++; b.runs%97 == 0 {
				return 0, true
			}
			return n, true
		}}},
		{"Slicing", "long runs lose a bit", broken{run: func(b *broken, n uint64) (uint64, bool) {
			if n > 200 {
				b.Hart().X[21] ^= 1
			}
			return n, true
		}}},
		{"SaveRestore", "a register is not restored", broken{noSave: true}},
		{"Kick", "kicks are lost", broken{noKick: true}},
		{"Kick", "nobody is woken", broken{noWake: true}},
		{"Interrupts", "inputs are lost", broken{noInput: true}},
		{"Halt", "inputs are lost", broken{noInput: true}},
		{"Reset", "nothing is reset", broken{noReset: true}},
		{"Names", "the name is that of hart 0", broken{sameName: true}},
		{"HostileState", "a register is not restored", broken{noSave: true}},
		{"ParallelAMO", "AMOs are not atomic", broken{before: func(b *broken, in riscv.Inst) {
			if in.Op == riscv.AMOADD_D && in.Rd == 0 {
				h, mem := b.Hart(), b.Hart().Memory()
				addr := memory.GPA(h.X[in.Rs1])
				v, _ := mem.LoadU64(addr)
				runtime.Gosched()
				v += h.X[in.Rs2]
				mem.WriteAt([]byte{byte(v), byte(v >> 8), byte(v >> 16), byte(v >> 24)}, addr)
				h.PC += 4
			}
		}}},
		{"ParallelLRSC", "sc always stores", broken{before: func(b *broken, in riscv.Inst) {
			if h := b.Hart(); in.Op == riscv.SC_W || in.Op == riscv.SC_D {
				v := h.X[in.Rs2]
				p := []byte{byte(v), byte(v >> 8), byte(v >> 16), byte(v >> 24)}
				h.Memory().WriteAt(p, memory.GPA(h.X[in.Rs1]))
				h.X[in.Rd] = 0
				h.PC += 4
			}
		}}},
		{"ParallelCAS", "amocas.d always stores", broken{before: func(b *broken, in riscv.Inst) {
			if h := b.Hart(); in.Op == riscv.AMOCAS_D {
				v := h.X[in.Rs2]
				h.Memory().WriteAt([]byte{byte(v), byte(v >> 8), byte(v >> 16), byte(v >> 24)}, memory.GPA(h.X[in.Rs1]))
				h.PC += 4
			}
		}}},
		{"ParallelCode", "fence.i does nothing", skipped(riscv.FENCE_I)},
		{"Hostile", "a bug ends Run", broken{run: func(b *broken, n uint64) (uint64, bool) {
			if b.Hart().Instret > 50 {
				b.Hart().X[0] = 1
			}
			return n, true
		}}},
	} {
		t.Run(fmt.Sprintf("%s: %s", tt.check, tt.fault), func(t *testing.T) {
			c, ok := checks[tt.check]
			if !ok {
				t.Fatalf("there is no check %s", tt.check)
			}
			if !fails(c, func(cfg hart.Config) cputest.Engine {
				b := tt.b
				b.VCPU = interp.New(cfg)
				return &b
			}) {
				t.Errorf("the check has not seen that %s", tt.fault)
			}
		})
		saw[tt.check] = true
	}
	for name := range checks {
		// On a host with one processor, or one whose stores are ordered, a
		// missing fence need not show.
		if !saw[name] && name != "ParallelFence" {
			t.Errorf("nothing shows that check %s can fail", name)
		}
	}
}
