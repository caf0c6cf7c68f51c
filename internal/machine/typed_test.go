package machine

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"
)

// echo sends back what is typed, woken by the UART's interrupt alone. Fewer
// bytes than the FIFO's trigger level come with its timeout.
const echo = `
	la   t0, handler
	csrw mtvec, t0
	li   s0, 0x10000000
	li   s1, 0x0c000000
	li   t0, 1
	sw   t0, 4*10(s1)		# the UART's priority
	li   t1, 0x0c002000
	li   t0, 1 << 10
	sw   t0, 0(t1)
	li   s2, 0x0c200000
	sw   zero, 0(s2)
	li   t0, 0x81
	sb   t0, 2(s0)
	li   t0, 1
	sb   t0, 1(s0)
	li   t0, 1 << 11
	csrw mie, t0
	csrsi mstatus, 8
1:	wfi
	j    1b
	.align 2
handler:
	lw   s3, 4(s2)
2:	lbu  t0, 5(s0)
	andi t0, t0, 1
	beqz t0, 3f
	lbu  t0, 0(s0)
	sb   t0, 0(s0)
	j    2b
3:	sw   s3, 4(s2)
	mret
`

// What is typed before, while or after a restored machine starts is not lost,
// however the UART, the interrupt controller and the hart were when it was
// saved: in a chain of machines each is saved soon after the last one's answer.
func TestTypedAtRestore(t *testing.T) {
	rounds := 60
	if testing.Short() {
		rounds = 15
	}
	for _, engine := range []string{"interp", "auto"} {
		var saved []byte
		for n := range rounds {
			cfg := bare(t, echo)
			cfg.Memory, cfg.Engine = 4<<20, engine
			out := &terminal{}
			cfg.Console = out
			m, err := New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			if saved != nil {
				if err := m.Restore(bytes.NewReader(saved)); err != nil {
					t.Fatal(err)
				}
			}
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			ended := make(chan error, 1)
			if n%3 == 0 {
				out.enter("root\n")
			}
			go func() {
				_, err := m.Run(ctx)
				ended <- err
			}()
			switch n % 3 {
			case 1:
				out.enter("root\n")
			case 2:
				time.Sleep(time.Duration(n) * 20 * time.Microsecond)
				out.enter("root\n")
			}
			for !strings.HasSuffix(out.String(), "root\n") && ctx.Err() == nil {
				time.Sleep(10 * time.Microsecond)
			}
			if err := m.Pause(); err != nil {
				t.Fatalf("%s: no answer in machine %d; it printed %q: %v", engine, n, out.String(), <-ended)
			}
			var b bytes.Buffer
			if err := m.Save(&b); err != nil {
				t.Fatal(err)
			}
			saved = b.Bytes()
			cancel()
			<-ended
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
