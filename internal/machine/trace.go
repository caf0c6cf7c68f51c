package machine

import (
	"fmt"
	"io"
	"sync"
	"time"

	"doppel/internal/cpu"
	"doppel/internal/cpu/sched"
	"doppel/internal/riscv"
	"doppel/internal/riscv/hart"
	"doppel/internal/riscv/sbi"
)

// traceLimit is how many lines may wait for the writer.
const traceLimit = 8 << 10

// tracer writes a line for each exit. vCPUs only note what has happened, in a
// bounded list; a goroutine makes text of it and writes. No vCPU waits for the
// writer: when the list is full, exits are counted, and a line says how many
// are not listed.
//
// Lock order: tracer.mu is the last of all.
type tracer struct {
	m *Machine
	w io.Writer

	mu      sync.Mutex
	changed sync.Cond
	waiting []note
	lost    uint64 // since the last line
	writing bool   // the goroutine has lines that are not out yet
	closed  bool
	err     error // why nothing more is written
}

// noteKind is what a line tells.
type noteKind uint8

const (
	noteMMIO   noteKind = iota
	noteCall            // ecall from S, to the SBI
	noteHalt            // WFI with nothing pending
	noteWake            // the end of that
	noteTrap            // an exception or interrupt that the hart takes
	noteLeft            // the scheduler takes the processor away
	noteGot             // and gives one
	noteFailed          // the engine cannot go on
	noteStart           // of a stopped hart, by another
	noteReset           // of the whole machine
	noteLost            // lines that are missing
)

func (k noteKind) String() string {
	names := [...]string{"mmio", "call", "halt", "wake", "trap", "left", "got", "failed", "start", "reset", "lost"}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("noteKind(%d)", uint8(k))
}

// note is one line before it is text.
type note struct {
	kind    noteKind
	cpu     int
	time    uint64 // of the machine's clock, in nanoseconds
	took    time.Duration
	pc      uint64
	priv    riscv.Privilege
	raw     uint32 // the instruction at pc
	fetched bool   // it could be read

	mmio     cpu.MMIO
	register string

	args   [8]uint64 // a0 to a7
	ret    [2]uint64 // a0 and a1 afterwards
	action sbi.Action

	trap trap
	due  uint64 // when stimecmp was to be reached, in nanoseconds
	set  uint64 // interrupts that woke the hart; lines that are lost
	err  error

	processor int // of the host
	loss      sched.Loss
}

// trap is where a hart goes.
type trap struct {
	taken   bool
	cause   riscv.Cause
	tval    uint64
	to      riscv.Privilege
	handler uint64
}

// traceState is what the tracer keeps for a vCPU, whose goroutine owns it.
type traceState struct {
	serving bool // an exit: a trap belongs to it
	trap    trap
	halted  time.Time // since when it waits for an interrupt; zero if it does not

	placed    bool // on processor, the last time
	processor int
	left      time.Time // since when it waits for one; zero if it does not
}

// newTracer makes a machine's vCPUs tell their traps.
func newTracer(m *Machine, w io.Writer) *tracer {
	t := &tracer{m: m, w: w}
	t.changed.L = &t.mu
	for _, v := range m.vcpus {
		v.hart.Observe(func(cause riscv.Cause, tval uint64, to hart.Priv) {
			t.trapped(v, trap{true, cause, tval, to, v.hart.Handler(cause, to)})
		})
	}
	return t
}

// add queues a line.
func (t *tracer) add(n *note) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.closed || t.err != nil:
	case len(t.waiting) >= traceLimit:
		t.lost++
	default:
		if t.lost > 0 {
			t.waiting = append(t.waiting, note{kind: noteLost, time: n.time, set: t.lost})
			t.lost = 0
		}
		t.waiting = append(t.waiting, *n)
		t.changed.Broadcast()
	}
}

// run is the goroutine that writes.
func (t *tracer) run() {
	text := append([]byte(nil), traceHeader...)
	var spare []note
	for {
		if len(text) > 0 {
			if _, err := t.w.Write(text); err != nil {
				t.fail(err)
				return
			}
		}
		t.mu.Lock()
		t.writing = false
		t.changed.Broadcast()
		for len(t.waiting) == 0 && t.lost == 0 && !t.closed {
			t.changed.Wait()
		}
		notes := t.waiting
		if t.lost > 0 {
			notes = append(notes, note{kind: noteLost, time: t.m.clock.Now(), set: t.lost})
			t.lost = 0
		}
		t.waiting, t.writing = spare[:0], true
		ended := t.closed && len(notes) == 0
		t.mu.Unlock()
		if ended {
			return
		}
		text = text[:0]
		for i := range notes {
			text = notes[i].append(text)
		}
		spare = notes
	}
}

func (t *tracer) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.err, t.waiting, t.writing = fmt.Errorf("trace: %w", err), nil, false
	t.changed.Broadcast()
}

// flush waits until all is written, for at most limit, and tells what went
// wrong.
func (t *tracer) flush(limit time.Duration) error {
	timeout := time.AfterFunc(limit, func() { t.fail(fmt.Errorf("the writer takes nothing for %v", limit)) })
	defer timeout.Stop()
	t.mu.Lock()
	defer t.mu.Unlock()
	for (len(t.waiting) > 0 || t.writing) && t.err == nil {
		t.changed.Wait()
	}
	return t.err
}

// close ends the goroutine when the writer lets it.
func (t *tracer) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	t.changed.Broadcast()
}
