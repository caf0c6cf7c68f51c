package main

import (
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"strings"
)

// event is a line of `go test -json` (go doc test2json).
type event struct {
	Action, Package, Test, Output string
	ImportPath                    string // of build events
	FailedBuild                   string
	Elapsed                       float64
}

// maxOutput is how much of one test's output is kept, from its end.
const maxOutput = 64 << 10

// summary collects events and prints what matters.
type summary struct {
	w       io.Writer
	module  string
	must    musts
	verbose bool

	passed, failed, skipped int

	output  map[string]string // of tests and packages that still run, and of builds
	failing map[string]bool   // packages in which a test has failed
	seen    []bool            // by must: whether a test has matched
	skips   map[string][]string
	missing []string // skipped, but must run
}

// slow is from how many seconds on a package is worth a line.
const slow = 10

func newSummary(w io.Writer, module string, must musts, verbose bool) *summary {
	return &summary{w: w, module: module, must: must, verbose: verbose, output: map[string]string{},
		failing: map[string]bool{}, seen: make([]bool, len(must)), skips: map[string][]string{}}
}

// line takes one line of output.
func (s *summary) line(b []byte) {
	var e event
	if json.Unmarshal(b, &e) != nil || e.Action == "" {
		fmt.Fprintf(s.w, "%s", b) // not an event: something that go itself says
		return
	}
	key := e.Package + "." + e.Test
	switch e.Action {
	case "output":
		s.keep(key, e.Output)
	case "build-output":
		s.keep("build "+e.ImportPath, e.Output)
	case "pass", "fail", "skip":
		if e.Test != "" {
			s.test(e, key)
		} else {
			s.pkg(e, key)
		}
		delete(s.output, key)
	}
}

func (s *summary) keep(key, text string) {
	o := s.output[key] + text
	s.output[key] = o[max(0, len(o)-maxOutput):]
}

// short is a package's name without the module's.
func (s *summary) short(pkg string) string {
	if rest, ok := strings.CutPrefix(pkg, s.module+"/"); ok {
		return rest
	}
	return pkg
}

func (s *summary) test(e event, key string) {
	name := s.short(e.Package) + "." + e.Test
	required := false
	for i, r := range s.must {
		if r.MatchString(name) {
			s.seen[i], required = true, true
		}
	}
	switch e.Action {
	case "pass":
		s.passed++
	case "fail":
		s.failed++
		s.failing[e.Package] = true
		fmt.Fprintf(s.w, "FAIL %s (%.1fs)\n%s", name, e.Elapsed, indent(s.output[key]))
	case "skip":
		s.skipped++
		why := reason(s.output[key])
		s.skips[why] = append(s.skips[why], name)
		if required {
			s.missing = append(s.missing, name)
		}
	}
}

func (s *summary) pkg(e event, key string) {
	name := s.short(e.Package)
	switch {
	case e.Action == "fail" && e.FailedBuild != "":
		s.failed++
		fmt.Fprintf(s.w, "FAIL %s does not build\n%s", name, indent(s.output["build "+e.FailedBuild]))
	case e.Action == "fail" && !s.failing[e.Package]:
		// No test failed, yet the package did: TestMain, a crash, a timeout.
		s.failed++
		fmt.Fprintf(s.w, "FAIL %s (%.1fs)\n%s", name, e.Elapsed, indent(s.output[key]))
	case e.Action == "fail":
		fmt.Fprintf(s.w, "FAIL %s (%.1fs)\n", name, e.Elapsed)
	case e.Action == "pass" && (s.verbose || e.Elapsed >= slow):
		fmt.Fprintf(s.w, "ok   %s (%.1fs)\n", name, e.Elapsed)
	}
}

// close prints the totals; status is how go test ended.
func (s *summary) close(status error) bool {
	var why []string
	for r := range s.skips {
		why = append(why, r)
	}
	sort.Strings(why)
	for _, r := range why {
		names := s.skips[r]
		fmt.Fprintf(s.w, "skipped %d: %s: %s\n", len(names), r, strings.Join(names, " "))
	}
	for _, name := range s.missing {
		s.failed++
		fmt.Fprintf(s.w, "FAIL %s must run and was skipped\n", name)
	}
	for i, seen := range s.seen {
		if !seen {
			s.failed++
			fmt.Fprintf(s.w, "FAIL no test matches -must %s\n", s.must[i])
		}
	}
	if status != nil && s.failed == 0 {
		s.failed++
		fmt.Fprintf(s.w, "FAIL go test: %v\n", status)
	}
	fmt.Fprintf(s.w, "%d passed, %d failed, %d skipped\n", s.passed, s.failed, s.skipped)
	return s.failed == 0
}

// reason finds what a skipped test said, after the position that go test puts
// before it.
func reason(output string) string {
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "===") || strings.HasPrefix(line, "---") {
			continue
		}
		if _, rest, ok := strings.Cut(line, ".go:"); ok {
			if _, text, ok := strings.Cut(rest, ": "); ok {
				return text
			}
		}
		return line
	}
	return "no reason given"
}

// indent sets output off, without go test's own marks.
func indent(output string) string {
	var b strings.Builder
	for line := range strings.Lines(output) {
		t := strings.TrimSpace(line)
		if t == "" || strings.HasPrefix(t, "=== ") || strings.HasPrefix(t, "--- FAIL") {
			continue
		}
		b.WriteString("     " + strings.TrimRight(line, "\n") + "\n")
	}
	return b.String()
}
