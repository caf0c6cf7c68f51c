package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"doppel/internal/backend/terminal"
)

func consoleCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "console NAME|PID",
		Short: "Go to the console of a machine that runs without a terminal",
		Long: `Go to the console of a machine that doppel up --detach runs, or doppel run with
--console unix:PATH. What it printed last is shown first. Ctrl-A x leaves the
machine to itself again; one terminal at a time can be there.`,
		Args: arguments(1, 1, "one machine"),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := oneMachine(args, "")
			if err != nil {
				return err
			}
			path, ok := strings.CutPrefix(s.Console, "unix:")
			if !ok {
				return usageError{fmt.Errorf("the console of %q is %s, which cannot be gone to; only those of doppel up --detach and --console unix:PATH can", args[0], orDash([]string{s.Console}))}
			}
			return attach(path)
		},
	}
}

// attach joins this terminal to a console's socket until either ends.
func attach(path string) error {
	c, err := net.Dial("unix", path)
	if err != nil {
		return fmt.Errorf("console %s: %w", path, errors.Unwrap(err))
	}
	defer c.Close()
	end := sync.OnceFunc(func() { c.Close() })
	t, err := terminal.Open(stdio, terminal.Options{In: os.Stdin, Out: os.Stdout, Quit: end})
	if err != nil {
		return usageError{err}
	}
	defer t.Close()
	t.SetInput(func(p []byte) int {
		if _, err := c.Write(p); err != nil {
			end()
		}
		return len(p)
	})
	io.Copy(t, c) // until the machine, its console or the user ends it
	return nil
}
