package vswitch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"doppel/internal/backend"
)

// Bounds of a capture.
const (
	captureQueue = 4 << 20 // bytes that wait for the file
	snapLength   = 256 << 10

	// DefaultCaptureLimit is how large a capture grows unless told otherwise.
	DefaultCaptureLimit = 1 << 30
)

// direction is which way a captured frame went, seen from the switch, by its
// number in a capture (pcapng §4.3.1, epb_flags).
type direction uint32

const (
	fromPort direction = 1
	toPort   direction = 2
)

func (d direction) String() string {
	if d == fromPort {
		return "from the port"
	}
	return "to the port"
}

// Capture writes frames to a file in the pcapng format (IETF draft
// draft-ietf-opsawg-pcapng), which Wireshark and tcpdump read. What it has
// taken is in the file soon, and for good after Close. It never holds up who
// sends: a frame that finds the queue full is not captured, and counted, as are
// all from the first one on for which the file would pass its limit.
type Capture struct {
	file   *os.File
	limit  int64
	missed func(why Miss) // nil: nobody hears of it

	mu      sync.Mutex
	changed *sync.Cond
	queue   bytes.Buffer // blocks that wait
	ports   map[string]uint32
	size    int64 // of the file with what waits
	misses  uint64
	news    []Miss // to be told, each once
	met     [misses]bool
	err     error
	closed  bool
	done    sync.WaitGroup
}

// Miss is why frames are not captured.
type Miss uint8

const (
	MissBurst  Miss = iota // they came faster than the file took them
	MissLimit              // the file is as large as it may be
	MissFailed             // it cannot be written
	misses
)

func (m Miss) String() string {
	switch m {
	case MissBurst:
		return "frames came faster than the file took them: some are missing"
	case MissLimit:
		return "the file is as large as it may be: it ends here"
	case MissFailed:
		return "the file cannot be written: it ends here"
	}
	return fmt.Sprintf("Miss(%d)", uint8(m))
}

// CaptureStats tells how a capture does.
type CaptureStats struct {
	File   string
	Bytes  uint64
	Limit  uint64
	Missed uint64 // frames that are not in it
}

// CreateCapture makes a capture. A file of that name is replaced if it is
// empty or a capture; any other is left alone. limit 0 is the default. missed,
// if not nil, hears once of each reason why frames are not captured, on the
// capture's goroutine.
func CreateCapture(path string, limit int64, missed func(why Miss)) (*Capture, error) {
	fail := func(format string, args ...any) (*Capture, error) {
		return nil, fmt.Errorf("capture %s: "+format, append([]any{path}, args...)...)
	}
	// First, for to open a named pipe may take for ever.
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return fail("is not a regular file; choose another name")
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return fail("cannot be written: %w; choose a file in a folder that you can write to", err)
	}
	why := replaceable(f)
	if why == nil {
		why = f.Truncate(0)
	}
	if why != nil {
		f.Close()
		return fail("%w", why)
	}
	if limit == 0 {
		limit = DefaultCaptureLimit
	}
	c := &Capture{file: f, limit: limit, missed: missed, ports: map[string]uint32{}}
	c.changed = sync.NewCond(&c.mu)
	c.block(blockSection, sectionHeader())
	c.done.Go(c.write)
	return c, nil
}

// replaceable tells why a file must be left alone.
func replaceable(f *os.File) error {
	var head [4]byte
	n, err := f.ReadAt(head[:], 0)
	if n == 0 && errors.Is(err, io.EOF) {
		return nil
	}
	if n == 4 && binary.BigEndian.Uint32(head[:]) == blockSection {
		return nil
	}
	return errors.New("another file is there, which is not a capture; remove it or choose another name")
}

// Block types and options (pcapng §4, §3.5).
const (
	blockSection   = 0x0a0d0d0a
	blockInterface = 1
	blockPacket    = 6

	byteOrderMagic = 0x1a2b3c4d
	linkEthernet   = 1
	optName        = 2
	optResolution  = 9
	optFlags       = 2
	nanoseconds    = 9
)

func sectionHeader() []byte {
	b := binary.LittleEndian.AppendUint32(nil, byteOrderMagic)
	b = binary.LittleEndian.AppendUint16(b, 1) // version 1.0
	b = binary.LittleEndian.AppendUint16(b, 0)
	return binary.LittleEndian.AppendUint64(b, ^uint64(0)) // length not known
}

// option appends an option, padded to 32 bits.
func option(b []byte, code uint16, value []byte) []byte {
	b = binary.LittleEndian.AppendUint16(b, code)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(value)))
	return pad(append(b, value...))
}

