package cputest

import (
	"encoding/binary"
	"fmt"
	"strings"

	"doppel/internal/cpu"
	"doppel/internal/memory"
	"doppel/internal/riscv"
	"doppel/internal/riscv/hart"
)

// transfer is a load or store instruction.
type transfer struct {
	name   string
	size   int
	extend func(v uint64) uint64 // what rd gets; nil for stores
	float  bool
}

var transfers = []transfer{
	{"lb", 1, func(v uint64) uint64 { return uint64(int64(int8(v))) }, false},
	{"lh", 2, func(v uint64) uint64 { return uint64(int64(int16(v))) }, false},
	{"lw", 4, func(v uint64) uint64 { return uint64(int64(int32(v))) }, false},
	{"ld", 8, func(v uint64) uint64 { return v }, false},
	{"lbu", 1, func(v uint64) uint64 { return v % (1 << 8) }, false},
	{"lhu", 2, func(v uint64) uint64 { return v % (1 << 16) }, false},
	{"lwu", 4, func(v uint64) uint64 { return v % (1 << 32) }, false},
	{"flh", 2, func(v uint64) uint64 { return v%(1<<16) + 0xffff_ffff_ffff_0000 }, true},
	{"flw", 4, func(v uint64) uint64 { return v%(1<<32) + 0xffff_ffff_0000_0000 }, true},
	{"fld", 8, func(v uint64) uint64 { return v }, true},
	{"sb", 1, nil, false},
	{"sh", 2, nil, false},
	{"sw", 4, nil, false},
	{"sd", 8, nil, false},
	{"fsh", 2, nil, true},
	{"fsw", 4, nil, true},
	{"fsd", 8, nil, true},
}

// transferProgram has every transfer at its name, between a1 or fa1 and -7(a0).
func transferProgram() string {
	var src strings.Builder
	for _, tr := range transfers {
		reg := "a1"
		if tr.float {
			reg = "fa1"
		}
		fmt.Fprintf(&src, "%s: %s %s, -7(a0)\n", tr.name, tr.name, reg)
	}
	return src.String()
}

// register is what the transfer loads or stores.
func (tr transfer) register(h *hart.Hart) *uint64 {
	if tr.float {
		return &h.F[11]
	}
	return &h.X[11]
}

const storeValue = 0xf1e2_d3c4_b5a6_9788

// try executes the transfer at va, whose bytes are those that at holds in
// RAM, and compares the result. Every byte of view is watched.
func (tr transfer) try(m *Machine, va uint64, where func(i int) uint64, view []byte) {
	m.T.Helper()
	h := m.Hart()
	h.X[10] = va + 7
	reg := tr.register(h)
	*reg = storeValue
	want := append([]byte(nil), view...)
	var value uint64
	for i := range tr.size {
		at := where(i)
		value |= uint64(view[at]) << (8 * i)
		if tr.extend == nil {
			want[at] = byte(uint64(storeValue) >> (8 * i))
		}
	}
	m.step(tr.name)
	if h.PC != m.Sym(tr.name)+4 {
		m.T.Fatalf("%s at %#x: pc %#x, mcause %#x, mtval %#x", tr.name, va, h.PC, h.CSR.Mcause, h.CSR.Mtval)
	}
	if tr.extend != nil && *reg != tr.extend(value) {
		m.T.Fatalf("%s at %#x: %#x, want %#x", tr.name, va, *reg, tr.extend(value))
	}
	for i := range want {
		if view[i] != want[i] {
			m.T.Fatalf("%s at %#x: byte %#x of memory is %#x, want %#x", tr.name, va, i, view[i], want[i])
		}
	}
}

func fill(b []byte) {
	for i := range b {
		b[i] = byte(0x80 + i*37)
	}
}

// checkLoadStore: every transfer at every alignment.
func checkLoadStore(t TB, newEngine New) {
	m := NewMachine(t, newEngine, transferProgram(), Options{})
	m.Hart().CSR.Mstatus |= riscv.MstatusFS
	const data = 0x10000
	view := m.RAM.Bytes()[data : data+64]
	for _, tr := range transfers {
		for off := range 24 {
			fill(view)
			tr.try(m, Base+data+uint64(off), func(i int) uint64 { return uint64(off + i) }, view)
		}
	}
}

