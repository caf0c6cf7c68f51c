package machine

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime"
	"testing"
	"weak"
)

// TestNothingIsLeft: of machines that have lived nothing is left in the process:
// nothing leads to any part of them, no goroutine of theirs is there, and nothing
// is kept for machines when there are none.
func TestNothingIsLeft(t *testing.T) {
	if n := commons.Kept(); n != 0 {
		t.Fatalf("machines of other tests are not closed, or have left %d common interpreters", n)
	}
	goroutines := runtime.NumGoroutine()
	parts := map[string]func() bool{} // by name: it is still there
	for _, engine := range []string{"interp", "auto", engineCheck} {
		var saved []byte
		for _, end := range []string{"running", "paused", "cancelled", "traced"} {
			if engine == engineCheck && end == "traced" {
				continue // it shows no traps
			}
			saved = leave(t, engine, end, saved, parts)
		}
	}
	eventually(t, "the end of all goroutines", func() bool { return runtime.NumGoroutine() <= goroutines })
	for name, there := range parts {
		eventually(t, "the end of "+name, func() bool {
			runtime.GC()
			return !there()
		})
	}
	if n := commons.Kept(); n != 0 {
		t.Errorf("%d common interpreters are kept for nobody", n)
	}
}

// leave lets a machine live through all that can happen to one. It adds to parts
// what it was made of, and returns its state.
func leave(t *testing.T, engine, end string, saved []byte, parts map[string]func() bool) []byte {
	t.Helper()
	cfg := bare(t, digits)
	cfg.Memory, cfg.CPUs, cfg.Engine = 4<<20, 2, engine
	if end == "traced" {
		cfg.Trace = io.Discard
	}
	out := &terminal{}
	cfg.Console = out
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if saved != nil { // its vCPUs run in common interpreters at first
		if err := m.Restore(bytes.NewReader(saved)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		m.Run(ctx)
	}()
	lives := func() {
		t.Helper()
		n := len(out.String())
		eventually(t, "output", func() bool { return len(out.String()) > n })
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	lives()
	must(m.Reset())
	lives()
	m.Counts()
	must(m.Pause())
	var state bytes.Buffer
	must(m.Save(&state))
	if end != "paused" {
		must(m.Resume())
		lives()
	}
	if end == "cancelled" {
		cancel()
		<-ended
	}
	must(m.Close())
	<-ended

	name := engine + ", " + end + ": "
	parts[name+"machine"] = remains(m)
	parts[name+"memory"] = remains(m.mem)
	parts[name+"gate"] = remains(m.gate)
	parts[name+"group"] = remains(m.group)
	for i, v := range m.vcpus {
		parts[fmt.Sprint(name, "vCPU ", i)] = remains(v)
		parts[fmt.Sprint(name, "hart ", i)] = remains(v.hart) // and its engine
		parts[fmt.Sprint(name, "place ", i)] = remains(v.seat.slot)
	}
	return state.Bytes()
}

// remains returns what tells whether something is still referred to.
func remains[T any](p *T) func() bool {
	w := weak.Make(p)
	return func() bool { return w.Value() != nil }
}