func pad(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// block queues a block, false if the limit is reached; the lock is held, or
// nobody else is there yet.
func (c *Capture) block(kind uint32, body []byte) bool {
	total := 12 + len(body)
	switch {
	case c.closed:
		return false
	case c.err != nil:
		return c.miss(MissFailed)
	case c.met[MissLimit] || c.size+int64(total) > c.limit:
		return c.miss(MissLimit)
	case c.queue.Len()+total > captureQueue:
		return c.miss(MissBurst)
	}
	b := make([]byte, 0, total)
	b = binary.LittleEndian.AppendUint32(b, kind)
	b = binary.LittleEndian.AppendUint32(b, uint32(total))
	b = append(b, body...)
	c.queue.Write(binary.LittleEndian.AppendUint32(b, uint32(total)))
	c.size += int64(total)
	c.changed.Signal()
	return true
}

// miss counts a frame that is not captured; the lock is held.
func (c *Capture) miss(why Miss) bool {
	c.misses++
	if !c.met[why] {
		c.met[why] = true
		c.news = append(c.news, why)
		c.changed.Signal()
	}
	return false
}

// add captures a frame at a port.
func (c *Capture) add(port string, d direction, frame []byte, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id, known := c.ports[port]
	if !known {
		b := binary.LittleEndian.AppendUint16(nil, linkEthernet)
		b = binary.LittleEndian.AppendUint16(b, 0)
		b = binary.LittleEndian.AppendUint32(b, snapLength)
		b = option(b, optName, []byte(port[:min(len(port), 256)]))
		b = option(b, optResolution, []byte{nanoseconds})
		if !c.block(blockInterface, append(b, 0, 0, 0, 0)) {
			return
		}
		id = uint32(len(c.ports))
		c.ports[port] = id
	}
	at := uint64(now.UnixNano())
	b := make([]byte, 0, 20+len(frame)+16)
	for _, v := range []uint32{id, uint32(at >> 32), uint32(at), uint32(len(frame)), uint32(len(frame))} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	b = pad(append(b, frame...))
	b = option(b, optFlags, binary.LittleEndian.AppendUint32(nil, uint32(d)))
	c.block(blockPacket, append(b, 0, 0, 0, 0))
}

// write brings blocks to the file until the capture is closed.
func (c *Capture) write() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		for c.queue.Len() == 0 && len(c.news) == 0 && !c.closed {
			c.changed.Wait()
		}
		c.tell()
		if c.queue.Len() == 0 {
			if c.closed {
				return
			}
			continue
		}
		b := bytes.Clone(c.queue.Bytes())
		c.queue.Reset()
		c.mu.Unlock()
		_, err := c.file.Write(b)
		c.mu.Lock()
		if err != nil && c.err == nil {
			c.err = fmt.Errorf("capture %s: %w", c.file.Name(), err)
		}
	}
}

// tell tells why frames are missing; the lock is held, but not meanwhile.
func (c *Capture) tell() {
	news := c.news
	c.news = nil
	if c.missed == nil {
		return
	}
	c.mu.Unlock()
	for _, why := range news {
		c.missed(why)
	}
	c.mu.Lock()
}

// Stats tells how the capture does; open is false when it is closed.
func (c *Capture) Stats() (s CaptureStats, open bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return CaptureStats{c.file.Name(), uint64(c.size), uint64(c.limit), c.misses}, !c.closed
}

// Close writes what waits, and returns when it is stable. It tells if
// something could not be written; it may be called twice.
func (c *Capture) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	c.changed.Broadcast()
	c.mu.Unlock()
	c.done.Wait()
	err := c.err
	if err == nil {
		err = c.file.Sync()
	}
	return errors.Join(err, c.file.Close())
}

// capture gives a port's capture a frame as it is on the port's wire.
func (p *Port) capture(f *frame, v VLAN, d direction) {
	b := f.onWire(v, p.config.VLAN == 0 && v != p.config.Native)
	p.config.Capture.add(p.config.Name, d, b, time.Now())
}

// capture gives the switch's capture a frame that a port sent.
func (s *Switch) capture(from *Port, f *frame, v VLAN) {
	s.config.Capture.add(from.config.Name, fromPort, f.onWire(v, v != DefaultVLAN), time.Now())
}

// onWire is a frame with its checksum complete and its tag in it. One that is
// to be segmented stays in one piece, as on any host that does so.
func (f *frame) onWire(v VLAN, tag bool) []byte {
	w := *f
	if o := f.offload; o.NeedsChecksum {
		w.bytes = bytes.Clone(f.bytes)
		l4 := w.bytes[o.ChecksumStart:] // check has seen to it that all is in bounds
		if o.GSO == backend.GSOTCP4 {
			binary.BigEndian.PutUint16(l4[offTCPSum:], pseudo(w.bytes[headerSize+12:headerSize+20], len(l4)))
		} else if o.GSO == backend.GSOTCP6 {
			binary.BigEndian.PutUint16(l4[offTCPSum:], pseudo(w.bytes[headerSize+8:headerSize+40], len(l4)))
		}
		// The field holds the pseudo-header's sum and is summed up with the rest.
		value := ^sum(0, l4)
		if value == 0 {
			value = 0xffff // RFC 768: zero would mean that there is none
		}
		binary.BigEndian.PutUint16(l4[o.ChecksumOffset:], value)
	}
	if tag {
		w.bytes, _, _ = w.tagged(v)
	}
	return w.bytes
}
