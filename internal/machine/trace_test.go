package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"doppel/internal/cpu/sched"
	"doppel/internal/entropy"
	"doppel/internal/riscv/asm"
)

// kernel assembles src for 0x80200000, where it starts in S-mode on the SBI.
func kernel(t *testing.T, src string) Config {
	t.Helper()
	p, err := asm.Assemble(src, asm.Options{Origin: 0x80200000})
	if err != nil {
		t.Fatal(err)
	}
	return Config{Memory: 16 << 20, CPUs: 1, Kernel: File{"k", elfAt(0x80200000, p.Code)}, Entropy: entropy.NewSeeded(1)}
}

// traced has one exit of each kind.
const traced = `
	la   t0, trap
	csrw stvec, t0
	li   t0, 0x10000000
	li   t1, 'x'
	sb   t1, 0(t0)
	lbu  t1, 5(t0)
	li   t0, 0x30000000
	lw   t1, 0(t0)
	.word 0xffffffff
	li   a7, 0x10
	li   a6, 3
	li   a0, 0x54494d45
	ecall
	li   a7, 0x12345
	ecall
	li   a7, 0x735049		# an IPI to itself
	li   a6, 0
	li   a0, 1
	li   a1, 0
	ecall
	li   t0, 2
	csrs sie, t0
	csrsi sstatus, 2
	csrci sstatus, 2
	rdtime a0			# a timer interrupt that is not taken
	li   t0, 1000000
	add  a0, a0, t0
	li   a7, 0x54494d45
	ecall
	li   t0, 1 << 5
	csrw sie, t0
	wfi
	csrw sie, zero
	li   t0, 0x100
	csrc sstatus, t0
	la   t0, user
	csrw sepc, t0
	sret
user:	ecall
	.align 2
trap:	csrr t0, scause
	bltz t0, 1f
	li   t1, 8
	beq  t0, t1, 2f
	csrr t0, sepc
	addi t0, t0, 4
	csrw sepc, t0
	sret
1:	csrci sip, 2
	sret
2:	li   a7, 8
	ecall
`

// tracedLines are its lines: without time and duration, spaces squeezed.
const tracedLines = `
0 S 80200014 MMIO store of 1 at 0x10000000 sb t1,0(t0) uart0.THR <- 0x78 'x'
0 S 80200018 MMIO load of 1 at 0x10000005 lbu t1,5(t0) uart0.LSR = 0x60
0 S 80200020 MMIO load of 4 at 0x30000000 lw t1,0(t0) nothing answers there: S handler at 0x802000b8, tval 0x30000000
0 S 80200024 illegal instruction .4byte 0xffffffff delivered: S handler at 0x802000b8, tval 0xffffffff
0 S 80200038 environment call from S-mode ecall SBI base.probe_extension(extension_id 0x54494d45) = 1
0 S 80200044 environment call from S-mode ecall SBI extension 0x12345, function 3: error: not supported
0 S 8020005c environment call from S-mode ecall SBI IPI.send_ipi(hart_mask 1, hart_mask_base 0) = 0
0 S 8020006c supervisor software interrupt csrrci zero,sstatus,2 injected: S handler at 0x802000b8
0 S 80200088 environment call from S-mode ecall SBI TIME.set_timer(stime_value N): stimecmp = now + N
0 S 80200094 wait for interrupt wfi nothing is pending: the vCPU leaves the processor
0 S 80200094 wake-up wfi pending: supervisor timer interrupt
0 U 802000b4 environment call from U-mode ecall delivered: S handler at 0x802000b8
0 S 802000e4 environment call from S-mode ecall SBI legacy.shutdown(): the machine ends or restarts
`

var (
	traceTook = regexp.MustCompile(` \([0-9.]+(ns|µs|ms|s)\)$`)
	traceTime = regexp.MustCompile(`^ *[0-9]+\.[0-9]{6} `)
	traceNow  = regexp.MustCompile(`stime_value 0x[0-9a-f]+\): stimecmp = now \+ [0-9.]+(ms|µs)`)
	spaces    = regexp.MustCompile(` +`)
)

// bareLine takes from a line what differs from run to run.
func bareLine(t *testing.T, line string) string {
	t.Helper()
	if !traceTime.MatchString(line) {
		t.Errorf("no time in %q", line)
	}
	line = traceTime.ReplaceAllString(line, "")
	line = traceTook.ReplaceAllString(line, "")
	line = traceNow.ReplaceAllString(line, "stime_value N): stimecmp = now + N")
	return strings.TrimSpace(spaces.ReplaceAllString(line, " "))
}

func engines(t *testing.T, do func(t *testing.T, engine string)) {
	for _, engine := range []string{"interp", "auto"} {
		t.Run(engine, func(t *testing.T) { do(t, engine) })
	}
}

func TestTrace(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		cfg := kernel(t, traced)
		var b bytes.Buffer
		cfg.Engine, cfg.Trace = engine, &b
		if r, _ := run(t, cfg); r.Reason != PowerOff {
			t.Fatalf("%+v", r)
		}
		lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
		if lines[0]+"\n" != traceHeader {
			t.Errorf("header %q", lines[0])
		}
		want := strings.Split(strings.TrimSpace(tracedLines), "\n")
		if !strings.Contains(lines[1], "(VMM) its turn") || !strings.Contains(lines[1], "the vCPU is put on processor ") {
			t.Errorf("first line %q", lines[1])
		}
		lines = slices.DeleteFunc(lines, func(l string) bool { return strings.Contains(l, "(VMM)") })
		for i, l := range lines[1:] {
			if got := bareLine(t, l); i >= len(want) || got != want[i] {
				t.Errorf("line %d:\n got %s\nwant %s", i, got, want[min(i, len(want)-1)])
			}
		}
		if len(lines) != 1+len(want) {
			t.Errorf("%d lines, want %d", len(lines)-1, len(want))
		}
	})
}