// checkPageCrossing: accesses that lie in two pages that are not neighbours
// in physical memory, and what happens if only one of them is there.
func checkPageCrossing(t TB, newEngine New) {
	m := NewMachine(t, newEngine, transferProgram(), Options{})
	p := m.pageTable()
	p.mapRange(Base, 0x4000, pageRX)
	const va, first, second = 0x4000_0000, Base + 0x20000, Base + 0x30000
	p.mapPage(va, first, pageRW)
	h := m.Hart()
	h.CSR.Mstatus |= riscv.MstatusFS
	h.CSR.Mtvec = Base + 0x3000
	view := m.RAM.Bytes()[0x20000:0x31000]
	crossing := func(f func(tr transfer, at uint64)) {
		for _, tr := range transfers {
			for n := 1; n < tr.size; n++ {
				fill(view)
				h.Priv = hart.S
				f(tr, va+pageSz-uint64(n))
			}
		}
	}
	// fault checks that the transfer traps at the second page, and nothing is stored.
	fault := func(what string, load, store riscv.Cause) {
		crossing(func(tr transfer, at uint64) {
			h.X[10] = at + 7
			*tr.register(h) = storeValue
			before := append([]byte(nil), view...)
			m.step(tr.name)
			want := load
			if tr.extend == nil {
				want = store
			}
			if h.CSR.Mcause != uint64(want) || h.CSR.Mtval != va+pageSz || h.CSR.Mepc != m.Sym(tr.name) {
				t.Fatalf("%s at %#x, %s: cause %v tval %#x epc %#x, want %v at the second page",
					tr.name, at, what, riscv.Cause(h.CSR.Mcause), h.CSR.Mtval, h.CSR.Mepc, want)
			}
			if string(before) != string(view) {
				t.Fatalf("%s at %#x, %s: memory has changed", tr.name, at, what)
			}
			if *tr.register(h) != storeValue {
				t.Fatalf("%s at %#x, %s: the register has changed", tr.name, at, what)
			}
		})
	}
	p.mapPage(va+pageSz, second, pageRW)
	p.enter(m.CPUs[0], hart.S)
	crossing(func(tr transfer, at uint64) {
		tr.try(m, at, func(i int) uint64 {
			if a := at + uint64(i); a >= va+pageSz {
				return second - first + a - va - pageSz
			}
			return at + uint64(i) - va
		}, view)
	})
	p.mapPage(va+pageSz, 0, 0)
	m.CPUs[0].FlushTLB()
	fault("not mapped", riscv.LoadPageFault, riscv.StorePageFault)
	p.mapPage(va+pageSz, 0x1000_0000, pageRW)
	m.CPUs[0].FlushTLB()
	fault("not memory", riscv.LoadAccessFault, riscv.StoreAccessFault)
}

