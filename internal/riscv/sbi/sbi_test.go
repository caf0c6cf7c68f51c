package sbi

import (
	"fmt"
	"slices"
	"testing"

	"doppel/internal/clock"
	"doppel/internal/entropy"
	"doppel/internal/memory"
	"doppel/internal/riscv"
	"doppel/internal/riscv/hart"
)

const (
	ramBase = 0x8000_0000
	ramSize = 1 << 20
	none    = ^uint64(0)
)

// flushes is an engine that counts what it forgets.
type flushes struct {
	tlb  []hart.Fence
	code int
}

func (f *flushes) FlushTLB(x hart.Fence) { f.tlb = append(f.tlb, x) }
func (f *flushes) FlushCode()            { f.code++ }

// fake is a machine: harts and a platform.
type fake struct {
	*SBI
	harts   []*hart.Hart
	engines []*flushes
	mem     *memory.Space

	woken  []int
	resets []string
	out    []byte
	in     []byte
	room   int
}

func (f *fake) Wake(id int) { f.woken = append(f.woken, id) }
func (f *fake) Reset(k ResetType, r ResetReason) {
	f.resets = append(f.resets, fmt.Sprintf("%v, %v", k, r))
}
func (f *fake) WriteConsole(p []byte) int {
	n := min(len(p), f.room)
	f.room -= n
	f.out = append(f.out, p[:n]...)
	return n
}
func (f *fake) ReadConsole(p []byte) int {
	n := copy(p, f.in)
	f.in = f.in[n:]
	return n
}

func newFake(t testing.TB, n int) *fake {
	t.Helper()
	f := &fake{mem: &memory.Space{}, room: 1 << 20}
	if _, err := f.mem.Add(memory.RAM, "ram", ramBase, ramSize); err != nil {
		t.Fatal(err)
	}
	if _, err := f.mem.Add(memory.ROM, "rom", 0x1000, 0x1000); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.mem.Close(); err != nil {
			t.Error(err)
		}
	})
	clk := clock.NewHost()
	for i := range n {
		e := &flushes{}
		h := hart.New(hart.Config{ID: i, Memory: f.mem, Clock: clk, Entropy: entropy.NewSeeded(1), Supervisor: true}, e)
		e.tlb, e.code = nil, 0
		f.harts, f.engines = append(f.harts, h), append(f.engines, e)
	}
	f.SBI = New(f.harts, f)
	return f
}

// call makes an SBI call on a hart and returns what it returns.
func (f *fake) call(id int, ext, fn uint64, args ...uint64) (Error, uint64, Action) {
	h := f.harts[id]
	h.X[17], h.X[16] = ext, fn
	for i := range 6 {
		h.X[10+i] = 0
	}
	copy(h.X[10:16], args)
	act := f.Call(h)
	return Error(h.X[10]), h.X[11], act
}

