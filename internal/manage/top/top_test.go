package top

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"

	"doppel/internal/manage/control"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// machine is one whose counters have grown for n seconds.
func machine(name string, pid int, n uint64) *control.Stats {
	return &control.Stats{
		Name: name, PID: pid, Status: "running", Engine: "jit", Weight: 100, Cap: "50%",
		Memory: control.Memory{Size: 512 << 20, Resident: 40 << 20},
		CPUs: []control.CPU{
			{Instructions: n * 3_000_000, Running: n * 250_000_000, Waiting: n * 500_000_000,
				Exits: map[string]uint64{"mmio": n * 1500, "halt": n * 7}, Counts: map[string]uint64{bytesOfCode: 2048 + n*1024}},
			{Instructions: n * 1_000_000, Running: n * 750_000_000, Exits: map[string]uint64{"mmio": n * 500}},
		},
		Disks:    []control.Disk{{ReadBytes: n * 3 << 20}, {ReadBytes: n << 20, WriteBytes: n * 2048}},
		Networks: []control.Network{{ReceivedBytes: n * 100, SentBytes: n * 10240}},
	}
}

func sample(seconds uint64, all ...*control.Stats) *Sample {
	return &Sample{At: epoch.Add(time.Duration(seconds) * time.Second), Machines: all}
}

func TestRates(t *testing.T) {
	rows := Rows(sample(10, machine("a", 1, 10)), sample(12, machine("a", 1, 12)), true)
	if len(rows) != 3 || !rows[1].VCPU || rows[0].VCPU {
		t.Fatalf("%+v", rows)
	}
	m, c := rows[0], rows[1]
	for what, v := range map[string][2]float64{
		"busy": {m.Busy, 1}, "steal": {m.Steal, 0.5}, "instructions": {m.Insns, 4e6}, "mmio": {m.Exits["mmio"], 2000},
		"halt": {m.Exits["halt"], 7}, "code": {float64(m.Code), 2048 + 12*1024}, "code rate": {m.CodeRate, 1024},
		"disk read": {m.DiskRead, 4 << 20}, "disk write": {m.DiskWrite, 2048}, "received": {m.NetReceive, 100}, "sent": {m.NetSend, 10240},
		"vCPU busy": {c.Busy, 0.25}, "vCPU steal": {c.Steal, 0.5}, "vCPU mmio": {c.Exits["mmio"], 1500}, "resident": {float64(m.Resident), 40 << 20},
	} {
		if v[0] != v[1] {
			t.Errorf("%s: %g, want %g", what, v[0], v[1])
		}
	}
}

// TestComeAndGo: a machine that is new, or another of the same name, has no
// rates yet; none is negative or endless, whatever the samples.
func TestComeAndGo(t *testing.T) {
	now := sample(12, machine("a", 1, 12))
	fewer := machine("a", 1, 11)
	fewer.CPUs = fewer.CPUs[:1]
	for name, before := range map[string]*Sample{
		"first":         nil,
		"new":           sample(11, machine("b", 1, 11)),
		"other process": sample(11, machine("a", 2, 11)),
		"began again":   sample(11, machine("a", 1, 20)),
		"other CPUs":    sample(11, fewer),
		"same moment":   sample(12, machine("a", 1, 11)),
		"clock back":    sample(13, machine("a", 1, 11)),
	} {
		r := Rows(before, now, false)[0]
		if !r.fresh {
			t.Errorf("%s: rates are taken for known: %+v", name, r)
		}
		if text := columns[4].cell(&r); strings.TrimSpace(text) != "." {
			t.Errorf("%s: shows %q", name, text)
		}
	}
	if rows := Rows(now, sample(13), true); len(rows) != 0 {
		t.Errorf("%+v", rows)
	}
	// A disk that has come, and counters that have begun again.
	was, is := machine("a", 1, 11), machine("a", 1, 12)
	was.Disks = was.Disks[:1]
	is.Networks[0] = control.Network{}
	if r := Rows(sample(11, was), sample(12, is), false)[0]; r.DiskRead != 3<<20 || r.NetSend != 0 || r.NetReceive != 0 {
		t.Errorf("%+v", r)
	}
}

