// Package state is the one way in which a component of a machine is saved
// and restored. A machine's state is its RAM plus named, versioned,
// length-limited sections, one a component; snapshots and migration carry the
// same bytes.
//
// The package knows nothing of what it carries. It has no locks: a component
// is saved and restored by one goroutine while the machine is paused.
//
// Encoding: fixed-width little-endian integers; byte strings carry a 32-bit
// length. A Decoder never panics and never allocates more than its input
// holds, whatever the input.
package state

import (
	"encoding/binary"
	"fmt"
)

// Component is a part of a machine that owns state.
// Saving a restored component gives the same bytes again.
type Component interface {
	// StateName is the section's name, unique in a machine, e.g. "uart0".
	StateName() string
	// StateVersion is the version that Save writes. Restore accepts every
	// version from 1 to StateVersion.
	StateVersion() uint32
	Save(*Encoder)
	// Restore replaces the component's state. After an error the component
	// must be Reset or discarded.
	Restore(d *Decoder, version uint32) error
}

// Encoder appends values to a section.
type Encoder struct{ b []byte }

// Data returns the encoded bytes.
func (e *Encoder) Data() []byte { return e.b }

func (e *Encoder) U8(v uint8)   { e.b = append(e.b, v) }
func (e *Encoder) U16(v uint16) { e.b = binary.LittleEndian.AppendUint16(e.b, v) }
func (e *Encoder) U32(v uint32) { e.b = binary.LittleEndian.AppendUint32(e.b, v) }
func (e *Encoder) U64(v uint64) { e.b = binary.LittleEndian.AppendUint64(e.b, v) }

func (e *Encoder) Bool(v bool) {
	if v {
		e.U8(1)
	} else {
		e.U8(0)
	}
}

// Bytes appends p with its length.
func (e *Encoder) Bytes(p []byte) {
	e.U32(uint32(len(p)))
	e.b = append(e.b, p...)
}

// String appends s with its length.
func (e *Encoder) String(s string) { e.Bytes([]byte(s)) }

// U64s appends a fixed-length run of values, without a length.
func (e *Encoder) U64s(v []uint64) {
	for _, x := range v {
		e.U64(x)
	}
}

// Decoder reads values back. The first error sticks: later reads return
// zeros, and Err tells what went wrong.
type Decoder struct {
	b   []byte
	err error
}

// NewDecoder reads from b, which it does not copy.
func NewDecoder(b []byte) *Decoder { return &Decoder{b: b} }

// Err returns the first error.
func (d *Decoder) Err() error { return d.err }

// Failf records an error found by the component, such as a value out of range.
func (d *Decoder) Failf(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf(format, args...)
	}
}

// Done returns the first error, or an error if bytes are left over.
func (d *Decoder) Done() error {
	if d.err == nil && len(d.b) != 0 {
		d.Failf("%d bytes left over", len(d.b))
	}
	return d.err
}

func (d *Decoder) take(n int) []byte {
	if d.err != nil {
		return nil
	}
	if n > len(d.b) {
		d.Failf("truncated: %d bytes wanted, %d left", n, len(d.b))
		return nil
	}
	p := d.b[:n]
	d.b = d.b[n:]
	return p
}

func (d *Decoder) U8() uint8 {
	if p := d.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (d *Decoder) U16() uint16 {
	if p := d.take(2); p != nil {
		return binary.LittleEndian.Uint16(p)
	}
	return 0
}

func (d *Decoder) U32() uint32 {
	if p := d.take(4); p != nil {
		return binary.LittleEndian.Uint32(p)
	}
	return 0
}

func (d *Decoder) U64() uint64 {
	if p := d.take(8); p != nil {
		return binary.LittleEndian.Uint64(p)
	}
	return 0
}

// Bool accepts 0 and 1 only.
func (d *Decoder) Bool() bool {
	v := d.U8()
	if v > 1 {
		d.Failf("boolean is %d, want 0 or 1", v)
	}
	return v == 1
}

// Bytes returns a copy of a byte string of at most max bytes.
func (d *Decoder) Bytes(max int) []byte {
	n := d.U32()
	if uint64(n) > uint64(max) {
		d.Failf("length %d is over the limit of %d", n, max)
		return nil
	}
	return append([]byte(nil), d.take(int(n))...)
}

// String returns a string of at most max bytes.
func (d *Decoder) String(max int) string { return string(d.Bytes(max)) }

// U64s fills v.
func (d *Decoder) U64s(v []uint64) {
	for i := range v {
		v[i] = d.U64()
	}
}
