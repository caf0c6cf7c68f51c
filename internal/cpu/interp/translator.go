package interp

import (
	"fmt"
	"unsafe"

	"doppel/internal/cpu"
	"doppel/internal/memory"
	"doppel/internal/riscv"
)

// What follows is for a translator (internal/cpu/jit) that runs hot blocks
// itself and leaves the rest to a VCPU: cold blocks, and in its own blocks the
// instructions that it does not execute inline.

// never is the heat of a block that the interpreter keeps.
const never = 1 << 62

// SetHeat makes blocks that are decoded from now on hot after n passes. They
// end at branches.
func (v *VCPU) SetHeat(n int64) {
	v.heat, v.basic = n, true
	v.blocks.init(maxColdBytes)
}

// SetHeatOf is SetHeat by where the block is.
func (v *VCPU) SetHeatOf(f func(memory.GPA) int64) { v.heatOf = f }

// MaxBlock is the most instructions of a block.
const MaxBlock = maxBlock

// Begin starts a Run. It returns false if Run ends at once, with Exit.
func (v *VCPU) Begin(budget uint64) bool {
	h := v.h
	switch {
	case v.pending.on:
		v.exit = cpu.Exit{Reason: cpu.ExitError, Err: fmt.Errorf("BUG: hart %d runs with an access not completed", v.ID())}
		return false
	case budget == 0:
		v.exit = cpu.Exit{Reason: cpu.ExitBudget}
		return false
	}
	if h.Halted && h.Attention.Load() == 0 {
		if !h.Runnable() {
			v.exit = cpu.Exit{Reason: cpu.ExitHalt}
			return false
		}
		h.Halted = false
	}
	h.PC &^= 1 // priv §3.1.14: as in epc; a debugger may have set it
	v.prepare()
	v.refresh()
	v.mark = int64(h.Instret) + int64(min(budget, 1<<62))
	return true
}

// Left is what is left of the budget.
func (v *VCPU) Left() int64 { return v.mark - int64(v.h.Instret) }

// Interpret runs until Run is to end, with Exit, or until the block at PC is
// hot.
func (v *VCPU) Interpret() (hot bool) {
	v.hot = nil
	v.proceed()
	v.own = false
	return v.hot != nil
}

// Own has Interpret execute the first block even if that is hot. The
// translator's may be longer, and the budget not enough for it.
func (v *VCPU) Own() { v.own = true }

// Exit is why Run ends.
func (v *VCPU) Exit() cpu.Exit { return v.exit }

// Generation counts fence.i.
func (v *VCPU) Generation() uint64 { return v.gen }

// Hot tells where the block is that Interpret has found hot.
func (v *VCPU) Hot() (memory.GPA, unsafe.Pointer) { return v.hot.gpa, v.hot.host }

// Keep makes the interpreter keep the block that it has found hot.
func (v *VCPU) Keep() { v.hot.heat = never }

// Defer makes that block hot again after some more passes, the next of which is
// the interpreter's.
func (v *VCPU) Defer() { v.hot.heat = max(v.heat, 1) }

// DataEpochs count when translations for loads and stores were withdrawn, of
// contexts of kind U and of kinds M and S. A translation that was found in a
// context of such a kind holds, for code of that privilege, until the count
// changes.
func (v *VCPU) DataEpochs() (user, kernel uint64) { return v.userEpoch, v.kernelEpoch }

// Kinds of context, in bits 3 to 5 of the data context. Others are unusual.
const (
	KindM = kindM
	KindU = kindU
	KindS = kindS
)

// SetCodeOf sets what tells what the translator has for the page that an
// address is in, which is mapped where va is; Code finds it by virtual address.
func (v *VCPU) SetCodeOf(f func(gpa memory.GPA, va uint64) unsafe.Pointer) { v.codeOf = f }

// FetchContext is the address space and privilege of fetches. What code is in
// its pages does not change, but for those that CodeEpoch tells of.
func (v *VCPU) FetchContext() uint64 { return v.fetchCtx }

// RelyOn says that the translator relies on where the page of va is, until
// CodeEpoch changes.
func (v *VCPU) RelyOn(va uint64) {
	page := va >> memory.PageShift
	if last := &v.reliedOn[page%uint64(len(v.reliedOn))]; *last != page+1 {
		*last = page + 1
		v.codePages[page] = struct{}{}
	}
}

