package cputest

import (
	"testing"

	"doppel/internal/cpu"
)

// TB is what a check needs of testing.TB, so that a broken engine's failures
// can be caught.
type TB interface {
	Helper()
	Cleanup(func())
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Check is one rule of the contract.
type Check struct {
	Name string
	Func func(TB, New)
}

// Checks lists the suite.
func Checks() []Check {
	return []Check{
		{"Compute", checkCompute},
		{"ComputeX0", checkComputeX0},
		{"Branches", checkBranches},
		{"Jumps", checkJumps},
		{"Float", checkFloat},
		{"FloatModes", checkFloatModes},
		{"FloatState", checkFloatState},
		{"LoadStore", checkLoadStore},
		{"MMIO", checkMMIO},
		{"PageCrossing", checkPageCrossing},
		{"DataFaults", checkDataFaults},
		{"ROM", checkROM},
		{"CacheBlocks", checkCacheBlocks},
		{"DirtyLog", checkDirtyLog},
		{"Atomics", checkAtomics},
		{"Reservations", checkReservations},
		{"AtomicFaults", checkAtomicFaults},
		{"Privilege", checkPrivilege},
		{"Illegal", checkIllegal},
		{"SupervisorCall", checkSupervisorCall},
		{"Counters", checkCounters},
		{"Contexts", checkContexts},
		{"Fences", checkFences},
		{"FetchFaults", checkFetchFaults},
		{"SelfModifying", checkSelfModifying},
		{"AcrossPages", checkAcrossPages},
		{"Budget", checkBudget},
		{"TimerBetweenExits", checkTimerBetweenExits},
		{"Slicing", checkSlicing},
		{"SaveRestore", checkSaveRestore},
		{"Kick", checkKick},
		{"Interrupts", checkInterrupts},
		{"Halt", checkHalt},
		{"Reset", checkReset},
		{"Names", checkNames},
		{"ParallelAMO", checkParallelAMO},
		{"ParallelLRSC", checkParallelLRSC},
		{"ParallelCAS", checkParallelCAS},
		{"ParallelFence", checkParallelFence},
		{"ParallelCode", checkParallelCode},
		{"Hostile", checkHostile},
		{"HostileState", checkHostileState},
	}
}

// Run holds an engine to the whole contract.
func Run(t *testing.T, newEngine New) {
	for _, c := range Checks() {
		t.Run(c.Name, func(t *testing.T) { c.Func(t, newEngine) })
	}
}

// Finish runs the first hart until it spins at the label done.
func (m *Machine) Finish() {
	m.T.Helper()
	c, at := m.CPUs[0], m.Sym("done")
	for range 100 {
		m.exit(c.Run(10_000), cpu.ExitBudget)
		if c.Hart().PC == at {
			return
		}
	}
	m.T.Fatalf("pc is %#x after a million instructions, never at done; mcause %#x mtval %#x mepc %#x",
		c.Hart().PC, c.Hart().CSR.Mcause, c.Hart().CSR.Mtval, c.Hart().CSR.Mepc)
}

// exit fails unless e has the reason.
func (m *Machine) exit(e cpu.Exit, want cpu.ExitReason) {
	m.T.Helper()
	if e.Reason != want {
		h := m.Hart()
		m.T.Fatalf("exit %v (%v) at pc %#x, want %v; mcause %#x mtval %#x mepc %#x", e.Reason, e.Err, h.PC, want,
			h.CSR.Mcause, h.CSR.Mtval, h.CSR.Mepc)
	}
}

// step executes one instruction at the label.
func (m *Machine) step(label string) {
	m.T.Helper()
	m.Hart().PC = m.Sym(label)
	m.exit(m.CPUs[0].Run(1), cpu.ExitBudget)
}

// want compares a value.
func (m *Machine) want(what string, got, want uint64) {
	m.T.Helper()
	if got != want {
		m.T.Errorf("%s is %#x, want %#x", what, got, want)
	}
}
