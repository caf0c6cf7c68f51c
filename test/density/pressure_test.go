package density

import (
	"crypto/md5"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"doppel"
)

// unbidden is what a machine may take beyond the limit, since it cannot be
// refused: pages of the rings of its devices and of the tables that a walk
// marks, none of which a machine has more than some dozens of.
const unbidden = 64 * 4096

// within fails if machines take, or count as, more than a limit. What counts is
// read before what they take, and that at different times for each: only when
// they stand still is the sum what it was at any time.
func within(t *testing.T, h *doppel.Host, limit uint64, still ...*vm) {
	t.Helper()
	most := limit + uint64(len(h.Machines()))*unbidden
	counted := h.Memory().Counted
	var sum uint64
	for _, v := range still {
		sum += v.Memory().Resident
	}
	if counted > most || sum > counted {
		t.Fatalf("machines take %d KiB, %d KiB count, of %d MiB", sum>>10, counted>>10, limit/mib)
	}
}

// Machines with more memory than they may have together: the one that asks
// for what is not there is paused, with a reason, and its neighbours work on.
// It goes on when there is room.
func TestMemoryRunsOut(t *testing.T) {
	const limit = 640 * mib
	var mu sync.Mutex
	heard := map[string][]string{}
	h := newHost(t, doppel.HostConfig{MemoryLimit: limit, MemoryPaused: func(m *doppel.Machine, reason string) {
		mu.Lock()
		defer mu.Unlock()
		heard[m.Name()] = append(heard[m.Name()], reason)
	}})
	// The neighbours have no balloon, so that there is little to be had.
	a := boot(t, h, doppel.Config{Name: "a", Memory: 512 * mib, Balloon: "off"})
	b := boot(t, h, doppel.Config{Name: "b", Memory: 512 * mib, Balloon: "off"})
	for _, v := range []*vm{a, b} { // nor anything that is alike: with the hog's it is far more than the limit
		v.sh("dd if=/dev/urandom of=/tmp/y bs=1M count=140 2>/dev/null")
	}
	hog := boot(t, h, doppel.Config{Name: "hog", Memory: 768 * mib})
	hog.send("dd if=/dev/urandom of=/tmp/x bs=1M count=350 2>/dev/null; md5sum < /tmp/x > /tmp/sum; md5sum < /tmp/x | cmp - /tmp/sum && echo whole")
	var reason string
	hog.until("pause of the hog", func() bool {
		within(t, h, limit)
		reason = hog.PauseReason() // it tries again now and then
		return reason != ""
	})
	if !strings.Contains(reason, "of the 640 MiB") {
		t.Errorf("the hog is paused: %q", reason)
	}
	for _, v := range []*vm{a, b} {
		v.sh("seq 100000 | md5sum; echo neighbour-$((4+4))-works")
		v.expect("neighbour-8-works")
		if r := v.PauseReason(); r != "" {
			t.Errorf("%s was paused: %s", v.Name(), r)
		}
	}
	within(t, h, limit)
	for _, v := range []*vm{a, b} {
		if err := v.Pause(); err != nil {
			t.Fatal(err)
		}
	}
	hog.Pause() // on purpose: it does not try again
	within(t, h, limit, a, b, hog)
	if err := hog.Resume(); err != nil {
		t.Fatal(err)
	}
	hog.until("another pause", func() bool { return hog.PauseReason() != "" })
	a.Close()
	b.Close()
	hog.expect("whole")
	hog.sh("dmesg | grep -i 'out of memory' || echo nobody-$((4+4))-killed")
	hog.expect("nobody-8-killed")
	mu.Lock()
	defer mu.Unlock()
	if n := len(heard["hog"]); n < 2 || heard["hog"][n-1] != "" || len(heard["a"])+len(heard["b"]) != 0 {
		t.Errorf("heard %q", heard)
	}
}

// A disk's requests come out of the limit too: what they would read to memory
// that is not there waits, and is read when it is.
func TestDiskRunsOut(t *testing.T) {
	const limit = 400 * mib
	data := make([]byte, 160*mib)
	rand.NewChaCha8([32]byte{}).Read(data)
	disk := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(disk, data, 0o600); err != nil {
		t.Fatal(err)
	}
	h := newHost(t, doppel.HostConfig{MemoryLimit: limit, MemorySharing: "off"})
	a := boot(t, h, doppel.Config{Name: "a", Memory: 512 * mib, Balloon: "off"})
	a.sh("dd if=/dev/urandom of=/tmp/y bs=1M count=150 2>/dev/null")
	hog := boot(t, h, doppel.Config{Name: "hog", Memory: 512 * mib, Balloon: "off", Disks: []doppel.Disk{{Path: disk, ReadOnly: true}}})
	hog.send("md5sum < /dev/vda; echo read-$((4+4))-all")
	hog.until("pause of the hog", func() bool {
		within(t, h, limit)
		return hog.PauseReason() != ""
	})
	a.sh("true")
	a.Close()
	hog.expect("read-8-all")
	within(t, h, limit)
	if sum := fmt.Sprintf("%x", md5.Sum(data)); !strings.Contains(hog.out.String(), sum) {
		t.Errorf("the guest has not read what sums to %s", sum)
	}
}

// Before anybody is paused, balloons take what guests can spare: a cache of
// one is memory of another.
func TestBalloonsFirst(t *testing.T) {
	const limit = 640 * mib
	disk := randomDisk(t, 300*mib)
	h := newHost(t, doppel.HostConfig{MemoryLimit: limit, MemorySharing: "off"})
	a := boot(t, h, doppel.Config{Name: "a", Memory: 512 * mib, Disks: []doppel.Disk{{Path: disk, ReadOnly: true}}})
	b := boot(t, h, doppel.Config{Name: "b", Memory: 512 * mib})
	a.sh("cat /dev/vda > /dev/null")
	b.sh("for i in $(seq 20); do dd if=/dev/urandom of=/tmp/y$i bs=1M count=10 2>/dev/null; done")
	within(t, h, limit)
	wait(t, "end of both pauses", func() bool { return a.PauseReason() == "" && b.PauseReason() == "" })
	if n := a.Memory().Returned + b.Memory().Returned; n < 20*mib {
		t.Errorf("balloons gave %d MiB", n/mib)
	}
}

// randomDisk makes a disk of so many bytes, of which no two pages are alike.
func randomDisk(t *testing.T, size int) (path string) {
	data := make([]byte, size)
	rand.NewChaCha8([32]byte{}).Read(data)
	path = filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// With the policy strict, a machine that does not fit is refused.
func TestStrict(t *testing.T) {
	h := newHost(t, doppel.HostConfig{MemoryLimit: 100 * mib, MemoryPolicy: "strict"})
	m, err := h.New(doppel.Config{Memory: 60 * mib})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.New(doppel.Config{Memory: 41 * mib}); err == nil || !strings.Contains(err.Error(), "100 MiB together, and others have 60") {
		t.Errorf("101 of 100 MiB: %v", err)
	}
	if _, err := h.New(doppel.Config{Memory: 40 * mib}); err != nil {
		t.Error(err)
	}
	m.Close()
	if _, err := h.New(doppel.Config{Memory: 60 * mib}); err != nil {
		t.Errorf("after one is closed: %v", err)
	}
	for _, cfg := range []doppel.HostConfig{{MemoryPolicy: "best"}, {MemoryLimit: 5}} {
		if _, err := doppel.NewHost(cfg); err == nil {
			t.Errorf("%+v is accepted", cfg)
		}
	}
	if _, err := h.New(doppel.Config{Memory: 1 << 39}); err == nil {
		t.Error("512 GiB fit")
	}
}
