package riscv

import "strconv"

// Privilege is a privilege mode, with the manual's encoding (priv §1.2).
type Privilege uint8

const (
	User       Privilege = 0
	Supervisor Privilege = 1
	Machine    Privilege = 3
)

// String returns "U", "S" or "M".
func (p Privilege) String() string {
	switch p {
	case User:
		return "U"
	case Supervisor:
		return "S"
	case Machine:
		return "M"
	}
	return "privilege " + strconv.Itoa(int(p))
}

// Cause is a trap cause as mcause and scause hold it: InterruptBit and a code.
type Cause uint64

// InterruptBit is set in the causes of interrupts.
const InterruptBit Cause = 1 << 63

// Exception causes (priv §3.1.15).
const (
	InstructionAddressMisaligned Cause = 0
	InstructionAccessFault       Cause = 1
	IllegalInstruction           Cause = 2
	Breakpoint                   Cause = 3
	LoadAddressMisaligned        Cause = 4
	LoadAccessFault              Cause = 5
	StoreAddressMisaligned       Cause = 6 // also AMO
	StoreAccessFault             Cause = 7 // also AMO
	EnvironmentCallFromU         Cause = 8
	EnvironmentCallFromS         Cause = 9
	EnvironmentCallFromM         Cause = 11
	InstructionPageFault         Cause = 12
	LoadPageFault                Cause = 13
	StorePageFault               Cause = 15 // also AMO
	DoubleTrap                   Cause = 16
	SoftwareCheck                Cause = 18
	HardwareError                Cause = 19
)

// Interrupt causes (priv §3.1.15; LocalCounterOverflow: Sscofpmf).
const (
	SupervisorSoftwareInterrupt Cause = InterruptBit | 1
	MachineSoftwareInterrupt    Cause = InterruptBit | 3
	SupervisorTimerInterrupt    Cause = InterruptBit | 5
	MachineTimerInterrupt       Cause = InterruptBit | 7
	SupervisorExternalInterrupt Cause = InterruptBit | 9
	MachineExternalInterrupt    Cause = InterruptBit | 11
	LocalCounterOverflow        Cause = InterruptBit | 13
)

// Interrupt reports whether this is the cause of an interrupt.
func (c Cause) Interrupt() bool { return c&InterruptBit != 0 }

// Code returns the cause without InterruptBit.
func (c Cause) Code() uint64 { return uint64(c &^ InterruptBit) }

// String names the cause, or gives its number where the manual has no name.
func (c Cause) String() string {
	if n, ok := causeNames[c]; ok {
		return n
	}
	if c.Interrupt() {
		return "interrupt " + strconv.FormatUint(c.Code(), 10)
	}
	return "exception " + strconv.FormatUint(uint64(c), 10)
}

var causeNames = map[Cause]string{
	InstructionAddressMisaligned: "instruction address misaligned",
	InstructionAccessFault:       "instruction access fault",
	IllegalInstruction:           "illegal instruction",
	Breakpoint:                   "breakpoint",
	LoadAddressMisaligned:        "load address misaligned",
	LoadAccessFault:              "load access fault",
	StoreAddressMisaligned:       "store/AMO address misaligned",
	StoreAccessFault:             "store/AMO access fault",
	EnvironmentCallFromU:         "environment call from U-mode",
	EnvironmentCallFromS:         "environment call from S-mode",
	EnvironmentCallFromM:         "environment call from M-mode",
	InstructionPageFault:         "instruction page fault",
	LoadPageFault:                "load page fault",
	StorePageFault:               "store/AMO page fault",
	DoubleTrap:                   "double trap",
	SoftwareCheck:                "software check",
	HardwareError:                "hardware error",
	SupervisorSoftwareInterrupt:  "supervisor software interrupt",
	MachineSoftwareInterrupt:     "machine software interrupt",
	SupervisorTimerInterrupt:     "supervisor timer interrupt",
	MachineTimerInterrupt:        "machine timer interrupt",
	SupervisorExternalInterrupt:  "supervisor external interrupt",
	MachineExternalInterrupt:     "machine external interrupt",
	LocalCounterOverflow:         "local counter overflow interrupt",
}
