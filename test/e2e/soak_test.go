package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"doppel"
)

// soakEnv is how often TestSoak boots; once if it is not set.
const soakEnv = "DOPPEL_SOAK"

// Debian boots again and again. On the way it is saved at random points, killed
// at others, and goes on from the last save, with the disk as it was then, in
// a new machine that may have another engine.
func TestSoak(t *testing.T) {
	t.Parallel()
	store := debianStore(t)
	boots := 1
	if text := os.Getenv(soakEnv); text != "" {
		var err error
		if boots, err = strconv.Atoi(text); err != nil || boots < 1 {
			t.Fatalf("%s: %q is not a number from 1", soakEnv, text)
		}
	}
	images, err := filepath.Glob(filepath.Join(store, "doppel/images/*"))
	if err != nil || len(images) != 1 {
		t.Fatal(images, err)
	}
	for n := range boots {
		seed := uint64(time.Now().UnixNano())
		t.Run(fmt.Sprint(n+1), func(t *testing.T) {
			enter(1)
			defer leave(1)
			s := &soak{t: t, seed: seed, r: rand.New(rand.NewPCG(seed, 0)), image: images[0], disk: filepath.Join(t.TempDir(), "disk.raw")}
			s.boot()
		})
	}
}

// soak is one boot.
type soak struct {
	t           *testing.T
	seed        uint64
	r           *rand.Rand
	image, disk string
	saved       []byte // nil: nothing but the image
	printed     string // up to the save
	executed    uint64 // instructions up to the save
	saves       int
	kills       int
	engines     []string // that have run
}

func (s *soak) boot() {
	s.restoreDisk()
	begin := time.Now()
	for !s.leg() {
		if s.saves+s.kills > maxLegs {
			s.t.Fatalf("seed %d: no end after %d saves and %d kills", s.seed, s.saves, s.kills)
		}
	}
	s.t.Logf("seed %d: %d saves, %d kills, engines %v, %.0f s", s.seed, s.saves, s.kills, s.engines, time.Since(begin).Seconds())
	fsck(s.t, s.disk)
}

func (s *soak) restoreDisk() {
	from := filepath.Join(s.image, "disk.raw")
	if s.saved != nil {
		from = s.disk + ".saved"
	}
	copySparse(s.t, s.disk, from)
}

