package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"doppel"
	"doppel/test/guest"
)

const (
	workItems = 12
	workLines = 3000
)

// workInit does work whose results are known: digests, a disk that is written
// and read back, timers and entropy.
var workInit = `#!/bin/sh
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
` + guest.Load + `
for i in $(seq ` + fmt.Sprint(workItems) + `); do
	seq $i $((i + ` + fmt.Sprint(workLines) + `)) > /tmp/n &
	seq $i $((i + ` + fmt.Sprint(workLines) + `)) | dd of=/dev/vda bs=64k seek=$i conv=notrunc,fsync 2>/dev/null
	wait
	sleep 0.05
	echo 1 > /proc/sys/vm/drop_caches
	set -- $(sha256sum < /tmp/n)
	echo "item $i $1"
	dd if=/dev/vda bs=64k skip=$i count=1 2>/dev/null | head -c $(wc -c < /tmp/n) | cmp - /tmp/n || echo "item $i: the disk differs"
	test $(head -c 8 /dev/hwrng | wc -c) = 8 || echo "item $i: no entropy"
done
echo "work is done"
poweroff -f
`

// A Linux that is saved at random points, and goes on in a fresh machine each
// time, comes to the same end as one that nobody touched. The next machine may
// have another engine.
func TestStateOfLinux(t *testing.T) {
	t.Parallel()
	f := guest.Get(t)
	initrd := f.WriteInitramfs(t, workInit)
	for _, c := range []struct {
		cpus    int
		engines []string // of the machines, in turn
	}{{1, []string{"auto"}}, {2, []string{"auto"}}, {2, engines}} {
		cpus := c.cpus
		t.Run(fmt.Sprintf("%d harts, %v", cpus, c.engines), func(t *testing.T) {
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			random := rand.New(rand.NewPCG(seed, 0))
			disk := filepath.Join(t.TempDir(), "disk.raw")
			writeFile(t, disk, make([]byte, 2<<20))
			var out guest.Output
			cfg := doppel.Config{Kernel: f.Kernel, Initrd: initrd, Append: console, Memory: 128 << 20, CPUs: cpus,
				Disks: []doppel.Disk{{Path: disk}}, Net: "user", Console: doppel.WriteOnly(&out)}
			enter(1)
			defer leave(1)
			saves, saved := 0, []byte(nil)
			deadline := time.Now().Add(systemUp)
			for done := false; !done; {
				if time.Now().After(deadline) {
					t.Fatalf("seed %d: not done after %d saves:\n%s", seed, saves, printable([]byte(out.String())))
				}
				cfg.Engine = c.engines[saves%len(c.engines)]
				// Short at first, so that the fastest engine is saved too; longer later, so that the slowest host ends.
				saves++
				saved, done = leg(t, cfg, saved, time.Duration(random.IntN(100*saves))*time.Millisecond)
			}
			checkWork(t, out.String(), seed, saves)
		})
	}
}

// leg runs a machine from a saved state for a while. It returns the state
// then, or that the guest has ended.
func leg(t *testing.T, cfg doppel.Config, from []byte, d time.Duration) (saved []byte, done bool) {
	t.Helper()
	m, err := doppel.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}()
	if from != nil {
		if err := m.Restore(bytes.NewReader(from)); err != nil {
			t.Fatal(err)
		}
		if again := save(t, m); !bytes.Equal(again, from) {
			t.Fatalf("what a restored machine saves differs from what it was restored from (%d and %d bytes)", len(again), len(from))
		}
	}
	ended := make(chan error, 1)
	go func() {
		r, err := m.Run(context.Background())
		if err == nil && r.Reason != doppel.PowerOff && r.Reason != doppel.Halted {
			err = fmt.Errorf("the guest ended with %+v", r)
		}
		ended <- err
	}()
	select {
	case err := <-ended:
		if err != nil {
			t.Fatal(err)
		}
		return nil, true
	case <-time.After(d):
	}
	started(m)
	if err := m.Pause(); err != nil {
		if err := <-ended; err != nil { // the guest was first
			t.Fatal(err)
		}
		return nil, true
	}
	return save(t, m), false
}

// started waits until the goroutine that is to call Run has come to it: Pause
// is refused before.
func started(m *doppel.Machine) {
	for m.Status() == doppel.Created {
		time.Sleep(time.Millisecond)
	}
}

func save(t *testing.T, m *doppel.Machine) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := m.Save(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

var kernelLine = regexp.MustCompile(`\[ *[0-9]+\.[0-9]{6}\] [^\n]*\n`)

func checkWork(t *testing.T, out string, seed uint64, saves int) {
	t.Helper()
	var want strings.Builder
	for i := 1; i <= workItems; i++ {
		h := sha256.New()
		for n := i; n <= i+workLines; n++ {
			fmt.Fprintln(h, n)
		}
		fmt.Fprintf(&want, "item %d %x\n", i, h.Sum(nil))
	}
	var got strings.Builder
	// Another hart's kernel may print in the middle of a line.
	for line := range strings.Lines(kernelLine.ReplaceAllString(strings.ReplaceAll(out, "\r", ""), "")) {
		if strings.HasPrefix(line, "item ") {
			got.WriteString(line)
		}
	}
	if got.String() != want.String() || !strings.Contains(out, "work is done") {
		t.Errorf("seed %d, %d saves: the work came out wrong:\n%s\nwant\n%s\nconsole:\n%s", seed, saves, got.String(), want.String(), printable([]byte(out)))
	}
	if saves < 5 {
		t.Errorf("seed %d: only %d saves", seed, saves)
	}
	t.Logf("%d saves", saves)
	checkLog(t, out)
}

func checkLog(t *testing.T, log string) {
	t.Helper()
	for line := range strings.Lines(log) {
		if dmesgFaults.MatchString(line) && !harmless.MatchString(line) {
			t.Errorf("the kernel complains: %s", line)
		}
	}
}
