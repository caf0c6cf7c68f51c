package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	sevensteps "doppel/examples/seven-steps"
)

type labFlags struct {
	set                            []string
	source, engine                 string
	printSource, brief, bomb, mute bool
	lines                          int
}

// maxSource is the longest source of a guest that is read, in bytes.
const maxSource = 1 << 20

func labCommand() *cobra.Command {
	var f labFlags
	cmd := &cobra.Command{
		Use:   "lab [STEP]",
		Short: "A lesson: the seven steps by which a virtual machine monitor grows",
		Long: `A lesson in seven steps, from a kernel that only computes to one that runs on
several virtual processors. Each step prints what the VMM had to add, and runs a
tiny guest with a live trace of its exits. Without STEP, the steps are listed
with what can be changed in each.

The guests are assembly sources inside this program. To change one:

  doppel lab 2 --print-source > my.s
  doppel lab 2 --source my.s

The lesson as a whole is examples/seven-steps/README.md.`,
		Example: `  doppel lab
  doppel lab 2
  doppel lab 2 --set period=1ms --set ticks=10
  doppel lab 4 --set threads=8
  doppel lab 4 --bomb
  doppel lab 7 --set lock=0 --set harts=2 --set count=10000000 --no-trace`,
		Args: arguments(0, 1, "one step at most"),
		RunE: func(cmd *cobra.Command, args []string) error { return lab(cmd, f, args) },
	}
	fl := cmd.Flags()
	fl.StringArrayVar(&f.set, "set", nil, "change a `NAME=VALUE` of the step; may be repeated")
	fl.StringVar(&f.source, "source", "", "run this `FILE` in place of the step's guest")
	fl.BoolVar(&f.printSource, "print-source", false, "print the source of the step's guest, and do nothing else")
	fl.BoolVar(&f.brief, "brief", false, "leave the text out")
	fl.BoolVar(&f.mute, "no-trace", false, "leave the trace out")
	fl.IntVar(&f.lines, "lines", 60, "print at most `N` lines of the trace; 0: all")
	fl.BoolVar(&f.bomb, "bomb", false, "step 4: a thread bomb in the guest; measure what its neighbour feels")
	fl.StringVar(&f.engine, "engine", "auto", "processor: `auto|interp|jit`")
	return cmd
}

func lab(cmd *cobra.Command, f labFlags, args []string) error {
	out := cmd.OutOrStdout()
	if len(args) == 0 {
		if cmd.Flags().NFlag() > 0 {
			return usageError{errors.New("which step? doppel lab lists them")}
		}
		return sevensteps.List(out)
	}
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return usageError{fmt.Errorf("step %q: want a number from 1 to 7", args[0])}
	}
	step, err := sevensteps.Find(n)
	if err != nil {
		return usageError{err}
	}
	if f.printSource {
		_, err := io.WriteString(out, step.Source())
		return err
	}
	o, err := f.options(out)
	if err != nil {
		return err
	}
	if f.bomb && n != 4 {
		return usageError{fmt.Errorf("--bomb: belongs to step 4, not to %d", n)}
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if f.bomb {
		var r sevensteps.BombResult
		if r, err = step.Bomb(ctx, o); err == nil {
			_, err = fmt.Fprint(out, r)
		}
	} else {
		err = step.Run(ctx, o)
	}
	var wrong *sevensteps.Error
	switch {
	case errors.As(err, &wrong):
		return usageError{err}
	case ctx.Err() != nil: // the user has seen enough
		return withoutCanceled(err)
	}
	return err
}

func (f *labFlags) options(out io.Writer) (sevensteps.Options, error) {
	o := sevensteps.Options{Set: map[string]string{}, Engine: f.engine, Lines: f.lines, Trace: !f.mute, Text: !f.brief, Out: out}
	if f.lines < 0 {
		return o, usageError{fmt.Errorf("--lines %d: want 0 or more", f.lines)}
	}
	for _, s := range f.set {
		name, value, ok := strings.Cut(s, "=")
		if !ok {
			return o, usageError{fmt.Errorf("--set %q: want NAME=VALUE; doppel lab lists the names", s)}
		}
		o.Set[name] = value
	}
	if f.source != "" {
		text, err := readSource(f.source)
		if err != nil {
			return o, usageError{fmt.Errorf("--source: %w", err)}
		}
		o.Source = text
	}
	return o, nil
}

func readSource(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, maxSource+1))
	switch {
	case err != nil:
		return "", err
	case len(b) > maxSource:
		return "", fmt.Errorf("%s: longer than %d bytes: not the source of a small guest", path, maxSource)
	case len(b) == 0:
		return "", fmt.Errorf("%s: is empty", path)
	}
	return string(b), nil
}
