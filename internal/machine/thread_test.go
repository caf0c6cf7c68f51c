package machine

import (
	"testing"
	"time"
)

// labor computes while the word at its end is 0, and then sleeps, a millisecond at
// a time.
const labor = `
	li   t0, 1<<5
	csrw sie, t0
	la   s0, rest
1:	ld   t2, 0(s0)
	beqz t2, 1b
2:	csrr a0, time
	li   t1, 10000
	add  a0, a0, t1
	csrw stimecmp, a0
	wfi
	j    2b
	.align 3
rest:	.dword 0
`

// TestThread has a guest compute, and then sleep.
func TestThread(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		cfg := kernel(t, labor)
		cfg.Engine = engine
		m, _, _ := start(t, cfg)
		kept := func() bool {
			if err := m.Pause(); err != nil {
				t.Fatal(err)
			}
			kept := m.vcpus[0].thread.kept
			if err := m.Resume(); err != nil {
				t.Fatal(err)
			}
			return kept
		}
		// A pause cuts a run short: ever fewer of them.
		wait := 25 * time.Millisecond
		after := func(want bool) func() bool {
			return func() bool {
				time.Sleep(wait)
				wait *= 2
				return kept() == want
			}
		}
		eventually(t, "a thread of its own", after(true))
		if err := m.mem.WriteAt([]byte{1}, m.plan.programs[0].End-8); err != nil {
			t.Fatal(err)
		}
		wait = 25 * time.Millisecond
		eventually(t, "the end of that", after(false))
	})
}
