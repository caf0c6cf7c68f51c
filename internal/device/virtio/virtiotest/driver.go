// Package virtiotest is the driver's side of virtio for tests: it finds a
// device through its registers, negotiates, and runs split and packed queues
// as the specification tells drivers to; and a contract suite that every
// device type runs.
//
// One goroutine drives; the device interrupts from any.
package virtiotest

import (
	"encoding/binary"
	"sync"
	"testing"
	"time"

	"doppel/internal/device"
	"doppel/internal/device/virtio/queue"
	"doppel/internal/memory"
)

// Where the test machine has its RAM.
const (
	RAMBase memory.GPA = 0x80000000
	RAMSize            = 16 << 20
)

// Registers (virtio §4.2.2), named again so that a wrong one in the device
// does not go unnoticed.
const (
	Magic          = 0x00
	Version        = 0x04
	DeviceID       = 0x08
	DeviceFeatures = 0x10
	DeviceFeatSel  = 0x14
	DriverFeatures = 0x20
	DriverFeatSel  = 0x24
	QueueSel       = 0x30
	QueueSizeMax   = 0x34
	QueueSize      = 0x38
	QueueReady     = 0x44
	QueueNotify    = 0x50
	IntStatus      = 0x60
	IntAck         = 0x64
	Status         = 0x70
	QueueDesc      = 0x80
	QueueDriver    = 0x90
	QueueDevice    = 0xa0
	QueueReset     = 0xc0
	ConfigGen      = 0xfc
	ConfigSpace    = 0x100
)

// Status bits.
const (
	Acknowledge = 1
	DriverBit   = 2
	DriverOK    = 4
	FeaturesOK  = 8
	NeedsReset  = 64
)

// Line is an interrupt line that a test can wait for.
type Line struct {
	mu      sync.Mutex
	changed *sync.Cond
	level   bool
	edges   int
}

// NewLine returns a line that is low.
func NewLine() *Line {
	l := &Line{}
	l.changed = sync.NewCond(&l.mu)
	return l
}

func (l *Line) Set(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if on && !l.level {
		l.edges++
	}
	l.level = on
	l.changed.Broadcast()
}

// Level is the line's level.
func (l *Line) Level() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.level
}

// Edges counts how often the line rose.
func (l *Line) Edges() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.edges
}

// Wait waits for the line to be high, false after a timeout.
func (l *Line) Wait(d time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	deadline := time.Now().Add(d)
	t := time.AfterFunc(d, l.changed.Broadcast)
	defer t.Stop()
	for !l.level {
		if !time.Now().Before(deadline) {
			return false
		}
		l.changed.Wait()
	}
	return true
}

// Driver drives one device.
type Driver struct {
	T        testing.TB
	Mem      *memory.Space
	Dev      device.Device
	Line     *Line
	Features uint64
	Queues   map[int]*Queue
	next     memory.GPA // of the allocator
}

// NewSpace makes the test machine's memory.
func NewSpace(t testing.TB) *memory.Space {
	t.Helper()
	mem := &memory.Space{}
	if _, err := mem.Add(memory.RAM, "ram", RAMBase, RAMSize); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mem.Close() })
	return mem
}

// NewDriver drives dev, whose memory and line these are.
func NewDriver(t testing.TB, mem *memory.Space, line *Line, dev device.Device) *Driver {
	return &Driver{T: t, Mem: mem, Dev: dev, Line: line, Queues: map[int]*Queue{}, next: RAMBase}
}

// Reg reads a register.
func (d *Driver) Reg(off uint64) uint32 {
	d.T.Helper()
	v, ok := d.Dev.Read(off, 4)
	if !ok {
		d.T.Fatalf("register %#x cannot be read", off)
	}
	return uint32(v)
}

// SetReg writes a register.
func (d *Driver) SetReg(off uint64, v uint32) {
	d.T.Helper()
	if !d.Dev.Write(off, 4, uint64(v)) {
		d.T.Fatalf("register %#x cannot be written", off)
	}
}

