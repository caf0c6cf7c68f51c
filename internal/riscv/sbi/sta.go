package sbi

import (
	"encoding/binary"

	"doppel/internal/memory"
	"doppel/internal/riscv/hart"
)

// Steal-time accounting (sbi §16): what a hart tells its supervisor of the time
// in which it was ready and did not run. The structure is 64 bytes of the
// supervisor's memory.
const (
	staSize      = 64
	staSequence  = 0  // 4 bytes, odd while steal is being written
	staSteal     = 8  // 8 bytes, nanoseconds
	staPreempted = 16 // 1 byte
)

// steal is a hart's, and belongs to the goroutine that runs it.
type steal struct {
	on       bool
	at       memory.GPA // of the structure
	total    uint64     // what is in the structure
	sequence uint32
}

// stealTime serves extension STA.
func (s *SBI) stealTime(h *hart.Hart, fn uint64, a [5]uint64) ret {
	if fn != 0 || !s.StealTime {
		return fail(ErrNotSupported)
	}
	st := &s.hsm[h.ID()].steal
	lo, hi, flags := a[0], a[1], a[2]
	switch {
	case flags != 0:
		return fail(ErrInvalidParam)
	case lo == ^uint64(0) && hi == ^uint64(0):
		*st = steal{}
		return ok(0)
	case lo%staSize != 0:
		return fail(ErrInvalidParam)
	case hi != 0 || !canSteal(h.Memory(), memory.GPA(lo)):
		return fail(ErrInvalidAddress)
	}
	if h.Memory().WriteAt(make([]byte, staSize), memory.GPA(lo)) != nil {
		return fail(ErrInvalidAddress)
	}
	*st = steal{on: true, at: memory.GPA(lo)}
	return ok(0)
}

// canSteal tells whether a structure can be at gpa.
func canSteal(mem *memory.Space, gpa memory.GPA) bool {
	r := mem.Find(gpa, staSize)
	return gpa%staSize == 0 && r != nil && r.Writable()
}

// Stole adds to a hart's steal time and says that it runs again. It is called
// on the hart's goroutine, before Run.
func (s *SBI) Stole(id int, ns uint64) {
	st := &s.hsm[id].steal
	if !st.on {
		return
	}
	mem := s.harts[id].Memory()
	if ns != 0 {
		st.total += ns
		st.sequence++
		mem.StoreU32(st.at+staSequence, st.sequence)
		mem.WriteAt(binary.LittleEndian.AppendUint64(nil, st.total), st.at+staSteal)
		st.sequence++
		mem.StoreU32(st.at+staSequence, st.sequence)
	}
	mem.WriteAt([]byte{0}, st.at+staPreempted)
}

// Preempted says that a hart, which is ready, does not run until Stole. It is
// called on the hart's goroutine.
func (s *SBI) Preempted(id int) {
	if st := &s.hsm[id].steal; st.on {
		s.harts[id].Memory().WriteAt([]byte{1}, st.at+staPreempted)
	}
}
