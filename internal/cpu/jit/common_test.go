//go:build linux && (amd64 || arm64)

package jit

import (
	"testing"

	"doppel/internal/cpu"
	"doppel/internal/cpu/cputest"
	"doppel/internal/cpu/interp"
	"doppel/internal/riscv/hart"
)

// visitor runs translated code and in Commons in turn.
type visitor struct {
	*VCPU
	commons *interp.Commons
	own     bool
}

func (t *visitor) Run(budget uint64) cpu.Exit {
	const every = 211 // instructions
	for {
		n := min(budget, every)
		t.own = !t.own
		if e := t.once(n); e.Reason != cpu.ExitBudget || n == budget {
			return e
		}
		budget -= n
	}
}

func (t *visitor) once(n uint64) cpu.Exit {
	if t.own {
		return t.VCPU.Run(n)
	}
	c := t.commons.Take(&t.h)
	defer t.commons.Give(c)
	return t.RunIn(c, n)
}

func visitors(o Options) cputest.New {
	commons := &interp.Commons{}
	return func(cfg hart.Config) cputest.Engine {
		return &visitor{VCPU: engineOf(o)(cfg).(*VCPU), commons: commons}
	}
}

// TestCommonContract: a VCPU that goes back and forth between its code and
// Commons keeps the contract.
func TestCommonContract(t *testing.T) {
	cputest.Run(t, visitors(Options{Threshold: -1, CodeBytes: 1 << 20, Samples: 1}))
}

// TestCommonRewriting: what is written to code in a Common is seen by translated
// code after it, and the other way round.
func TestCommonRewriting(t *testing.T) {
	m := cputest.NewMachine(t, visitors(Options{Threshold: -1, CodeBytes: 64 << 10}), rewriting, cputest.Options{})
	v := m.CPUs[0].(*visitor)
	if e := v.Run(400_000); e.Reason != cpu.ExitBudget {
		t.Fatalf("exit %v (%v)", e.Reason, e.Err)
	}
	if v.h.X[12] < 1000 || v.h.X[11] != 0 {
		t.Errorf("%d rounds, of which %d ran what was not written", v.h.X[12], v.h.X[11])
	}
	if v.stats.Common == 0 || v.stats.Blocks == 0 {
		t.Errorf("%d runs in Commons, %d blocks: this test shows nothing", v.stats.Common, v.stats.Blocks)
	}
}
