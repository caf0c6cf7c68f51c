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
// has ended. A name goes before each line on standard error, which several
// machines share.
func openTrace(flag, name string, stderr io.Writer) (io.Writer, func() error, error) {
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
		t := traceLines{w: stderr, end: "\n"}
		if name != "" {
			t.start = name + " "
		}
		if f, ok := stderr.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
			t.end = "\r\n" // the console may have set it to raw mode
		}
		return t, none, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, none, usageError{fmt.Errorf("--trace: %w", err)}
	}
	return f, f.Close, nil
}

// traceLines gives lines a start and an end of their own. It gets whole lines.
type traceLines struct {
	w          io.Writer
	start, end string
}

func (t traceLines) Write(p []byte) (int, error) {
	var sb strings.Builder
	for line := range strings.Lines(string(p)) {
		sb.WriteString(t.start + strings.TrimSuffix(line, "\n") + t.end)
	}
	if _, err := io.WriteString(t.w, sb.String()); err != nil {
		return 0, err
	}
	return len(p), nil
}
