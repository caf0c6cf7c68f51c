package devicetest

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"doppel/internal/device"
)

type opKind uint8

const (
	opRead opKind = iota
	opWrite
	opAdvance
)

func (k opKind) String() string { return [...]string{"read", "write", "advance"}[k] }

// op is one thing that happens to a device.
type op struct {
	kind  opKind
	off   uint64
	size  int
	value uint64 // to write, or nanoseconds
}

func (o op) String() string {
	return fmt.Sprintf("%s of %d bytes at %#x, value %#x", o.kind, o.size, o.off, o.value)
}

// result is what is seen of an op.
type result struct {
	value uint64
	ok    bool
}

func mask(size int) uint64 { return ^uint64(0) >> (64 - 8*size) }

func (o op) do(env *Env, d device.Device, r *result) error {
	var got result
	switch o.kind {
	case opRead:
		got.value, got.ok = d.Read(o.off, o.size)
		if got.value&^mask(o.size) != 0 {
			return fmt.Errorf("%v returns %#x, which does not fit", o, got.value)
		}
	case opWrite:
		got.ok = d.Write(o.off, o.size, o.value)
	case opAdvance:
		env.Clock.Advance(o.value)
	}
	if r != nil {
		*r = got
	}
	return nil
}

// opBytes is the length of an encoded op.
const opBytes = 16

// decodeOp makes any bytes an op within a window.
func decodeOp(b []byte, window uint64) op {
	o := op{kind: opKind(b[0] % 2), size: 1 << (b[0] >> 2 & 3)}
	if b[0]>>4 == 0xf {
		return op{kind: opAdvance, size: 1, value: uint64(binary.LittleEndian.Uint32(b[8:]))}
	}
	off := uint64(binary.LittleEndian.Uint32(b[2:]))
	if b[1]&1 != 0 { // most registers are near the start
		off &= 0x3f
	}
	o.off = off % window &^ uint64(o.size-1)
	o.value = binary.LittleEndian.Uint64(b[8:]) & mask(o.size)
	if b[1]&2 != 0 {
		o.value &= 0xff
	}
	return o
}

func randomOp(rnd *rand.Rand, window uint64) op {
	var b [opBytes]byte
	binary.LittleEndian.PutUint64(b[:], rnd.Uint64())
	binary.LittleEndian.PutUint64(b[8:], rnd.Uint64())
	return decodeOp(b[:], window)
}

func randomOps(rnd *rand.Rand, env *Env, d device.Device, n int) error {
	for range n {
		if err := randomOp(rnd, d.Size()).do(env, d, nil); err != nil {
			return err
		}
	}
	return nil
}
