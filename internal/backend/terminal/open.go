package terminal

import (
	"fmt"
	"io"
	"os"
	"strings"

	"doppel/internal/device"
)

// Console is a terminal that somebody owns.
type Console interface {
	device.Terminal
	io.Closer
}

// Options are what the ends need besides their name.
type Options struct {
	In, Out *os.File     // stdio's streams; os.Stdin and os.Stdout if nil
	Notices io.Writer    // where help and names are printed; os.Stderr if nil
	Choose  func(Choice) // called for the keys that choose one of several machines; nil with one only
	Quit    func()       // called when the user types Ctrl-A x, or nobody reads stdio's output any more
}

func (o *Options) fill() {
	if o.In == nil {
		o.In = os.Stdin
	}
	if o.Out == nil {
		o.Out = os.Stdout
	}
	if o.Notices == nil {
		o.Notices = os.Stderr
	}
	if o.Quit == nil {
		o.Quit = func() {}
	}
}

// Open opens the end that spec names: stdio, pty, unix:PATH or none.
func Open(spec string, o Options) (Console, error) {
	o.fill()
	kind, path, hasPath := strings.Cut(spec, ":")
	switch {
	case spec == "stdio":
		return openStdio(o)
	case spec == "pty":
		return openPTY(o)
	case spec == "none":
		return None{}, nil
	case kind == "unix" && hasPath && path != "":
		return openUnix(path, o)
	}
	return nil, fmt.Errorf("console %q is unknown; it is one of stdio, pty, unix:PATH, none", spec)
}
