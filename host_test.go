package doppel_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"doppel"
)

func newHost(t *testing.T, cfg doppel.HostConfig) *doppel.Host {
	t.Helper()
	h, err := doppel.NewHost(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// Machines of a host have names of their own, run side by side and leave it
// when they are closed.
func TestHost(t *testing.T) {
	h := newHost(t, doppel.HostConfig{})
	var out [3]strings.Builder
	var wg sync.WaitGroup
	for i := range out {
		m, err := h.New(doppel.Config{Memory: 16 << 20, Console: doppel.Stream(strings.NewReader("poweroff\n"), &out[i])})
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			if r, err := m.Run(context.Background()); err != nil || r.Reason != doppel.PowerOff {
				t.Errorf("%s: %v, %v", m.Name(), r, err)
			}
		})
	}
	wg.Wait()
	var names []string
	for _, m := range h.Machines() {
		names = append(names, m.Name())
	}
	if got := strings.Join(names, " "); got != "machine-1 machine-2 machine-3" {
		t.Errorf("machines %q", got)
	}
	h.Machines()[1].Close()
	if all := h.Machines(); len(all) != 2 || all[1].Name() != "machine-3" {
		t.Errorf("%d machines after one was closed", len(all))
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	if len(h.Machines()) != 0 {
		t.Error("a closed host has machines")
	}
	if _, err := h.New(doppel.Config{}); !errors.Is(err, doppel.ErrHostClosed) {
		t.Errorf("a closed host: %v", err)
	}
}

// A name is one machine's, and free again when that is closed.
func TestHostNames(t *testing.T) {
	h := newHost(t, doppel.HostConfig{})
	small := doppel.Config{Name: "a", Memory: 16 << 20}
	m, err := h.New(small)
	if err != nil {
		t.Fatal(err)
	}
	var bad *doppel.ConfigError
	if _, err := h.New(small); !errors.As(err, &bad) || bad.Field != "Name" || bad.Value != "a" {
		t.Errorf("the same name twice: %v", err)
	}
	for _, name := range []string{"a b", "a\n", "\xff", strings.Repeat("x", 200), "a,b"} {
		if _, err := h.New(doppel.Config{Name: name}); !errors.As(err, &bad) || bad.Field != "Name" {
			t.Errorf("name %q: %v", name, err)
		}
	}
	m.Close()
	if _, err := h.New(small); err != nil {
		t.Error(err)
	}
}
