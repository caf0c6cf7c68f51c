package control

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"sync"
	"time"

	"doppel/internal/platform"
)

// Server answers at a socket.
type Server struct {
	l       *net.UnixListener
	machine Machine
	slots   chan struct{}
	done    sync.WaitGroup
}

// Serve makes the socket at path and answers there until Close. A socket that
// nobody listens at any more is replaced; anything else that is there stays,
// and is an error.
func Serve(path string, m Machine) (*Server, error) {
	if err := removeStale(path); err != nil {
		return nil, err
	}
	l, err := platform.ListenPrivate(path)
	if err != nil {
		return nil, fmt.Errorf("control socket %s: %w; choose a path in a folder that you can write to, of at most 107 bytes", path, reason(err))
	}
	s := &Server{l: l, machine: m, slots: make(chan struct{}, maxClients)}
	s.done.Go(s.accept)
	return s, nil
}

func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("control socket %s: %w", path, reason(err))
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("control socket %s: a file that is not a socket is there; remove it or choose another path", path)
	}
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		c.Close()
		return fmt.Errorf("control socket %s: another program listens there; stop it or choose another path", path)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("control socket %s: %w", path, reason(err))
	}
	return nil
}

// Close ends the server and removes the socket.
func (s *Server) Close() error {
	err := s.l.Close()
	s.done.Wait()
	return err
}

func (s *Server) accept() {
	for {
		s.slots <- struct{}{}
		c, err := s.l.AcceptUnix()
		if err != nil {
			<-s.slots
			if errors.Is(err, net.ErrClosed) {
				return
			}
			time.Sleep(100 * time.Millisecond) // out of descriptors, for example
			continue
		}
		s.done.Go(func() {
			defer func() { <-s.slots }()
			s.serve(c)
		})
	}
}

// serve answers one request. Nothing that a client sends stops the machine.
func (s *Server) serve(c *net.UnixConn) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(ioLimit))
	if uid, err := platform.PeerUID(c); err != nil || uid != os.Geteuid() && uid != 0 {
		return
	}
	var resp response
	line, err := bufio.NewReader(io.LimitReader(c, maxRequest)).ReadBytes('\n')
	if err != nil {
		resp.Error = fmt.Sprintf("a request is one line of at most %d bytes", maxRequest)
	} else {
		resp = s.answer(line)
	}
	out, err := json.Marshal(resp)
	if err == nil {
		c.Write(append(out, '\n'))
	}
}

func (s *Server) answer(line []byte) response {
	var req request
	if err := json.Unmarshal(line, &req); err != nil {
		return response{Error: "the request is not JSON"}
	}
	switch req.Op {
	case opStats:
	case opBalloon:
		if err := s.machine.SetBalloon(req.Size); err != nil {
			return response{Error: err.Error()}
		}
	case opStop:
		if req.Seconds > maxStop {
			return response{Error: fmt.Sprintf("stopping may take at most %d seconds", maxStop)}
		}
		s.machine.Stop(time.Duration(req.Seconds) * time.Second)
	default:
		return response{Error: fmt.Sprintf("unknown op %.40q; want stats, balloon or stop", req.Op)}
	}
	st := s.machine.Stats()
	return response{Stats: &st}
}
