// Package shell is a guest for tests of whole machines: a small Linux with
// busybox's shell on its console.
//
// A Guest tells by errors what went wrong, for goroutines that no test waits
// on; a VM is a Guest of a test, which it ends then. One goroutine at a time
// uses either.
package shell

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"doppel"
	"doppel/test/guest"
)

const (
	// Patience is how long a guest may take for anything: it ends a test that
	// hangs, and is no measure.
	Patience = 10 * time.Minute
	// Up is what a guest prints when it has booted.
	Up = "initramfs is up"

	usualAppend = "console=ttyS0 panic=-1 quiet"
	usualMemory = 128 << 20
)

// Guest is a machine with a shell on its console, or several one after another,
// each of which goes on where the last was frozen. The zero Guest has none.
type Guest struct {
	*doppel.Machine
	Out guest.Output // of all of them

	in    *io.PipeWriter
	jobs  int
	ended chan struct{} // Run has returned
	err   error         // from Run, then
}

// Config fills in what a configuration does not say: the kernel, an initial RAM
// disk with the shell, the command line, the memory.
func Config(tb testing.TB, cfg doppel.Config) doppel.Config {
	tb.Helper()
	f := guest.Get(tb)
	if cfg.Kernel == "" {
		cfg.Kernel = f.Kernel
	}
	if cfg.Initrd == "" {
		cfg.Initrd = f.WriteInitramfs(tb, guest.ShellInit)
	}
	if cfg.Append == "" {
		cfg.Append = usualAppend
	}
	if cfg.Memory == 0 {
		cfg.Memory = usualMemory
	}
	return cfg
}

// Make gives the Guest a machine, of which the console is the Guest's.
func (g *Guest) Make(h *doppel.Host, cfg doppel.Config) error {
	r, w := io.Pipe()
	cfg.Console = doppel.Stream(r, &g.Out)
	m, err := h.New(cfg)
	if err == nil {
		g.Machine, g.in, g.ended = m, w, make(chan struct{})
	}
	return err
}

// Start lets the machine run.
func (g *Guest) Start() {
	m := g.Machine
	go func() {
		defer close(g.ended)
		result, err := m.Run(context.Background())
		if err == nil && result.Reason == doppel.Finished {
			err = fmt.Errorf("the guest ended with %+v", result)
		}
		g.err = err
	}()
	for m.Status() == doppel.Created {
		time.Sleep(time.Millisecond)
	}
}

// Wait waits until the guest has ended by itself.
func (g *Guest) Wait() error {
	select {
	case <-g.ended:
		return g.err
	case <-time.After(Patience):
		return fmt.Errorf("it is %v after %v", g.Status(), Patience)
	}
}

// End closes the machine, which was started.
func (g *Guest) End() error {
	err := g.Close()
	<-g.ended
	g.in.Close()
	g.Machine = nil // with all that it still refers to
	if err == nil {
		err = g.err
	}
	return err
}

// Freeze ends the machine and returns its state.
func (g *Guest) Freeze() ([]byte, error) {
	if err := g.Pause(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := g.Save(&b); err != nil {
		return nil, err
	}
	return bytes.Clone(b.Bytes()), g.End() // and no more
}

// Await waits for a text on the console.
func (g *Guest) Await(text string) error {
	for deadline := time.Now().Add(Patience); !g.Out.Has(text); time.Sleep(5 * time.Millisecond) {
		select {
		case <-g.ended:
			if g.Out.Has(text) {
				return nil
			}
			return fmt.Errorf("the machine has ended (%v), without %q", g.err, text)
		default:
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("in %v there was no %q", Patience, text)
		}
	}
	return nil
}

// Type types a line.
func (g *Guest) Type(line string) error {
	_, err := fmt.Fprintln(g.in, line)
	return err
}

// TypeBytes types part of a line.
func (g *Guest) TypeBytes(p []byte) error {
	_, err := g.in.Write(p)
	return err
}

// Begin types a command, and returns when the guest has begun with it: from
// then on it is all the guest's, whatever happens to the machine.
func (g *Guest) Begin(command string) error {
	g.jobs++
	g.Out.Clear()
	// What the guest echoes has no number behind its word.
	if err := g.Type(fmt.Sprintf("echo go-$((%d)); %s; echo end-$((%[1]d)):$?", g.jobs, command)); err != nil {
		return err
	}
	return g.Await(g.begun())
}

func (g *Guest) begun() string { return fmt.Sprintf("go-%d\r\n", g.jobs) }

// Answer waits for the end of the command that was begun, and returns what it
// printed and its status.
func (g *Guest) Answer() (text string, status int, err error) {
	end := fmt.Sprintf("end-%d:", g.jobs)
	if err := g.Await(end); err != nil {
		return "", 0, err
	}
	// The status comes with the prompt behind it.
	for deadline := time.Now().Add(Patience); ; time.Sleep(time.Millisecond) {
		text = g.Out.String()
		var after string
		text, after, _ = strings.Cut(text, end)
		if digits, _, ok := strings.Cut(after, "\r\n"); ok {
			_, err = fmt.Sscan(digits, &status)
			break
		}
		if time.Now().After(deadline) {
			return "", 0, fmt.Errorf("in %v there was no end of the line %q", Patience, end+after)
		}
	}
	if _, behind, ok := strings.Cut(text, g.begun()); ok { // or it was very much
		text = behind
	}
	return strings.ReplaceAll(text, "\r", ""), status, err
}

// Do runs a command, whose status does not matter.
func (g *Guest) Do(command string) (string, error) {
	if err := g.Begin(command); err != nil {
		return "", err
	}
	text, _, err := g.Answer()
	return text, err
}