// TestReturns: one call a line, on a machine of three harts of which the first
// runs.
func TestReturns(t *testing.T) {
	for _, c := range []struct {
		rule    string
		ext, fn uint64
		args    []uint64
		err     Error
		value   uint64
	}{
		{"sbi §4.1: version 3.0", extBase, 0, nil, Success, 0x0300_0000},
		{"sbi §4.2", extBase, 1, nil, Success, implID},
		{"sbi §4.3", extBase, 2, nil, Success, 1},
		{"sbi §4.4: probe TIME", extBase, 3, []uint64{extTIME}, Success, 1},
		{"sbi §4.4: probe FWFT", extBase, 3, []uint64{extFWFT}, Success, 1},
		{"sbi §4.4: probe putchar", extBase, 3, []uint64{extPutchar}, Success, 1},
		{"sbi §4.4: probe SUSP", extBase, 3, []uint64{0x53555350}, Success, 0},
		{"sbi §4.4: probe 9", extBase, 3, []uint64{9}, Success, 0},
		{"sbi §4.5", extBase, 4, nil, Success, 0},
		{"sbi §4.6", extBase, 5, nil, Success, 0},
		{"sbi §4.7", extBase, 6, nil, Success, 0},
		{"sbi §3: no such function", extBase, 7, nil, ErrNotSupported, 0},
		{"sbi §3: no such extension", 0x53555350, 0, nil, ErrNotSupported, 0},
		{"sbi §3: extension 9", 9, 0, nil, ErrNotSupported, 0},
		{"sbi §3: extension -1", none, 0, nil, ErrNotSupported, 0},
		{"sbi §6: no such function", extTIME, 1, nil, ErrNotSupported, 0},
		{"sbi §6.1", extTIME, 0, []uint64{77}, Success, 0},
		{"sbi §7.1", extIPI, 0, []uint64{7, 0}, Success, 0},
		{"sbi §7.1: to nobody", extIPI, 0, []uint64{0, 0}, Success, 0},
		{"sbi §7.1: base -1 is all", extIPI, 0, []uint64{0, none}, Success, 0},
		{"sbi §7.1: hart 3", extIPI, 0, []uint64{8, 0}, ErrInvalidParam, 0},
		{"sbi §7.1: hart 2 by base", extIPI, 0, []uint64{1, 2}, Success, 0},
		{"sbi §7.1: hart 3 by base", extIPI, 0, []uint64{2, 2}, ErrInvalidParam, 0},
		{"sbi §7.1: base that wraps", extIPI, 0, []uint64{4, none - 1}, ErrInvalidParam, 0},
		{"sbi §7: no such function", extIPI, 1, nil, ErrNotSupported, 0},
		{"sbi §8.1", extRFENCE, 0, []uint64{7, 0}, Success, 0},
		{"sbi §8.1: hart 63", extRFENCE, 0, []uint64{1 << 63, 0}, ErrInvalidParam, 0},
		{"sbi §8.2", extRFENCE, 1, []uint64{7, 0, 0x1000, 0x1000}, Success, 0},
		{"sbi §8.3", extRFENCE, 2, []uint64{7, 0, 0x1000, 0x1000, 5}, Success, 0},
		{"sbi §8.4: hypervisor", extRFENCE, 3, []uint64{7, 0}, ErrNotSupported, 0},
		{"sbi §8.7: hypervisor", extRFENCE, 6, []uint64{7, 0}, ErrNotSupported, 0},
		{"sbi §9.1: running", extHSM, 0, []uint64{0, ramBase, 0}, ErrAlreadyAvailable, 0},
		{"sbi §9.1: no such hart", extHSM, 0, []uint64{3, ramBase, 0}, ErrInvalidParam, 0},
		{"sbi §9.1: no such hart", extHSM, 0, []uint64{none, ramBase, 0}, ErrInvalidParam, 0},
		{"sbi §9.1: no memory", extHSM, 0, []uint64{1, 0x10_0000, 0}, ErrInvalidAddress, 0},
		{"sbi §9.1: end of memory", extHSM, 0, []uint64{1, ramBase + ramSize, 0}, ErrInvalidAddress, 0},
		{"sbi §9.1: odd", extHSM, 0, []uint64{1, ramBase + 1, 0}, ErrInvalidAddress, 0},
		{"sbi §9.1: in ROM", extHSM, 0, []uint64{1, 0x1000, 0}, Success, 0},
		{"sbi §9.3", extHSM, 2, []uint64{0}, Success, uint64(Started)},
		{"sbi §9.3", extHSM, 2, []uint64{2}, Success, uint64(Stopped)},
		{"sbi §9.3: no such hart", extHSM, 2, []uint64{3}, ErrInvalidParam, 0},
		{"sbi §9.4: reserved type", extHSM, 3, []uint64{1, ramBase, 0}, ErrInvalidParam, 0},
		{"sbi §9.4: platform's type", extHSM, 3, []uint64{0x1000_0000, ramBase, 0}, ErrInvalidParam, 0},
		{"sbi §9.4: platform's non-retentive type", extHSM, 3, []uint64{0x9000_0000, ramBase, 0}, ErrInvalidParam, 0},
		{"sbi §9.4: no memory", extHSM, 3, []uint64{0x8000_0000, 0, 0}, ErrInvalidAddress, 0},
		{"sbi §9: no such function", extHSM, 4, nil, ErrNotSupported, 0},
		{"sbi §10.1: reserved type", extSRST, 0, []uint64{3, 0}, ErrInvalidParam, 0},
		{"sbi §10.1: vendor's type", extSRST, 0, []uint64{0xf000_0000, 0}, ErrInvalidParam, 0},
		{"sbi §10.1: reserved reason", extSRST, 0, []uint64{0, 2}, ErrInvalidParam, 0},
		{"sbi §10: no such function", extSRST, 1, nil, ErrNotSupported, 0},
		{"sbi §12.3", extDBCN, 2, []uint64{'x'}, Success, 0},
		{"sbi §12: no such function", extDBCN, 3, nil, ErrNotSupported, 0},
		{"sbi §12.1: no memory", extDBCN, 0, []uint64{1, 0x10_0000, 0}, ErrInvalidParam, 0},
		{"sbi §12.1: over the end", extDBCN, 0, []uint64{9, ramBase + ramSize - 8, 0}, ErrInvalidParam, 0},
		{"sbi §12.1: up to the end", extDBCN, 0, []uint64{8, ramBase + ramSize - 8, 0}, Success, 8},
		{"sbi §12.1: length that wraps", extDBCN, 0, []uint64{none, ramBase, 0}, ErrInvalidParam, 0},
		{"sbi §12.1: high half", extDBCN, 0, []uint64{1, ramBase, 1}, ErrInvalidParam, 0},
		{"sbi §12.1: from ROM", extDBCN, 0, []uint64{1, 0x1000, 0}, Success, 1},
		{"sbi §12.1: nothing", extDBCN, 0, []uint64{0, ramBase, 0}, Success, 0},
		{"sbi §12.1: everything, in part", extDBCN, 0, []uint64{ramSize, ramBase, 0}, Success, maxConsole},
		{"sbi §12.2: to ROM", extDBCN, 1, []uint64{1, 0x1000, 0}, ErrInvalidParam, 0},
		{"sbi §12.2: nothing typed", extDBCN, 1, []uint64{9, ramBase, 0}, Success, 0},
		{"sbi §12.2: over the end", extDBCN, 1, []uint64{9, ramBase + ramSize - 8, 0}, ErrInvalidParam, 0},
		{"sbi §18.2: misaligned exceptions", extFWFT, 1, []uint64{0}, Success, 1},
		{"sbi §18.2: A and D updating", extFWFT, 1, []uint64{4}, Success, 1},
		{"sbi §18.2: landing pad", extFWFT, 1, []uint64{1}, ErrNotSupported, 0},
		{"sbi §18.2: reserved", extFWFT, 1, []uint64{6}, ErrDenied, 0},
		{"sbi §18.1: misaligned exceptions", extFWFT, 0, []uint64{0, 1, 0}, Success, 0},
		{"sbi §18.1: misaligned exceptions to nobody", extFWFT, 0, []uint64{0, 0, 0}, ErrDenied, 0},
		{"sbi §18.1: value", extFWFT, 0, []uint64{4, 2, 0}, ErrInvalidParam, 0},
		{"sbi §18.1: flags", extFWFT, 0, []uint64{4, 1, 2}, ErrInvalidParam, 0},
		{"sbi §18.1: pointer masking", extFWFT, 0, []uint64{5, 7, 0}, ErrNotSupported, 0},
		{"sbi §18.1: global", extFWFT, 0, []uint64{0x8000_0000, 1, 0}, ErrDenied, 0},
		{"sbi §18: no such function", extFWFT, 2, []uint64{0}, ErrNotSupported, 0},
	} {
		f := newFake(t, 3)
		f.harts[0].PC = ramBase
		err, value, act := f.call(0, c.ext, c.fn, c.args...)
		if err != c.err || value != c.value || act != Continue || f.harts[0].PC != ramBase+4 {
			t.Errorf("%s: %v, %#x, %v, pc %#x; want %v, %#x", c.rule, err, value, act, f.harts[0].PC, c.err, c.value)
		}
	}
}

