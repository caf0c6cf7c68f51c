//go:build linux && (amd64 || arm64)

package jit

import (
	"testing"

	"doppel/internal/cpu/cputest"
	"doppel/internal/riscv"
	"doppel/internal/riscv/hart"
)

// TestFarLinks: a jump to the next page leads where that is mapped now, for
// each of the places that its own page is mapped at.
func TestFarLinks(t *testing.T) {
	const (
		jumper, one, many = cputest.Base + 0x20000, cputest.Base + 0x21000, cputest.Base + 0x22000
		v, w              = cputest.Base + 0x100000, cputest.Base + 0x110000
	)
	m, cpu := machineOf(t, Options{Threshold: -1}, `
loop:	jalr ra, 0(s0)
	addi a1, a1, 1
	j loop
	.balign 4096
`, cputest.Options{RAM: 1 << 18, Supervisor: true})
	put := func(at uint64, ins ...riscv.Inst) {
		for i, in := range ins {
			raw, err := riscv.Encode(in)
			if err != nil {
				t.Fatal(err)
			}
			for k := range 4 {
				m.RAM.Bytes()[at-cputest.Base+uint64(4*i+k)] = byte(raw >> (8 * k))
			}
		}
	}
	ret := riscv.Inst{Op: riscv.JALR, Rs1: 1}
	put(jumper, riscv.Inst{Op: riscv.JAL, Imm: 4096})
	put(one, riscv.Inst{Op: riscv.ADDI, Rd: 10, Rs1: 10, Imm: 1}, ret)
	put(many, riscv.Inst{Op: riscv.ADDI, Rd: 10, Rs1: 10, Imm: 1000}, ret)
	mapSystem(m, 0)
	page := func(va, pa uint64) {
		m.SetU64(tables+0x2000+va>>12&511*8, pa>>12<<10|riscv.PTEV|riscv.PTEX|riscv.PTER|riscv.PTEA|riscv.PTED)
	}
	page(cputest.Base, cputest.Base)
	page(v, jumper)
	page(v+4096, one)
	page(w, jumper)
	page(w+4096, many)
	h := m.Hart()
	h.CSR.Satp = systemSatp(1)
	h.Refresh()
	cpu.FlushTLB()
	check := func(what string, at, want uint64) {
		t.Helper()
		h.PC, h.X[8], h.X[10], h.X[11] = cputest.Base, at, 0, 0
		run(t, cpu, 500)
		if n := h.X[11]; n < 80 || h.X[10] < want*n || h.X[10] > want*(n+1) {
			t.Errorf("%s: a0 is %d after %d rounds, want %d a round", what, h.X[10], n, want)
		}
	}
	check("first", v, 1)
	linked := 0
	for _, p := range cpu.code.pages {
		linked += len(p.farIn)
	}
	if linked == 0 {
		t.Error("no jump is linked to another page: this test shows nothing")
	}
	remap := func(pa uint64) {
		page(v+4096, pa)
		h.RequestFlush(hart.Fence{HasVA: true, VA: v + 4096, Size: 4096})
		h.Poll()
	}
	remap(many)
	check("while linked, after a fence", v, 1000)
	remap(one)
	check("and back", v, 1)
	check("second place of the page", w, 1000)
	check("first place again", v, 1)

	// The page after is another one now.
	remap(many)
	check("after a fence", v, 1000)

	// Another address space.
	h.CSR.Satp = systemSatp(2)
	h.Refresh()
	page(v+4096, one)
	h.RequestFlush(hart.Fence{HasASID: true, ASID: 2})
	h.Poll()
	check("other address space", v, 1)
	if s := cpu.stats; s.Links > 40 {
		t.Errorf("%d jumps were linked", s.Links)
	}
}

// TestRegionFollowsProcesses: a loop over two pages is a region in the address
// space where it runs now, and leads where its pages are there.
func TestRegionFollowsProcesses(t *testing.T) {
	if !hasRegions {
		t.Skip("this host's back end makes no regions")
	}
	const (
		first, second, other = cputest.Base + 0x20000, cputest.Base + 0x21000, cputest.Base + 0x22000
		v                    = cputest.Base + 0x100000
	)
	m, cpu := machineOf(t, Options{Threshold: -1, Samples: 1, Slice: 100}, "nop\n", cputest.Options{RAM: 1 << 18, Supervisor: true})
	put := func(at uint64, ins ...riscv.Inst) {
		for i, in := range ins {
			raw, err := riscv.Encode(in)
			if err != nil {
				t.Fatal(err)
			}
			for k := range 4 {
				m.RAM.Bytes()[at-cputest.Base+uint64(4*i+k)] = byte(raw >> (8 * k))
			}
		}
	}
	put(first, riscv.Inst{Op: riscv.ADDI, Rd: 11, Rs1: 11, Imm: 1}, riscv.Inst{Op: riscv.JAL, Imm: 4096 - 4})
	put(second, riscv.Inst{Op: riscv.ADDI, Rd: 10, Rs1: 10, Imm: 1}, riscv.Inst{Op: riscv.JAL, Imm: -4096 - 4})
	put(other, riscv.Inst{Op: riscv.ADDI, Rd: 10, Rs1: 10, Imm: 1000}, riscv.Inst{Op: riscv.JAL, Imm: -4096 - 4})
	mapSystem(m, 0)
	page := func(va, pa uint64) {
		m.SetU64(tables+0x2000+va>>12&511*8, pa>>12<<10|riscv.PTEV|riscv.PTEX|riscv.PTER|riscv.PTEA|riscv.PTED)
	}
	page(v, first)
	page(v+4096, second)
	h := m.Hart()
	var region *region
	check := func(what string, asid, want uint64) {
		t.Helper()
		h.CSR.Satp = systemSatp(asid)
		h.Refresh()
		h.PC, h.X[10], h.X[11] = v, 0, 0
		run(t, cpu, 20_000)
		if h.X[11] != 5000 || h.X[10] != 5000*want {
			t.Errorf("%s: a0 is %d after %d rounds, want %d a round", what, h.X[10], h.X[11], want)
		}
		region = nil
		for _, p := range cpu.code.pages {
			for _, b := range p.list {
				if r := b.region(); r != nil && r.blocks != 0 {
					region = r
				}
			}
		}
	}
	check("first", 1, 1)
	if region == nil || region.pages == nil {
		t.Fatal("the loop is no region over pages: this test shows nothing")
	}
	if region.source != nil {
		t.Error("the region was not made again")
	}
	made := cpu.stats.Regions
	check("another address space", 2, 1)
	if c := cpu.code.context(region.context); c != int32(cpu.in.FetchContext()) {
		t.Errorf("the region is for the context %d in %d", c, cpu.in.FetchContext())
	}
	check("the first again", 1, 1)
	if n := cpu.stats.Regions - made; n != 0 {
		t.Errorf("%d regions were made anew", n)
	}
	page(v+4096, other)
	h.RequestFlush(hart.Fence{HasVA: true, VA: v + 4096, Size: 4096})
	h.Poll()
	check("after a fence", 1, 1000)
}
