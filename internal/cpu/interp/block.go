package interp

import (
	"bytes"
	"unsafe"

	"doppel/internal/memory"
	"doppel/internal/riscv"
)

// Limits of the decode cache.
const (
	// maxBlock is in instructions. A block goes on after a branch that is not
	// taken: the longer it may be, the more often is the same code in several.
	maxBlock      = 16
	maxCacheBytes = 96 << 20 // of one vCPU: see blockCache
	// With a translator what runs often is soon the translator's.
	maxColdBytes = 12 << 20
)

// Ops of the executor's own, after those of the instruction set.
const (
	opNop    = riscv.NumOps + iota // changes nothing but pc
	opFall                         // no instruction: the block goes on elsewhere
	opJump                         // JAL with rd = x0
	opAcross                       // an instruction that lies in two pages
	opDrop                         // a load with rd = x0; the load's Op is in rs2
	numOps
)

// noLink in inst.rd says that a successor is found by virtual address only.
const noLink = 255

// inst is a decoded instruction in the form that the executor wants.
type inst struct {
	imm int64 // for floating point: rm, and rs3 << 8
	op  riscv.Op
	off uint16 // bytes from the start of the block
	rd  uint8  // for branches, opJump and opFall: an index into block.links
	rs1 uint8  // for JAL: an index into block.links
	rs2 uint8  // for JAL and JALR: the instruction's length; for LR: its rl bit
	n   uint8  // instructions before this one in the block
}

// next is the instruction after in; every block ends with an opFall.
func (in *inst) next() *inst {
	return (*inst)(unsafe.Add(unsafe.Pointer(in), unsafe.Sizeof(inst{})))
}

// block is a run of instructions in one page, entered at its start only. A
// conditional branch that is not taken stays in the block, unless a translator
// has what is hot: then a block that is decoded is likely to be run few times,
// and it does not pay that the targets of branches are decoded with several
// others. Blocks are known by physical address, so that address spaces share
// them.
//
// A block belongs to a generation. When that is not the engine's (there was a
// fence.i), the block's bytes are compared with memory before it is entered,
// and if they differ it is decoded again in place: links to it stay valid.
type block struct {
	first *inst          // of need and the opFall, and then the bytes that were decoded
	host  unsafe.Pointer // where they are; nil in a Common
	gpa   memory.GPA
	gen   uint64  // generation in which the bytes were last equal to memory
	heat  int64   // passes until the block is a translator's
	links **block // successors in the same page, nil until known
	chain *block  // the next in its bucket
	need  uint8   // the most instructions that a pass retires
	size  uint8   // bytes of code
	slots uint8   // links
}

// A block is a line of the host's cache.
var _ = [1]struct{}{}[unsafe.Sizeof(block{})-64]

// code is all of the block, with its opFall.
func (b *block) code() []inst { return unsafe.Slice(b.first, int(b.need)+1) }

// whole is the code and the bytes behind it.
func (b *block) whole() []inst {
	return unsafe.Slice(b.first, int(b.need)+1+rawInsts(int(b.size)))
}

// rawInsts is how many instructions' place n bytes take.
func rawInsts(n int) int { return (n + int(unsafe.Sizeof(inst{})) - 1) / int(unsafe.Sizeof(inst{})) }

// maxWhole is the longest a block can be.
const maxWhole = maxBlock + 1 + 4*maxBlock/16

// raw is the bytes that were decoded.
func (b *block) raw() []byte {
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(b.first), (uintptr(b.need)+1)*unsafe.Sizeof(inst{}))), b.size)
}

// link is a slot for a successor, of which there are b.slots.
func (b *block) link(slot uint8) **block {
	return (**block)(unsafe.Add(unsafe.Pointer(b.links), uintptr(slot)*unsafe.Sizeof(b.links)))
}

// decode fills b from memory, where it is at host. The bytes are copied first:
// other harts may store to them meanwhile.
func (v *VCPU) decode(b *block, host unsafe.Pointer) {
	var raw [4 * maxBlock]byte
	c := &v.blocks.young
	code := c.insts.peek(maxWhole)
	start := int(b.gpa & pageMask)
	size := copy(raw[:], unsafe.Slice((*byte)(host), memory.PageSize-start))
	v.nlinks = 0
	n, off := 0, 0
	for more := true; more && n < maxBlock; n++ {
		d, ok := decodeAt(raw[off:size])
		if !ok {
			break
		}
		code[n] = v.lower(b, d, off)
		code[n].n = uint8(n)
		off += int(d.Len)
		more = !ends(d.Op) && !(v.basic && isBranch(d.Op))
	}
	fall := inst{op: opFall, n: uint8(n)}
	b.need = uint8(n)
	if n == 0 {
		// The first instruction runs into the next page.
		code[0] = inst{op: opAcross, rd: noLink}
		b.need, n, off = 1, 1, 2
	}
	fall.off, fall.rd = uint16(off), v.link(b, int64(off))
	code[n] = fall
	b.first, b.size = &code[0], uint8(off)
	copy(b.raw(), raw[:off])
	c.insts.cut(len(b.whole()))
	b.gen, b.heat = v.gen, v.heat
	if v.heatOf != nil {
		b.heat = v.heatOf(b.gpa)
	}
	c.makeLinks(b, v.nlinks)
	c.bytes += b.bytes()
}