// TestRegistersKept: sbi §3: all but a0 and a1 are preserved.
func TestRegistersKept(t *testing.T) {
	f := newFake(t, 2)
	h := f.harts[0]
	for i := 1; i < 32; i++ {
		h.X[i] = uint64(i) * 0x0101
	}
	before := h.State
	h.X[17], h.X[16] = extBase, 3
	before.X[17], before.X[16] = extBase, 3
	f.Call(h)
	before.X[10], before.X[11], before.PC = h.X[10], h.X[11], before.PC+4
	if h.State != before {
		t.Errorf("state has changed:\n%+v\n%+v", h.State, before)
	}
}

func TestTimer(t *testing.T) {
	f := newFake(t, 1)
	h := f.harts[0]
	f.call(0, extTIME, 0, 0)
	if v, _ := h.ReadCSR(uint16(riscv.CSRSip)); v != riscv.MipSTIP {
		t.Errorf("sip = %#x, want STIP", v)
	}
	f.call(0, extSetTimer, 0, none)
	if v, _ := h.ReadCSR(uint16(riscv.CSRSip)); v != 0 {
		t.Errorf("sip = %#x: sbi §6.1: a new time clears STIP", v)
	}
	if h.CSR.Stimecmp != none {
		t.Errorf("stimecmp = %#x", h.CSR.Stimecmp)
	}
}

