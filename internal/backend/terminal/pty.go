package terminal

import (
	"fmt"
	"os"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// ptyEnd is a pseudo-terminal for another program to open.
type ptyEnd struct {
	*Hub
	master, slave *os.File
	done          chan struct{}
}

func openPTY(o Options) (Console, error) {
	master, slave, err := pty.Open()
	if err != nil {
		return nil, fmt.Errorf("console pty: the host gives no pseudo-terminal: %w; try --console unix:PATH", err)
	}
	// The slave stays open, so that the master does not fail while nobody is
	// there, and is raw, so that the line discipline leaves the bytes alone.
	if _, err := term.MakeRaw(int(slave.Fd())); err != nil {
		master.Close()
		slave.Close()
		return nil, fmt.Errorf("console pty: %s cannot be set to raw mode: %w", slave.Name(), err)
	}
	if master, err = pollable(master); err != nil {
		slave.Close()
		return nil, fmt.Errorf("console pty: %w", err)
	}
	e := &ptyEnd{Hub: newHub(0), master: master, slave: slave, done: make(chan struct{})}
	fmt.Fprintf(o.Notices, "console: %s\n", slave.Name())
	go e.pump(master, func() bool { return false })
	go e.read()
	return e, nil
}

// pollable returns f in a form whose reads and writes end when it is closed.
func pollable(f *os.File) (*os.File, error) {
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// Name is the path to open.
func (e *ptyEnd) Name() string { return e.slave.Name() }

func (e *ptyEnd) read() {
	defer close(e.done)
	buf := make([]byte, 1024)
	for {
		n, err := e.master.Read(buf)
		if rows, columns, err := pty.Getsize(e.slave); err == nil {
			e.setSize(clamp16(columns), clamp16(rows))
		}
		e.feed(buf[:n])
		if err != nil {
			return
		}
	}
}

func (e *ptyEnd) Close() error {
	e.Hub.close()
	err := e.master.Close()
	<-e.done
	e.slave.Close()
	return err
}
