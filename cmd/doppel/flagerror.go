package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flagError says what is wrong with a flag as it says it of everything else: the
// flag, the value, and what is allowed.
func flagError(c *cobra.Command, err error) error {
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		f := invalid.GetFlag()
		err = fmt.Errorf("--%s %q: want %s", f.Name, invalid.GetValue(), wanted(f))
	}
	return usageError{fmt.Errorf("%w; see %s --help", err, c.CommandPath())}
}

// wanted names the values that a flag takes.
func wanted(f *pflag.Flag) string {
	name, _ := pflag.UnquoteUsage(f)
	switch f.Value.Type() {
	case "bool":
		return "true or false"
	case "duration":
		return "a time such as 10s"
	}
	if least, most, ok := strings.Cut(name, ".."); ok {
		return "a whole number, " + least + " to " + most
	}
	return "a whole number"
}
