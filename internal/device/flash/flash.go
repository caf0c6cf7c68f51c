// Package flash is a bank of parallel NOR flash with a Common Flash Interface
// and the Intel command set (0001h): two 16-bit chips side by side on a
// 32-bit bus, as firmware finds them on the reference board.
//
// In array mode the guest reads memory directly, without this package; a
// write, or a read in any other mode, comes here. Both chips take commands
// together and are always in the same mode. Programming and erasing end at
// once, so that nothing is ever suspended.
//
// Threads: Read and Write from any vCPU. Lock order: Flash.mu only; the
// functions in Config are called with it held and take no locks of the board.
package flash

import (
	"io"
	"sync"

	"doppel/internal/device"
	"doppel/internal/fdt"
	"doppel/internal/memory"
	"doppel/internal/state"
)

// Config says what a bank is made of.
type Config struct {
	Name string // of the state section
	// Region holds the contents, a ROM of a multiple of BlockSize bytes.
	Region *memory.Region
	// ModeChanged is called when the array appears or disappears: the vCPUs
	// must forget their translations.
	ModeChanged func()
	// Backing, if not nil, gets every change of the contents. If it fails the
	// guest sees the operation fail.
	Backing io.WriterAt
}

// BlockSize is the unit of erasing and locking, of both chips together.
const BlockSize = 256 << 10

// Flash is one bank.
type Flash struct {
	cfg  Config
	size uint64

	mu sync.Mutex
	registers
}

// mode is what a read returns.
type mode uint8

const (
	modeArray mode = iota
	modeStatus
	modeID
	modeQuery
)

func (m mode) String() string { return [...]string{"array", "status", "id", "query"}[m&3] }

// step is what the next write means.
type step uint8

const (
	stepCommand step = iota
	stepProgram      // a word to program
	stepErase        // the confirmation of an erase
	stepLock         // what to do with a lock
	stepCount        // the length of a buffer
	stepBuffer       // data for the buffer
	stepConfirm      // the confirmation of a buffer
)

func (s step) String() string {
	names := [...]string{"command", "program", "erase", "lock", "count", "buffer", "confirm"}
	if int(s) < len(names) {
		return names[s]
	}
	return "step?"
}

type registers struct {
	mode   mode
	step   step
	status uint8
	locked [maxBlocks / 8]uint8 // a bit a block

	// The write buffer: words still to come, where it begins, what is written.
	words  uint32
	start  uint64
	buffer []chunk
}

// chunk is one write to the buffer.
type chunk struct {
	off  uint64
	size uint8
	v    uint64
}

// maxBlocks bounds the size of a bank.
const maxBlocks = 1024

// New returns a bank in array mode.
func New(cfg Config) *Flash {
	f := &Flash{cfg: cfg, size: min(cfg.Region.Size, maxBlocks*BlockSize)}
	f.Reset()
	return f
}

// Size implements device.Device.
func (f *Flash) Size() uint64 { return f.size }

// Reset implements device.Device. The contents stay.
func (f *Flash) Reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.registers = registers{status: statusReady}
	f.apply()
}

// setMode changes what reads return.
func (f *Flash) setMode(m mode) {
	was := f.mode
	f.mode = m
	if (was == modeArray) != (m == modeArray) {
		f.apply()
	}
}

// apply shows or hides the array.
func (f *Flash) apply() {
	if show := f.mode == modeArray; f.cfg.Region.Readable() != show {
		f.cfg.Region.SetReadable(show)
		f.cfg.ModeChanged()
	}
}

// Node implements device.Device: see Tree.
func (f *Flash) Node(device.Wiring) *fdt.Node { return nil }

// Tree describes banks of size bytes each, which are one node of the device
// tree.
func Tree(banks []memory.GPA, size uint64) *fdt.Node {
	n := &fdt.Node{Name: device.UnitName("flash", banks[0])}
	n.Str("compatible", "cfi-flash")
	var reg []uint64
	for _, base := range banks {
		reg = append(reg, uint64(base), size)
	}
	n.U64("reg", reg...)
	n.U32("bank-width", bankWidth)
	return n
}

func (f *Flash) StateName() string    { return f.cfg.Name }
func (f *Flash) StateVersion() uint32 { return 1 }

func (f *Flash) Save(e *state.Encoder) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e.U8(uint8(f.mode))
	e.U8(uint8(f.step))
	e.U8(f.status)
	e.Bytes(f.locked[:])
	e.U32(f.words)
	e.U64(f.start)
	e.U32(uint32(len(f.buffer)))
	for _, c := range f.buffer {
		e.U64(c.off)
		e.U8(c.size)
		e.U64(c.v)
	}
}

func (f *Flash) Restore(d *state.Decoder, _ uint32) error {
	r := registers{mode: mode(d.U8()), step: step(d.U8()), status: d.U8()}
	locked := d.Bytes(len(r.locked))
	r.words, r.start = d.U32(), d.U64()
	n := d.U32()
	if r.mode > modeQuery || r.step > stepConfirm || len(locked) != len(r.locked) ||
		r.words > bufferWords || r.start >= f.size || n > bufferWords {
		d.Failf("a field is out of range")
		return d.Err()
	}
	copy(r.locked[:], locked)
	for range n {
		c := chunk{d.U64(), d.U8(), d.U64()}
		if s := uint64(c.size); s == 0 || s > 8 || s&(s-1) != 0 || c.off%s != 0 || c.off >= f.size {
			d.Failf("a buffered write is out of range")
		}
		r.buffer = append(r.buffer, c)
	}
	if d.Err() != nil {
		return d.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.registers = r
	f.apply()
	return nil
}
