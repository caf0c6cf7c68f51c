// Package user compares random unprivileged programs on every engine with
// user-mode QEMU: thousands of programs in one image, which runs as a Linux
// program under QEMU and on bare memory under an engine, at the same addresses.
package user

import (
	_ "embed"
	"encoding/binary"

	"doppel/internal/riscv"
	"doppel/internal/riscv/asm"
	"doppel/test/bare"
	"doppel/test/differential/gen"
)

// Where things are in the image.
const (
	driverAt  = bare.Base
	scratchAt = bare.Base + 0x10_0000 - gen.ScratchSize/2
	blocksAt  = bare.Base + 0x11_0000
)

// A block holds the state that a program starts from and, behind it, the one
// that it ends with. GP points to its middle, so that all of it is in reach of
// a 12-bit offset. driver.asm knows the layout.
const (
	blockX       = 0
	blockF       = blockX + 32*8
	blockFCSR    = blockF + 32*8
	blockScratch = blockFCSR + 8
	recordAt     = blockScratch + gen.ScratchSize // the final state, laid out likewise
	recordSize   = recordAt
	blockSize    = recordAt + recordSize
	middle       = 1024
)

//go:embed driver.asm
var driver string

// image is a set of programs, ready to run.
type image struct {
	programs []*gen.Program
	at       []uint64 // address of each program
	bytes    []byte   // from bare.Base
	boot     uint64   // where an engine starts, in M-mode
	start    uint64   // where QEMU starts
	mode     uint64   // what boot adds to mstatus
	root     uint64   // what boot writes to satp
}

func block(i int) uint64 { return blocksAt + uint64(i)*blockSize }

// build lays the programs out. The driver goes through them one by one.
func build(programs []*gen.Program) *image {
	im := &image{programs: programs}
	code := (block(len(programs)) + 0xfff) &^ 0xfff
	d := asm.MustAssemble(driver, asm.Options{Origin: driverAt, Symbols: map[string]uint64{
		"SCRATCH": scratchAt, "SCRATCH_SIZE": gen.ScratchSize, "PROGRAMS": code,
		"IN_X": blockX, "IN_F": blockF, "IN_FCSR": blockFCSR, "IN_SCRATCH": blockScratch,
		"OUT": recordAt, "OUT_SIZE": recordSize, "MIDDLE": middle,
	}})
	buf := make([]byte, code-bare.Base, code-bare.Base+uint64(len(programs))*256)
	copy(buf, d.Code)
	for i, p := range programs {
		b := buf[block(i)-bare.Base:][:blockSize]
		for r := range 32 {
			binary.LittleEndian.PutUint64(b[blockX+8*r:], p.X[r])
			binary.LittleEndian.PutUint64(b[blockF+8*r:], p.F[r])
		}
		binary.LittleEndian.PutUint64(b[blockFCSR:], p.FCSR)
		copy(b[blockScratch:], p.Scratch[:])
	}
	for i, p := range programs {
		gp := block(i) + middle
		hi, lo := split(gp - here(buf))
		buf = emit(buf, riscv.Inst{Op: riscv.AUIPC, Rd: gen.GP, Imm: hi},
			riscv.Inst{Op: riscv.ADDI, Rd: gen.GP, Rs1: gen.GP, Imm: lo})
		buf = call(buf, d.Symbols["enter"])
		buf = emit(buf, riscv.Inst{Op: riscv.LD, Rd: link, Rs1: gen.GP, Imm: blockX + 8*link - middle})
		im.at = append(im.at, here(buf))
		buf = p.Append(buf)
		buf = emit(buf, riscv.Inst{Op: riscv.SD, Rs2: link, Rs1: gen.GP, Imm: recordAt + 8*link - middle})
		buf = call(buf, d.Symbols["leave"])
	}
	im.bytes = append(buf, asm.MustAssemble("li a7, 93\nli a0, 0\necall", asm.Options{}).Code...)
	im.boot, im.start = d.Symbols["boot"], d.Symbols["start"]
	im.mode, im.root = d.Symbols["mode"], d.Symbols["root"]
	return im
}

// link is the register through which the driver is called. All others hold
// the program's values by then.
const link = 5

// here is the address of the next byte.
func here(buf []byte) uint64 { return bare.Base + uint64(len(buf)) }

// call emits a call of the driver.
func call(buf []byte, to uint64) []byte {
	pc := here(buf)
	hi, lo := split(to - pc)
	return emit(buf, riscv.Inst{Op: riscv.AUIPC, Rd: link, Imm: hi},
		riscv.Inst{Op: riscv.JALR, Rd: link, Rs1: link, Imm: lo})
}

// split divides a distance between auipc and the instruction that adds the rest.
func split(d uint64) (hi, lo int64) {
	lo = int64(d<<52) >> 52
	return int64(d) - lo, lo
}

func emit(buf []byte, insts ...riscv.Inst) []byte {
	for _, i := range insts {
		raw, err := riscv.Encode(i)
		if err != nil {
			panic("BUG: test image: " + err.Error())
		}
		buf = binary.LittleEndian.AppendUint32(buf, raw)
	}
	return buf
}
