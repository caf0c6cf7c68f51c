package machine

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// A vCPU that fails while the guest's request to restart waits ends the machine:
// it would be gone afterwards, and nobody would know.
func TestFailureIsNotDropped(t *testing.T) {
	for range 20 {
		cfg := bare(t, "1:\tj 1b\n")
		m, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		broken := errors.New("broken")
		m.post(event{reset: true})
		m.fail(broken)
		m.fail(errors.New("another")) // must not block
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		r, err := m.Run(ctx)
		cancel()
		if !errors.Is(err, broken) || r.Reason != Halted {
			t.Errorf("the machine ended with %+v, %v; want %v", r, err, broken)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
}

// What fits, but for the device tree, is told how much would do, and that does.
func TestMemoryForTheTree(t *testing.T) {
	code := make([]byte, 3<<20)
	cfg := Config{Memory: 4 << 20, CPUs: 1, Firmware: File{"test.bin", code}}
	_, err := New(cfg)
	var config *ConfigError
	if !errors.As(err, &config) || config.Field != "Memory" || config.Value != "4 MiB" || !strings.HasSuffix(config.Reason, "give the machine at least 6 MiB") {
		t.Fatalf("4 MiB for 3 MiB: %v", err)
	}
	cfg.Memory = 6 << 20
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
}