// CodeEpoch counts when the place of a page was withdrawn that the translator
// relied on, or the numbers of contexts began anew.
func (v *VCPU) CodeEpoch() uint64 { return v.codeEpoch }

// ForgetCode makes code what there is for all pages.
func (v *VCPU) ForgetCode(code unsafe.Pointer) {
	for i := range v.fetches {
		v.fetches[i].code = code
	}
}

// ReplaceCode makes code what there is for the pages that have old.
func (v *VCPU) ReplaceCode(old, code unsafe.Pointer) {
	for i := range v.fetches {
		if e := &v.fetches[i]; e.code == old {
			e.code = code
		}
	}
}

// WithdrawStores forgets all translations for stores to pages, which are given
// by where they are in the host's memory, so that ReleasePage may follow.
func (v *VCPU) WithdrawStores(pages map[uintptr]struct{}) {
	for i := range v.stores {
		v.stores[i].withdraw(pages)
	}
	for i := range v.moreStores {
		for j := range v.moreStores[i] {
			v.moreStores[i][j].withdraw(pages)
		}
	}
	v.forgetData()
}

func (e *tlbEntry) withdraw(pages map[uintptr]struct{}) {
	if e.tag == 0 {
		return
	}
	if _, ok := pages[e.addend+uintptr(e.tag&^pageMask)]; ok {
		e.tag = 0
	}
}

// Code tells where the code at the virtual address pc is, and gives what the
// translator has for its page, to be changed. ok is false if that takes
// an exception, or PMP divides the page.
func (v *VCPU) Code(pc uint64) (gpa memory.GPA, code *unsafe.Pointer, ok bool) {
	page := pc >> memory.PageShift
	e := &v.fetches[page%fetchTLBSize]
	if e.tag != page<<memory.PageShift|v.fetchCtx && !v.fillFetch(pc) {
		return 0, nil, false
	}
	return e.gpa | memory.GPA(pc&pageMask), &e.code, true
}

// FPReady tells that mstatus.FS is Dirty.
func (v *VCPU) FPReady() bool { return v.fpReady }

// Block is code that does not change. Its instructions are decoded again when
// they are wanted: most blocks never are.
type Block struct {
	whole *inst // as block.whole; nil until the executor has executed an instruction of it
	raw   *byte
	host  unsafe.Pointer
	gpa   memory.GPA
	count uint8
	size  uint8 // bytes
}

// Decoded is a block as it has just been decoded. It is valid until the next.
type Decoded struct {
	Block
	Insts []riscv.Inst
	// Followed are the offsets in the page of the blocks that the interpreter has
	// gone on to from here.
	Followed []uint16

	insts    [maxBlock]riscv.Inst
	followed [2 * maxBlock]uint16
}

// Places is a set of places in a page where blocks may start, by half their
// offsets.
type Places [memory.PageSize / 2 / 64]uint64

// Has tells whether an offset in a page is one.
func (p *Places) Has(off int) bool { return p[off/2/64]>>(off/2%64)&1 != 0 }

// Add makes an offset one.
func (p *Places) Add(off int) { p[off/2/64] |= 1 << (off / 2 % 64) }

// Decode decodes the block at gpa, apart from the interpreter's own. It goes on
// after a branch if what follows has been executed so often that no more than
// warm passes are missing, and ends before starts; nil stands for none. A nil
// result means that its first instruction runs into the next page: see
// DecodeAcross.
func (v *VCPU) Decode(gpa memory.GPA, host unsafe.Pointer, warm int64, starts *Places) *Decoded {
	start := int(gpa & pageMask)
	var raw [4 * maxBlock]byte // the bytes are copied first: other harts may store to them meanwhile
	b := &v.decoded
	nfollowed, own := 0, v.kept(gpa) // what is here of the interpreter's
	size := copy(raw[:], unsafe.Slice((*byte)(host), memory.PageSize-start))
	n, first, off := 0, 0, 0
	for n < maxBlock {
		d, ok := decodeAt(raw[off:size])
		if !ok {
			break
		}
		b.insts[n] = d
		n++
		off += int(d.Len)
		if own != nil && int(own.need) == n-first {
			nfollowed += own.followed(b.followed[nfollowed:])
		}
		next := start + off
		if ends(d.Op) || next < memory.PageSize && starts != nil && starts.Has(next) {
			break
		}
		if isBranch(d.Op) {
			own, first = nil, n
			if next < memory.PageSize {
				own = v.kept(gpa + memory.GPA(off))
			}
			if v.heat != 0 && (own == nil || own.heat > warm) {
				break
			}
		}
	}
	if n == 0 {
		return nil
	}
	b.Insts, b.Followed = b.insts[:n], b.followed[:nfollowed]
	b.Block = Block{raw: v.keepRaw(raw[:off]), host: host, gpa: gpa, count: uint8(n), size: uint8(off)}
	return b
}

