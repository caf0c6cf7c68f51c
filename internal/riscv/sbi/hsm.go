package sbi

import (
	"fmt"
	"sync/atomic"

	"doppel/internal/memory"
	"doppel/internal/riscv/hart"
)

// Status is the HSM state of a hart (sbi §9). A state that ends in PENDING
// shows only while the hart's own goroutine has not yet noticed.
type Status uint32

const (
	Started        Status = 0
	Stopped        Status = 1
	StartPending   Status = 2
	StopPending    Status = 3 // not used: a hart stops itself at once
	Suspended      Status = 4
	SuspendPending Status = 5 // not used: a hart suspends itself at once
	ResumePending  Status = 6 // not used: a hart resumes itself at once
)

func (s Status) String() string {
	names := [...]string{"started", "stopped", "start pending", "stop pending", "suspended", "suspend pending", "resume pending"}
	if int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("Status(%d)", uint32(s))
}

// hartState is what the SBI keeps of a hart.
type hartState struct {
	// status changes with SBI.mu held; a hart's own goroutine reads it
	// without. Only others move it from Stopped, only the hart itself else.
	status atomic.Uint32
	// Where and with what to enter S-mode, when StartPending, or Suspended
	// and entry is set.
	pc, opaque uint64
	entry      bool
	locks      uint8 // locked features; the hart's own
	steal      steal
}

// Reset puts all harts in their state at power-on: hart 0 is started.
func (s *SBI) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.hsm {
		st := &s.hsm[i]
		st.pc, st.opaque, st.entry, st.locks, st.steal = 0, 0, false, 0, steal{}
		st.status.Store(uint32(Stopped))
		if i == 0 {
			st.status.Store(uint32(Started))
		}
	}
}

// Status returns a hart's HSM state, from any goroutine.
func (s *SBI) Status(id int) Status { return Status(s.hsm[id].status.Load()) }

// Enter tells whether a hart may run; if it was asked to start or has a reason
// to resume, it does so now. It is called on the hart's goroutine before each
// Run. After false the loop waits for Platform.Wake, or for a wake-up from the
// hart itself (an interrupt), and calls again.
func (s *SBI) Enter(id int) bool {
	st := &s.hsm[id]
	h := s.harts[id]
	switch Status(st.status.Load()) {
	case Started:
		return true
	case StartPending:
		s.mu.Lock()
		defer s.mu.Unlock()
		h.StartSupervisor(st.pc, st.opaque)
		st.locks, st.steal = 0, steal{}
		st.status.Store(uint32(Started))
		return true
	case Suspended:
		// sbi §9.4: an interrupt ends the suspension.
		if !h.InterruptPending() {
			return false
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if st.entry {
			h.ResumeSupervisor(st.pc, st.opaque)
			st.entry = false
		}
		st.status.Store(uint32(Started))
		return true
	}
	return false
}

func (s *SBI) hartStateManagement(h *hart.Hart, fn uint64, a [5]uint64) ret {
	switch fn {
	case 0:
		return s.startHart(h, a[0], a[1], a[2])
	case 1:
		s.setStatus(h.ID(), Stopped)
		return ret{action: Halt}
	case 2:
		if a[0] >= uint64(len(s.hsm)) {
			return fail(ErrInvalidParam)
		}
		st := s.Status(int(a[0]))
		if st == StartPending {
			h.Stall() // it waits for a hart that has not run yet
		}
		return ok(uint64(st))
	case 3:
		return s.suspendHart(h, uint32(a[0]), a[1], a[2])
	}
	return fail(ErrNotSupported)
}

func (s *SBI) setStatus(id int, to Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hsm[id].status.Store(uint32(to))
}

// startHart makes another hart ready to start (sbi §9.1).
func (s *SBI) startHart(h *hart.Hart, id, pc, opaque uint64) ret {
	if id >= uint64(len(s.hsm)) {
		return fail(ErrInvalidParam)
	}
	if !canEnter(h, pc) {
		return fail(ErrInvalidAddress)
	}
	if !s.markStart(int(id), pc, opaque) {
		return fail(ErrAlreadyAvailable)
	}
	s.platform.Wake(int(id))
	return ok(0)
}

func (s *SBI) markStart(id int, pc, opaque uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := &s.hsm[id]
	if Status(st.status.Load()) != Stopped {
		return false
	}
	st.pc, st.opaque = pc, opaque
	st.status.Store(uint32(StartPending))
	return true
}

// canEnter tells whether S-mode can begin to execute at a physical address.
func canEnter(h *hart.Hart, pc uint64) bool {
	return pc&1 == 0 && h.Memory().Find(memory.GPA(pc), 2) != nil
}

// Types of suspension (sbi §9.4).
const (
	retentive    = 0
	nonRetentive = 0x8000_0000
)

func (s *SBI) suspendHart(h *hart.Hart, kind uint32, pc, opaque uint64) ret {
	if kind != retentive && kind != nonRetentive {
		return fail(ErrInvalidParam)
	}
	st := &s.hsm[h.ID()]
	if kind == nonRetentive {
		if !canEnter(h, pc) {
			return fail(ErrInvalidAddress)
		}
		st.pc, st.opaque, st.entry = pc, opaque, true
	} else {
		// The call returns when the hart resumes.
		h.PC += 4
		h.X[10], h.X[11] = uint64(Success), 0
		st.entry = false
	}
	s.setStatus(h.ID(), Suspended)
	return ret{action: Halt}
}
