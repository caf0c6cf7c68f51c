package machine

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"doppel/internal/cpu"
)

// prelude has what the programs share: putc prints a0, end ends the machine
// with the value in a0.
const prelude = `
	j    main
putc:	li   t0, 0x10000000
1:	lbu  t1, 5(t0)
	andi t1, t1, 0x20
	beqz t1, 1b
	sb   a0, 0(t0)
	ret
end:	li   t0, 0x100000
	sw   a0, 0(t0)
1:	j    1b
	.align 3
main:
`

// start runs a machine in the background.
func start(t *testing.T, cfg Config) (*Machine, *terminal, <-chan error) {
	t.Helper()
	out, ok := cfg.Console.(*terminal)
	if !ok {
		out = &terminal{}
		cfg.Console = out
	}
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m, out, begin(m)
}

func begin(m *Machine) <-chan error {
	ended := make(chan error, 1)
	go func() {
		_, err := m.Run(context.Background())
		ended <- err
	}()
	for m.Status() == Created {
		time.Sleep(time.Millisecond)
	}
	return ended
}

// eventually waits for something that must come.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come", what)
		}
	}
}

// digits prints 0 to 9 forever, a number in about a million instructions.
const digits = prelude + `
	li   s0, '0'
2:	mv   a0, s0
	call putc
	addi s0, s0, 1
	li   t0, '9'
	ble  s0, t0, 3f
	li   s0, '0'
3:	li   t0, 500000
4:	addi t0, t0, -1
	bnez t0, 4b
	j    2b
`

func TestPauseResume(t *testing.T) {
	m, out, _ := start(t, bare(t, digits))
	for range 5 {
		n := len(out.String())
		eventually(t, "output", func() bool { return len(out.String()) > n+3 })
		if err := m.Pause(); err != nil {
			t.Fatal(err)
		}
		before, now := m.Stats().Instructions(), m.clock.Now()
		time.Sleep(5 * time.Millisecond)
		if after := m.Stats().Instructions(); after != before {
			t.Errorf("a paused machine went on by %d instructions", after-before)
		}
		if m.clock.Now() != now {
			t.Error("a paused machine's clock went on")
		}
		if err := m.Resume(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestStatusErrors(t *testing.T) {
	m, _, ended := start(t, bare(t, digits))
	var want *StatusError
	if _, err := m.Run(context.Background()); !errors.As(err, &want) {
		t.Errorf("second Run: %v", err)
	}
	if _, err := m.SaveState(); !errors.As(err, &want) {
		t.Errorf("SaveState while running: %v", err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("Run after Close: %v", err)
	}
	for name, fn := range map[string]func() error{"Pause": m.Pause, "Resume": m.Resume, "Reset": m.Reset} {
		if err := fn(); !errors.As(err, &want) {
			t.Errorf("%s after Close: %v", name, err)
		}
	}
	if err := m.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestContextEnds(t *testing.T) {
	m, err := New(bare(t, digits))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	r, err := m.Run(ctx)
	if r.Reason != Halted || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Run returns %+v, %v", r, err)
	}
}

// reboots resets the machine until the clock, which a battery keeps, tells
// that it was here before; memory must have been cleared meanwhile.
const reboots = prelude + `
	la   t2, mark
	lw   t3, 0(t2)
	bnez t3, bad
	li   t0, 1
	sw   t0, 0(t2)
	li   t0, 0x101000
	lw   t1, 0(t0)
	lw   t1, 4(t0)
	beqz t1, again
	sw   zero, 4(t0)
	sw   zero, 0(t0)
	li   a0, 'a'
	call putc
	li   a0, 0x7777
	j    end
again:	li   a0, 'b'
	call putc
	li   a0, 0x5555
	j    end
bad:	li   a0, 0x13333
	j    end
	.align 3
mark:	.word 0
`

func TestGuestReset(t *testing.T) {
	r, out := run(t, bare(t, reboots))
	if (r != Result{PowerOff, 0}) || out != "ab" {
		t.Errorf("got %+v, %q; want power-off after \"ab\"", r, out)
	}
}

func TestReset(t *testing.T) {
	m, out, _ := start(t, bare(t, digits))
	for range 3 {
		eventually(t, "output", func() bool { return strings.HasSuffix(out.String(), "5") })
		if err := m.Reset(); err != nil {
			t.Fatal(err)
		}
		n := len(out.String())
		eventually(t, "output", func() bool { return len(out.String()) > n+1 })
		if s := out.String(); !strings.Contains(s[n-1:], "01") {
			t.Errorf("after Reset the output goes on with %q", s[n:])
		}
	}
	// A paused machine stays paused.
	m.Pause()
	if err := m.Reset(); err != nil || m.Status() != Paused {
		t.Errorf("Reset of a paused machine: %v, %s", err, m.Status())
	}
	m.Resume()
}

// ticks prints 40 letters, one a timer interrupt in WFI, and powers off: what
// comes is the same however often the machine is saved and restored.
const ticks = prelude + `
	la   t0, trap
	csrw mtvec, t0
	li   s0, 'A'
	li   s1, 40
	li   t0, 128
	csrw mie, t0
	csrsi mstatus, 8
	call arm
5:	wfi
	bnez s1, 5b
	li   a0, 0x5555
	j    end
arm:	li   t0, 0x200bff8
	ld   t1, 0(t0)
	li   t2, 20000
	add  t1, t1, t2
	li   t0, 0x2004000
	sd   t1, 0(t0)
	ret
	.align 3
trap:	mv   a0, s0
	call putc
	addi s0, s0, 1
	addi s1, s1, -1
	call arm
	mret
`

// TestSaveRestore moves a running program from machine to machine.
func TestSaveRestore(t *testing.T) {
	want := ""
	for i := range 40 {
		want += string(rune('A' + i))
	}
	cfg := bare(t, ticks)
	out := &terminal{}
	cfg.Console = out
	m, _, ended := start(t, cfg)
	moves := 0
	for {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatal(err)
			}
			if out.String() != want {
				t.Errorf("after %d moves: %q, want %q", moves, out.String(), want)
			}
			if moves == 0 {
				t.Error("the program ended before the first move")
			}
			return
		case <-time.After(rand.N(15 * time.Millisecond)):
		}
		if m.Pause() != nil { // it has just ended
			if err := <-ended; err != nil || out.String() != want {
				t.Errorf("after %d moves: %v, %q, want %q", moves, err, out.String(), want)
			}
			return
		}
		m = move(t, m, cfg)
		ended = begin(m)
		moves++
	}
}

// move saves a paused machine and restores it into a new one, whose second
// save must equal the first.
func move(t *testing.T, m *Machine, cfg Config) *Machine {
	t.Helper()
	var first, second bytes.Buffer
	if err := m.Save(&first); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	next, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { next.Close() })
	if err := next.Restore(bytes.NewReader(first.Bytes())); err != nil {
		t.Fatal(err)
	}
	if err := next.Save(&second); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("second save differs from the first")
	}
	return next
}