// keepRaw copies a block's bytes. What is kept has no pointers, by which the
// pieces of memory that blocks are cut from would keep each other.
func (v *VCPU) keepRaw(raw []byte) *byte {
	const chunk = 4096
	if len(v.raw) < len(raw) {
		v.raw = make([]byte, chunk)
	}
	to := &v.raw[0]
	v.raw = v.raw[copy(v.raw, raw):]
	return to
}

// followed puts into to the offsets in the page of the blocks that b's links
// lead to, and returns their number.
func (b *block) followed(to []uint16) (n int) {
	for slot := range b.slots {
		if next := *b.link(slot); next != nil && n < len(to) {
			to[n] = uint16(next.gpa & pageMask)
			n++
		}
	}
	return n
}

// Warm tells whether the interpreter has its block at gpa, and will find it hot
// after n passes more.
func (v *VCPU) Warm(gpa memory.GPA, n int64) bool {
	b := v.kept(gpa)
	return b != nil && b.heat <= n
}

// Heat makes the interpreter's block at gpa hot.
func (v *VCPU) Heat(gpa memory.GPA) {
	if b := v.kept(gpa); b != nil {
		b.heat = 0
	}
}

// DecodeAcross decodes the instruction that the hart is at, which lies in two
// pages; gpa and host are those of its start. nil means that the second page
// cannot be executed, or not all of it.
func (v *VCPU) DecodeAcross(gpa memory.GPA, host unsafe.Pointer) *Decoded {
	_, _, ok := v.Code(v.h.PC + 2)
	if !ok {
		return nil
	}
	b := &v.decoded
	var raw [4]byte
	copy(raw[:], unsafe.Slice((*byte)(host), 2))
	copy(raw[2:], unsafe.Slice((*byte)(v.fetches[(v.h.PC+2)>>memory.PageShift%fetchTLBSize].page), 2))
	b.insts[0], _ = decodeAt(raw[:])
	b.Insts, b.Followed = b.insts[:1], nil
	b.Block = Block{raw: v.keepRaw(raw[:]), host: host, gpa: gpa, count: 1, size: 4}
	return b
}

// All is the block's code, that in the next page too.
func (b *Block) All() []byte { return unsafe.Slice(b.raw, b.size) }

// Insts decodes the block again, and appends it to a slice.
func (b *Block) Insts(to []riscv.Inst) []riscv.Inst {
	raw, off := b.All(), 0
	for range b.count {
		d, _ := decodeAt(raw[off:])
		to = append(to, d)
		off += int(d.Len)
	}
	return to
}

// complete makes the block's code for the executor. It has no links.
func (v *VCPU) complete(b *Block) {
	v.nlinks = 0
	n, raw := int(b.count), b.All()
	code := make([]inst, n+1+rawInsts(len(raw)))
	own := block{first: &code[0], need: b.count, size: b.size, gpa: b.gpa}
	off := 0
	for i := range n {
		d, _ := decodeAt(raw[off:])
		code[i] = v.lower(&own, d, off)
		code[i].n = uint8(i)
		off += int(d.Len)
	}
	code[n] = inst{op: opFall, off: uint16(off), rd: noLink, n: uint8(n)}
	copy(own.raw(), raw)
	b.whole = own.first
}

// Len is how many instructions it has.
func (b *Block) Len() int { return int(b.count) }

// Raw is the block's code, as far as it is in the page where it starts.
func (b *Block) Raw() []byte {
	return b.All()[:min(int(b.size), memory.PageSize-int(b.gpa&pageMask))]
}

// Host is where it is.
func (b *Block) Host() unsafe.Pointer { return b.host }

// GPA is its physical address.
func (b *Block) GPA() memory.GPA { return b.gpa }

// Outcome is what became of an instruction.
type Outcome uint8

const (
	Next Outcome = iota // done; the block goes on
	Jump                // done, or trapped; go on at PC
	End                 // Run ends with Exit
)

