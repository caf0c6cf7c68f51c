// Package entropy gives a machine its randomness. No device or engine asks
// the host for random bytes: all of them pass through the machine's Source, so
// that a machine started with a seed is repeatable.
//
// Any goroutine may use a Source.
package entropy

import (
	"crypto/rand"
	"encoding/binary"
	mrand "math/rand/v2"
	"sync"

	"doppel/internal/state"
)

// Source fills p with random bytes. It never fails and never blocks for long.
type Source interface {
	Fill(p []byte)
}

// Host draws from the host's generator.
type Host struct{}

func (Host) Fill(p []byte) {
	// crypto/rand.Read never returns an error; it ends the process instead.
	rand.Read(p)
}

func (Host) StateName() string                        { return "entropy" }
func (Host) StateVersion() uint32                     { return 1 }
func (Host) Save(e *state.Encoder)                    { e.Bytes(nil) }
func (Host) Restore(d *state.Decoder, _ uint32) error { d.Bytes(maxSeeded); return d.Err() }

const maxSeeded = 256

// Seeded is a repeatable source, for tests and replay. It is not secret.
type Seeded struct {
	mu  sync.Mutex
	gen *mrand.ChaCha8
}

// NewSeeded returns the source that belongs to seed.
func NewSeeded(seed uint64) *Seeded {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	return &Seeded{gen: mrand.NewChaCha8(key)}
}

func (s *Seeded) Fill(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gen.Read(p) // documented to return no error
}

func (s *Seeded) StateName() string    { return "entropy" }
func (s *Seeded) StateVersion() uint32 { return 1 }

func (s *Seeded) Save(e *state.Encoder) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, _ := s.gen.MarshalBinary() // documented to return no error
	e.Bytes(b)
}

func (s *Seeded) Restore(d *state.Decoder, _ uint32) error {
	b := d.Bytes(maxSeeded)
	if d.Err() != nil || len(b) == 0 { // empty: saved from a host source
		return d.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gen.UnmarshalBinary(b)
}
