package machine

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"doppel/internal/entropy"
	"doppel/internal/riscv/asm"
)

// terminal is a device.Terminal that a test types on and reads from.
type terminal struct {
	mu    sync.Mutex
	out   bytes.Buffer
	in    []byte
	input func([]byte) int
}

func (o *terminal) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.out.Write(p)
}

func (o *terminal) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.out.String()
}

func (o *terminal) SetInput(fn func([]byte) int) {
	o.mu.Lock()
	o.input = fn
	o.mu.Unlock()
	o.InputReady()
}

// InputReady offers on a goroutine of its own, as the contract asks.
func (o *terminal) InputReady() { go o.offer() }

func (o *terminal) offer() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.input != nil && len(o.in) > 0 {
		o.in = o.in[o.input(o.in):]
	}
}

func (o *terminal) enter(text string) {
	o.mu.Lock()
	o.in = append(o.in, text...)
	o.mu.Unlock()
	o.offer()
}

func (o *terminal) Size() (columns, rows uint16) { return 80, 24 }
func (o *terminal) SetResize(func())             {}

// bare assembles src for 0x80000000, where it starts in M-mode.
func bare(t *testing.T, src string) Config {
	t.Helper()
	p, err := asm.Assemble(src, asm.Options{Origin: 0x80000000})
	if err != nil {
		t.Fatal(err)
	}
	return Config{Memory: 16 << 20, CPUs: 1, Firmware: File{"test.bin", p.Code}, Entropy: entropy.NewSeeded(1)}
}

// run runs a machine to its end and returns what it printed.
func run(t *testing.T, cfg Config) (Result, string) {
	t.Helper()
	var out terminal
	cfg.Console = &out
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	r, err := m.Run(ctx)
	if err != nil {
		t.Fatalf("Run: %v\noutput so far: %q", err, out.String())
	}
	return r, out.String()
}

const hello = `
	li   s0, 0x10000000
	la   s1, text
1:	lbu  t0, 0(s1)
	beqz t0, 3f
2:	lbu  t1, 5(s0)
	andi t1, t1, 0x20
	beqz t1, 2b
	sb   t0, 0(s0)
	addi s1, s1, 1
	j    1b
3:	li   t0, 0x100000
	li   t1, %CODE%
	sw   t1, 0(t0)
4:	j 4b
text:	.asciz "hello, machine\n"
`

func TestHello(t *testing.T) {
	for _, c := range []struct {
		value string
		want  Result
	}{
		{"0x5555", Result{PowerOff, 0}},
		{"0x2a3333", Result{Finished, 42}},
	} {
		r, out := run(t, bare(t, strings.Replace(hello, "%CODE%", c.value, 1)))
		if r != c.want || out != "hello, machine\n" {
			t.Errorf("%s: got %+v, %q; want %+v", c.value, r, out, c.want)
		}
	}
}