func (o Outcome) String() string { return [...]string{"next", "jump", "end"}[o] }

// Op is the operation of instruction i.
func (b *Block) Op(i int) riscv.Op {
	if b.whole != nil {
		if op := unsafe.Slice(b.whole, b.count)[i].op; op < riscv.NumOps {
			return op
		}
	}
	var insts [maxBlock]riscv.Inst
	return b.Insts(insts[:0])[i].Op
}

// Execute executes instruction i of a block at the virtual address pc, before
// which left was left of the budget. It does what the loop of exec does not:
// rare instructions, and loads and stores that miss the TLB.
func (v *VCPU) Execute(b *Block, i int, pc uint64, left int64) Outcome {
	h := v.h
	if b.whole == nil {
		v.complete(b)
	}
	own := &v.executed
	own.first, own.need, own.size, own.gpa = b.whole, b.count, b.size, b.gpa
	in := &own.code()[i]
	gen, key := v.gen, v.jumpKey
	h.PC = pc + uint64(in.off)
	h.Instret = uint64(v.mark - left + int64(in.n))
	switch v.slow(own, in) {
	case slowNext:
		return Next
	case slowJump:
		v.refresh()
		if h.PC == pc+uint64(in.next().off) && h.Attention.Load() == 0 &&
			v.gen == gen && v.jumpKey == key {
			return Next // nothing has changed that leads elsewhere
		}
		h.Instret++
	case slowTrap:
		v.mark--
	case slowExit:
		return End
	}
	v.refresh()
	return Jump
}

// GPAOf is the guest's address of an address in its memory.
func (v *VCPU) GPAOf(host uintptr) memory.GPA {
	return v.gpaOf(unsafe.Add(unsafe.Pointer(nil), host), place{})
}

// Layout is where generated code finds what, in bytes from the start of a
// VCPU (tlb.go): TLBs of Entries entries of 16 bytes, a tag and an addend, and
// the context that is part of the tags; the same for fetches, whose entries
// have 32 bytes, with the page's place in the host after the tag and Code's at
// the end. Contexts has 8 bytes for each kind.
//
// The last lines are for code that changes mode or sstatus by itself: it must
// leave all that setContext derives as setContext would.
var Layout = struct {
	Loads, Stores, DataContext, Entries uintptr
	MoreLoads, MoreStores, Sets, Ways   uintptr // see secondLevel
	Fetches, FetchContext, FetchEntries uintptr
	Contexts                            uintptr

	SeenPriv, SeenStatus, JumpKey, FPReady, Direct, Limit uintptr
}{
	MoreLoads: unsafe.Offsetof(VCPU{}.moreLoads), MoreStores: unsafe.Offsetof(VCPU{}.moreStores), Sets: sets, Ways: ways,
	Loads: unsafe.Offsetof(VCPU{}.loads), Stores: unsafe.Offsetof(VCPU{}.stores), Entries: tlbSize,
	DataContext: unsafe.Offsetof(VCPU{}.dataCtx), Contexts: unsafe.Offsetof(VCPU{}.ctxs),
	Fetches: unsafe.Offsetof(VCPU{}.fetches), FetchEntries: fetchTLBSize,
	FetchContext: unsafe.Offsetof(VCPU{}.fetchCtx),
	SeenPriv:     unsafe.Offsetof(VCPU{}.seenPriv), SeenStatus: unsafe.Offsetof(VCPU{}.seenStatus),
	JumpKey: unsafe.Offsetof(VCPU{}.jumpKey), FPReady: unsafe.Offsetof(VCPU{}.fpReady),
	Direct: unsafe.Offsetof(VCPU{}.direct), Limit: unsafe.Offsetof(VCPU{}.mark),
}

// An entry for fetches is what Layout says.
var _ = [1]struct{}{}[unsafe.Sizeof(fetchEntry{})-32+unsafe.Offsetof(fetchEntry{}.code)-24+unsafe.Offsetof(fetchEntry{}.tag)+
	unsafe.Offsetof(fetchEntry{}.page)-8]

// Kinds of context, for Layout.Contexts: that of U-mode, and those of S-mode
// without and with SUM.
const (
	ContextU   = kindU
	ContextS   = kindS
	ContextSUM = kindSSUM
)

// ContextBits are the bits of mstatus that SeenStatus holds.
const ContextBits = contextBits
