package vswitch

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"doppel/internal/backend"
)

// PortConfig describes a port.
type PortConfig struct {
	// Name is for messages and captures.
	Name string
	// VLAN is that of an access port, whose frames carry no tags; 0 means
	// DefaultVLAN. Not together with Trunk.
	VLAN VLAN
	// Trunk are the VLANs whose frames pass with tags. Not empty: a trunk.
	Trunk []VLAN
	// Native is the VLAN of a trunk's frames without tags; 0: none pass.
	Native VLAN
	// Static are addresses that are at this port and nowhere else.
	Static []MAC
	// Locked: the port sends from static addresses only.
	Locked bool
	// Rate limits each direction to so many bits a second; 0: no limit.
	Rate uint64
	// Capture, if not nil, gets what passes the port. It is closed with it.
	Capture *Capture
}

// MinRate is the least limit of a port, in bits a second.
const MinRate = 8000

// validate checks what does not depend on the switch, and fills defaults in.
func (c *PortConfig) validate() error {
	switch {
	case c.VLAN > MaxVLAN:
		return fmt.Errorf("VLAN %d: must be 1 to %d", c.VLAN, MaxVLAN)
	case len(c.Trunk) > 0 && c.VLAN != 0:
		return errors.New("a port is in one VLAN or a trunk of several, not both")
	case len(c.Trunk) == 0 && c.Native != 0:
		return errors.New("a native VLAN is a trunk's")
	case c.Native > MaxVLAN:
		return fmt.Errorf("native VLAN %d: must be 1 to %d", c.Native, MaxVLAN)
	case c.Rate != 0 && c.Rate < MinRate:
		return fmt.Errorf("rate of %d bit/s: must be %d or more", c.Rate, MinRate)
	case c.Locked && len(c.Static) == 0:
		return errors.New("a locked port needs an address to send from")
	}
	for _, v := range c.Trunk {
		if v < 1 || v > MaxVLAN {
			return fmt.Errorf("VLAN %d of a trunk: must be 1 to %d", v, MaxVLAN)
		}
	}
	for _, m := range c.Static {
		if m.Group() || m == (MAC{}) {
			return fmt.Errorf("static address %v: is no station's", m)
		}
	}
	if len(c.Trunk) == 0 && c.VLAN == 0 {
		c.VLAN = DefaultVLAN
	}
	return nil
}

// Port is a socket of a switch. It is a backend.Network.
type Port struct {
	sw     *Switch
	config PortConfig
	member [MaxVLAN + 1]bool // the VLANs whose frames pass
	fixed  map[MAC]bool      // Static

	// Frames from the port, as far as its rate lets them wait.
	inMu     sync.Mutex
	in       queue
	inRate   *bucket
	inTimer  *time.Timer
	draining bool
	storm    *bucket

	// Frames to the port.
	outMu      sync.Mutex
	out        queue
	outRate    *bucket
	outTimer   *time.Timer
	waiting    bool // for the timer
	ready      func()
	handed     func(packet) // takes frames at once, in place of the queue
	starved    bool         // Receive found nothing: the next frame calls ready
	tcp4, tcp6 bool

	closed atomic.Bool

	counts counts
}

type counts struct {
	framesIn, bytesIn, framesOut, bytesOut, floods atomic.Uint64
	dropped                                        [drops]atomic.Uint64
}

func (p *Port) drop(why drop) { p.counts.dropped[why].Add(1) }

func newPort(s *Switch, c PortConfig) *Port {
	now := time.Now()
	p := &Port{sw: s, config: c, fixed: map[MAC]bool{}, starved: true}
	rate := c.Rate / 8
	p.in.limit, p.out.limit = queueLimit(rate), queueLimit(rate)
	if rate > 0 {
		burst := max(float64(rate)/queuedPerSec/2, 3000)
		p.inRate, p.outRate = newBucket(float64(rate), burst, now), newBucket(float64(rate), burst, now)
	}
	p.storm = newBucket(stormRate, stormRate, now)
	for _, m := range c.Static {
		p.fixed[m] = true
	}
	for _, v := range append([]VLAN{c.VLAN, c.Native}, c.Trunk...) {
		p.member[v] = true
	}
	p.member[0] = false
	return p
}

// vlanOf is the VLAN of a frame that came with a tag, or 0 for none; 0 if the
// port does not take it.
func (p *Port) vlanOf(tag VLAN) VLAN {
	switch {
	case p.config.VLAN != 0 && tag == 0:
		return p.config.VLAN
	case p.config.VLAN != 0:
		return 0 // an access port's station knows no tags: nothing is smuggled in one
	case tag == 0:
		return p.config.Native
	case tag > MaxVLAN || !p.member[tag] || tag == p.config.Native:
		return 0
	}
	return tag
}

// Send takes a frame from the port.
func (p *Port) Send(b []byte, o backend.Offload) {
	f, tag, why := parse(b, o, int(p.sw.mtu))
	if why != dropNone {
		p.drop(why)
		return
	}
	v := p.vlanOf(tag)
	if v == 0 {
		p.drop(dropVLAN)
		return
	}
	if p.config.Locked && !p.fixed[f.src] {
		p.drop(dropSource)
		return
	}
	if p.config.Capture != nil {
		p.capture(&f, v, fromPort)
	}
	if p.inRate == nil {
		p.sw.forward(p, &f, v)
		return
	}
	if p.delay(&f, v) {
		p.sw.forward(p, &f, v)
	}
}

