package terminal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// lastWords is how long Close waits for output that is still on its way.
const lastWords = 2 * time.Second

// stdio is the program's own terminal, or its pipes.
type stdio struct {
	*Hub
	o       Options
	raw     *term.State // what to restore, nil if input is no terminal
	signals chan os.Signal
	broken  chan os.Signal // takes SIGPIPE, which would end the program
	stop    chan struct{}
	wake    [2]int // a pipe: its closing ends the reader
	once    sync.Once
	reading sync.WaitGroup
	closed  sync.Once
}

func openStdio(o Options) (Console, error) {
	s := &stdio{Hub: newHub(0), o: o, signals: make(chan os.Signal, 4), broken: make(chan os.Signal, 1), stop: make(chan struct{})}
	if err := unix.Pipe2(s.wake[:], unix.O_CLOEXEC); err != nil {
		s.Hub.close()
		return nil, fmt.Errorf("console stdio: %w", err)
	}
	if fd := int(o.In.Fd()); term.IsTerminal(fd) {
		state, err := term.MakeRaw(fd)
		if err != nil {
			s.Hub.close()
			unix.Close(s.wake[0])
			unix.Close(s.wake[1])
			return nil, fmt.Errorf("console stdio: the terminal cannot be set to raw mode: %w; try --console pty", err)
		}
		s.raw = state
		signal.Notify(s.signals, syscall.SIGWINCH, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
		s.measure()
		go s.watch()
	}
	// A write to a pipe without a reader then fails, and the rest is put in
	// order: the terminal that is our input, the disks.
	signal.Notify(s.broken, syscall.SIGPIPE)
	// Not waited for: a write to a pipe that nobody reads has no end.
	go func() {
		err := s.pump(o.Out, func() bool { return false })
		s.setDiscard(true)
		if errors.Is(err, syscall.EPIPE) {
			s.restore()
			o.Quit() // the reader went away, as head does: who would end us?
		}
	}()
	s.reading.Go(s.read)
	return s, nil
}

// read brings input until its end, after which the guest goes on.
func (s *stdio) read() {
	text := helpText
	if s.o.Choose != nil {
		text += chooseText
	}
	k := keys{quit: s.o.Quit, choose: s.o.Choose, help: func() { io.WriteString(s.o.Notices, text) }}
	buf := make([]byte, 1024)
	for s.waitInput() {
		n, err := unix.Read(int(s.o.In.Fd()), buf)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) {
			continue
		}
		if err != nil || n == 0 {
			return
		}
		p := buf[:n]
		if s.raw != nil {
			p = k.filter(p)
		}
		s.feed(p)
	}
}

// waitInput waits until there is input, false if the end is closed.
func (s *stdio) waitInput() bool {
	fds := []unix.PollFd{{Fd: int32(s.o.In.Fd()), Events: unix.POLLIN}, {Fd: int32(s.wake[0]), Events: unix.POLLIN}}
	for {
		_, err := unix.Poll(fds, -1)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		return err == nil && fds[1].Revents == 0
	}
}

// watch follows the terminal's size, and restores it when a signal ends the
// program.
func (s *stdio) watch() {
	for {
		select {
		case <-s.stop:
			return
		case sig := <-s.signals:
			if sig == syscall.SIGWINCH {
				s.measure()
				continue
			}
			// Restore first, then let the program's owner end the machine. The
			// default action is taken if the same signal comes again.
			s.restore()
			signal.Stop(s.signals)
			s.o.Quit()
			return
		}
	}
}

func (s *stdio) measure() {
	if columns, rows, err := term.GetSize(int(s.o.In.Fd())); err == nil {
		s.setSize(clamp16(columns), clamp16(rows))
	}
}

func clamp16(n int) uint16 { return uint16(min(max(n, 0), 65535)) }

// restore gives the terminal back as it was, once.
func (s *stdio) restore() {
	if s.raw != nil {
		s.once.Do(func() { term.Restore(int(s.o.In.Fd()), s.raw) })
	}
}

// Close writes what is left of the output and restores the terminal. It is
// safe to call from a deferred function during a panic, and twice.
func (s *stdio) Close() error {
	defer s.restore()
	s.flush(lastWords)
	s.closed.Do(func() {
		signal.Stop(s.signals)
		signal.Stop(s.broken)
		close(s.stop)
		unix.Close(s.wake[1])
		s.Hub.close()
		s.reading.Wait()
		unix.Close(s.wake[0])
	})
	return nil
}
