// Package board is the physical layout of the reference board, the one that
// QEMU calls virt: its address map, the bus that finds a device by address,
// the interrupt wiring, the device tree and the boot protocols.
//
// It does not run anything and owns no goroutine: internal/machine does.
//
// Threads: a Bus is built by one goroutine and then read by every vCPU.
package board

import "doppel/internal/memory"

// Window is a range of guest physical addresses.
type Window struct {
	Name string
	Base memory.GPA
	Size uint64
}

// The address map.
const (
	MROMBase     memory.GPA = 0x1000
	MROMSize                = 0xf000
	FinisherBase memory.GPA = 0x10_0000
	RTCBase      memory.GPA = 0x10_1000
	ACLINTBase   memory.GPA = 0x200_0000
	PLICBase     memory.GPA = 0xc00_0000
	UARTBase     memory.GPA = 0x1000_0000
	VirtioBase   memory.GPA = 0x1000_1000
	VirtioStride            = 0x1000
	VirtioSlots             = 8
	FlashBase    memory.GPA = 0x2000_0000
	FlashSize               = 0x200_0000 // of each of the two banks
	FlashBanks              = 2
	RAMBase      memory.GPA = 0x8000_0000
)

// Interrupt numbers at the PLIC.
const (
	VirtioIRQ = 1 // of slot 0; slot n has VirtioIRQ+n
	UARTIRQ   = 10
	RTCIRQ    = 11
)

// Map lists the windows from the lowest address up. RAM's size is the
// machine's and is given as 0.
func Map() []Window {
	return []Window{
		{"mrom", MROMBase, MROMSize},
		{"finisher", FinisherBase, 0x1000},
		{"rtc", RTCBase, 0x1000},
		{"aclint", ACLINTBase, 0x1_0000},
		{"plic", PLICBase, 0x60_0000},
		{"uart", UARTBase, 0x100},
		{"virtio", VirtioBase, VirtioSlots * VirtioStride},
		{"flash", FlashBase, FlashBanks * FlashSize},
		{"ram", RAMBase, 0},
	}
}
