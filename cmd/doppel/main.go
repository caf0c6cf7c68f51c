// Command doppel turns one machine into many. It is flags and wiring only: the
// machines are in the library, the images in internal/image.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"doppel"
)

// Exit statuses, beside the guest's own.
const (
	exitHost  = 1 // the host failed: a file, a port, the network
	exitUsage = 2 // the command line or a value in it is wrong
)

// version is set by the linker.
var version = "unknown"

func main() {
	startWithoutGC()
	os.Exit(status(root().ExecuteContext(context.Background())))
}

// guestStatus is the guest's own exit status, passed on without a message.
type guestStatus int

func (s guestStatus) Error() string { return fmt.Sprintf("the guest ended with status %d", int(s)) }

// usageError is a mistake in the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func status(err error) int {
	if err == nil {
		return 0
	}
	code, text := describe(err)
	if text != "" {
		fmt.Fprintf(os.Stderr, "doppel: %s\n", text)
	}
	return code
}

// describe is an error as the user gets it: an exit status, and a sentence
// unless it is a guest's own status.
func describe(err error) (code int, text string) {
	var guest guestStatus
	if errors.As(err, &guest) {
		return int(guest), ""
	}
	var config *doppel.ConfigError
	if errors.As(err, &config) {
		err = usageError{fmt.Errorf("%s %q: %s", flagOf(config.Field), config.Value, config.Reason)}
	}
	var usage usageError
	if errors.As(err, &usage) {
		return exitUsage, err.Error()
	}
	return exitHost, err.Error()
}

// flagOf names a field of the configuration as the user knows it: Disks is
// --disk.
func flagOf(field string) string {
	switch field {
	case "JITDump":
		return "--jit-dump"
	case "NICs":
		return "--net"
	case "Network", "Uplink", "Subnet", "UplinkVLAN", "Capture":
		return "--switch"
	case "CPUWeight":
		return "--cpu-weight"
	case "CPUCap":
		return "--cpu-cap"
	case "CPUAffinity":
		return "--cpu-affinity"
	case "PerfMap":
		return "--perf-map"
	case "MemoryLimit":
		return "--memory-limit"
	case "MemoryPolicy":
		return "--memory-policy"
	case "MemorySharing":
		return "--memory-sharing"
	}
	return "--" + strings.Replace(strings.ToLower(field), "disks", "disk", 1)
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doppel",
		Short: "Turn one machine into many: run whole, unmodified operating systems anywhere",
		Long: `Doppel runs whole, unmodified operating systems on any host, with or without
hardware virtualization.

Exit status: 0 when the guest powers off, 1 when the host fails, 2 when the
command line is wrong; a status that the guest reports through the test
finisher is passed on.`,
		Example: `  doppel run                           the small guest inside this program
  doppel run debian:trixie             Debian, built from its packages on first use
  doppel run --kernel Image --append console=ttyS0 --initrd initrd.gz`,
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unknown command %q; see doppel help", args[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(upCommand(), downCommand(), psCommand(), consoleCommand())
	cmd.SetFlagErrorFunc(flagError)
	cmd.AddCommand(runCommand(), imageCommand(), statsCommand(), labCommand(), topCommand(), balloonCommand())
	return cmd
}

// arguments checks the number of arguments.
func arguments(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return usageError{fmt.Errorf("%s takes %s, not %d arguments; see %s --help", cmd.CommandPath(), what, len(args), cmd.CommandPath())}
		}
		return nil
	}
}
