package machine

import (
	"context"
	"errors"
	"strings"
	"testing"

	"doppel/internal/cpu"
	"doppel/internal/cpu/check"
	"doppel/internal/cpu/interp"
	"doppel/internal/cpu/jit"
	"doppel/internal/riscv/hart"
)

// wrong is an engine with a bug.
type wrong struct{ check.Engine }

func (w wrong) Run(budget uint64) cpu.Exit {
	before := w.Hart().Instret
	e := w.Engine.Run(budget)
	if before < 1000 && w.Hart().Instret >= 1000 {
		w.Hart().X[31]++
	}
	return e
}

// TestCheckStops: a machine whose translator is wrong ends with an error that
// shows both states; one whose translator is right runs to its end.
func TestCheckStops(t *testing.T) {
	ours := newSubject
	defer func() { newSubject = ours }()
	right := func(cfg hart.Config, _ jit.Options) (check.Engine, error) { return interp.New(cfg), nil }
	for _, bug := range []bool{false, true} {
		newSubject = right
		if bug {
			newSubject = func(cfg hart.Config, o jit.Options) (check.Engine, error) {
				e, err := right(cfg, o)
				return wrong{e}, err
			}
		}
		cfg := bare(t, prelude+`
	li   t2, 20000
2:	addi t2, t2, -1
	bnez t2, 2b
	li   a0, 0x5555
	j    end
`)
		cfg.Engine, cfg.CPUs = engineCheck, 2
		m, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		_, err = m.Run(context.Background())
		var d *check.Difference
		if errors.As(err, &d) != bug || !bug && err != nil {
			t.Errorf("bug %v: %v", bug, err)
		}
		if bug && (!strings.Contains(err.Error(), "x31 t6") || !strings.Contains(err.Error(), "vCPU") || d.Instret+d.After != 1000) {
			t.Errorf("the error lacks something: %v", err)
		}
	}
}
