// Package sbi is the supervisor execution environment that the VMM itself is
// when no M-mode firmware runs: the RISC-V SBI specification 3.0 with the
// extensions Base, TIME, IPI, RFENCE, HSM, SRST, PMU, DBCN and FWFT, and the
// legacy calls, and, if the platform accounts for it, STA.
//
// It executes nothing and knows no machine: it acts on harts and on a
// Platform. It has no firmware counters, no PMU snapshots and no system
// suspend.
//
// Threads: Call and Enter run on the goroutine of the hart in question,
// between Runs, several harts at once; Save, Restore and Reset while no hart
// runs. SBI.mu guards the HSM states; nothing is called with it held.
package sbi

import (
	"fmt"
	"sync"

	"doppel/internal/riscv/hart"
)

// Platform is what the SBI asks of the machine around it. Its methods are
// called from any hart's goroutine and do not block.
type Platform interface {
	// Wake makes the loop that runs a hart call Enter soon, though Enter
	// returned false before.
	Wake(id int)
	// Reset ends or restarts the machine. The calling hart executes no more.
	Reset(kind ResetType, reason ResetReason)
	// WriteConsole takes the first bytes of p, as many as there is room for.
	WriteConsole(p []byte) int
	// ReadConsole fills the start of p with what was typed, perhaps nothing.
	ReadConsole(p []byte) int
}

// Action is what the loop that runs a hart does after Call.
type Action uint8

const (
	Continue Action = iota // run on
	Retry                  // run on a little later: the call waits for the console and will come again
	Halt                   // call Enter before running on: the hart is stopped or suspended
	Stop                   // the machine is about to end or restart: do not run on
)

func (a Action) String() string {
	names := [...]string{"continue", "retry", "halt", "stop"}
	if int(a) < len(names) {
		return names[a]
	}
	return fmt.Sprintf("Action(%d)", uint8(a))
}

// Error is the error code of an SBI call (sbi §3).
type Error int64

const (
	Success             Error = 0
	ErrFailed           Error = -1
	ErrNotSupported     Error = -2
	ErrInvalidParam     Error = -3
	ErrDenied           Error = -4
	ErrInvalidAddress   Error = -5
	ErrAlreadyAvailable Error = -6
	ErrAlreadyStarted   Error = -7
	ErrAlreadyStopped   Error = -8
	ErrNoShmem          Error = -9
)

func (e Error) String() string {
	names := [...]string{"success", "failed", "not supported", "invalid parameter", "denied", "invalid address",
		"already available", "already started", "already stopped", "no shared memory"}
	if e <= 0 && int(-e) < len(names) {
		return names[-e]
	}
	return fmt.Sprintf("Error(%d)", int64(e))
}

// Extension IDs.
const (
	extSetTimer        = 0x00 // legacy
	extPutchar         = 0x01
	extGetchar         = 0x02
	extClearIPI        = 0x03
	extSendIPI         = 0x04
	extRemoteFenceI    = 0x05
	extRemoteFence     = 0x06
	extRemoteFenceASID = 0x07
	extShutdown        = 0x08
	extBase            = 0x10
	extTIME            = 0x54494d45
	extIPI             = 0x735049
	extRFENCE          = 0x52464e43
	extHSM             = 0x48534d
	extSRST            = 0x53525354
	extPMU             = 0x504d55
	extDBCN            = 0x4442434e
	extFWFT            = 0x46574654
	extSTA             = 0x535441
)

// What Base tells.
const (
	specVersion = 3 << 24 // 3.0
	implID      = 0x444f50
	implVersion = 1
)

// SBI is one machine's.
type SBI struct {
	harts    []*hart.Hart
	platform Platform
	// StealTime offers STA: Stole and Preempted are called. Set it before the
	// first Call.
	StealTime bool

	mu  sync.Mutex
	hsm []hartState // one a hart
}

// New returns an SBI whose hart 0 is started and whose others are stopped. The
// IDs of the harts are their indices, and all have Config.Supervisor.
func New(harts []*hart.Hart, p Platform) *SBI {
	s := &SBI{harts: harts, platform: p, hsm: make([]hartState, len(harts))}
	s.Reset()
	return s
}

// ret is what a call returns.
type ret struct {
	err   Error
	value uint64
	// action is Continue for most. With Retry nothing is returned.
	action Action
}

func fail(e Error) ret    { return ret{err: e} }
func ok(value uint64) ret { return ret{value: value} }

// Call serves the ecall at the hart's PC, and moves PC past it unless the call
// is to come again or does not return.
func (s *SBI) Call(h *hart.Hart) Action {
	x := &h.X
	if x[17] <= extShutdown {
		return s.legacy(h, x[17])
	}
	r := s.dispatch(h, x[17], x[16], [5]uint64(x[10:15]))
	if r.action == Continue {
		h.PC += 4
		x[10], x[11] = uint64(r.err), r.value
	}
	return r.action
}

func (s *SBI) dispatch(h *hart.Hart, ext, fn uint64, a [5]uint64) ret {
	switch ext {
	case extBase:
		return s.base(fn, a[0])
	case extTIME:
		if fn == 0 {
			h.SetStimecmp(a[0]) // sbi §6.1; it clears the pending interrupt as well
			return ok(0)
		}
	case extIPI:
		if fn == 0 {
			return s.sendIPI(a[0], a[1])
		}
	case extRFENCE:
		return s.remoteFence(h, fn, a)
	case extHSM:
		return s.hartStateManagement(h, fn, a)
	case extSRST:
		if fn == 0 {
			return s.systemReset(ResetType(a[0]), ResetReason(a[1]))
		}
	case extPMU:
		return pmu(h, fn, a)
	case extDBCN:
		return s.debugConsole(h, fn, a)
	case extFWFT:
		return s.firmwareFeatures(h, fn, a)
	case extSTA:
		return s.stealTime(h, fn, a)
	}
	return fail(ErrNotSupported)
}

// base serves extension Base (sbi §4).
func (s *SBI) base(fn, a0 uint64) ret {
	switch fn {
	case 0:
		return ok(specVersion)
	case 1:
		return ok(implID)
	case 2:
		return ok(implVersion)
	case 3:
		if s.probe(a0) {
			return ok(1)
		}
		return ok(0)
	case 4, 5, 6: // mvendorid, marchid and mimpid are 0
		return ok(0)
	}
	return fail(ErrNotSupported)
}

// probe tells whether there is an extension.
func (s *SBI) probe(ext uint64) bool {
	if ext == extSTA {
		return s.StealTime
	}
	_, known := names[ext]
	return known || ext <= extShutdown
}

// ResetType is what a guest wants of a system reset (sbi §10.1).
type ResetType uint32

const (
	Shutdown ResetType = iota
	ColdReboot
	WarmReboot
)

func (t ResetType) String() string {
	names := [...]string{"shutdown", "cold reboot", "warm reboot"}
	if int(t) < len(names) {
		return names[t]
	}
	return fmt.Sprintf("ResetType(%d)", uint32(t))
}

// ResetReason is why (sbi §10.1).
type ResetReason uint32

const (
	NoReason ResetReason = iota
	SystemFailure
)

func (r ResetReason) String() string {
	names := [...]string{"no reason", "system failure"}
	if int(r) < len(names) {
		return names[r]
	}
	return fmt.Sprintf("ResetReason(%d)", uint32(r))
}

func (s *SBI) systemReset(kind ResetType, reason ResetReason) ret {
	if kind > WarmReboot || reason > SystemFailure {
		return fail(ErrInvalidParam)
	}
	s.platform.Reset(kind, reason)
	return ret{action: Stop}
}