func TestIPI(t *testing.T) {
	f := newFake(t, 3)
	pending := func() (out []int) {
		for i, h := range f.harts {
			if h.ClearIPI() {
				out = append(out, i)
			}
		}
		return out
	}
	for _, c := range []struct {
		ext        uint64
		mask, base uint64
		want       []int
	}{
		{extIPI, 5, 0, []int{0, 2}},
		{extIPI, 1, 1, []int{1}},
		{extIPI, 99, none, []int{0, 1, 2}},
		{extIPI, 9, 0, nil},                // hart 3: nobody gets one
		{extSendIPI, 0, 0, []int{0, 1, 2}}, // no mask
		{extSendIPI, ramBase + 8, 0, []int{1, 2}},
	} {
		if err := f.mem.WriteAt([]byte{6}, ramBase+8); err != nil {
			t.Fatal(err)
		}
		f.call(0, c.ext, 0, c.mask, c.base)
		if got := pending(); !slices.Equal(got, c.want) {
			t.Errorf("%+v: harts %v, want %v", c, got, c.want)
		}
	}
	f.harts[0].SetInterrupt(1, true)
	for _, want := range []Error{1, 0} { // sbi §5.4
		if got, _, _ := f.call(0, extClearIPI, 0); got != want {
			t.Errorf("clear IPI returns %d, want %d", got, want)
		}
	}
}

func TestRemoteFence(t *testing.T) {
	page := func(va, size uint64) hart.Fence { return hart.Fence{HasVA: true, VA: va, Size: size} }
	asid := func(f hart.Fence) hart.Fence { f.HasASID, f.ASID = true, 7; return f }
	for _, c := range []struct {
		ext, fn uint64
		args    []uint64
		want    hart.Fence
	}{
		{extRFENCE, 0, []uint64{2, 0}, hart.Fence{Code: true}},
		{extRFENCE, 1, []uint64{2, 0, 0, 0}, hart.Fence{}},
		{extRFENCE, 1, []uint64{2, 0, 0, none}, hart.Fence{}},
		{extRFENCE, 1, []uint64{2, 0, 0x5000, none}, hart.Fence{}},
		{extRFENCE, 1, []uint64{2, 0, 0x5000, 0x1000}, page(0x5000, 0x1000)},
		{extRFENCE, 1, []uint64{2, 0, 0x5001, 0x1000}, page(0x5000, 0x2000)},
		{extRFENCE, 1, []uint64{2, 0, 0x5001, 1}, page(0x5000, 0x1000)},
		{extRFENCE, 1, []uint64{2, 0, 0x5000, 0}, page(0x5000, 0x1000)},
		{extRFENCE, 1, []uint64{2, 0, none - 4095, 4096}, hart.Fence{}},
		{extRFENCE, 1, []uint64{2, 0, 1, none - 1}, hart.Fence{}},
		{extRFENCE, 2, []uint64{2, 0, 0x5000, 0x1000, 7}, asid(page(0x5000, 0x1000))},
		{extRFENCE, 2, []uint64{2, 0, 0, 0, 7}, asid(hart.Fence{})},
		{extRemoteFenceI, 0, []uint64{ramBase}, hart.Fence{Code: true}},
		{extRemoteFence, 0, []uint64{ramBase, 0x5000, 0x1000}, page(0x5000, 0x1000)},
		{extRemoteFenceASID, 0, []uint64{ramBase, 0x5000, 0x1000, 7}, asid(page(0x5000, 0x1000))},
	} {
		f := newFake(t, 2)
		if err := f.mem.WriteAt([]byte{2}, ramBase); err != nil {
			t.Fatal(err)
		}
		if err, _, _ := f.call(0, c.ext, c.fn, c.args...); err != Success {
			t.Errorf("%+v: %v", c, err)
		}
		f.harts[1].Enter()
		e := f.engines[1]
		if c.want.Code {
			if e.code != 1 || e.tlb != nil {
				t.Errorf("%+v: %+v", c, e)
			}
		} else if len(e.tlb) != 1 || e.tlb[0] != c.want || e.code != 0 {
			t.Errorf("%+v: %+v", c, e)
		}
		if e := f.engines[0]; e.tlb != nil || e.code != 0 {
			t.Errorf("%+v: hart 0 flushes too", c)
		}
	}
}

func TestSystemReset(t *testing.T) {
	for _, c := range []struct {
		ext  uint64
		args []uint64
		want string
	}{
		{extSRST, []uint64{0, 0}, "shutdown, no reason"},
		{extSRST, []uint64{1, 1}, "cold reboot, system failure"},
		{extSRST, []uint64{2 | 1<<32, 1 << 33}, "warm reboot, no reason"}, // 32-bit parameters
		{extShutdown, nil, "shutdown, no reason"},
	} {
		f := newFake(t, 1)
		f.harts[0].PC = ramBase
		if _, _, act := f.call(0, c.ext, 0, c.args...); act != Stop || len(f.resets) != 1 || f.resets[0] != c.want {
			t.Errorf("%+v: %v, %q", c, act, f.resets)
		}
		if f.harts[0].PC != ramBase {
			t.Errorf("%+v: the call returns", c)
		}
	}
}

