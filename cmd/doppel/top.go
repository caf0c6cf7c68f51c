package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gdamore/tcell/v2"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"doppel/internal/manage/control"
	"doppel/internal/manage/top"
)

func topCommand() *cobra.Command {
	var interval time.Duration
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Watch the machines that run, in this terminal",
		Long: `Watch the machines of this user that run: a line for each, with what it does in
a second. A narrow terminal shows the more important columns.

  %CPU            processor time that it has, 100 for one processor
  %STEAL          time that its vCPUs waited for a processor though they could run
  SHARE, CAP      weight beside other machines of its process; most that it gets
  INSN/s          instructions, as of the last exits
  MMIO CALL HALT  exits to the VMM: device accesses, SBI calls, waits for an
  KICK BUDG /s    interrupt, kicks, ends of an instruction budget
  CODE            bytes of host code that the translator has made, in all
  MEM, OF         memory that it has of the host, and that its guest sees
  DISK, NET       bytes read and written, received and sent, in a second

Keys: q quits; < and >, or the arrows, choose the column to sort by, r turns the
order round; c shows vCPUs; space freezes the page; P, M and N sort by %CPU, MEM
and NAME.

doppel stats --json gives the same figures as counters, for scripts.`,
		Args: arguments(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return runTop(cmd, interval) },
	}
	cmd.Flags().DurationVar(&interval, "interval", time.Second, "time between two looks, `100ms` to 1h")
	return cmd
}

func runTop(cmd *cobra.Command, interval time.Duration) error {
	if interval < 100*time.Millisecond || interval > time.Hour {
		return usageError{fmt.Errorf("--interval %v: want 100ms to 1h", interval)}
	}
	const instead = "; for scripts there is doppel stats --json"
	if !term.IsTerminal(int(os.Stdin.Fd())) || !term.IsTerminal(int(os.Stdout.Fd())) {
		return usageError{errors.New("doppel top needs a terminal for input and output" + instead)}
	}
	screen, err := tcell.NewScreen()
	if err == nil {
		err = screen.Init()
	}
	if err != nil {
		return usageError{fmt.Errorf("TERM=%s: %w: set TERM to what the terminal is, such as xterm-256color%s", os.Getenv("TERM"), err, instead)}
	}
	defer screen.Fini()
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	top.Run(ctx, screen, interval, func() *top.Sample {
		all, err := control.List()
		return &top.Sample{At: time.Now(), Machines: all, Err: err}
	})
	return nil
}