// Offered reads the device's features.
func (d *Driver) Offered() uint64 {
	d.SetReg(DeviceFeatSel, 0)
	low := d.Reg(DeviceFeatures)
	d.SetReg(DeviceFeatSel, 1)
	return uint64(d.Reg(DeviceFeatures))<<32 | uint64(low)
}

// Choose writes the driver's features.
func (d *Driver) Choose(features uint64) {
	d.SetReg(DriverFeatSel, 0)
	d.SetReg(DriverFeatures, uint32(features))
	d.SetReg(DriverFeatSel, 1)
	d.SetReg(DriverFeatures, uint32(features>>32))
}

// Negotiate resets the device and agrees on features (virtio §3.1.1).
func (d *Driver) Negotiate(features uint64) {
	d.T.Helper()
	d.SetReg(Status, 0)
	if s := d.Reg(Status); s != 0 {
		d.T.Fatalf("status %#x after a reset", s)
	}
	d.SetReg(Status, Acknowledge)
	d.SetReg(Status, Acknowledge|DriverBit)
	d.Features = features | queue.FeatureVersion1
	if missing := d.Features &^ d.Offered(); missing != 0 {
		d.T.Fatalf("features %#x are not offered", missing)
	}
	d.Choose(d.Features)
	d.SetReg(Status, Acknowledge|DriverBit|FeaturesOK)
	if d.Reg(Status)&FeaturesOK == 0 {
		d.T.Fatalf("features %#x are refused", d.Features)
	}
	d.Queues = map[int]*Queue{}
}

// Start sets DRIVER_OK.
func (d *Driver) Start() {
	d.T.Helper()
	d.SetReg(Status, Acknowledge|DriverBit|FeaturesOK|DriverOK)
	if s := d.Reg(Status); s&NeedsReset != 0 {
		d.T.Fatalf("status %#x after DRIVER_OK", s)
	}
}

// Has tells whether features were agreed on.
func (d *Driver) Has(mask uint64) bool { return d.Features&mask == mask }

// WaitNeedsReset waits until the device needs a reset, false after a timeout.
func (d *Driver) WaitNeedsReset() bool {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if d.Reg(Status)&NeedsReset != 0 {
			return true
		}
	}
	return false
}

// Alloc returns n bytes of guest memory, aligned to 64. Memory is given out
// in a circle that is far longer than what a test has in use.
func (d *Driver) Alloc(n int) memory.GPA {
	size := memory.GPA(n+63) &^ 63
	if d.next+size > RAMBase+RAMSize {
		d.next = RAMBase + RAMSize/2 // the first half keeps the rings
	}
	gpa := d.next
	d.next += size
	return gpa
}

// Put copies p to guest memory.
func (d *Driver) Put(gpa memory.GPA, p []byte) {
	d.T.Helper()
	if err := d.Mem.WriteAt(p, gpa); err != nil {
		d.T.Fatal(err)
	}
}

// Get copies n bytes from guest memory.
func (d *Driver) Get(gpa memory.GPA, n int) []byte {
	d.T.Helper()
	p := make([]byte, n)
	if err := d.Mem.ReadAt(p, gpa); err != nil {
		d.T.Fatal(err)
	}
	return p
}

// Config reads n bytes of the device configuration.
func (d *Driver) Config(off uint64, n int) []byte {
	var out []byte
	for range n {
		v, ok := d.Dev.Read(ConfigSpace+off, 1)
		if !ok {
			d.T.Fatalf("configuration byte %d cannot be read", off)
		}
		out = append(out, byte(v))
		off++
	}
	return out
}

// Config16, 32 and 64 read a field.
func (d *Driver) Config16(off uint64) uint16 { return binary.LittleEndian.Uint16(d.Config(off, 2)) }
func (d *Driver) Config32(off uint64) uint32 { return binary.LittleEndian.Uint32(d.Config(off, 4)) }
func (d *Driver) Config64(off uint64) uint64 { return binary.LittleEndian.Uint64(d.Config(off, 8)) }