func TestNumbers(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{short(0), "0"}, {short(999), "999"}, {short(1000), "1.0k"}, {short(12345), "12k"}, {short(3.4e9), "3.4G"}, {short(1e18), "1000000T"},
		{size(1023), "1023"}, {size(1536), "1.5K"}, {size(512 << 20), "512M"}, {size(1 << 40), "1.0T"}, {size(1 << 60), "1048576T"},
		{quiet(0.5), "-"}, {percent(0), "0"}, {percent(0.001), "0.1"}, {percent(0.5), "50"}, {percent(2), "200"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

// TestFit: whatever the width, the columns fit, the name is there, and what is
// left out matters less than what is shown.
func TestFit(t *testing.T) {
	for width := range 400 {
		all := fit(width)
		used := len(all) - 1
		least := 1000
		for _, c := range all {
			used += c.width
			least = min(least, c.rank)
		}
		if all[0].title != "NAME" || width >= nameWidth && used > width {
			t.Fatalf("width %d: %d used by %d columns", width, used, len(all))
		}
		for _, c := range columns {
			shown := slices.ContainsFunc(all, func(d column) bool { return d.title == c.title })
			if !shown && c.rank > least {
				t.Fatalf("width %d: %s is left out, though it matters more than others", width, c.title)
			}
		}
	}
	if len(fit(400)) != len(columns) {
		t.Error("columns are missing on a wide terminal")
	}
}

func TestSort(t *testing.T) {
	a, b, c := machine("a", 1, 12), machine("b", 2, 12), machine("c", 3, 12)
	b.CPUs[0].Running += 500_000_000
	c.Memory.Resident = 1 << 30
	before := sample(11, machine("a", 1, 11), machine("b", 2, 11), machine("c", 3, 11))
	for _, s := range []struct {
		title   string
		reverse bool
		want    string
	}{
		{"NAME", false, "abc"}, {"NAME", true, "cba"}, {"%CPU", false, "bac"}, {"MEM", false, "cab"}, {"MEM", true, "abc"},
		{"PID", false, "abc"}, {"CAP", false, "abc"}, {"STATUS", false, "abc"}, {"nothing", false, "abc"},
	} {
		rows := Rows(before, sample(12, c, a, b), true)
		sortRows(rows, s.title, s.reverse)
		got := ""
		for i, r := range rows {
			if r.VCPU != (i%3 != 0) {
				t.Fatalf("%s: a vCPU is not behind its machine: %+v", s.title, rows)
			}
			if !r.VCPU {
				got += r.Name
			}
		}
		if got != s.want {
			t.Errorf("by %s, reverse %v: %s, want %s", s.title, s.reverse, got, s.want)
		}
	}
}

// screen is what a terminal shows.
func screen(t *testing.T, width, height int) (tcell.SimulationScreen, func() []string) {
	t.Helper()
	s := tcell.NewSimulationScreen("UTF-8")
	if err := s.Init(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Fini)
	s.SetSize(width, height)
	return s, func() (lines []string) {
		cells, w, h := s.GetContents()
		for y := range h {
			var sb strings.Builder
			for x := range w {
				sb.WriteString(string(cells[y*w+x].Runes))
			}
			lines = append(lines, strings.TrimRight(sb.String(), " "))
		}
		return lines
	}
}

func TestPage(t *testing.T) {
	s, lines := screen(t, 100, 8)
	p := newPage()
	p.draw(s) // nothing is known yet
	p.add(sample(10, machine("one", 1, 10)))
	paused := machine("evil\x1b[31m", 2, 12)
	paused.Status, paused.Reason = "paused", "the host has no memory left"
	p.add(sample(12, machine("one", 1, 12), paused))
	p.draw(s)
	text := lines()
	for i, want := range []string{
		"03:04:17  doppel: 2 machines, 4 vCPUs, 100% of a processor, memory 80M of 1.0G",
		"NAME", "one ", "evil?[31m", "  the host has no memory left", "", "", "q quit",
	} {
		if !strings.HasPrefix(text[i], want) {
			t.Errorf("line %d: %q, want %q", i, text[i], want)
		}
	}
	if !strings.Contains(text[2], "running") || !strings.Contains(text[3], "paused") || strings.Contains(strings.Join(text, ""), "\x1b") {
		t.Errorf("%q", text)
	}
	p.now.Err = errors.New("one does not answer\nnor does another")
	p.letter('c')
	p.draw(s)
	if text = lines(); text[1] != "one does not answer (and 1 other)" || !strings.HasPrefix(text[4], "  cpu0") {
		t.Errorf("%q", text)
	}
}

// TestSizes: no size of a terminal and no key upsets the page.
func TestSizes(t *testing.T) {
	p := newPage()
	p.add(sample(10, machine("a", 1, 10), machine("日本語の名前の長い機械", 2, 10)))
	p.add(sample(11, machine("a", 1, 11), machine("日本語の名前の長い機械", 2, 11)))
	keys := []tcell.Key{tcell.KeyLeft, tcell.KeyRight, tcell.KeyUp, tcell.KeyDown, tcell.KeyPgDn, tcell.KeyPgUp, tcell.KeyHome, tcell.KeyF1}
	for _, width := range []int{1, 2, 5, 12, 13, 40, 80, 300} {
		for _, height := range []int{1, 2, 3, 4, 5, 24} {
			s, lines := screen(t, width, height)
			for i, r := range "rcPMN<>x \x00c" {
				if p.key(keys[i%len(keys)], 0) || p.key(tcell.KeyRune, r) {
					t.Fatal("it quits")
				}
				p.draw(s)
			}
			if got := lines(); len(got) != height {
				t.Errorf("%d lines of %d", len(got), height)
			}
		}
	}
}

func TestScroll(t *testing.T) {
	var all []*control.Stats
	for i := range 50 {
		all = append(all, machine(fmt.Sprintf("m%02d", i), i+1, 1))
	}
	s, lines := screen(t, 80, 10)
	p := newPage()
	p.sort = "NAME"
	p.add(sample(1, all...))
	for _, step := range []struct {
		key   tcell.Key
		first string
	}{{tcell.KeyUp, "m00"}, {tcell.KeyDown, "m01"}, {tcell.KeyPgDn, "m11"}, {tcell.KeyPgDn, "m21"}, {tcell.KeyPgDn, "m31"},
		{tcell.KeyPgDn, "m41"}, {tcell.KeyPgDn, "m43"}, {tcell.KeyPgUp, "m33"}, {tcell.KeyHome, "m00"}} {
		p.key(step.key, 0)
		p.draw(s)
		if got := lines()[2]; !strings.HasPrefix(got, step.first) {
			t.Errorf("%q, want %s", got, step.first)
		}
	}
}

// shownScreen keeps what was last shown for those on other goroutines.
type shownScreen struct {
	tcell.SimulationScreen
	lines func() []string
	last  atomic.Pointer[string]
}

func (s *shownScreen) Show() {
	s.SimulationScreen.Show()
	text := strings.Join(s.lines(), "\n")
	s.last.Store(&text)
}

func (s *shownScreen) text() string {
	if p := s.last.Load(); p != nil {
		return *p
	}
	return ""
}

// TestRun: it asks, draws, takes keys and ends, by a key and by its context.
func TestRun(t *testing.T) {
	for _, by := range []string{"key", "context"} {
		sim, lines := screen(t, 80, 10)
		s := &shownScreen{SimulationScreen: sim, lines: lines}
		ctx, cancel := context.WithCancel(context.Background())
		var asked atomic.Uint64
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			Run(ctx, s, time.Millisecond, func() *Sample {
				n := asked.Add(1)
				return sample(n, machine("a", 1, n))
			})
		}()
		wait := func(what string, cond func() bool) {
			t.Helper()
			for end := time.Now().Add(20 * time.Second); !cond(); time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("%s does not come: %q", what, s.text())
				}
			}
		}
		wait("a machine", func() bool { return asked.Load() > 3 })
		s.InjectKey(tcell.KeyRune, 'c', 0)
		wait("a vCPU", func() bool { return strings.Contains(s.text(), "  cpu1 ") })
		if by == "key" {
			s.InjectKey(tcell.KeyRune, 'q', 0)
		} else {
			cancel()
		}
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			t.Fatalf("it does not end by its %s", by)
		}
		cancel()
	}
}