// decodeAt decodes the instruction at the start of p, or tells that p ends in
// the middle of it.
func decodeAt(p []byte) (riscv.Inst, bool) {
	if len(p) < 2 {
		return riscv.Inst{}, false
	}
	raw := uint32(p[0]) | uint32(p[1])<<8
	if raw&3 == 3 {
		if len(p) < 4 {
			return riscv.Inst{}, false
		}
		raw |= uint32(p[2])<<16 | uint32(p[3])<<24
	}
	return riscv.Decode(raw), true
}

// link makes room, in the block that is being decoded, for a successor at off
// bytes from its start and returns the index, or noLink if the successor is in
// another page: only within the page is its physical address the same in every
// address space.
func (v *VCPU) link(b *block, off int64) uint8 {
	if at := int64(b.gpa&(memory.PageSize-1)) + off; at < 0 || at >= memory.PageSize {
		return noLink
	}
	v.nlinks++
	return uint8(v.nlinks - 1)
}

// ends tells whether a block goes on after op nowhere, or by a link only.
func ends(op riscv.Op) bool {
	switch op {
	case riscv.ILLEGAL, riscv.JAL, riscv.JALR, riscv.FENCE_I:
		return true
	}
	return riscv.ECALL <= op && op < riscv.CSRRW
}

func isBranch(op riscv.Op) bool { return riscv.BEQ <= op && op <= riscv.BGEU }

// lower puts a decoded instruction in the executor's form.
func (v *VCPU) lower(b *block, d riscv.Inst, off int) (in inst) {
	in = inst{imm: d.Imm, op: d.Op, off: uint16(off), rd: d.Rd, rs1: d.Rs1, rs2: d.Rs2}
	switch op := d.Op; {
	case op == riscv.JAL:
		in.rs2 = d.Len
		if d.Rd == 0 {
			in.op = opJump
			in.rd = v.link(b, int64(off)+d.Imm)
		} else {
			in.rs1 = v.link(b, int64(off)+d.Imm)
		}
	case op == riscv.JALR:
		in.rs2 = d.Len
	case isBranch(op):
		in.rd = v.link(b, int64(off)+d.Imm)
	case riscv.LB <= op && op <= riscv.LWU && d.Rd == 0:
		in.op, in.rs2 = opDrop, uint8(op)
	case pure(op) && d.Rd == 0,
		op == riscv.C_MOP, op == riscv.PREFETCH_I, op == riscv.PREFETCH_R, op == riscv.PREFETCH_W:
		in.op = opNop
	case op == riscv.MOP_R || op == riscv.MOP_RR:
		// unpriv Zimop: unless redefined, these write zero to rd.
		in.op, in.rs1, in.imm = riscv.ADDI, 0, 0
		if d.Rd == 0 {
			in.op = opNop
		}
	case op == riscv.FENCE || op == riscv.FENCE_TSO:
		if !needsBarrier(d) {
			in.op = opNop
		}
	case op == riscv.LR_W || op == riscv.LR_D:
		in.rs2 = uint8(b2u(d.RL()))
	case op >= riscv.FLW && op < riscv.NumOps:
		if !isFPMemory(op) {
			in.imm = int64(d.RM) | int64(d.Rs3)<<8
		}
	}
	return in
}

// pure ops only compute rd from registers and immediates.
func pure(op riscv.Op) bool {
	return op == riscv.LUI || op == riscv.AUIPC || riscv.ADDI <= op && op <= riscv.CZERO_NEZ
}

func isFPMemory(op riscv.Op) bool {
	switch op {
	case riscv.FLH, riscv.FLW, riscv.FLD, riscv.FSH, riscv.FSW, riscv.FSD:
		return true
	}
	return false
}

// rawAt is the encoding of the instruction at off, for mtval.
func (b *block) rawAt(off uint16) uint64 {
	d, _ := decodeAt(b.raw()[off:])
	return uint64(d.Raw)
}

// bytes is what the block costs in memory.
func (b *block) bytes() int {
	return int(unsafe.Sizeof(*b)) + len(b.whole())*int(unsafe.Sizeof(inst{})) + 8*int(b.slots)
}

// validate makes a block of an older generation equal to memory again, where
// it is at host.
func (v *VCPU) validate(b *block, host unsafe.Pointer) {
	if b.gen == v.gen {
		return
	}
	if bytes.Equal(b.raw(), unsafe.Slice((*byte)(host), b.size)) {
		b.gen = v.gen
		return
	}
	v.decode(b, host) // what it was cut from before counts on
}
