package hart

import "doppel/internal/fdt"

// Extensions lists what this package implements beyond the base architecture,
// by the names of the device tree's riscv,isa-extensions, in its order.
//
// The binding gives svade and svadu together a meaning: Svadu alone is
// switched on, both mean that it is off until software asks for it. That is
// how Reset leaves menvcfg.ADUE without and with M-mode software. Svvptc holds
// as long as engines keep no translation that failed.
func Extensions(supervisor bool) []string {
	if supervisor {
		return []string{"sscofpmf", "sstc", "svadu", "svinval", "svnapot", "svpbmt", "svvptc"}
	}
	return []string{"smstateen", "sscofpmf", "sstc", "svade", "svadu", "svinval", "svnapot", "svpbmt", "svvptc"}
}

// PMUNode describes the counters to M-mode firmware (binding riscv,pmu): the
// event of each of SBI's event numbers, and the counters that can count it.
func PMUNode() *fdt.Node {
	const programmable = 0xffff_fff8
	n := &fdt.Node{Name: "pmu"}
	n.Str("compatible", "riscv,pmu")
	n.U32("riscv,event-to-mhpmevent",
		EventCycles, 0, EventCycles,
		EventInstructions, 0, EventInstructions)
	n.U32("riscv,event-to-mhpmcounters",
		EventCycles, EventCycles, programmable|1<<0,
		EventInstructions, EventInstructions, programmable|1<<2)
	return n
}