func TestConsole(t *testing.T) {
	f := newFake(t, 1)
	h := f.harts[0]
	if err := f.mem.WriteAt([]byte("hello"), ramBase+100); err != nil {
		t.Fatal(err)
	}
	f.room = 4
	if err, n, _ := f.call(0, extDBCN, 0, 5, ramBase+100, 0); err != Success || n != 4 {
		t.Errorf("%v, %d: sbi §12.1: a write may be partial", err, n)
	}
	for _, ext := range []uint64{extDBCN, extPutchar} {
		// These block: the call comes again until there is room.
		h.PC = ramBase
		if _, _, act := f.call(0, ext, 2, '!'); act != Retry || h.PC != ramBase || h.X[10] != '!' || h.X[17] != ext {
			t.Errorf("%#x with no room: %v, pc %#x, a0 %#x", ext, act, h.PC, h.X[10])
		}
		f.room = 1
		if act := f.Call(h); act != Continue || h.PC != ramBase+4 || h.X[10] != 0 {
			t.Errorf("%#x with room: %v", ext, act)
		}
	}
	if string(f.out) != "hell!!" {
		t.Errorf("console has %q", f.out)
	}
	f.in = []byte("abc")
	if c, _, _ := f.call(0, extGetchar, 0); c != 'a' {
		t.Errorf("getchar returns %d", c)
	}
	if err, n, _ := f.call(0, extDBCN, 1, 100, ramBase, 0); err != Success || n != 2 {
		t.Errorf("read: %v, %d", err, n)
	}
	b := make([]byte, 3)
	if err := f.mem.ReadAt(b, ramBase); err != nil || string(b) != "bc\x00" {
		t.Errorf("memory has %q, %v", b, err)
	}
	if c, _, _ := f.call(0, extGetchar, 0); c != -1 {
		t.Errorf("getchar returns %d, want -1", c)
	}
}

// TestLegacyKeepsA1: sbi §5: nothing is returned in a1.
func TestLegacyKeepsA1(t *testing.T) {
	for ext := uint64(0); ext <= extShutdown; ext++ {
		f := newFake(t, 1)
		if _, a1, _ := f.call(0, ext, 0, 0, 0x1234); a1 != 0x1234 {
			t.Errorf("extension %d: a1 = %#x", ext, a1)
		}
	}
}

// TestLegacyFault: sbi §5: a mask that cannot be read is the supervisor's fault.
func TestLegacyFault(t *testing.T) {
	f := newFake(t, 1)
	h := f.harts[0]
	h.PC = ramBase + 0x40
	h.CSR.Stvec = ramBase + 0x100
	f.call(0, extSendIPI, 0, 0x10_0000)
	if h.PC != ramBase+0x100 || h.CSR.Sepc != ramBase+0x40 || h.CSR.Scause != uint64(riscv.LoadAccessFault) || h.CSR.Stval != 0x10_0000 {
		t.Errorf("pc %#x, sepc %#x, scause %d, stval %#x", h.PC, h.CSR.Sepc, h.CSR.Scause, h.CSR.Stval)
	}
}

func TestFirmwareFeatures(t *testing.T) {
	f := newFake(t, 2)
	h := f.harts[0]
	get := func(id int) uint64 { _, v, _ := f.call(id, extFWFT, 1, featureADUpdating); return v }
	f.call(0, extFWFT, 0, featureADUpdating, 0, 0)
	if get(0) != 0 || get(1) != 1 || h.CSR.Menvcfg&riscv.MenvcfgADUE != 0 {
		t.Error("not switched off, or not on one hart alone")
	}
	if len(f.engines[0].tlb) == 0 {
		t.Error("the engine is not told")
	}
	f.call(0, extFWFT, 0, featureADUpdating, 1, flagLock)
	if err, _, _ := f.call(0, extFWFT, 0, featureADUpdating, 0, 0); err != ErrDenied || get(0) != 1 {
		t.Errorf("locked: %v", err)
	}
	// sbi §18: a start of the hart unlocks.
	f.call(0, extHSM, 1)
	f.call(1, extHSM, 0, 0, ramBase, 0)
	f.Enter(0)
	if err, _, _ := f.call(0, extFWFT, 0, featureADUpdating, 0, 0); err != Success {
		t.Errorf("after a start: %v", err)
	}
}
