//go:build linux && (amd64 || arm64)

package jit

import (
	"bytes"
	"fmt"
	"testing"
	"unsafe"

	"doppel/internal/cpu"
	"doppel/internal/cpu/cputest"
	"doppel/internal/riscv/hart"
)

// fenced is a VCPU between poisoned neighbours.
type fenced struct {
	before [4096]byte
	v      VCPU
	behind [4096]byte
}

const poison = 0xa5

// probed is an engine that now and then runs its code apart, and looks at what
// it has written to: nothing but the guest's memory and registers, and those
// fields that are meant for it. Then it puts all of that back and runs as ever.
type probed struct {
	*VCPU
	t       cputest.TB
	all     *fenced
	memory  []byte
	probes  *int
	running []byte // the VCPU's bytes, before
}

func newProbed(t cputest.TB, o Options, probes *int) cputest.New {
	return func(cfg hart.Config) cputest.Engine {
		f := &fenced{}
		for i := range f.before {
			f.before[i], f.behind[i] = poison, poison
		}
		if err := f.v.init(cfg, o); err != nil {
			t.Fatalf("%v", err)
		}
		return &probed{VCPU: &f.v, t: t, all: f, memory: cfg.Memory.Regions()[0].Bytes(), probes: probes}
	}
}

// open are the parts of a VCPU that code may write to.
func (v *VCPU) open() (parts [][]byte) {
	at := func(p unsafe.Pointer, n uintptr) { parts = append(parts, unsafe.Slice((*byte)(p), n)) }
	off := func(displacement int32, n uintptr) {
		at(unsafe.Pointer(uintptr(unsafe.Pointer(&v.h.X))+bias+uintptr(int64(displacement))), n)
	}
	at(unsafe.Pointer(&v.h.State), unsafe.Sizeof(v.h.State))
	at(unsafe.Pointer(&v.context), unsafe.Sizeof(v.context))
	at(unsafe.Pointer(&v.sites.user), unsafe.Sizeof(v.sites.user))
	at(unsafe.Pointer(&v.sites.kernel), unsafe.Sizeof(v.sites.kernel))
	at(unsafe.Pointer(&v.sites.table), unsafe.Sizeof(v.sites.table))
	s := &layout.System
	for _, d := range []int32{layout.DataContext, layout.FetchContext, s.JumpKey, s.SeenStatus, s.Limit} {
		off(d, 8)
	}
	off(s.SeenPriv, 1)
	off(s.FPReady, 1)
	return parts
}

func (p *probed) Run(n uint64) cpu.Exit {
	p.h.Enter()
	if n > 0 && p.in.Begin(n) && p.h.Attention.Load() == 0 {
		if code := p.find(p.h.PC); code != 0 {
			p.probe(code, n)
		}
	}
	p.h.Leave()
	return p.VCPU.Run(n)
}

func (p *probed) probe(code uintptr, n uint64) {
	v := p.VCPU
	*p.probes++
	v.page = v.h.PC &^ pageMask
	v.fpUsed = 0
	v.left = min(n, 300)
	v.readyFloat()
	v.freshSites()
	v.freshFar()
	self := unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v))
	ram := bytes.Clone(p.memory)
	p.running = append(p.running[:0], self...)
	enter(v.code.enterRoutine(), v.base, code)

	if v.sites.user.n > maxSites || v.sites.kernel.n > maxSites {
		p.t.Fatalf("logs of %d and %d sites", v.sites.user.n, v.sites.kernel.n)
	}
	if v.left > min(n, 300) {
		p.t.Fatalf("a budget of %d became %d", min(n, 300), int64(v.left))
	}
	for _, part := range v.open() {
		off := uintptr(unsafe.Pointer(&part[0])) - uintptr(unsafe.Pointer(v))
		copy(part, p.running[off:])
	}
	copy(p.memory, ram)
	if !bytes.Equal(self, p.running) {
		for i := range self {
			if self[i] != p.running[i] {
				p.t.Fatalf("code at pc %#x has changed byte %d of the VCPU from %#x to %#x: %s", v.h.PC, i, p.running[i], self[i], fieldAt(uintptr(i)))
			}
		}
	}
	for i := range p.all.before {
		if p.all.before[i] != poison || p.all.behind[i] != poison {
			p.t.Fatalf("code at pc %#x has written beside the VCPU", v.h.PC)
		}
	}
}

func fieldAt(off uintptr) string {
	v := &VCPU{}
	for _, f := range []struct {
		name string
		at   uintptr
	}{{"consts", unsafe.Offsetof(v.consts)}, {"sites", unsafe.Offsetof(v.sites)}, {"code", unsafe.Offsetof(v.code)},
		{"in", unsafe.Offsetof(v.in)}, {"context", unsafe.Offsetof(v.context)}, {"h", unsafe.Offsetof(v.h)}} {
		if off >= f.at {
			return fmt.Sprintf("%s+%d", f.name, off-f.at)
		}
	}
	return "?"
}

// TestPoison: generated code writes to nothing but guest memory and what is
// meant for it. The programs are random ones in all modes, whose loops become
// regions.
func TestPoison(t *testing.T) {
	probes, seeds := 0, uint64(40)
	if testing.Short() {
		seeds = 8
	}
	for _, o := range []Options{{Threshold: -1, CodeBytes: 1 << 20}, {Threshold: -1, CodeBytes: 1 << 20, Samples: 1, Slice: 20}} {
		for seed := range seeds {
			cputest.Hostile(t, newProbed(t, o, &probes), seed, nil)
		}
		for _, src := range []string{rewriting, inTurn, overlapping, copying} {
			m := cputest.NewMachine(t, newProbed(t, o, &probes), src, cputest.Options{RAM: 1 << 18})
			for range 100 {
				if e := m.CPUs[0].Run(777); e.Reason != cpu.ExitBudget {
					t.Fatalf("%v %v", e.Reason, e.Err)
				}
			}
		}
	}
	if probes < 500 {
		t.Errorf("%d probes: this test shows nothing", probes)
	}
	t.Logf("%d probes", probes)
}

// copying is a loop of all kinds of accesses.
const copying = `
	la s0, data
	li s1, 0
	li t0, 3<<13
	csrs mstatus, t0
1:	andi t1, s1, 0x7f8
	add t1, t1, s0
	ld t2, 0(t1)
	addi t2, t2, 1
	sd t2, 2040(t1)
	amoadd.d t3, t2, (t1)
	fld fa0, 8(t1)
	fadd.d fa1, fa1, fa0
	fsd fa1, 16(t1)
	lw t4, 1(t1)
	sb t4, 5(t1)
	addi s1, s1, 8
	j 1b
	.balign 4096
data:	nop
`

// TestPoisonCanFail: a probe notices a byte that has changed.
func TestPoisonCanFail(t *testing.T) {
	probes := 0
	fatal := ""
	tb := &catching{TB: t, fatal: func(s string) { fatal = s }}
	m := cputest.NewMachine(t, newProbed(tb, Options{Threshold: -1}, &probes), copying, cputest.Options{RAM: 1 << 18})
	p := m.CPUs[0].(*probed)
	for range 50 {
		p.Run(777)
	}
	if fatal != "" || probes == 0 {
		t.Fatalf("%d probes: %s", probes, fatal)
	}
	p.all.behind[0] = 0
	for range 50 {
		p.Run(777)
	}
	if fatal == "" {
		t.Error("a neighbour that has changed went unseen")
	}
}

// catching takes note of what would end the test.
type catching struct {
	cputest.TB
	fatal func(string)
}

func (c *catching) Fatalf(format string, args ...any) { c.fatal(fmt.Sprintf(format, args...)) }
