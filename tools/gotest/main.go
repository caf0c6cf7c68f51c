// Command gotest runs `go test` and says in few lines what happened: the
// output of what failed, each skip with its reason, and a closing line
//
//	N passed, N failed, N skipped
//
// It exits with 1 if a test or a build failed, or if a test that must run did
// not: -must names those, as a regular expression on "package.Test/subtest"
// (the package without the module's name). A skip of one of them is a failure,
// and so is an expression that no test matches.
//
// usage: gotest [-must REGEXP]... -- [arguments of go test]
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime/debug"
	"strings"
)

func main() {
	var must musts
	flag.Var(&must, "must", "tests that must not be skipped, a regular expression on package.Test; may be repeated")
	verbose := flag.Bool("v", false, "print every package as it ends, not only those that fail or take long")
	flag.Parse()
	ok, err := run(os.Stdout, must, *verbose, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "gotest:", err)
	}
	if !ok || err != nil {
		os.Exit(1)
	}
}

// musts is a repeated flag.
type musts []*regexp.Regexp

func (m *musts) String() string {
	var s []string
	for _, r := range *m {
		s = append(s, r.String())
	}
	return strings.Join(s, " ")
}

func (m *musts) Set(s string) error {
	r, err := regexp.Compile(s)
	if err == nil {
		*m = append(*m, r)
	}
	return err
}

func run(w io.Writer, must musts, verbose bool, args []string) (bool, error) {
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return false, err
	}
	if err := cmd.Start(); err != nil {
		return false, err
	}
	module := "doppel"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Path != "" {
		module = info.Main.Path
	}
	s := newSummary(w, module, must, verbose)
	lines := bufio.NewReader(out)
	for {
		line, readErr := lines.ReadBytes('\n')
		if len(line) > 0 {
			s.line(line)
		}
		if readErr != nil {
			break
		}
	}
	// go test's own status tells of what no event does, such as a bad flag.
	status := cmd.Wait()
	return s.close(status), nil
}
