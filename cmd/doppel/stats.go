package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"doppel"
	"doppel/internal/cpu"
	"doppel/internal/manage/control"
)

func statsCommand() *cobra.Command {
	var asJSON bool
	var socket string
	cmd := &cobra.Command{
		Use:   "stats [NAME|PID]",
		Short: "Show what the processors of running machines have done",
		Long: `Show, for the machines of this user that run, or those of a name or a process,
what their processors have done: instructions, exits to the machine by reason,
and the translator's own counts:

  blocks, regions      pieces of guest code that were translated; loops that
                       were translated again as a whole
  bytes of code        made for the host, in nanoseconds of translation
  evictions            times that the code cache was full and was emptied
  pages compared       after fence.i; stale pages had changed
  slow instructions    done by the interpreter inside translated code; slow NAME
                       counts those of each name
  links, lookups       jumps that were linked; jumps whose target was looked up
  slices, cold         ends of a slice of time; returns to the interpreter
  TLB misses           loads, stores and fetches for which a page table was
                       walked

ms running is time on a processor of the host, ms waiting to run that in which
there was none to run on: the guest's steal time. wake-ups under counts how
long processors took to run for a timer that was due (and no less than half of
that).

Before them come figures of its memory: what it takes of the host's, how much was
never touched or was given back, and the balloon (see doppel balloon).

Names and meanings of counts may change from version to version.`,
		Example: `  doppel stats
  doppel stats debian:trixie --json
  doppel run --stats`,
		Args: arguments(0, 1, "one machine at most"),
		RunE: func(cmd *cobra.Command, args []string) error {
			found, err := askMachines(args, socket)
			if err != nil && len(found) == 0 {
				return err
			}
			return errors.Join(printMachines(cmd.OutOrStdout(), found, asJSON), err)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print an array of objects")
	cmd.Flags().StringVar(&socket, "control", "", "ask the machine at this `SOCKET`, of doppel run --control")
	return cmd
}

func askMachines(args []string, socket string) ([]*control.Stats, error) {
	switch {
	case socket != "" && len(args) > 0:
		return nil, usageError{errors.New("--control: names a machine already; leave the flag or the machine out")}
	case socket != "":
		s, err := control.Ask(socket)
		if err != nil {
			return nil, err
		}
		return []*control.Stats{s}, nil
	case len(args) > 0:
		found, err := control.Find(args[0])
		if len(found) == 0 && err != nil {
			return nil, usageError{err}
		}
		return found, err
	}
	return control.List()
}

func printMachines(w io.Writer, all []*control.Stats, asJSON bool) error {
	if asJSON {
		if all == nil {
			all = []*control.Stats{} // an array in any case
		}
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(all)
	}
	if len(all) == 0 {
		fmt.Fprintln(w, "No machine is running.")
	}
	for i, s := range all {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if err := printStats(w, s); err != nil {
			return err
		}
	}
	return nil
}

// printStats prints one machine: a line for each figure, a column for each
// processor.
func printStats(w io.Writer, s *control.Stats) error {
	var sb strings.Builder
	fmt.Fprintf(&sb, "%s, process %d, %s, engine %s\n", plain(s.Name), s.PID, plain(s.Status), plain(s.Engine))
	if s.Reason != "" {
		fmt.Fprintf(&sb, "  paused by the host: %s\n", plain(s.Reason))
	}
	printMemory(&sb, &s.Memory)
	printHostMemory(&sb, &s.Host, s.Memory.Size)
	for _, d := range s.Disks {
		fmt.Fprintf(&sb, "  disk %s: %d bytes in %d reads, %d in %d writes\n", plain(d.Path), d.ReadBytes, d.Reads, d.WriteBytes, d.Writes)
	}
	for i, n := range s.Networks {
		fmt.Fprintf(&sb, "  network card %d: received %d bytes in %d frames, sent %d in %d\n", i, n.ReceivedBytes, n.Received, n.SentBytes, n.Sent)
	}
	for _, c := range s.Captures {
		fmt.Fprintf(&sb, "  capture %s: %d bytes of at most %d, %d frames missing\n", plain(c.File), c.Bytes, c.Limit, c.Missed)
	}
	row := func(name string, value func(control.CPU) uint64) {
		fmt.Fprintf(&sb, "  %-24s", plain(name))
		for _, c := range s.CPUs {
			fmt.Fprintf(&sb, " %15d", value(c))
		}
		sb.WriteByte('\n')
	}
	row("instructions", func(c control.CPU) uint64 { return c.Instructions })
	row("ms running", func(c control.CPU) uint64 { return c.Running / 1e6 })
	row("ms waiting to run", func(c control.CPU) uint64 { return c.Waiting / 1e6 })
	if s.Devices != 0 {
		fmt.Fprintf(&sb, "  %-24s %15d\n", "ms running, devices", s.Devices/1e6)
	}
	for _, name := range names(s.CPUs, func(c control.CPU) map[string]uint64 { return c.Exits }) {
		row("exits, "+name, func(c control.CPU) uint64 { return c.Exits[name] })
	}
	for _, name := range names(s.CPUs, func(c control.CPU) map[string]uint64 { return c.Counts }) {
		row(name, func(c control.CPU) uint64 { return c.Counts[name] })
	}
	for _, b := range s.WakeUps {
		fmt.Fprintf(&sb, "  %-24s %15d\n", "wake-ups under "+time.Duration(b.Below).Round(time.Microsecond/10).String(), b.Count)
	}
	_, err := io.WriteString(w, sb.String())
	return err
}

// plain is a text as it can be printed: what a machine says of itself must not
// play with the terminal.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

// names lists the keys of a map that each processor has.
func names(cpus []control.CPU, of func(control.CPU) map[string]uint64) (all []string) {
	for _, c := range cpus {
		for name := range of(c) {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// figures gathers what a machine has to tell.
func figures(m *doppel.Machine, name, engine string) control.Stats {
	s := control.Stats{Name: name, PID: os.Getpid(), Status: m.Status().String(), Reason: m.PauseReason(), Engine: engine}
	if engine == "auto" {
		s.Engine = "jit"
		if m.Fallback() != nil {
			s.Engine = "interp"
		}
	}
	s.Memory = control.Memory(m.Memory())
	s.Host = control.Host(m.Host().Memory())
	for _, c := range m.Host().Captures() {
		s.Captures = append(s.Captures, control.Capture(c))
	}
	s.Weight, s.Cap = m.CPUShare()
	for _, d := range m.Disks() {
		s.Disks = append(s.Disks, control.Disk(d))
	}
	for _, n := range m.Networks() {
		s.Networks = append(s.Networks, control.Network(n))
	}
	counts := m.Counts()
	stats := m.Stats()
	s.Devices = stats.Devices.Running
	for i, n := range stats.WakeUps {
		if n != 0 {
			s.WakeUps = append(s.WakeUps, control.Bucket{Below: 1 << i, Count: n})
		}
	}
	for i, c := range stats.CPUs {
		v := control.CPU{Instructions: c.Instructions, Running: c.Running, Waiting: c.Waiting, Exits: map[string]uint64{}, Counts: counts[i]}
		for r, n := range c.Exits {
			if n != 0 {
				v.Exits[cpu.ExitReason(r).String()] = n
			}
		}
		s.CPUs = append(s.CPUs, v)
	}
	return s
}

// serveControl lets doppel stats ask the process's n-th machine. The default place must not
// keep a machine from running.
func serveControl(path string, n int, m control.Machine, warn io.Writer) (closeSocket func(), err error) {
	none := func() {}
	if path == "none" {
		return none, nil
	}
	chosen := path != ""
	if !chosen {
		path, err = control.Path(n)
	}
	var s *control.Server
	if err == nil {
		s, err = control.Serve(path, m)
	}
	switch {
	case err == nil:
		return func() { s.Close() }, nil
	case chosen:
		return nil, err
	}
	fmt.Fprintf(warn, "doppel: doppel stats will not see this machine: %v\r\n", err)
	return none, nil
}