// delay tells whether a frame may pass now; otherwise it waits, or is dropped.
func (p *Port) delay(f *frame, v VLAN) bool {
	p.inMu.Lock()
	defer p.inMu.Unlock()
	wait := p.inRate.wait(time.Now())
	if wait == 0 && len(p.in.list) == 0 && !p.draining {
		p.inRate.take(len(f.bytes))
		return true
	}
	b, o, ok := f.tagged(v) // so that the VLAN waits with it
	if p.closed.Load() || !ok || !p.in.push(packet{b, o}) {
		p.drop(dropRate)
		return false
	}
	if p.inTimer == nil {
		p.inTimer = time.AfterFunc(wait, p.drain)
	} else if !p.draining && len(p.in.list) == 1 {
		p.inTimer.Reset(wait)
	}
	return false
}

// drain lets pass what has waited long enough. One goroutine at a time is here.
func (p *Port) drain() {
	for {
		p.inMu.Lock()
		wait := p.inRate.wait(time.Now())
		if wait > 0 && len(p.in.list) > 0 {
			p.draining = false
			p.inTimer.Reset(wait)
			p.inMu.Unlock()
			return
		}
		k, ok := p.in.pop()
		p.draining = ok
		if ok {
			p.inRate.take(len(k.bytes) - tagSize)
		}
		p.inMu.Unlock()
		if !ok {
			return
		}
		if f, v, why := parse(k.bytes, k.offload, int(p.sw.mtu)); why == dropNone {
			p.sw.forward(p, &f, v)
		}
	}
}

// deliver queues a frame of VLAN v for the port, segmented if it has to be.
func (p *Port) deliver(f *frame, v VLAN) {
	p.outMu.Lock()
	cut := f.offload.GSO == backend.GSOTCP4 && !p.tcp4 || f.offload.GSO == backend.GSOTCP6 && !p.tcp6
	p.outMu.Unlock()
	if !cut {
		p.push(f, v)
		return
	}
	all := f.segments()
	if all == nil {
		p.drop(dropUnsuited)
	}
	for i := range all {
		p.push(&all[i], v)
	}
}

func (p *Port) push(f *frame, v VLAN) {
	k, ok := packet{f.bytes, f.offload}, true
	if p.config.VLAN == 0 && v != p.config.Native {
		k.bytes, k.offload, ok = f.tagged(v)
	}
	if !ok {
		p.drop(dropOversized)
		return
	}
	if p.config.Capture != nil {
		p.capture(f, v, toPort)
	}
	p.outMu.Lock()
	if handed := p.handed; handed != nil && !p.closed.Load() {
		p.outMu.Unlock()
		p.counts.framesOut.Add(1)
		p.counts.bytesOut.Add(uint64(len(k.bytes)))
		handed(k)
		return
	}
	if p.closed.Load() || !p.out.push(k) {
		p.outMu.Unlock()
		p.drop(dropFull)
		return
	}
	var ready func()
	if p.starved && !p.waiting {
		ready = p.ready
		p.starved = ready == nil
	}
	p.outMu.Unlock()
	p.counts.framesOut.Add(1)
	p.counts.bytesOut.Add(uint64(len(k.bytes)))
	if ready != nil {
		ready()
	}
}

// Receive returns the next frame for the port's owner, which does not write
// to it.
func (p *Port) Receive() ([]byte, backend.Offload, bool) {
	p.outMu.Lock()
	defer p.outMu.Unlock()
	if wait := p.outRate.wait(time.Now()); wait > 0 && len(p.out.list) > 0 {
		p.wakeAfter(wait)
		return nil, backend.Offload{}, false
	}
	k, ok := p.out.pop()
	if !ok {
		p.starved = true
		return nil, backend.Offload{}, false
	}
	p.outRate.take(len(k.bytes))
	return k.bytes, k.offload, true
}

// wakeAfter calls ready when the rate allows the next frame; the lock is held.
func (p *Port) wakeAfter(wait time.Duration) {
	if p.waiting || p.closed.Load() {
		return
	}
	p.waiting = true
	if p.outTimer != nil {
		p.outTimer.Reset(wait)
		return
	}
	p.outTimer = time.AfterFunc(wait, func() {
		p.outMu.Lock()
		p.waiting = false
		ready := p.ready
		p.outMu.Unlock()
		if ready != nil {
			ready()
		}
	})
}

// SetReady names what is called when a frame has come after none was there.
func (p *Port) SetReady(fn func()) {
	p.outMu.Lock()
	defer p.outMu.Unlock()
	p.ready, p.starved = fn, true
}

// hand makes the port pass frames on at once. With a rate they wait as ever.
func (p *Port) hand(fn func(packet)) {
	if p.outRate != nil {
		return
	}
	p.outMu.Lock()
	defer p.outMu.Unlock()
	p.handed = fn
}

// SetSegmentation tells what the port's owner does itself.
func (p *Port) SetSegmentation(tcp4, tcp6 bool) {
	p.outMu.Lock()
	defer p.outMu.Unlock()
	p.tcp4, p.tcp6 = tcp4, tcp6
}

// MTU is the largest packet in bytes.
func (p *Port) MTU() uint16 { return p.sw.mtu }

// Close takes the port off the switch. It may be called twice.
func (p *Port) Close() error {
	if p.closed.Swap(true) {
		return nil
	}
	p.sw.remove(p)
	p.inMu.Lock()
	p.in.drop()
	if p.inTimer != nil {
		p.inTimer.Stop()
	}
	p.inMu.Unlock()
	p.outMu.Lock()
	p.out.drop()
	if p.outTimer != nil {
		p.outTimer.Stop()
	}
	p.outMu.Unlock()
	if p.config.Capture == nil {
		return nil
	}
	return p.config.Capture.Close()
}

var _ backend.Network = (*Port)(nil)
