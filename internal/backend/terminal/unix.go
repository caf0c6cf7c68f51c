package terminal

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"doppel/internal/platform"
)

// recentBytes is how much of the last output a new client is shown.
const recentBytes = 64 << 10

// unixEnd is a Unix socket that one client at a time connects to.
type unixEnd struct {
	*Hub
	path     string
	listener net.Listener
	done     sync.WaitGroup

	mu     sync.Mutex
	client net.Conn
	closed bool
}

func openUnix(path string, o Options) (Console, error) {
	if err := removeStale(path); err != nil {
		return nil, err
	}
	l, err := platform.ListenPrivate(path)
	if err != nil {
		return nil, fmt.Errorf("console unix:%s: %w; choose a path in a folder that you can write to, of at most 107 bytes", path, unwrapOp(err))
	}
	e := &unixEnd{Hub: newHub(recentBytes), path: path, listener: l}
	e.setDiscard(true)
	e.done.Go(e.accept)
	return e, nil
}

// removeStale removes a socket that nobody listens on. Anything else at the
// path stays and is an error.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("console unix:%s: %w", path, unwrapOp(err))
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("console unix:%s: a file that is not a socket is there; remove it or choose another path", path)
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		c.Close()
		return fmt.Errorf("console unix:%s: another program listens there; stop it or choose another path", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("console unix:%s: %w", path, unwrapOp(err))
	}
	return os.Remove(path)
}

func unwrapOp(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}

func (e *unixEnd) accept() {
	for {
		c, err := e.listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			time.Sleep(100 * time.Millisecond) // out of descriptors, for example
			continue
		}
		if !e.adopt(c) {
			c.SetWriteDeadline(time.Now().Add(time.Second))
			fmt.Fprint(c, "this console has a client already\r\n")
			c.Close()
		}
	}
}

// adopt takes a client if there is none.
func (e *unixEnd) adopt(c net.Conn) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.client != nil || e.closed {
		return false
	}
	e.client = c
	e.done.Go(func() { e.serve(c) })
	return true
}

// serve joins a client to the hub until it goes away.
func (e *unixEnd) serve(c net.Conn) {
	var gone bool // guarded by the hub's lock
	e.Hub.mu.Lock()
	e.discard = false
	e.out = append([]byte(nil), e.recent...) // what it missed
	e.Hub.mu.Unlock()

	var writer sync.WaitGroup
	writer.Go(func() {
		e.pump(c, func() bool { return gone })
		c.Close() // a client that cannot be written to is gone
	})
	buf := make([]byte, 1024)
	for {
		n, err := c.Read(buf)
		e.feed(buf[:n])
		if err != nil {
			break
		}
	}
	c.Close()
	e.Hub.mu.Lock()
	gone = true
	e.Hub.mu.Unlock()
	e.setDiscard(true)
	writer.Wait()
	e.mu.Lock()
	e.client = nil
	e.mu.Unlock()
}

func (e *unixEnd) Close() error {
	e.flush(lastWords)
	err := e.listener.Close() // removes the socket
	e.mu.Lock()
	e.closed = true
	if e.client != nil {
		e.client.Close()
	}
	e.mu.Unlock()
	e.Hub.close()
	e.done.Wait()
	return err
}