func TestRestoreDamaged(t *testing.T) {
	cfg := bare(t, digits)
	cfg.Memory = MinMemory
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var saved bytes.Buffer
	if err := m.Save(&saved); err != nil {
		t.Fatal(err)
	}
	m.Close()
	whole := saved.Bytes()
	for range 60 {
		damaged := bytes.Clone(whole)
		cut := rand.IntN(len(damaged))
		if rand.IntN(2) == 0 {
			damaged = damaged[:cut]
		} else {
			damaged[cut] ^= byte(1 + rand.IntN(255))
		}
		m, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		err = m.Restore(bytes.NewReader(damaged))
		if err == nil && len(damaged) < len(whole) {
			t.Errorf("a state cut to %d of %d bytes is accepted", cut, len(whole))
		}
		if err != nil {
			if _, err := m.Run(context.Background()); err == nil {
				t.Error("a machine runs after a failed restore")
			}
		}
		m.Close()
	}
	// Another configuration.
	cfg.CPUs = 2
	m, err = New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.Restore(bytes.NewReader(whole)); err == nil {
		t.Error("the state of one hart is accepted by a machine of two")
	}
}

// echoes prints what is typed until a dot comes.
const echoes = prelude + `
6:	li   t0, 0x10000000
	lbu  t1, 5(t0)
	andi t1, t1, 1
	beqz t1, 6b
	lbu  a0, 0(t0)
	mv   s0, a0
	call putc
	li   t0, '.'
	bne  s0, t0, 6b
	li   a0, 0x5555
	j    end
`

// TestInput: a long text that is there at once arrives whole.
func TestInput(t *testing.T) {
	text := strings.Repeat("abcdefghijklmnopqrstuvwxyz\n", 3000) + "."
	cfg := bare(t, echoes)
	out := &terminal{}
	cfg.Console = out
	m, _, ended := start(t, cfg)
	out.enter(text)
	if err := <-ended; err != nil || out.String() != text {
		t.Errorf("%v; %d bytes came back of %d", err, len(out.String()), len(text))
	}
	m.Close()
}

// TestIdle: a guest that waits does not use the processor.
func TestIdle(t *testing.T) {
	m, _, _ := start(t, bare(t, prelude+"7:	wfi\n	j 7b\n"))
	eventually(t, "WFI", func() bool { return m.Stats().CPUs[0].Exits[cpu.ExitHalt] > 0 })
	before := m.Stats().Instructions()
	time.Sleep(50 * time.Millisecond)
	if n := m.Stats().Instructions() - before; n > 10 {
		t.Errorf("a waiting guest executed %d instructions", n)
	}
}