// checkMMIO: what is not memory leaves Run, in every width and direction.
func checkMMIO(t TB, newEngine New) {
	m := NewMachine(t, newEngine, transferProgram()+`
	x0: lw x0, -7(a0)
	amo: amoadd.w a1, a1, (a2)
	lr: lr.d a1, (a2)
	sc: sc.d a1, a1, (a2)
	zero: cbo.zero (a2)
	jump: jr a2
`, Options{})
	const device = 0x1000_0000
	c, h := m.CPUs[0], m.Hart()
	h.CSR.Mstatus |= riscv.MstatusFS
	h.CSR.Mtvec = Base + 0x3000
	h.X[12] = device
	for _, tr := range transfers {
		at, reg := m.Sym(tr.name), tr.register(h)
		h.X[10] = device + 16 + 7
		for _, answered := range []bool{true, false} {
			h.PC, *reg = at, storeValue
			before := c.Instructions()
			e := c.Run(10)
			m.exit(e, cpu.ExitMMIO)
			want := cpu.MMIO{Addr: device + 16, Size: uint8(tr.size)}
			if tr.extend == nil {
				want.Write, want.Data = true, uint64(storeValue)<<(64-8*tr.size)>>(64-8*tr.size)
			}
			if e.MMIO != want {
				t.Fatalf("%s: exit %+v, want %+v", tr.name, e.MMIO, want)
			}
			const value = 0x9192_9394_9596_9798
			c.CompleteMMIO(value, answered)
			switch {
			case !answered:
				cause := riscv.LoadAccessFault
				if want.Write {
					cause = riscv.StoreAccessFault
				}
				m.want(tr.name+" without an answer: cause", h.CSR.Mcause, uint64(cause))
				m.want("tval", h.CSR.Mtval, device+16)
				m.want("epc", h.CSR.Mepc, at)
				m.want("instructions", c.Instructions(), before)
				m.want("register", *reg, storeValue)
			case tr.extend != nil:
				m.want(tr.name, *reg, tr.extend(value))
				fallthrough
			default:
				m.want("pc after "+tr.name, h.PC, at+4)
				m.want("instructions", c.Instructions(), before+1)
			}
		}
		for off := 1; off < tr.size; off++ {
			h.X[10] = device + 16 + uint64(off) + 7
			m.step(tr.name)
			cause := riscv.LoadAccessFault
			if tr.extend == nil {
				cause = riscv.StoreAccessFault
			}
			m.want("cause of misaligned "+tr.name, h.CSR.Mcause, uint64(cause))
			m.want("tval", h.CSR.Mtval, device+16+uint64(off))
		}
	}
	h.X[10] = device + 7
	h.PC = m.Sym("x0")
	m.exit(c.Run(1), cpu.ExitMMIO)
	c.CompleteMMIO(^uint64(0), true)
	m.want("x0", h.X[0], 0)
	for label, cause := range map[string]riscv.Cause{"amo": riscv.StoreAccessFault, "lr": riscv.LoadAccessFault,
		"sc": riscv.StoreAccessFault, "zero": riscv.StoreAccessFault} {
		m.step(label)
		m.want(label+" of a device: cause", h.CSR.Mcause, uint64(cause))
		m.want("tval", h.CSR.Mtval, device)
	}
	h.PC = m.Sym("jump")
	m.exit(c.Run(2), cpu.ExitBudget)
	m.want("fetch from a device: cause", h.CSR.Mcause, uint64(riscv.InstructionAccessFault))
	m.want("tval", h.CSR.Mtval, device)
	m.want("epc", h.CSR.Mepc, device)
}

