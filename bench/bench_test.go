package main

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The list here and the one in the programs' header are the same.
func TestPrograms(t *testing.T) {
	header, err := sources.ReadFile("programs/bench.h")
	if err != nil {
		t.Fatal(err)
	}
	var inHeader, inList []string
	for _, m := range regexp.MustCompile(`\bP\(([a-z]+)\)`).FindAllSubmatch(header, -1) {
		inHeader = append(inHeader, string(m[1]))
	}
	for _, p := range programs {
		inList = append(inList, p.Name)
	}
	inList = append(inList, oneThread, twoThreads)
	if a, b := strings.Join(inHeader, " "), strings.Join(inList, " "); a != b {
		t.Errorf("bench.h has %s\nprograms has %s", a, b)
	}
}

func TestParseRun(t *testing.T) {
	const good = "@result sort 3 12000 00000000000000ff\r\n"
	r, err := parseRun([]byte("noise\n"+good+"@done 0\r\n"), "sort", 3)
	if err != nil || r.Count != 3 || r.Time != 12*time.Microsecond || r.Checksum != "00000000000000ff" || r.perIteration() != 4000 {
		t.Errorf("got %+v, %v", r, err)
	}
	for what, text := range map[string]string{
		"nothing":          "",
		"an error":         "@error sort: two iterations gave different checksums\n",
		"another program":  "@result hash 3 12000 00000000000000ff\n",
		"another count":    "@result sort 2 12000 00000000000000ff\n",
		"no time":          "@result sort 3 0 00000000000000ff\n",
		"a huge time":      "@result sort 3 99999999999999999999 00000000000000ff\n",
		"a short checksum": "@result sort 3 12000 ff\n",
	} {
		if r, err := parseRun([]byte(text), "sort", 3); err == nil {
			t.Errorf("%s was taken for %+v", what, r)
		}
	}
}

func TestParseStat(t *testing.T) {
	const after = " S 1 2 3 4 5 6 7 8 9 10 150 25 0 0 20 0 1"
	if d, err := parseStat([]byte("42 (a name) with) 99 88" + ")" + after)); err != nil || d != 1750*time.Millisecond {
		t.Errorf("got %v, %v; want 1.75s", d, err)
	}
	for _, bad := range []string{"", "42 (x) S 1 2", "42 (x)" + strings.Replace(after, "150", "-1", 1)} {
		if d, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q was taken for %v", bad, d)
		}
	}
}

// fake is a target whose every iteration takes step, with a checksum each run.
type fake struct {
	name      string
	step      time.Duration
	checksums []string // of the runs in turn, the last one for good
	runs      int
	longest   time.Duration
}

func (f *fake) Name() string { return f.name }
func (f *fake) Close() error { return nil }

func (f *fake) Run(_ context.Context, program string, count uint64) (Run, error) {
	if program == "broken" {
		return Run{}, errors.New("it does not run")
	}
	sum := f.checksums[min(f.runs, len(f.checksums)-1)]
	f.runs++
	took := f.step * time.Duration(count)
	f.longest = max(f.longest, took)
	return Run{Count: count, Time: took, Checksum: sum}, nil
}

func TestMeasure(t *testing.T) {
	ctx, pl := context.Background(), plan{rounds: 3, target: 50 * time.Millisecond}
	fast := &fake{name: "fast", step: 7, checksums: []string{"a"}}
	slow := &fake{name: "slow", step: time.Second, checksums: []string{"a"}}
	row, err := measure(ctx, Program{Name: "p"}, []Target{fast, slow}, pl)
	if err != nil {
		t.Fatal(err)
	}
	if row.time(0) != 7 || row.time(1) != 1e9 || len(row.Cells[1].Samples) != 3 || row.speedup(0, 1) != 1e9/7 {
		t.Errorf("got %+v", row)
	}
	if fast.longest < 45*time.Millisecond || fast.longest > 55*time.Millisecond {
		t.Errorf("the fast target ran for %v, not about %v", fast.longest, pl.target)
	}
	if slow.longest > time.Second {
		t.Errorf("the slow target ran for %v: one iteration was enough", slow.longest)
	}
}

// A wrong result is a failure, also when it comes in one round only.
func TestWrongResult(t *testing.T) {
	for name, sums := range map[string][]string{"always": {"b"}, "once": {"a", "a", "b", "a"}} {
		good := &fake{name: "good", step: time.Second, checksums: []string{"a"}}
		bad := &fake{name: "bad", step: time.Second, checksums: sums}
		_, err := measure(context.Background(), Program{Name: "p"}, []Target{good, bad}, plan{rounds: 3, target: time.Second})
		if err == nil || !strings.Contains(err.Error(), "bad: p: wrong result") {
			t.Errorf("%s wrong: %v", name, err)
		}
	}
	f := &fake{name: "f", step: 1, checksums: []string{"a"}}
	if _, err := measure(context.Background(), Program{Name: "broken"}, []Target{f}, plan{1, 1}); err == nil {
		t.Error("a program that does not run was measured")
	}
}

func TestConsole(t *testing.T) {
	var typed strings.Builder
	c := newConsole(&typed)
	c.Write([]byte("first\nse"))
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if text, err := c.await(ctx, regexp.MustCompile(`st\n`)); err != nil || string(text) != "first\n" {
		t.Errorf("got %q, %v", text, err)
	}
	go c.Write([]byte("cond"))
	if text, err := c.await(ctx, regexp.MustCompile(`second`)); err != nil || string(text) != "second" {
		t.Errorf("got %q, %v", text, err)
	}
	stopped, stop := context.WithCancel(ctx)
	stop()
	if _, err := c.await(stopped, regexp.MustCompile(`x`)); !errors.Is(err, context.Canceled) {
		t.Errorf("await returned %v after its context's end", err)
	}
	over := errors.New("it is over")
	c.end(over)
	if _, err := c.await(ctx, regexp.MustCompile(`x`)); !errors.Is(err, over) {
		t.Errorf("await returned %v after the guest's end", err)
	}
	if err := c.send("sort 1"); err != nil || typed.String() != "sort 1\n" {
		t.Errorf("typed %q, %v", &typed, err)
	}
}

// A guest that prints without end is given up.
func TestConsoleLimit(t *testing.T) {
	c := newConsole(nil)
	for range maxOutput/(64<<10) + 1 {
		c.Write(make([]byte, 64<<10))
	}
	if len(c.out) > maxOutput {
		t.Errorf("%d bytes were kept", len(c.out))
	}
	if _, err := c.await(context.Background(), regexp.MustCompile(`x`)); err == nil {
		t.Error("await waits on")
	}
}

func TestFlags(t *testing.T) {
	for _, c := range []struct {
		args    string
		command string // "" if the flags are wrong
		out     string
	}{
		{"", "make bench", resultsFile},
		{"-quick", "go run ./bench -quick", resultsFile},
		{"-quick -shared", "go run ./bench -quick -shared", resultsFile},
		{"-engines interp,auto -o x", "go run ./bench -engines interp,auto", "x"},
		{"-only ^sort$", "go run ./bench -only '^sort$'", ""},
		{"-only nothing", "", ""},
		{"-only [", "", ""},
		{"-engines ,", "", ""},
		{"more", "", ""},
	} {
		o, err := parseFlags(strings.Fields(c.args))
		if (err == nil) != (c.command != "") {
			t.Errorf("%q: %v", c.args, err)
		} else if err == nil && (o.command() != c.command || o.out != c.out) {
			t.Errorf("%q: command %q, file %q", c.args, o.command(), o.out)
		}
	}
}
