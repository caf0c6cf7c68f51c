package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"doppel/internal/manage/control"
	"doppel/internal/platform"
)

type upFlags struct {
	file   string
	detach bool
	report bool // the process that --detach starts: it reports at descriptor 3
}

func upCommand() *cobra.Command {
	var f upFlags
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run the machines that doppel.yaml describes, and the networks between them",
		Long: `Run the machines that a file describes, and the networks between them, until all
have ended. The file is doppel.yaml in this folder unless --file names another;
docs/NETWORKING.md tells what is in it. A machine's keys are the flags of doppel
run, and image. Paths begin at the file's folder.

All of the file is checked, and everything that it needs is opened, before the
first machine starts; if one cannot be had, none is started.

The consoles of all machines share this terminal: each line begins with its
machine's name, and Ctrl-A n changes to which of them you type. With --detach the
machines run without a terminal: doppel console NAME goes to one of them, doppel
ps lists them, and doppel down ends them.`,
		Example: `  doppel up
  doppel up --file test/three.yaml --detach
  doppel console web
  doppel down`,
		Args: arguments(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.report {
				return upReport(cmd, f)
			}
			return up(cmd, f)
		},
	}
	fl := cmd.Flags()
	fl.StringVarP(&f.file, "file", "f", "", "`FILE` that describes the machines (default doppel.yaml)")
	fl.BoolVarP(&f.detach, "detach", "d", false, "run without this terminal; doppel down ends the machines")
	fl.BoolVar(&f.report, "report", false, "")
	fl.MarkHidden("report")
	return cmd
}

func up(cmd *cobra.Command, f upFlags) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	u, err := loadFile(f.file, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	if err := u.notUp(); err != nil {
		return err
	}
	if f.detach {
		return u.detach(ctx, cmd.OutOrStdout())
	}
	return runGroup(ctx, &group{file: u.path, placed: u.placed, members: u.members, stderr: cmd.ErrOrStderr()}, u.host, func() {})
}

// running are the machines that a file describes and that run.
func running(path string) ([]*control.Stats, error) {
	all, err := control.List()
	var ours []*control.Stats
	for _, s := range all {
		if s.File == path {
			ours = append(ours, s)
		}
	}
	if len(ours) > 0 {
		err = nil
	}
	return ours, err
}

// notUp refuses to run the machines of a file twice.
func (u *upFile) notUp() error {
	if ours, _ := running(u.path); len(ours) > 0 {
		return usageError{fmt.Errorf("%s is up already, in process %d; doppel down ends it", u.path, ours[0].PID)}
	}
	return nil
}

const (
	reportFD   = 3
	reportDone = "up\n"
	// maxReport bounds what the detached process says of its failure.
	maxReport = 16 << 10
)

// detach starts another process for the machines, and waits until they run or
// it has told why not.
func (u *upFile) detach(ctx context.Context, out io.Writer) error {
	if err := ensureImages(ctx, u.members); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("--detach: this program cannot be found again: %w", err)
	}
	dir, err := control.Dir()
	if err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(dir, u.title+".log"), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("--detach: the log cannot be written: %w", err)
	}
	defer log.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	child := exec.Command(self, "up", "--file", filepath.Base(u.path), "--report") // in its folder, where we are
	child.Stdout, child.Stderr, child.ExtraFiles = log, log, []*os.File{w}
	platform.OwnSession(child)
	err = child.Start()
	w.Close()
	if err != nil {
		return fmt.Errorf("--detach: %w", err)
	}
	told, err := io.ReadAll(io.LimitReader(r, maxReport))
	if string(told) == reportDone && err == nil {
		for _, m := range u.members {
			fmt.Fprintf(out, "%s is up\n", m.name)
		}
		return nil
	}
	if len(told) == 0 {
		child.Wait()
		return fmt.Errorf("the machines' process ended before they ran; see %s", log.Name())
	}
	child.Wait()
	status, text, _ := strings.Cut(string(told), " ")
	err = errors.New(strings.TrimSpace(text))
	if status == fmt.Sprint(exitUsage) {
		return usageError{err}
	}
	return err
}