// checkDataFaults: rights of pages, with the translations of what is allowed
// already known to the engine.
func checkDataFaults(t TB, newEngine New) {
	m := NewMachine(t, newEngine, `
load:	ld a1, 0(a0)
store:	sd a1, 0(a0)
amo:	amoadd.d a1, a1, (a0)
lr:	lr.d a1, (a0)
sc:	sc.d a1, a1, (a0)
`, Options{})
	p := m.pageTable()
	p.mapRange(Base, 0x4000, pageRX)
	p.mapRange(Base+0x4000, 0x4000, pageRX|pageU)
	copy(m.RAM.Bytes()[0x4000:], m.Prog.Code)
	const va, pa = 0x4000_0000, Base + 0x20000
	c, h := m.CPUs[0], m.Hart()
	h.CSR.Mtvec = Base + 0x3000
	h.X[10] = va
	const sum, mxr = riscv.MstatusSUM, riscv.MstatusMXR
	for _, tt := range []struct {
		flags       uint64
		priv        hart.Priv
		status      uint64
		load, store bool
	}{
		{pageRW, hart.S, 0, true, true},
		{pageR, hart.S, 0, true, false},
		{pageX, hart.S, 0, false, false},
		{pageX, hart.S, mxr, true, false},
		{pageRW | pageU, hart.S, 0, false, false},
		{pageRW | pageU, hart.S, sum, true, true},
		{pageX | pageU, hart.S, mxr, false, false},
		{pageX | pageU, hart.S, mxr | sum, true, false},
		{pageRW | pageU, hart.U, 0, true, true},
		{pageR | pageU, hart.U, 0, true, false},
		{pageX | pageU, hart.U, 0, false, false},
		{pageX | pageU, hart.U, mxr, true, false},
		{pageRW, hart.U, sum, false, false},
		{pageRW &^ riscv.PTED, hart.S, 0, true, false},
		{pageRW &^ riscv.PTEA, hart.S, 0, false, false},
		{pageRW &^ riscv.PTEV, hart.S, 0, false, false},
		{riscv.PTEV | riscv.PTEA | riscv.PTED | riscv.PTEW, hart.S, 0, false, false},
	} {
		p.mapPage(va, pa, tt.flags)
		p.enter(c, tt.priv)
		h.CSR.Mstatus = h.CSR.Mstatus&^(sum|mxr) | tt.status
		for round := range 2 {
			for _, label := range []string{"load", "store", "load", "lr", "sc", "amo"} {
				ok, cause := tt.store, riscv.StorePageFault
				if label == "load" || label == "lr" {
					ok, cause = tt.load, riscv.LoadPageFault
				}
				h.Priv, h.CSR.Mcause, h.CSR.Mtval = tt.priv, 0, 0
				at := m.Sym(label)
				if tt.priv == hart.U {
					at += 0x4000
				}
				h.PC = at
				m.exit(c.Run(1), cpu.ExitBudget)
				switch {
				case ok && (h.PC != at+4 || h.Priv != tt.priv):
					t.Errorf("%s with flags %#x in %v, status %#x (round %d): cause %v, want none", label, tt.flags, tt.priv, tt.status, round, riscv.Cause(h.CSR.Mcause))
				case !ok && (h.CSR.Mcause != uint64(cause) || h.CSR.Mtval != va || h.CSR.Mepc != at):
					t.Errorf("%s with flags %#x in %v, status %#x (round %d): cause %v tval %#x, want %v", label, tt.flags, tt.priv, tt.status, round, riscv.Cause(h.CSR.Mcause), h.CSR.Mtval, cause)
				}
				if label == "store" && h.Priv == hart.M {
					h.CSR.Mstatus = h.CSR.Mstatus&^(sum|mxr) | tt.status
				}
			}
		}
	}
	// Svadu: the bits are set, D by the store only.
	h.CSR.Menvcfg |= riscv.MenvcfgADUE
	p.mapPage(va, pa, pageRW&^(riscv.PTEA|riscv.PTED))
	p.enter(c, hart.S)
	m.step("load")
	m.want("flags after a load", m.U64(p.entry(va, 0))&0xff, pageRW&^riscv.PTED)
	m.step("store")
	m.want("flags after a store", m.U64(p.entry(va, 0))&0xff, pageRW)
}

// checkROM: ROM is read and executed, stores to it go to the bus, and while it
// is hidden so do loads.
func checkROM(t TB, newEngine New) {
	m := NewMachine(t, newEngine, `
	jr a0
load:	lw a1, 4(a0)
store:	sw a1, 4(a0)
amo:	amoor.w a1, a1, (a0)
back:	j back
`, Options{})
	const at = 0x2000_0000
	rom, err := m.Mem.Add(memory.ROM, "rom", at, pageSz)
	if err != nil {
		t.Fatalf("%v", err)
	}
	binary.LittleEndian.PutUint32(rom.Bytes(), 0x00058067)      // jr a1
	binary.LittleEndian.PutUint32(rom.Bytes()[4:], 0x8765_4321) // data
	c, h := m.CPUs[0], m.Hart()
	h.CSR.Mtvec = Base + 0x3000
	h.X[10], h.X[11] = at, m.Sym("back")
	m.exit(c.Run(2), cpu.ExitBudget)
	m.want("pc after code in ROM", h.PC, m.Sym("back"))
	for _, hidden := range []bool{false, true, false} {
		rom.SetReadable(!hidden)
		c.FlushTLB()
		h.PC = m.Sym("load")
		e := c.Run(1)
		if hidden {
			m.exit(e, cpu.ExitMMIO)
			m.want("address", uint64(e.MMIO.Addr), at+4)
			c.CompleteMMIO(0x1234, true)
			m.want("load of hidden ROM", h.X[11], 0x1234)
		} else {
			m.exit(e, cpu.ExitBudget)
			m.want("load of ROM", h.X[11], 0xffff_ffff_8765_4321)
		}
		h.PC = m.Sym("store")
		e = c.Run(1)
		m.exit(e, cpu.ExitMMIO)
		if !e.MMIO.Write || e.MMIO.Addr != at+4 {
			t.Errorf("store to ROM: %+v", e.MMIO)
		}
		c.CompleteMMIO(0, true)
		m.step("amo")
		m.want("AMO to ROM: cause", h.CSR.Mcause, uint64(riscv.StoreAccessFault))
		h.PC, h.X[11], h.CSR.Mcause = at, m.Sym("back"), 0
		m.exit(c.Run(1), cpu.ExitBudget)
		if got := h.CSR.Mcause == uint64(riscv.InstructionAccessFault); got != hidden {
			t.Errorf("fetch from ROM, hidden %v: cause %#x", hidden, h.CSR.Mcause)
		}
	}
}

