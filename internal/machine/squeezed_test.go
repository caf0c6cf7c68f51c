package machine

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"doppel/internal/cpu"
	"doppel/internal/cpu/jit"
	"doppel/internal/riscv/hart"
	"doppel/test/guest"
)

// work is an init whose result is known.
const work = `#!/bin/sh
export PATH=/bin
mount -t proc proc /proc
for i in $(seq 4); do seq 20000 | sha256sum; done
dmesg | grep -i -E 'Oops|BUG|stall|illegal'
echo "all done"
poweroff -f
`

// digest is what sha256sum says of seq 20000.
const digest = "f6351f5ead9a700e34275480b3856ea738122a7c57bdeb744a631251c069587a"

// TestTranslatorOptions boots Linux on translators that are not as anyone would
// have them: whose code cache is always full, or that translate everything.
func TestTranslatorOptions(t *testing.T) {
	if !jit.Available() {
		t.Skip("no translator on this host")
	}
	f := guest.Get(t)
	read := func(path string) File {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return File{path, data}
	}
	kernel := read(f.Kernel)
	initrd := File{"initrd", f.Initramfs(t, work)}
	ours := newTranslator
	defer func() { newTranslator = ours }()
	for _, c := range []struct {
		name      string
		cpus      int
		options   jit.Options
		evictions uint64 // at least
	}{
		{"1 MiB of code", 1, jit.Options{CodeBytes: 1 << 20}, 2},
		{"all is translated", 2, jit.Options{Threshold: -1}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var all []*jit.VCPU
			newTranslator = func(cfg hart.Config, _ jit.Options) (cpu.VCPU, *hart.Hart, error) {
				v, err := jit.New(cfg, c.options)
				if err != nil {
					return nil, nil, err
				}
				all = append(all, v)
				return v, v.Hart(), nil
			}
			console := &terminal{}
			m, err := New(Config{Memory: 128 << 20, CPUs: c.cpus, Kernel: kernel, Initrd: initrd, Append: "console=ttyS0 panic=-1", Console: console})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
			defer cancel()
			r, err := m.Run(ctx)
			out := strings.ReplaceAll(console.String(), "\r", "")
			if err != nil || r.Reason != PowerOff || strings.Count(out, digest) != 4 || !strings.Contains(out, digest+"  -\nall done") {
				t.Errorf("%v %v:\n%s", r, err, out)
			}
			evictions := uint64(0)
			for _, v := range all {
				evictions += v.Stats().Evictions
				t.Log(v.Stats())
			}
			if evictions < c.evictions {
				t.Errorf("%d evictions: this test shows nothing", evictions)
			}
		})
	}
}
