package interp

import (
	"encoding/binary"
	"strings"
	"testing"

	"doppel/internal/cpu"
	"doppel/internal/cpu/cputest"
	"doppel/internal/memory"
	"doppel/internal/riscv/hart"
)

// run executes n instructions.
func run(t *testing.T, v *VCPU, n uint64) {
	t.Helper()
	if e := v.Run(n); e.Reason != cpu.ExitBudget {
		t.Fatalf("exit %v (%v) at pc %#x", e.Reason, e.Err, v.h.PC)
	}
}

func newVCPU(t *testing.T, src string, o cputest.Options) (*cputest.Machine, *VCPU) {
	m := cputest.NewMachine(t, newEngine, src, o)
	return m, m.CPUs[0].(*VCPU)
}

// testCacheBytes takes less time to fill than maxCacheBytes.
const testCacheBytes = 8 << 20

func allBlocks(v *VCPU) (all []*block) {
	for _, h := range []*half{&v.blocks.young, &v.blocks.old} {
		for _, b := range h.buckets {
			for ; b != nil; b = b.chain {
				all = append(all, b)
			}
		}
	}
	return all
}

func cacheBytes(v *VCPU) int { return v.blocks.young.bytes + v.blocks.old.bytes }

// TestCacheBound: code without end does not fill the host's memory, and runs
// right while the cache is emptied under it.
func TestCacheBound(t *testing.T) {
	const size = 4 << 20
	m, v := newVCPU(t, "nop\n", cputest.Options{RAM: size})
	v.blocks.init(testCacheBytes)
	ram := m.RAM.Bytes()
	// Blocks of two instructions: c.addi a0, 1; c.j .+2. The last jumps back.
	for at := 0; at < size-8; at += 4 {
		binary.LittleEndian.PutUint32(ram[at:], 0xa009_0505)
	}
	binary.LittleEndian.PutUint32(ram[size-8:], 0xff9f_f06f) // j .-8: spins at the end
	v.h.X[10] = 0
	most := 0
	for range 64 {
		run(t, v, 2*(size-8)/4/64)
		most = max(most, cacheBytes(v))
	}
	if want := uint64(64 * (2 * (size - 8) / 4 / 64) / 2); v.h.X[10] != want {
		t.Errorf("a0 is %d, want %d", v.h.X[10], want)
	}
	if most < testCacheBytes/2 {
		t.Errorf("the cache never held more than %d bytes: this test shows nothing", most)
	}
	if most > testCacheBytes+testCacheBytes/8 {
		t.Errorf("the cache held %d bytes, its limit is %d", most, testCacheBytes)
	}
	sum := 0
	for _, b := range allBlocks(v) {
		sum += b.bytes()
	}
	if sum > cacheBytes(v) {
		t.Errorf("blocks have %d bytes, only %d are accounted for", sum, cacheBytes(v))
	}
}

// TestCodeThatChanges: code that is changed for ever does not, either.
func TestCodeThatChanges(t *testing.T) {
	m, v := newVCPU(t, `
	la a0, patch
	li a1, 0x00150513	# addi a0, a0, 1
	li a3, 0x00100000
loop:	sw a1, 0(a0)
	xor a1, a1, a3		# or addi a0, a0, 0: either way a block that differs
	fence.i
	mv a4, a0
	li a0, 0
	jal sub
	add s0, s0, a0
	mv a0, a4
	addi s1, s1, 1
	j loop
	.balign 64
sub:
	.rept 50
	nop
	.endr
patch:	nop
	ret
`, cputest.Options{})
	v.blocks.init(testCacheBytes)
	most := 0
	for range 200 {
		run(t, v, 20_000)
		most = max(most, cacheBytes(v))
	}
	v.h.PC = m.Sym("loop")
	if most < testCacheBytes/2 || most > testCacheBytes+testCacheBytes/8 {
		t.Errorf("the cache held up to %d bytes, its limit is %d", most, testCacheBytes)
	}
	if d := int64(v.h.X[9]) - 2*int64(v.h.X[8]); d < -2 || d > 2 {
		t.Errorf("%d rounds gave %d", v.h.X[9], v.h.X[8])
	}
}