// checkCacheBlocks: cbo.zero clears 64 bytes; all obey envcfg and rights.
func checkCacheBlocks(t TB, newEngine New) {
	m := NewMachine(t, newEngine, `
zero:	cbo.zero (a0)
clean:	cbo.clean (a0)
flush:	cbo.flush (a0)
inval:	cbo.inval (a0)
	prefetch.r 0(a1)
	prefetch.w 32(a1)
	prefetch.i 64(a1)
done:	j done
`, Options{})
	c, h := m.CPUs[0], m.Hart()
	h.CSR.Mtvec = Base + 0x3000
	const data = 0x20000
	view := m.RAM.Bytes()[data : data+256]
	fill(view)
	want := append([]byte(nil), view...)
	clear(want[64:128])
	h.X[10], h.X[11] = Base+data+64+37, 0xdead_0000_0000_beef
	m.Finish()
	if string(view) != string(want) {
		t.Errorf("after cbo.zero: %x", view)
	}
	p := m.pageTable()
	p.mapRange(Base, 0x4000, pageRX)
	p.mapPage(0x4000_0000, Base+data, pageR)
	p.enter(c, hart.S)
	run := func(label string, cause riscv.Cause, tval uint64) {
		h.Priv, h.CSR.Mcause, h.CSR.Mtval = hart.S, 0, 0
		m.step(label)
		m.want(label+": cause", h.CSR.Mcause, uint64(cause))
		m.want(label+": tval", h.CSR.Mtval, tval)
	}
	for _, label := range []string{"zero", "clean", "flush", "inval"} {
		h.CSR.Menvcfg = 0
		run(label, riscv.IllegalInstruction, m.U64(m.Sym(label))&0xffff_ffff)
		h.CSR.Menvcfg = riscv.EnvcfgCBCFE | riscv.EnvcfgCBZE | riscv.EnvcfgCBIE
		h.X[10] = 0x4000_1008
		run(label, riscv.StorePageFault, h.X[10])
		h.X[10] = 0x4000_0008
		if label == "zero" {
			run(label, riscv.StorePageFault, h.X[10])
		} else {
			run(label, 0, 0)
		}
	}
}

// checkDirtyLog: stores of every kind are logged, again after each flush.
func checkDirtyLog(t TB, newEngine New) {
	m := NewMachine(t, newEngine, `
store:	sb a1, 0(a0)
cross:	sd a1, -3(a0)
amo:	amoadd.w a1, a1, (a0)
lrsc:	lr.w a1, (a0)
	sc.w a1, a1, (a0)
zero:	cbo.zero (a0)
load:	ld a1, 0(a0)
`, Options{})
	const page = 0x40
	c, h := m.CPUs[0], m.Hart()
	h.X[10] = Base + page*pageSz
	dirty := func(label string, steps uint64, pages ...int) {
		h.PC = m.Sym(label)
		m.exit(c.Run(steps), cpu.ExitBudget)
		got := m.RAM.CollectDirty()
		c.FlushTLB()
		for i, word := range got {
			var want uint64
			for _, p := range pages {
				if p/64 == i {
					want |= 1 << (p % 64)
				}
			}
			m.want(fmt.Sprintf("dirty pages %d.. after %s", i*64, label), word, want)
		}
	}
	dirty("store", 1) // the log is off
	m.RAM.StartDirtyLog()
	c.FlushTLB()
	for range 2 {
		dirty("load", 1)
		dirty("store", 1, page)
		dirty("cross", 1, page-1, page)
		dirty("amo", 1, page)
		dirty("lrsc", 2, page)
		dirty("zero", 1, page)
	}
}