// calls makes 200000 calls from U to S, more than may wait to be written.
const calls = `
	la   t0, trap
	csrw stvec, t0
	li   s0, 200000
	la   t0, user
	csrw sepc, t0
	sret
	.align 2
user:	ecall
	j    user
	.align 2
trap:	addi s0, s0, -1
	beqz s0, 1f
	csrr t0, sepc
	addi t0, t0, 4
	csrw sepc, t0
	sret
1:	li   a7, 8
	ecall
`

// slowWriter holds its caller until it is let go.
type slowWriter struct {
	bytes.Buffer
	let  chan struct{}
	most int
}

func (w *slowWriter) Write(p []byte) (int, error) {
	<-w.let
	w.most = max(w.most, len(p))
	return w.Buffer.Write(p)
}

// TestTraceSlow: a writer that takes nothing does not hold the guest; what it
// misses is counted exactly, also of what a translator would do by itself.
func TestTraceSlow(t *testing.T) {
	defer func(limit time.Duration) { flushLimit = limit }(flushLimit)
	flushLimit = 10 * time.Minute // it is this goroutine that ends the wait, whenever it is scheduled
	engines(t, func(t *testing.T, engine string) {
		cfg := kernel(t, calls)
		w := &slowWriter{let: make(chan struct{})}
		cfg.Engine, cfg.Trace = engine, w
		m, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		ended := make(chan error, 1)
		go func() {
			_, err := m.Run(context.Background())
			ended <- err
		}()
		eventually(t, "the end of the guest", func() bool { return m.asked.Load() })
		close(w.let)
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(w.String(), "\n"), "\n")
		total := 0
		for _, l := range lines[1:] {
			var time float64
			var lost int
			if n, _ := fmt.Sscanf(l, "%f * %d exits are not listed", &time, &lost); n == 2 {
				total += lost
			} else {
				total++
			}
		}
		// One more: the vCPU gets its processor.
		if total != 200002 || len(lines) > traceLimit+100 || len(lines) < traceLimit {
			t.Errorf("%d exits in %d lines, want 200002 in about %d", total, len(lines), traceLimit)
		}
	})
}

// TestTraceBroken: a writer that fails is told at the end, and one that never
// takes anything does not keep the machine from ending.
func TestTraceBroken(t *testing.T) {
	cfg := kernel(t, traced)
	cfg.Trace = brokenWriter{}
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	r, err := m.Run(context.Background())
	if r.Reason != PowerOff || !errors.Is(err, errBroken) || !strings.Contains(err.Error(), "trace: ") {
		t.Errorf("%+v, %v", r, err)
	}
}

var errBroken = errors.New("broken")

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

// lockedBuffer is a Buffer that is read meanwhile.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestTraceLive: lines come while the guest waits; a pause does not list the
// wait again; a reset is listed.
func TestTraceLive(t *testing.T) {
	cfg := kernel(t, "1: wfi\n j 1b\n")
	var b lockedBuffer
	cfg.Trace = &b
	m, _, ended := start(t, cfg)
	eventually(t, "WFI", func() bool { return strings.Contains(b.String(), "leaves the processor") })
	for range 3 {
		if err := errors.Join(m.Pause(), m.Resume()); err != nil {
			t.Fatal(err)
		}
		m.Counts()
	}
	if err := m.Reset(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the reset", func() bool { return strings.Contains(b.String(), "the machine is reset") })
	eventually(t, "WFI again", func() bool { return strings.Count(b.String(), "leaves the processor") == 2 })
	time.Sleep(time.Millisecond)
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	<-ended
	// The header, the processor, two waits and a reset.
	if n := strings.Count(b.String(), "\n"); n != 5 {
		t.Errorf("%d lines, want 5:\n%s", n, b.String())
	}
}

// TestTraceEngine: what shows no traps cannot be traced.
func TestTraceEngine(t *testing.T) {
	cfg := kernel(t, traced)
	cfg.Engine, cfg.Trace = engineCheck, &bytes.Buffer{}
	_, err := New(cfg)
	var e *ConfigError
	if !errors.As(err, &e) || e.Field != "Engine" {
		t.Errorf("%v", err)
	}
}

// TestTraceScheduler: machines that share a processor tell when they lose it
// and when they have it again.
func TestTraceScheduler(t *testing.T) {
	one := sched.New(Processors()[:1], sched.HostTime())
	var out [2]lockedBuffer
	for i := range out {
		cfg := kernel(t, "1: j 1b\n")
		cfg.Trace, cfg.Scheduler = &out[i], one
		m, _, ended := start(t, cfg)
		defer func() {
			m.Close()
			<-ended
		}()
	}
	for i := range out {
		eventually(t, "slices", func() bool {
			text := out[i].String()
			left := strings.Count(text, fmt.Sprintf("the vCPU leaves processor %d and waits for its turn", one.CPUs()[0]))
			return left > 2 && strings.Contains(text, "(VMM) end of slice") &&
				strings.Count(text, "(VMM) its turn") > 2 && strings.Count(text, "0 S        80200000") > 4
		})
	}
}
