package machine

import (
	"errors"
	"strings"
	"testing"
	"time"

	"doppel/internal/device"
	"doppel/internal/memory"
)

// counts increments a word in memory as fast as it can.
const counts = prelude + `
	li   t2, 0x80100000
2:	ld   t0, 0(t2)
	addi t0, t0, 1
	sd   t0, 0(t2)
	j    2b
`

func counted(m *Machine) (n uint64) {
	for i, b := range m.Memory().Regions()[0].Bytes()[0x100000:][:8] {
		n |= uint64(b) << (8 * i)
	}
	return n
}

// Nothing changes in memory while WithMemory's function runs, and the machine
// runs on afterwards, whatever others ask of it meanwhile.
func TestWithMemory(t *testing.T) {
	m, _, _ := start(t, bare(t, counts))
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			m.Pause()
			if i%10 == 0 {
				m.Reset()
			}
			m.Resume()
			time.Sleep(time.Millisecond)
		}
	}()
	eventually(t, "a first store", func() bool { return counted(m) != 0 })
	for range 200 {
		if !m.WithMemory(time.Second, func(ram *memory.Region) {
			before := counted(m)
			time.Sleep(100 * time.Microsecond)
			if after := counted(m); after != before {
				t.Errorf("memory changed from %d to %d", before, after)
			}
		}) {
			t.Fatal("the machine did not come to rest")
		}
	}
	now := counted(m)
	eventually(t, "work after that", func() bool { return counted(m) != now })
	m.Close()
	if m.WithMemory(time.Second, func(*memory.Region) { t.Error("called for a closed machine") }) ||
		m.ReadMemory(func(*memory.Region) { t.Error("called for a closed machine") }) {
		t.Error("a closed machine has memory")
	}
	if _, ok := m.MemoryUsage(); ok {
		t.Error("a closed machine takes memory")
	}
}

// stuck is a device that is long in coming to rest.
type stuck struct {
	device.Worker
	free chan struct{}
}

func (s stuck) Pause()  { <-s.free }
func (s stuck) Resume() {}

// A device that does not come to rest keeps nobody waiting for long, and what
// rested works again when it does.
func TestWithMemoryStuck(t *testing.T) {
	m, _, _ := start(t, bare(t, counts))
	s := stuck{free: make(chan struct{}, 100)}
	m.mu.Lock()
	m.workers = append(m.workers, s)
	m.mu.Unlock()
	if m.WithMemory(time.Millisecond, func(*memory.Region) { t.Error("called beside a device at work") }) {
		t.Error("it came to rest")
	}
	now := counted(m)
	eventually(t, "work", func() bool { return counted(m) != now })
	for range cap(s.free) / 2 {
		s.free <- struct{}{}
	}
	if !m.WithMemory(20*time.Second, func(*memory.Region) {}) {
		t.Error("it did not come to rest")
	}
	m.mu.Lock()
	m.workers = m.workers[:len(m.workers)-1]
	m.mu.Unlock()
}

// A pause for a reason is not mistaken for one that somebody asked for.
func TestPauseFor(t *testing.T) {
	m, _, _ := start(t, bare(t, counts))
	look := func(want Status, reason string) {
		t.Helper()
		if s, r := m.Look(); s != want || r != reason || m.Status() != want {
			t.Errorf("%v, %q; want %v, %q", s, r, want, reason)
		}
	}
	var bad *StatusError
	look(Running, "")
	if err := m.PauseFor("no memory"); err != nil {
		t.Fatal(err)
	}
	look(Paused, "no memory")
	if err := m.PauseFor("again"); !errors.As(err, &bad) || !strings.Contains(err.Error(), "paused") {
		t.Errorf("paused twice: %v", err)
	}
	now := counted(m)
	if err := m.ResumeFrom(); err != nil {
		t.Fatal(err)
	}
	look(Running, "")
	eventually(t, "work", func() bool { return counted(m) != now })
	if err := m.ResumeFrom(); !errors.As(err, &bad) {
		t.Errorf("resumed twice: %v", err)
	}
	m.PauseFor("no memory")
	if err := m.Pause(); err != nil { // now on purpose
		t.Fatal(err)
	}
	look(Paused, "")
	if err := m.ResumeFrom(); !errors.As(err, &bad) {
		t.Errorf("a pause on purpose was ended: %v", err)
	}
	if err := m.Resume(); err != nil {
		t.Fatal(err)
	}
	look(Running, "")
}