// leg runs a machine from the last save for a while, or to the guest's end.
func (s *soak) leg() (ended bool) {
	t, begin := s.t, time.Now()
	engine := "auto"
	if s.r.IntN(6) == 0 {
		engine = "interp"
	}
	s.engines = append(s.engines, engine)
	in, typed := io.Pipe()
	defer in.Close()
	out := &watcher{changed: make(chan struct{}, 1)}
	out.b.WriteString(s.printed)
	m, err := doppel.New(doppel.Config{
		Kernel: filepath.Join(s.image, "kernel"), Initrd: filepath.Join(s.image, "initrd"), Append: "root=/dev/vda rw " + console,
		CPUs: 2, Memory: 256 << 20, Disks: []doppel.Disk{{Path: s.disk}}, Net: "user", Console: doppel.Stream(in, out), Engine: engine,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}()
	if s.saved != nil {
		if err := m.Restore(bytes.NewReader(s.saved)); err != nil {
			s.fail(out, "restore: %v", err)
		}
	}
	ctx, kill := context.WithCancel(context.Background())
	defer kill()
	result := make(chan error, 1)
	go func() {
		r, err := m.Run(ctx)
		if err == nil && r.Reason != doppel.PowerOff {
			err = fmt.Errorf("the guest ended with %+v", r)
		}
		result <- err
	}()
	if s.run(m, out) {
		s.finish(m, out, typed, result)
		return true
	}
	if s.r.IntN(4) == 0 {
		kill()
		<-result
		s.kills++
		t.Logf("killed after %v, at %d bytes of console", time.Since(begin).Round(time.Millisecond), len(out.text()))
		s.restoreDisk()
		return false
	}
	started(m)
	if err := m.Pause(); err != nil {
		s.fail(out, "pause: %v; run: %v", err, <-result)
	}
	var b bytes.Buffer
	if err := m.Save(&b); err != nil {
		s.fail(out, "save: %v", err)
	}
	s.saved, s.printed, s.executed = b.Bytes(), out.text(), m.Stats().Instructions()
	s.saves++
	copySparse(t, s.disk+".saved", s.disk)
	t.Logf("saved %d MiB after %v, at %d bytes of console", b.Len()>>20, time.Since(begin).Round(time.Millisecond), len(s.printed))
	return false
}

// A leg is at most so long: some instructions, of which a boot takes about 8
// billion, or a time, when the guest waits for something.
const (
	legInstructions = 1_500_000_000
	legTime         = 20 * time.Second
	// A boot has some twenty legs; fewer of them get on when all are short.
	maxLegs = 300
)

// run lets the machine run for a leg; true means that there is a login prompt.
func (s *soak) run(m *doppel.Machine, out *watcher) bool {
	const step = 10 * time.Millisecond
	length := s.r.Int64N(legInstructions)
	for begin := time.Now(); time.Since(begin) < legTime; {
		if out.wait(loginPrompt, step) {
			return true
		}
		// Of a vCPU that has not run since the save, the machine knows nothing.
		if int64(m.Stats().Instructions()-s.executed) > length {
			break
		}
	}
	return false
}

var loginPrompt = regexp.MustCompile(`login: $`)

// finish looks at the system that is up, and switches it off.
func (s *soak) finish(m *doppel.Machine, out *watcher, typed io.Writer, result <-chan error) {
	s.t.Helper()
	command := func(text, answer string) {
		if _, err := io.WriteString(typed, text+"\n"); err != nil {
			s.fail(out, "typing: %v", err)
		}
		if !out.wait(regexp.MustCompile(answer), systemUp) {
			s.fail(out, "no answer to %q", text)
		}
	}
	// What is typed at the prompt counts, also just when a restored machine starts:
	// nothing is typed again. The answer is a login, of 150 million instructions,
	// which takes minutes on a host with much other work: the failure tells whether
	// the guest had the time.
	before := m.Stats().Instructions()
	if _, err := io.WriteString(typed, "root\n"); err != nil {
		s.fail(out, "typing: %v", err)
	}
	if !out.wait(regexp.MustCompile(`# $`), systemUp) {
		s.fail(out, "no answer to %q at the prompt, in %d instructions", "root", m.Stats().Instructions()-before)
	}
	command("systemctl is-system-running --wait", `[\n\rl]running\r?\n`)
	command("dmesg | grep -ciE 'oops|bug:|\\bstall|lockup|ext4-fs error'", `[\n\rl]0\r?\n`)
	command("python3 -c 'print(6*7)' || seq 100000 | sha256sum", `[\n\rl]42\r?\n|b2bc7d3f8b652d2ec96865b68ad8f80e`)
	if _, err := io.WriteString(typed, "poweroff\n"); err != nil {
		s.fail(out, "typing: %v", err)
	}
	select {
	case err := <-result:
		if err != nil {
			s.fail(out, "%v", err)
		}
	case <-time.After(systemUp):
		s.fail(out, "no power-off")
	}
}

func (s *soak) fail(out *watcher, format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("seed %d, %d saves, %d kills, engines %v: %s\n---- console ----\n%s", s.seed, s.saves, s.kills, s.engines,
		fmt.Sprintf(format, args...), printable([]byte(out.text())))
}

// watcher is a console's output.
type watcher struct {
	mu      sync.Mutex
	b       strings.Builder
	changed chan struct{}
}

func (w *watcher) Write(p []byte) (int, error) {
	w.mu.Lock()
	w.b.Write(p)
	w.mu.Unlock()
	select {
	case w.changed <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (w *watcher) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

func (w *watcher) has(re *regexp.Regexp) bool { return re.MatchString(w.text()) }

// wait waits for a pattern.
func (w *watcher) wait(re *regexp.Regexp, limit time.Duration) bool {
	for end := time.After(limit); !w.has(re); {
		select {
		case <-w.changed:
		case <-end:
			return false
		}
	}
	return true
}
