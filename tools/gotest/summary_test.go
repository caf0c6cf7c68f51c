package main

import (
	"errors"
	"strings"
	"testing"
)

func feed(must []string, status error, events ...string) (string, bool) {
	var m musts
	for _, e := range must {
		if err := m.Set(e); err != nil {
			panic(err)
		}
	}
	var b strings.Builder
	s := newSummary(&b, "mod", m, false)
	for _, e := range events {
		s.line([]byte(e + "\n"))
	}
	ok := s.close(status)
	return b.String(), ok
}

func TestSummary(t *testing.T) {
	pass := `{"Action":"pass","Package":"mod/a","Test":"TestX","Elapsed":0.1}`
	skipOut := `{"Action":"output","Package":"mod/a","Test":"TestS","Output":"    a_test.go:5: no frobnicator here\n"}`
	skip := `{"Action":"skip","Package":"mod/a","Test":"TestS"}`
	failOut := `{"Action":"output","Package":"mod/a","Test":"TestF","Output":"    a_test.go:9: got 1, want 2\n"}`
	fail := `{"Action":"fail","Package":"mod/a","Test":"TestF"}`
	pkgFail := `{"Action":"fail","Package":"mod/a"}`
	for _, c := range []struct {
		name   string
		must   []string
		status error
		events []string
		want   []string
		ok     bool
	}{
		{"pass", nil, nil, []string{pass}, []string{"1 passed, 0 failed, 0 skipped"}, true},
		{"skip", nil, nil, []string{pass, skipOut, skip},
			[]string{"skipped 1: no frobnicator here: a.TestS", "1 passed, 0 failed, 1 skipped"}, true},
		{"skip of what must run", []string{`^a\.TestS$`}, nil, []string{pass, skipOut, skip},
			[]string{"FAIL a.TestS must run and was skipped", "1 passed, 1 failed, 1 skipped"}, false},
		{"must run and ran", []string{`^a\.TestX`}, nil, []string{pass}, []string{"1 passed, 0 failed"}, true},
		{"must run and is not there", []string{"TestGone"}, nil, []string{pass},
			[]string{"FAIL no test matches -must TestGone"}, false},
		{"fail", nil, errors.New("exit status 1"), []string{failOut, fail, pkgFail},
			[]string{"FAIL a.TestF", "got 1, want 2", "0 passed, 1 failed, 0 skipped"}, false},
		{"crash outside a test", nil, errors.New("exit status 1"),
			[]string{`{"Action":"output","Package":"mod/a","Output":"panic: oh\n"}`, pkgFail},
			[]string{"FAIL a ", "panic: oh", "0 passed, 1 failed"}, false},
		{"build", nil, errors.New("exit status 1"),
			[]string{`{"ImportPath":"mod/a [mod/a.test]","Action":"build-output","Output":"a.go:1: undefined: x\n"}`,
				`{"Action":"fail","Package":"mod/a","FailedBuild":"mod/a [mod/a.test]"}`},
			[]string{"FAIL a does not build", "undefined: x", "0 passed, 1 failed"}, false},
		{"go test itself", nil, errors.New("exit status 2"), []string{"flag provided but not defined: -foo"},
			[]string{"flag provided", "FAIL go test: exit status 2", "0 passed, 1 failed"}, false},
	} {
		out, ok := feed(c.must, c.status, c.events...)
		if ok != c.ok {
			t.Errorf("%s: ok %v, want %v\n%s", c.name, ok, c.ok, out)
		}
		for _, w := range c.want {
			if !strings.Contains(out, w) {
				t.Errorf("%s: no %q in\n%s", c.name, w, out)
			}
		}
		last := strings.TrimRight(out, "\n")
		if last = last[strings.LastIndexByte(last, '\n')+1:]; !strings.HasSuffix(last, "skipped") {
			t.Errorf("%s: the last line is %q", c.name, last)
		}
	}
}
