package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// openTrace opens where --trace writes. The caller closes it when the machine
// has ended.
func openTrace(flag string, stderr io.Writer) (io.Writer, func() error, error) {
	none := func() error { return nil }
	if flag == "" {
		return nil, none, nil
	}
	what, path, named := strings.Cut(flag, "=")
	switch {
	case what != "exits":
		return nil, none, usageError{fmt.Errorf("--trace %q: want exits, which are written to standard error, or exits=FILE", flag)}
	case named && path == "":
		return nil, none, usageError{errors.New("--trace exits=: no file is named")}
	case !named:
		if f, ok := stderr.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
			return newlines{stderr}, none, nil
		}
		return stderr, none, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, none, usageError{fmt.Errorf("--trace: %w", err)}
	}
	return f, f.Close, nil
}

// newlines writes to a terminal that the console may have set to raw mode.
type newlines struct{ w io.Writer }

func (n newlines) Write(p []byte) (int, error) {
	if _, err := n.w.Write([]byte(strings.ReplaceAll(string(p), "\n", "\r\n"))); err != nil {
		return 0, err
	}
	return len(p), nil
}
