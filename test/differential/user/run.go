package user

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"doppel/internal/cpu"
	"doppel/internal/memory"
	"doppel/internal/riscv"
	"doppel/test/bare"
	"doppel/test/differential/gen"
	"doppel/test/oracle"
)

// record is the state that a program ends with, as the driver stores it.
type record []byte

func (r record) x(n int) uint64  { return binary.LittleEndian.Uint64(r[blockX+8*n:]) }
func (r record) f(n int) uint64  { return binary.LittleEndian.Uint64(r[blockF+8*n:]) }
func (r record) fcsr() uint64    { return binary.LittleEndian.Uint64(r[blockFCSR:]) }
func (r record) scratch() []byte { return r[blockScratch:] }

// runQEMU returns the records of the programs that came to their end, and what
// went wrong if not all did.
func runQEMU(dir string, q *oracle.QEMU, im *image) ([]record, error) {
	file := filepath.Join(dir, "image.elf")
	if err := os.WriteFile(file, im.elfFile(), 0o755); err != nil {
		return nil, err
	}
	cmd := q.Command("-cpu", cpuModel(q), file)
	// A program that never ends fails the run instead of hanging it.
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second+time.Duration(len(im.programs))*time.Millisecond)
	defer cancel()
	env := cmd.Env
	cmd = exec.CommandContext(ctx, cmd.Path, cmd.Args[1:]...)
	cmd.Env = env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if err != nil {
		err = fmt.Errorf("%v: %w %s", cmd.Args, err, bytes.TrimSpace(errs.Bytes()))
	}
	recs := make([]record, 0, len(im.programs))
	for b := out.Bytes(); len(b) >= recordSize; b = b[recordSize:] {
		recs = append(recs, b[:recordSize])
	}
	if err == nil && len(recs) != len(im.programs) {
		err = fmt.Errorf("%d records of %d programs", len(recs), len(im.programs))
	}
	return recs, err
}

// cpuModel is the processor that QEMU is to be.
func cpuModel(q *oracle.QEMU) string {
	if q.AtLeast(8, 2) {
		return "max"
	}
	return "rv64,zba=true,zbb=true,zbc=true,zbs=true,zbkb=true,zfhmin=true"
}

// since tells from which version on QEMU has an extension that not all have.
var since = map[riscv.Extension][2]int{
	riscv.ExtZicond: {8, 2},
	riscv.ExtZacas:  {9, 0},
	riscv.ExtZfa:    {8, 2},
	riscv.ExtZcb:    {8, 2},
	riscv.ExtZimop:  {9, 1},
	riscv.ExtZcmop:  {9, 1},
	riscv.ExtZicboz: {8, 2},
	riscv.ExtZicbom: {8, 2},
	riscv.ExtZicbop: {8, 2},
	riscv.ExtZawrs:  {8, 2},
}

func has(q *oracle.QEMU) func(riscv.Extension) bool {
	return func(e riscv.Extension) bool {
		v, late := since[e]
		return !late || q.AtLeast(v[0], v[1])
	}
}

// Mode is how an engine runs the programs.
type Mode uint8

const (
	Machine  Mode = iota // in M-mode
	User                 // in U-mode, addresses not translated
	UserSv39             // in U-mode with Sv39, the halves of the scratch memory apart
)

func (m Mode) String() string {
	switch m {
	case Machine:
		return "M-mode"
	case User:
		return "U-mode"
	case UserSv39:
		return "U-mode with Sv39"
	}
	return fmt.Sprintf("Mode(%d)", uint8(m))
}

// Modes lists them.
var Modes = []Mode{Machine, User, UserSv39}

// finisher is where driver.asm ends the run.
const finisher = 0x10_0000

// runEngine is runQEMU on an engine. slice is how many instructions it runs at
// a time: the answer must not depend on it.
func runEngine(tb testing.TB, e bare.Engine, im *image, mode Mode, slice uint64) ([]record, error) {
	return runMachine(tb, e, im, mode, slice, false)
}

// runMachine is runEngine; with move the state moves to a new processor after
// each slice.
func runMachine(tb testing.TB, e bare.Engine, im *image, mode Mode, slice uint64, move bool) ([]record, error) {
	m := bare.New(tb, e, bare.Config{RAMSize: (uint64(len(im.bytes))+0x20_0000)&^0x1f_ffff + 1<<21})
	m.Load(bare.Base, im.bytes)
	mpp, satp := uint64(3)<<11, uint64(0)
	if mode != Machine {
		mpp = 0
	}
	if mode == UserSv39 {
		satp = mapSv39(m)
	}
	boot := m.RAM[im.boot-bare.Base:]
	binary.LittleEndian.PutUint64(boot[im.mode-im.boot:], mpp)
	binary.LittleEndian.PutUint64(boot[im.root-im.boot:], satp)
	m.Start(im.boot)
	m.Move = move
	ended, call := false, uint64(0)
	m.MMIO = func(a cpu.MMIO) (uint64, bool) {
		if a.Addr != finisher || !a.Write {
			return 0, false
		}
		ended, call = true, a.Data
		return 0, true
	}
	limit := 200_000 + uint64(len(im.programs))*20_000
	err := m.Run(limit, slice, func() bool { return ended })
	if err == nil && call != exitCall || m.Hart.CSR.Mcause < 8 || m.Hart.CSR.Mcause > 11 {
		err = fmt.Errorf("ended by %v, mepc %#x, mtval %#x (%v)", riscv.Cause(m.Hart.CSR.Mcause), m.Hart.CSR.Mepc, m.Hart.CSR.Mtval, err)
	}
	recs := make([]record, len(im.programs))
	for i := range recs {
		recs[i] = append(record(nil), m.RAM[block(i)+recordAt-bare.Base:][:recordSize]...)
	}
	return recs, err
}

// exitCall is Linux's number of exit.
const exitCall = 93

// mapSv39 maps all memory where it is, except that the second page of the
// scratch memory is moved, so that accesses across the boundary meet two
// places. It returns satp.
func mapSv39(m *bare.Machine) uint64 {
	end := uint64(len(m.RAM))
	// The last 2 MiB are free: tables, and the page that stands in.
	root, l1, l0 := end-0x1000, end-0x2000, end-0x3000
	other := end - 0x10_0000
	put := func(table, i, pte uint64) { binary.LittleEndian.PutUint64(m.RAM[table+8*i:], pte) }
	ppn := func(off uint64) uint64 { return (bare.Base + off) >> 12 << 10 }
	const table, leaf = 0x01, 0xdf // V; V R W X U A D
	put(root, bare.Base>>30, ppn(l1)|table)
	for i := uint64(1); i < end>>21; i++ {
		put(l1, i, ppn(i<<21)|leaf)
	}
	put(l1, 0, ppn(l0)|table)
	for i := range uint64(512) {
		put(l0, i, ppn(i<<12)|leaf)
	}
	second := uint64(scratchAt + gen.ScratchSize/2 - bare.Base)
	put(l0, second>>12, ppn(other)|leaf)
	copy(m.RAM[other:][:0x1000], m.RAM[second:])
	return 8<<60 | uint64(memory.GPA(bare.Base)+memory.GPA(root))>>12
}
