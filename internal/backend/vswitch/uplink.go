package vswitch

import (
	"sync"

	"doppel/internal/backend"
)

// cable joins a port to a network, which takes the place of a machine.
//
// What goes up does so on the goroutine that sends it, a device's worker mostly:
// what it costs is its machine's affair. What comes down has one of its own.
type cable struct {
	port    *Port
	network backend.Network
	wake    chan struct{} // something may have come at either end
	stop    chan struct{}
	done    sync.WaitGroup

	sending sync.RWMutex // held to read while something goes up
	cut     bool
}

// Uplink joins a network to the switch, at a port of its own. The network
// belongs to the switch from here on, also if this fails.
func (s *Switch) Uplink(n backend.Network, c PortConfig) error {
	p, err := s.Port(c)
	if err != nil {
		n.Close()
		return err
	}
	l := &cable{port: p, network: n, wake: make(chan struct{}, 1), stop: make(chan struct{})}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		p.Close()
		n.Close()
		return ErrClosed
	}
	s.cables = append(s.cables, l)
	s.mu.Unlock()
	// The network segments nothing: ports do, where a machine does not take it.
	n.SetSegmentation(true, true)
	p.SetSegmentation(true, true)
	signal := func() {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
	n.SetReady(signal)
	p.SetReady(signal)
	p.hand(l.send)
	l.done.Go(l.carry)
	signal()
	return nil
}

// turns is how many frames pass one way before it is the other way's turn.
const turns = 64

// send passes a frame to the network, which never waits.
func (l *cable) send(k packet) {
	l.sending.RLock()
	defer l.sending.RUnlock()
	if !l.cut {
		l.network.Send(k.bytes, k.offload)
	}
}

// carry moves frames until the cable is cut: those from the network, and those
// for it that the port's rate has let wait.
func (l *cable) carry() {
	for {
		select {
		case <-l.stop:
			return
		case <-l.wake:
		}
		for more := true; more; {
			up := move(l.port, l.network)
			down := move(l.network, l.port)
			more = up || down
			select {
			case <-l.stop:
				return
			default:
			}
		}
	}
}

// move moves some frames, and tells whether there may be more.
func move(from, to backend.Network) bool {
	for range turns {
		b, o, ok := from.Receive()
		if !ok {
			return false
		}
		to.Send(b, o)
	}
	return true
}

func (l *cable) close() error {
	close(l.stop)
	l.done.Wait()
	l.sending.Lock()
	l.cut = true
	l.sending.Unlock()
	return l.network.Close()
}