// TestNoGarbage: what is decoded runs without the allocator.
func TestNoGarbage(t *testing.T) {
	m, v := newVCPU(t, `
	li t0, 0x6000
	csrw mstatus, t0
	la a0, data
	j loop
	.org 0x80000ffa		# the next instruction lies in two pages
loop:	c.nop
	.org 0x80000ffc
	c.nop
	ld a1, 0(a0)
	sd a1, 1(a0)
	amoadd.d a1, a1, (a0)
	lr.d a1, (a0)
	sc.d a1, a1, (a0)
	fadd.d fa0, fa0, fa1
	csrr a2, instret
	ecall
	j loop
	.balign 8
data:	.dword 0, 0
`, cputest.Options{})
	v.h.CSR.Mtvec = m.Sym("loop") + 4
	for range 100 { // a Run may begin at any instruction, which makes a block
		run(t, v, 997)
	}
	if n := testing.AllocsPerRun(20, func() { v.Run(997) }); n != 0 {
		t.Errorf("%v allocations a run", n)
	}
}

// TestLatency: no block is longer than the bound, and none leaves its page.
func TestLatency(t *testing.T) {
	m, v := newVCPU(t, ".rept 5000\nnop\n.endr\n", cputest.Options{})
	run(t, v, 4000)
	all := allBlocks(v)
	for _, b := range all {
		gpa := b.gpa
		if b.need > maxBlock {
			t.Errorf("block at %#x has %d instructions", uint64(gpa), b.need)
		}
		if gpa>>12 != (gpa+memory.GPA(len(b.raw()))-1)>>12 {
			t.Errorf("block at %#x has %d bytes, over the page's end", uint64(gpa), len(b.raw()))
		}
	}
	if want := 4000 / maxBlock; len(all) < want {
		t.Errorf("%d blocks, want at least %d", len(all), want)
	}
	_ = m
}

// TestGuards: what only a bug of ours or of the machine's can do ends in an
// error, not in a crash.
func TestGuards(t *testing.T) {
	_, v := newVCPU(t, "lw a0, 0(zero)\nnop\n", cputest.Options{})
	v.CompleteMMIO(1, true) // nothing was asked for
	if v.h.PC != cputest.Base || v.h.Instret != 0 {
		t.Errorf("CompleteMMIO without an exit: pc %#x, %d instructions", v.h.PC, v.h.Instret)
	}
	if e := v.Run(1); e.Reason != cpu.ExitMMIO {
		t.Fatalf("exit %v", e.Reason)
	}
	if e := v.Run(1); e.Reason != cpu.ExitError || e.Err == nil {
		t.Errorf("Run before CompleteMMIO: exit %v", e.Reason)
	}
	v.CompleteMMIO(1, true)
	v.blocks = blockCache{} // the next block cannot be kept
	v.jumps = [jumpSize]jumpEntry{}
	e := v.Run(1)
	if e.Reason != cpu.ExitError || e.Err == nil || !strings.Contains(e.Err.Error(), "0x80000004") {
		t.Errorf("a panic became exit %v: %v", e.Reason, e.Err)
	}
}

// TestFenceKeepsOthers: a fence for one page leaves the rest of the TLBs, and
// the jump cache if no code of the page is in it.
func TestFenceKeepsOthers(t *testing.T) {
	_, v := newVCPU(t, "ld a1, 0(a0)\nnop\n", cputest.Options{})
	v.h.X[10] = cputest.Base + 0x5000
	run(t, v, 1)
	loaded := func() bool {
		return v.loads[(v.h.X[10]>>12)%tlbSize].tag == v.h.X[10]&^pageMask|v.dataCtx
	}
	if !loaded() {
		t.Fatal("a load leaves nothing in the TLB")
	}
	epoch := v.epoch
	v.flushTLB(hart.Fence{HasVA: true, VA: cputest.Base + 0x6000, Size: 4096})
	if !loaded() || v.epoch != epoch {
		t.Error("a fence for one page forgot others")
	}
	v.flushTLB(hart.Fence{HasVA: true, VA: cputest.Base, Size: 4096})
	if !loaded() || v.epoch == epoch {
		t.Error("a fence for a page of code did not forget its entries alone")
	}
	v.flushTLB(hart.Fence{HasVA: true, VA: v.h.X[10], Size: 4096})
	if loaded() {
		t.Error("a fence did not forget its page")
	}
	run(t, v, 1)
	v.h.PC = cputest.Base
	run(t, v, 1)
	v.flushTLB(hart.Fence{HasVA: true, VA: 0, Size: ^uint64(0)})
	if loaded() {
		t.Error("a fence for everything did not forget a page")
	}
}

// TestNames: every enumeration has names.
func TestNames(t *testing.T) {
	for o := slowNext; o <= slowExit; o++ {
		if o.String() == "" {
			t.Errorf("outcome %d has no name", o)
		}
	}
	for k := floatNone; k <= floatDouble; k++ {
		if k.String() == "" {
			t.Errorf("kind %d has no name", k)
		}
	}
}
