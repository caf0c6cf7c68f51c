package sbi

import (
	"doppel/internal/memory"
	"doppel/internal/state"
)

// StateName is the section's name.
func (s *SBI) StateName() string { return "sbi" }

// StateVersion is the version that Save writes.
func (s *SBI) StateVersion() uint32 { return 2 }

// Save writes the HSM state of the harts. No hart runs.
func (s *SBI) Save(e *state.Encoder) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.U32(uint32(len(s.hsm)))
	for i := range s.hsm {
		st := &s.hsm[i]
		e.U8(uint8(st.status.Load()))
		e.U64(st.pc)
		e.U64(st.opaque)
		e.Bool(st.entry)
		e.U8(st.locks)
		e.Bool(st.steal.on)
		e.U64(uint64(st.steal.at))
		e.U64(st.steal.total)
		e.U32(st.steal.sequence)
	}
}

// Restore replaces the HSM state. No hart runs. Version 1 has no steal time.
func (s *SBI) Restore(d *state.Decoder, version uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := d.U32(); d.Err() == nil && n != uint32(len(s.hsm)) {
		d.Failf("state of %d harts, this machine has %d", n, len(s.hsm))
		return d.Err()
	}
	for i := range s.hsm {
		st := &s.hsm[i]
		status := Status(d.U8())
		st.pc, st.opaque, st.entry = d.U64(), d.U64(), d.Bool()
		st.locks = d.U8() & (1<<featureMisalignedDeleg | 1<<featureADUpdating)
		st.steal = steal{}
		if version > 1 {
			st.steal = steal{d.Bool(), memory.GPA(d.U64()), d.U64(), d.U32()}
		}
		switch status {
		case Started, Stopped, StartPending, Suspended:
		default:
			d.Failf("hart %d: HSM state is %d", i, uint32(status))
		}
		switch at := st.steal.at; {
		case d.Err() != nil:
		case !st.steal.on && st.steal != (steal{}), st.steal.on && !canSteal(s.harts[i].Memory(), at), st.steal.sequence&1 != 0:
			d.Failf("hart %d: steal time at %#x", i, uint64(at))
		}
		if st.pc&1 != 0 {
			d.Failf("hart %d: start address %#x is odd", i, st.pc)
		}
		if d.Err() != nil {
			return d.Err()
		}
		st.status.Store(uint32(status))
	}
	return d.Err()
}
