package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// options are the command line.
type options struct {
	doppel  string
	engines []string
	only    *regexp.Regexp
	quick   bool
	shared  bool
	stats   bool
	threads bool
	out     string
	image   string
	suite   string
}

// resultsFile is where the report goes, from the root of the tree.
const resultsFile = "bench/RESULTS.md"

func main() {
	o, err := parseFlags(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parseFlags(args []string) (options, error) {
	var o options
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.StringVar(&o.doppel, "doppel", "bin/doppel", "the `program` to measure")
	engines := fs.String("engines", "auto", "its `engines`, with commas between")
	only := fs.String("only", "", "measure only programs whose name matches `regexp`, and no whole machine")
	fs.BoolVar(&o.quick, "quick", false, "short runs and few rounds: about five minutes")
	fs.BoolVar(&o.shared, "shared", false, "take off the time for which the scheduler of a busy host made programs wait")
	fs.BoolVar(&o.stats, "stats", false, "print what each engine's translator did in an iteration of each program")
	fs.BoolVar(&o.threads, "threads", false, "measure only what two processors give to two threads")
	fs.StringVar(&o.out, "o", "", "write the report to `file` (default "+resultsFile+"; nowhere with -only or -threads)")
	fs.StringVar(&o.image, "image", "debian:trixie", "`image` whose way to the login prompt is measured; empty for none")
	fs.StringVar(&o.suite, "qemu-suite", "sid", "Debian `suite` to take QEMU from; empty for the tests' or the host's")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("%q: there are no arguments but flags", fs.Arg(0))
	}
	for e := range strings.SplitSeq(*engines, ",") {
		if e = strings.TrimSpace(e); e != "" {
			o.engines = append(o.engines, e)
		}
	}
	if len(o.engines) == 0 {
		return o, errors.New("-engines: name at least one, such as auto")
	}
	if *only != "" {
		var err error
		if o.only, err = regexp.Compile(*only); err != nil {
			return o, fmt.Errorf("-only: %w", err)
		}
		if len(o.selected()) == 0 {
			return o, fmt.Errorf("-only %s: no program has such a name", *only)
		}
	}
	if o.threads && o.only != nil {
		return o, errors.New("-threads: -only names programs, of which none is measured then")
	}
	if o.out == "" && o.only == nil && !o.threads {
		o.out = resultsFile
	}
	return o, nil
}

// command is how to repeat the run, without paths.
func (o options) command() string {
	c := "go run ./bench"
	if o.quick {
		c += " -quick"
	}
	if o.shared {
		c += " -shared"
	}
	if e := strings.Join(o.engines, ","); e != "auto" {
		c += " -engines " + e
	}
	if o.threads {
		c += " -threads"
	}
	if o.only != nil {
		c += fmt.Sprintf(" -only '%s'", o.only)
	}
	if c == "go run ./bench" {
		c = "make bench"
	}
	return c
}

// selected gives the programs to run.
func (o options) selected() []Program {
	var out []Program
	for _, p := range programs {
		if !o.threads && (o.only == nil || o.only.MatchString(p.Name)) {
			out = append(out, p)
		}
	}
	return out
}

// effort says how long to measure.
type effort struct {
	plan
	boots, logins int
	idle          time.Duration
	count         time.Duration // of the run that counts instructions
}

func (o options) effort() effort {
	if o.quick {
		return effort{plan{rounds: 5, target: 40 * time.Millisecond}, 2, 1, 10 * time.Second, 50 * time.Millisecond}
	}
	return effort{plan{rounds: 7, target: 400 * time.Millisecond}, 5, 3, 20 * time.Second, 200 * time.Millisecond}
}
