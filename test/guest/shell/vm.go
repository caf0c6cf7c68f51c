package shell

import (
	"bytes"
	"testing"
	"time"

	"doppel"
)

// VM is a Guest of a test.
type VM struct {
	Guest
	t    testing.TB
	name string
}

// Boot starts a Linux on a host; cfg says what is not usual.
func Boot(t testing.TB, h *doppel.Host, cfg doppel.Config) *VM {
	t.Helper()
	v := Launch(t, h, cfg, nil)
	v.Expect(Up)
	return v
}

// Thaw starts a machine from what Freeze returned.
func Thaw(t testing.TB, h *doppel.Host, cfg doppel.Config, saved []byte) *VM {
	t.Helper()
	return Launch(t, h, cfg, func(m *doppel.Machine) error { return m.Restore(bytes.NewReader(saved)) })
}

// Launch starts a machine, after before, if that is not nil. The machine ends
// with the test.
func Launch(t testing.TB, h *doppel.Host, cfg doppel.Config, before func(*doppel.Machine) error) *VM {
	t.Helper()
	v := &VM{t: t}
	if err := v.Make(h, Config(t, cfg)); err != nil {
		t.Fatal(err)
	}
	if before != nil {
		if err := before(v.Machine); err != nil {
			v.Close()
			t.Fatal(err)
		}
	}
	v.name = v.Name()
	v.Start()
	t.Cleanup(func() {
		if v.Machine != nil {
			v.End()
		}
		if t.Failed() {
			t.Logf("%s:\n%s", v.name, v.Out.Tail())
		}
	})
	return v
}

// Must ends the test if there is an error.
func (v *VM) Must(err error) {
	v.t.Helper()
	if err != nil {
		v.t.Fatalf("%s: %v", v.name, err)
	}
}

// Freeze ends the machine and returns its state.
func (v *VM) Freeze() []byte {
	v.t.Helper()
	saved, err := v.Guest.Freeze()
	if err != nil {
		v.t.Fatal(err)
	}
	return saved
}

// Expect waits for a text on the console.
func (v *VM) Expect(text string) {
	v.t.Helper()
	v.Must(v.Await(text))
}

// Send types a line.
func (v *VM) Send(line string) {
	v.t.Helper()
	v.Must(v.Type(line))
}

// Try runs a command and returns what it printed and its status.
func (v *VM) Try(command string) (string, int) {
	v.t.Helper()
	v.Must(v.Begin(command))
	text, status, err := v.Answer()
	v.Must(err)
	return text, status
}

// Sh runs a command that has to succeed, and returns what it printed.
func (v *VM) Sh(command string) string {
	v.t.Helper()
	text, status := v.Try(command)
	if status != 0 {
		v.t.Fatalf("%s: %s\nstatus %d, output:\n%s", v.name, command, status, text)
	}
	return text
}

// Until waits for something to become so.
func Until(t testing.TB, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(Patience); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("in %v there was no %s", Patience, what)
		}
	}
}
