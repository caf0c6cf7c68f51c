package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"doppel/internal/manage/control"
)

func psCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "ps",
		Short: "List running machines",
		Long: `List the machines of this user that run: of doppel run and of doppel up, with
their addresses, the ports of the host that lead to them, and their consoles.`,
		Args: arguments(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := control.List()
			if err != nil && len(all) == 0 {
				return err
			}
			return errors.Join(printList(cmd.OutOrStdout(), all, asJSON), err)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print an array of objects")
	return cmd
}

// listed is what doppel ps --json tells of a machine.
type listed struct {
	Name      string   `json:"name"`
	PID       int      `json:"pid"`
	Status    string   `json:"status"`
	CPUs      int      `json:"cpus"`
	Memory    uint64   `json:"memory"` // bytes
	Addresses []string `json:"addresses"`
	Published []string `json:"published"`
	Console   string   `json:"console"`
	File      string   `json:"file"` // that describes it, empty for doppel run
}

func printList(w io.Writer, all []*control.Stats, asJSON bool) error {
	list := []listed{}
	for _, s := range all {
		list = append(list, listed{s.Name, s.PID, s.Status, len(s.CPUs), s.Memory.Size, s.Addresses, s.Published, s.Console, s.File})
	}
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(list)
	}
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "No machine is running.")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tPROCESS\tSTATUS\tCPUS\tMEMORY\tADDRESS\tPORTS\tFILE")
	for _, l := range list {
		fmt.Fprintf(t, "%s\t%d\t%s\t%d\t%d MiB\t%s\t%s\t%s\n", plain(l.Name), l.PID, plain(l.Status), l.CPUs, l.Memory>>20,
			orDash(l.Addresses), orDash(l.Published), orDash([]string{l.File}))
	}
	return t.Flush()
}

func orDash(list []string) string {
	if s := plain(strings.Join(list, ",")); s != "" {
		return s
	}
	return "-"
}
