package soak

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"doppel"
	"doppel/test/guest"
	"doppel/test/guest/shell"
)

const (
	// lives is how many machines there are.
	lives = 8
	mib   = 1 << 20
	// timeEnv is how long they live; usually is without it.
	timeEnv = "DOPPEL_SOAK_TIME"
	seedEnv = "DOPPEL_SOAK_SEED"
	usually = 12 * time.Second
)

// soak is the host and what its machines have in common.
type soak struct {
	h     *doppel.Host
	saved []byte // a machine that has booted
	until time.Time
	long  bool // there is time for the interpreter

	mu     sync.Mutex
	counts map[string]int
}

func (s *soak) count(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[what]++
}

// duration is how long the machines live.
func duration(t *testing.T) time.Duration {
	text := os.Getenv(timeEnv)
	if text == "" {
		return usually
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		t.Fatalf("%s: %q is no time such as 10m", timeEnv, text)
	}
	return d
}

func seed(t *testing.T) uint64 {
	text := os.Getenv(seedEnv)
	if text == "" {
		return uint64(time.Now().UnixNano())
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %q is no number", seedEnv, text)
	}
	return n
}

// TestSoak: see the package.
func TestSoak(t *testing.T) {
	cfg, d, from := shell.Config(t, doppel.Config{CPUs: 2}), duration(t), seed(t)
	t.Logf("seed %d, %v", from, d)
	goroutines := runtime.NumGoroutine()
	h, err := doppel.NewHost(doppel.HostConfig{Networks: []doppel.Network{{Name: "lan"}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	s := &soak{h: h, long: d > time.Minute, counts: map[string]int{}}
	dir := t.TempDir()
	all := make([]*life, lives)
	for i := range all {
		disk := filepath.Join(dir, fmt.Sprintf("disk-%d", i))
		if err := os.WriteFile(disk, make([]byte, 16*mib), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg.Name, cfg.Disks = fmt.Sprintf("m%d", i), []doppel.Disk{{Path: disk}}
		cfg.NICs = []doppel.NIC{{Switch: "lan", MAC: doppel.MAC{0x52, 0x54, 0, 0, 1, byte(i)}}}
		all[i] = &life{s: s, number: i, r: rand.New(rand.NewPCG(from, uint64(i))), cfg: cfg}
	}
	fatal := func(l *life, err error) {
		t.Helper()
		t.Errorf("%s: %v\n---- console ----\n%s", l.cfg.Name, err, l.Out.Tail())
	}
	// One boots; all begin with what it has.
	if err := all[0].first(); err != nil {
		fatal(all[0], err)
		t.FailNow()
	}
	before := ownMemory(t)
	before.live -= int64(len(s.saved))

	s.until = time.Now().Add(d)
	var wg sync.WaitGroup
	for _, l := range all {
		wg.Go(func() {
			if err := l.live(); err != nil {
				fatal(l, err)
			}
		})
	}
	wg.Wait()
	t.Logf("what happened: %v", s.counts)
	if n := len(h.Machines()); n != 0 && !t.Failed() {
		t.Errorf("the host has %d machines", n)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	s.saved = nil
	checkGoroutines(t, goroutines) // first: what they refer to is no garbage yet
	checkMemory(t, before)
	freeProcessors(t)
	checkGoroutines(t, goroutines)
}

// first boots the machine that others are made of.
func (l *life) first() error {
	if err := l.begin(nil); err != nil {
		return err
	}
	if err := l.settle(); err != nil {
		return err
	}
	var err error
	l.s.saved, err = l.Freeze()
	return err
}

// freeProcessors: a machine that is bound to a processor gets it, each of them.
func freeProcessors(t *testing.T) {
	t.Helper()
	for _, n := range doppel.Processors() {
		out := &guest.Output{}
		m, err := doppel.New(doppel.Config{CPUAffinity: strconv.Itoa(n), Console: doppel.Stream(strings.NewReader("poweroff\n"), out)})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() {
			_, err := m.Run(t.Context())
			ended <- err
		}()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("on processor %d: %v", n, err)
			}
		case <-time.After(shell.Patience):
			t.Errorf("processor %d is not free", n)
		}
		if w := time.Duration(m.Stats().CPUs[0].Waiting); w > time.Second {
			t.Errorf("a machine alone waits %v for processor %d", w, n)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
}

// checkGoroutines waits until as many are left as there were.
func checkGoroutines(t *testing.T, before int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			stacks := make([]byte, mib)
			t.Errorf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
			return
		}
	}
}
