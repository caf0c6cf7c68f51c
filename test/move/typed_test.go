package move

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"doppel"
	"doppel/test/differential/repeat"
	"doppel/test/guest"
	"doppel/test/guest/shell"
)

// roundsEnv is how often TestTyped restores each of its machines.
const roundsEnv = "DOPPEL_TYPED"

// TestTyped: a shell that waits for input answers what is typed before, while
// and after its machine is restored. In a chain of machines each is saved at
// some moment after the last one's answer: in the middle of what the kernel does
// then, or when nothing but timers wakes it.
func TestTyped(t *testing.T) {
	rounds := 12
	if text := os.Getenv(roundsEnv); text != "" {
		var err error
		if rounds, err = strconv.Atoi(text); err != nil || rounds < 1 {
			t.Fatalf("%s: %q is not a number from 1", roundsEnv, text)
		}
	}
	seed := repeat.Seed(t)
	initrd := guest.Get(t).WriteInitramfs(t, guest.Without(guest.ShellInit))
	for _, c := range []struct {
		cpus    int
		engines []string // of the machines, in turn
	}{{1, []string{"auto"}}, {2, []string{"auto", "interp"}}} {
		t.Run(fmt.Sprintf("%d harts, %v", c.cpus, c.engines), func(t *testing.T) {
			h, err := doppel.NewHost(doppel.HostConfig{})
			if err != nil {
				t.Fatal(err)
			}
			defer h.Close()
			r := rand.New(rand.NewPCG(seed, uint64(c.cpus)))
			cfg := shell.Config(t, doppel.Config{Initrd: initrd, CPUs: c.cpus, Balloon: "off"})
			v := shell.Boot(t, h, cfg)
			v.Sh("true")
			saved := v.Freeze()
			for n := range rounds {
				cfg.Engine = c.engines[n%len(c.engines)]
				v.Must(v.Make(h, cfg))
				v.Must(v.Restore(bytes.NewReader(saved)))
				began := time.Now()
				typeAt(v, r, n)
				if err := v.Await(fmt.Sprintf("got-%d\r\n", n)); err != nil {
					before := v.Stats().Instructions()
					v.Must(v.Pause())
					v.Must(v.Resume())
					again := v.Await(fmt.Sprintf("got-%d\r\n", n))
					t.Fatalf("round %d: %v, in %d instructions; after a pause: %v", n, err, before, again)
				}
				if d := time.Since(began); d > time.Second {
					t.Logf("round %d: an answer after %v, %d instructions", n, d, v.Stats().Instructions())
				}
				// The prompt is behind it, and the shell's read of the next line.
				time.Sleep(time.Duration(r.IntN(1<<r.IntN(15))) * time.Microsecond)
				v.Out.Clear()
				saved = v.Freeze()
			}
		})
	}
}

// typeAt starts the machine, and types before, meanwhile or after.
func typeAt(v *shell.VM, r *rand.Rand, n int) {
	line := fmt.Sprintf("echo got-$((%d))", n)
	switch r.IntN(4) {
	case 0: // waits at the other end of the line
		typed := make(chan error)
		go func() { typed <- v.Type(line) }()
		time.Sleep(time.Duration(r.IntN(200)) * time.Microsecond)
		v.Start()
		v.Must(<-typed)
	case 1:
		v.Start()
		v.Must(v.Type(line))
	case 2:
		v.Start()
		time.Sleep(time.Duration(r.IntN(1<<r.IntN(14))) * time.Microsecond)
		v.Must(v.Type(line))
	case 3: // by hand
		v.Start()
		for _, b := range []byte(line) {
			v.Must(v.TypeBytes([]byte{b}))
			time.Sleep(time.Duration(r.IntN(1<<r.IntN(11))) * time.Microsecond)
		}
		v.Must(v.TypeBytes([]byte{'\n'}))
	}
}
