// Package cpu is the contract between a machine and the engines that run its
// guest's instructions. It is neutral to the guest's instruction set.
//
// A vCPU is run by one goroutine at a time. Kick, SetInterrupt and
// RequestFlush may come from any goroutine at any time. All engines act on the
// same explicit architectural state, so a machine can change engine at any
// exit.
package cpu

import (
	"fmt"

	"doppel/internal/memory"
	"doppel/internal/state"
)

// ExitReason tells why Run returned.
type ExitReason uint8

const (
	ExitBudget     ExitReason = iota // the instruction budget is spent
	ExitKicked                       // Kick was called
	ExitMMIO                         // an access that memory does not hold: see Exit.MMIO
	ExitHalt                         // the vCPU waits for an interrupt (WFI)
	ExitCall                         // a supervisor call to the VMM (SBI); pc is at the call
	ExitBreakpoint                   // a debugger's breakpoint, before the instruction at pc
	ExitWatchpoint                   // a debugger's watchpoint: see Exit.MMIO.Addr
	ExitError                        // the engine cannot go on: see Exit.Err
)

func (r ExitReason) String() string {
	names := [...]string{"budget", "kicked", "mmio", "halt", "call", "breakpoint", "watchpoint", "error"}
	if int(r) < len(names) {
		return names[r]
	}
	return fmt.Sprintf("ExitReason(%d)", uint8(r))
}

// MMIO is an access to a physical address outside memory.
type MMIO struct {
	Addr  memory.GPA
	Size  uint8 // 1, 2, 4 or 8; Addr is aligned to it
	Write bool
	Data  uint64 // the value to write, zero-extended
}

// Exit is what Run returns.
type Exit struct {
	Reason ExitReason
	MMIO   MMIO
	Err    error
}

// VCPU is a virtual processor.
type VCPU interface {
	state.Component

	// ID is the processor's number in its machine, from 0.
	ID() int
	// Run executes at most budget instructions (an instruction that traps
	// counts as one) and returns at an exit. After ExitMMIO, CompleteMMIO must
	// come before the next Run or Save.
	Run(budget uint64) Exit
	// CompleteMMIO ends the access of the last ExitMMIO: value is what was
	// read, and ok is false if nothing answered (the guest takes an access
	// fault).
	CompleteMMIO(value uint64, ok bool)
	// Kick makes a Run in progress, or else the next one, return ExitKicked
	// soon. Kicks do not add up.
	Kick()
	// SetInterrupt sets the level of one of the vCPU's interrupt inputs; the
	// numbers belong to the instruction set.
	SetInterrupt(line uint, asserted bool)
	// Runnable tells whether a halted vCPU has a reason to go on.
	Runnable() bool
	// OnWake sets a function that is called, from any goroutine, when a halted
	// vCPU may have become runnable or was kicked. Set it before the first Run.
	OnWake(func())
	// FlushTLB forgets all cached address translations, before the next
	// instruction. The vCPU is not running.
	FlushTLB()
	// Instructions is the number of instructions retired since the machine's
	// start. The vCPU is not running.
	Instructions() uint64
	// Reset puts the vCPU in its state at power-on.
	Reset()
}
