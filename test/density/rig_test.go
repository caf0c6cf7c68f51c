package density

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"doppel"
	"doppel/test/guest"
	"doppel/test/guest/shell"
)

// vm is a machine of a test.
type vm struct {
	*shell.VM
	t   testing.TB
	out *guest.Output
}

// boot starts a Linux on a host; cfg says what is not usual.
func boot(t testing.TB, h *doppel.Host, cfg doppel.Config) *vm {
	t.Helper()
	v := begin(t, h, cfg, nil)
	v.expect(shell.Up)
	return v
}

// begin starts a machine, after before.
func begin(t testing.TB, h *doppel.Host, cfg doppel.Config, before func(*doppel.Machine)) *vm {
	t.Helper()
	if cfg.Memory == 0 {
		cfg.Memory = 512 * mib
	}
	v := shell.Launch(t, h, cfg, func(m *doppel.Machine) error {
		if before != nil {
			before(m)
		}
		return nil
	})
	return &vm{v, t, &v.Out}
}

func newHost(t testing.TB, cfg doppel.HostConfig) *doppel.Host {
	t.Helper()
	h, err := doppel.NewHost(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// expect waits for a text on the console.
func (v *vm) expect(text string) {
	v.t.Helper()
	v.Expect(text)
}

// send types a command.
func (v *vm) send(command string) {
	v.t.Helper()
	v.Send(command)
}

// sh runs a command in the guest and waits for its end, however it ends.
func (v *vm) sh(command string) {
	v.t.Helper()
	v.Try(command)
}

// until waits for something to become so.
func (v *vm) until(what string, so func() bool) {
	v.t.Helper()
	shell.Until(v.t, what, so)
}

func wait(t testing.TB, what string, so func() bool) {
	t.Helper()
	shell.Until(t, what, so)
}

// rss is the process's anonymous memory in bytes: guests' and Go's own.
func rss(t testing.TB) int64 {
	t.Helper()
	b, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		t.Skipf("the host does not tell what a process takes: %v", err)
	}
	var kb int64
	for line := range strings.Lines(string(b)) {
		if _, err := fmt.Sscanf(line, "Anonymous: %d kB", &kb); err == nil {
			return kb << 10
		}
	}
	t.Fatalf("no line Anonymous in smaps_rollup:\n%s", b)
	return 0
}