// upReport is up in the process that detach starts.
func upReport(cmd *cobra.Command, f upFlags) error {
	report := os.NewFile(reportFD, "report")
	if report == nil {
		return usageError{errors.New("--report is for doppel up --detach")}
	}
	// A terminal's end is not ours.
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	signal.Ignore(syscall.SIGHUP)
	told := false
	tell := func(text string) {
		if !told {
			told = true
			io.WriteString(report, text)
			report.Close()
		}
	}
	u, err := loadFile(f.file, cmd.ErrOrStderr())
	if err == nil {
		err = u.unplug()
	}
	if err == nil {
		g := &group{file: u.path, placed: u.placed, members: u.members, stderr: cmd.ErrOrStderr()}
		err = runGroup(ctx, g, u.host, func() { tell(reportDone) })
	}
	if err != nil {
		code, text := describe(err)
		tell(fmt.Sprintf("%d %s\n", code, text))
	}
	return err
}

// unplug gives machines that would be on the terminal sockets for consoles.
func (u *upFile) unplug() error {
	dir, err := control.Dir()
	if err != nil {
		return err
	}
	for i, m := range u.members {
		if m.flags.console == stdio {
			m.flags.console = fmt.Sprintf("unix:%s", filepath.Join(dir, fmt.Sprintf("%d-%d.console", os.Getpid(), i)))
		}
	}
	return nil
}

type downFlags struct {
	file    string
	timeout time.Duration
}

func downCommand() *cobra.Command {
	var f downFlags
	cmd := &cobra.Command{
		Use:   "down",
		Short: "End the machines that doppel up runs",
		Long: `End the machines that doppel up runs for a file, in order: each guest is asked to
write its file systems out and switch itself off, with the keys that Linux takes
from a serial line (magic SysRq). What still runs after --timeout is switched off
between two instructions, with nothing of what it has written lost on the way.`,
		Example: `  doppel down
  doppel down --file test/three.yaml --timeout 30s`,
		Args: arguments(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return down(cmd.OutOrStdout(), f) },
	}
	cmd.Flags().StringVarP(&f.file, "file", "f", "", "`FILE` that describes the machines (default doppel.yaml)")
	cmd.Flags().DurationVar(&f.timeout, "timeout", 10*time.Second, "`TIME` that the guests have")
	return cmd
}

// patience is how long the process of machines may take to end after the
// guests' time.
const patience = 30 * time.Second

func down(out io.Writer, f downFlags) error {
	if f.timeout < 0 || f.timeout > time.Hour {
		return usageError{fmt.Errorf("--timeout %v: want 0s to 1h", f.timeout)}
	}
	name, err := findFile(f.file)
	if err != nil {
		return err
	}
	path, err := filepath.Abs(name)
	if err != nil {
		return err
	}
	ours, err := running(path)
	if err != nil {
		return err
	}
	if len(ours) == 0 {
		fmt.Fprintf(out, "Nothing of %s is up.\n", name)
		return nil
	}
	// Anyone of a process's machines ends all of them.
	asked := map[int]bool{}
	for _, s := range ours {
		if asked[s.PID] {
			continue
		}
		asked[s.PID] = true
		if _, err := control.Stop(s.Socket, f.timeout); err != nil && !errors.Is(err, control.ErrGone) {
			return err
		}
	}
	for deadline := time.Now().Add(f.timeout + patience); ; time.Sleep(50 * time.Millisecond) {
		left, err := running(path)
		if len(left) == 0 && err == nil {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("process %d does not end; its machines have not stopped within %v", ours[0].PID, f.timeout+patience)
		}
	}
	for _, s := range ours {
		fmt.Fprintf(out, "%s is down\n", plain(s.Name))
	}
	return nil
}
