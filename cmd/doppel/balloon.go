package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"doppel"
	"doppel/internal/manage/control"
)

func balloonCommand() *cobra.Command {
	var socket string
	cmd := &cobra.Command{
		Use:   "balloon [NAME|PID] SIZE",
		Short: "Ask a running machine to give memory back",
		Long: `Ask the guest of a running machine to give SIZE of its memory back to the host,
in all: a later, smaller SIZE returns the difference, 0 returns everything. The
guest gives what it can spare, in its own time, and takes some back before it
runs out of memory; doppel stats shows how far it has come.

The guest needs a driver for the virtio balloon (Linux has it, as a module in
Debian), and the machine a balloon, which doppel run --balloon off leaves out.
Pages that are free in the guest come back by themselves.`,
		Example: `  doppel balloon debian:trixie 256M
  doppel balloon debian:trixie 0`,
		Args: arguments(1, 2, "a machine and a size"),
		RunE: func(cmd *cobra.Command, args []string) error {
			size, err := doppel.ParseSize(args[len(args)-1])
			if err != nil {
				return usageError{err}
			}
			s, err := oneMachine(args[:len(args)-1], socket)
			if err != nil {
				return err
			}
			if s, err = control.SetBalloon(s.Socket, size); err != nil {
				return err
			}
			var sb strings.Builder
			fmt.Fprintf(&sb, "%s, process %d\n", plain(s.Name), s.PID)
			printMemory(&sb, &s.Memory)
			_, err = io.WriteString(cmd.OutOrStdout(), sb.String())
			return err
		},
	}
	cmd.Flags().StringVar(&socket, "control", "", "ask the machine at this `SOCKET`, of doppel run --control")
	return cmd
}

// oneMachine finds the machine that is meant.
func oneMachine(args []string, socket string) (*control.Stats, error) {
	if len(args) == 0 && socket == "" {
		return nil, usageError{errors.New("no machine is named; doppel stats lists those that run")}
	}
	found, err := askMachines(args, socket)
	switch {
	case len(found) == 0:
		return nil, err
	case len(found) > 1:
		return nil, usageError{fmt.Errorf("%d machines are called %q; name one by the number of its process", len(found), args[0])}
	}
	return found[0], nil
}

// printHostMemory prints what all machines of the process take, if there are
// others or a limit.
func printHostMemory(sb *strings.Builder, h *control.Host, own uint64) {
	if h.Size == own && h.Limit == 0 {
		return
	}
	row := rows(sb)
	row("all of the process", h.Size)
	if h.Limit != 0 {
		row("  limit of their memory", h.Limit)
		if h.Counted != 0 { // else machines are bounded by their sizes
			row("    of which counts", h.Counted)
		}
	}
	row("  in the host's memory", h.Resident)
	if h.Shared != 0 {
		row("  shared", h.Shared)
		row("    held once, as", h.Copies)
	}
	if h.Balloons != 0 {
		row("  in balloons", h.Balloons)
	}
	row("  saved", h.Saved)
}

func rows(sb *strings.Builder) func(name string, bytes uint64) {
	return func(name string, bytes uint64) { fmt.Fprintf(sb, "  %-24s %11.1f MiB\n", name, float64(bytes)/(1<<20)) }
}

// printMemory prints a machine's memory, in MiB.
func printMemory(sb *strings.Builder, m *control.Memory) {
	row := rows(sb)
	row("memory", m.Size)
	row("  in the host's memory", m.Resident)
	if m.Swapped != 0 {
		row("  on the host's swap", m.Swapped)
	}
	if m.Shared != 0 {
		row("  shared with others", m.Shared)
	}
	row("  zero, takes nothing", m.Zero)
	if m.Target != 0 || m.Balloon != 0 {
		row("balloon", m.Balloon)
		row("  asked for", m.Target)
		row("  given back, in all", m.Returned)
	}
	if m.Reported != 0 {
		row("free pages, in all", m.Reported)
	}
	if m.Available != 0 {
		row("free in the guest", m.Free)
		row("  available there", m.Available)
	}
}

// hostConfig is what the machines share of the host. It tells on the terminal
// why a machine stands still, or goes on, and that a capture is not whole.
func (f *runFlags) hostConfig(stderr io.Writer) (doppel.HostConfig, error) {
	cfg := doppel.HostConfig{
		MemoryPolicy: f.memoryPolicy, MemorySharing: f.memorySharing,
		MemoryPaused: func(m *doppel.Machine, reason string) {
			if reason == "" {
				reason = "there is memory again"
			}
			fmt.Fprintf(stderr, "\r\ndoppel: %s is %s: %s\r\n", m.Name(), m.Status(), reason)
		},
		CaptureMissed: func(file, reason string) {
			fmt.Fprintf(stderr, "\r\ndoppel: capture %s: %s\r\n", file, reason)
		},
	}
	if f.memoryLimit != "" {
		var err error
		if cfg.MemoryLimit, err = doppel.ParseSize(f.memoryLimit); err != nil {
			return cfg, usageError{fmt.Errorf("--memory-limit: %w", err)}
		}
		if cfg.MemoryLimit == 0 {
			return cfg, usageError{errors.New("--memory-limit 0: want a size such as 4G, or leave the flag out for what the host has")}
		}
	}
	return cfg, nil
}
