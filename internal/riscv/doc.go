// Package riscv holds the facts of the guest architecture: the instructions, how they are encoded, their names, the
// control and status registers, trap causes and the layout of the registers that software shares with the hardware.
// It decodes and disassembles; folder asm assembles from the same table.
//
// It executes nothing and holds no state: everything is a constant, a read-only table built at program start, or a
// pure function, so any goroutine may call anything here and there are no locks.
package riscv
