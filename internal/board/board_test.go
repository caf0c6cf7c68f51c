package board

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"doppel/internal/device"
	"doppel/internal/device/finisher"
	"doppel/internal/device/flash"
	"doppel/internal/device/virtio/mmio"
	"doppel/internal/fdt"
	"doppel/internal/memory"
	"doppel/internal/riscv/asm"
	"doppel/internal/state"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares got with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test -update rewrites it):\n%s", path, got)
	}
}

// TestMap pins the address map, which software is built for.
func TestMap(t *testing.T) {
	var sb strings.Builder
	for _, w := range Map() {
		fmt.Fprintf(&sb, "%-8s %#010x %#x\n", w.Name, uint64(w.Base), w.Size)
	}
	golden(t, "map.txt", sb.String())
	for i, w := range Map() {
		if i > 0 && Map()[i-1].Base+memory.GPA(Map()[i-1].Size) > w.Base {
			t.Errorf("%s overlaps its neighbour", w.Name)
		}
	}
}

// echo answers with what was asked.
type echo struct {
	name   string
	size   uint64
	narrow bool // no 8-byte accesses
}

func (e *echo) Size() uint64 { return e.size }
func (e *echo) Read(off uint64, size int) (uint64, bool) {
	return off | uint64(size)<<32, size < 8 || !e.narrow
}
func (e *echo) Write(_ uint64, size int, _ uint64) bool  { return size < 8 || !e.narrow }
func (e *echo) Reset()                                   {}
func (e *echo) Node(device.Wiring) *fdt.Node             { return &fdt.Node{Name: e.name} }
func (e *echo) StateName() string                        { return e.name }
func (e *echo) StateVersion() uint32                     { return 1 }
func (e *echo) Save(*state.Encoder)                      {}
func (e *echo) Restore(d *state.Decoder, _ uint32) error { return d.Err() }

func TestBus(t *testing.T) {
	var b Bus
	for _, d := range []struct {
		e    *echo
		base memory.GPA
	}{{&echo{"high", 0x1000, false}, 0x3000}, {&echo{"low", 0x10, true}, 0x1000}, {&echo{"top", 0x1000, false}, 0xffff_ffff_ffff_f000 - 0x1000}} {
		if err := b.Attach(d.e, device.Wiring{Base: d.base}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		gpa  memory.GPA
		size int
		off  uint64
		ok   bool
	}{
		{0x1000, 1, 0, true}, {0x100c, 4, 0xc, true}, {0x100f, 1, 0xf, true}, {0x1010, 1, 0, false},
		{0x1008, 8, 0, false}, // the device has no such access
		{0x0ff8, 8, 0, false}, {0, 1, 0, false}, {0x2ff8, 8, 0, false},
		{0x3000, 8, 0, true}, {0x3ff8, 8, 0xff8, true}, {0x4000, 1, 0, false},
		{0x3001, 2, 0, false}, {0x3000, 3, 0, false}, {0x3000, 0, 0, false}, {0x3000, 16, 0, false}, {0x3000, -8, 0, false},
		{0xffff_ffff_ffff_f000 - 8, 8, 0xff8, true}, {^memory.GPA(0), 1, 0, false}, {^memory.GPA(7), 8, 0, false},
	} {
		v, ok := b.Read(c.gpa, c.size)
		if ok != c.ok || ok && v != c.off|uint64(c.size)<<32 {
			t.Errorf("read of %d at %#x: %#x, %t; want offset %#x, %t", c.size, uint64(c.gpa), v, ok, c.off, c.ok)
		}
		if ok := b.Write(c.gpa, c.size, 0); ok != c.ok {
			t.Errorf("write of %d at %#x: %t, want %t", c.size, uint64(c.gpa), ok, c.ok)
		}
	}
	if err := b.Attach(&echo{"clash", 0x100, false}, device.Wiring{Base: 0x3f80}); err == nil {
		t.Error("overlapping windows are accepted")
	}
}

func TestISAString(t *testing.T) {
	for want, e := range map[string][]string{
		"rv64i":                 {"i"},
		"rv64imafdc_zicsr_zba":  {"i", "m", "a", "f", "d", "c", "zicsr", "zba"},
		"rv64imac_sstc_svnapot": {"i", "m", "a", "c", "sstc", "svnapot"},
	} {
		if got := ISAString(e); got != want {
			t.Errorf("ISAString(%v) = %s, want %s", e, got, want)
		}
	}
}

// TestTree pins the tree of a small machine in source form.
func TestTree(t *testing.T) {
	var b Bus
	end := finisher.New(FinisherPhandle, nil)
	b.Attach(end, device.Wiring{Base: FinisherBase})
	b.Attach(mmio.NewEmpty("virtio0"), device.Wiring{Base: VirtioBase, IRQ: VirtioIRQ, IRQParent: PLICPhandle})
	cfg := TreeConfig{Harts: 2, RAMSize: 1 << 30, TimebaseHz: 10_000_000, Extensions: []string{"i", "m", "zba"}, MMU: "sv57",
		Bootargs: "console=ttyS0", InitrdAt: 0x9000_0000, InitrdLen: 0x1234,
		Extra: append(end.SysconNodes(), flash.Tree([]memory.GPA{FlashBase, FlashBase + FlashSize}, FlashSize))}
	for i := range cfg.RNGSeed {
		cfg.RNGSeed[i] = byte(i)
	}
	dtb := fdt.Encode(Tree(cfg, &b))
	dtc, err := exec.LookPath("dtc")
	if err != nil {
		t.Skip("dtc is missing (Debian package device-tree-compiler)")
	}
	cmd := exec.Command(dtc, "-q", "-I", "dtb", "-O", "dts")
	cmd.Stdin = strings.NewReader(string(dtb))
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("dtc refuses the tree: %v", err)
	}
	golden(t, "tree.dts", string(out))
}

func TestPlace(t *testing.T) {
	for _, c := range []struct {
		ram  uint64
		n    int
		want memory.GPA // 0: no room
	}{
		{512 << 20, 5000, 0x9fe0_0000}, {512 << 20, 3 << 20, 0x9fc0_0000}, {8 << 30, 5000, 0xbfe0_0000},
		{4 << 20, 5000, 0x8020_0000}, {2 << 20, 5000, 0x8000_0000}, {1 << 20, 5000, 0x8000_0000}, {4096, 5000, 0},
	} {
		got, err := PlaceFDT(c.ram, c.n)
		if c.ram == 1<<20 && err == nil && uint64(got-RAMBase)+uint64(c.n) > c.ram {
			t.Errorf("tree behind the end of %d bytes of RAM", c.ram)
		}
		if got != c.want && c.want != 0 || (err == nil) != (c.want != 0) {
			t.Errorf("PlaceFDT(%d, %d) = %#x, %v; want %#x", c.ram, c.n, uint64(got), err, uint64(c.want))
		}
	}
	const small, large = 512 << 20, 4 << 30
	for _, c := range []struct {
		ram            uint64
		kernelEnd, fdt memory.GPA
		n              uint64
		want           memory.GPA
	}{
		{small, 0x8100_0000, 0x9fe0_0000, 0x1001, 0x9fdf_e000}, {small, 0x9fdf_e000, 0x9fe0_0000, 0x1001, 0x9fdf_e000},
		{small, 0x9fdf_f000, 0x9fe0_0000, 0x1001, 0}, {small, 0x8000_0000, 0x9fe0_0000, 1 << 40, 0},
		{small, 0x8000_0000, 0x9fe0_0000, ^uint64(0), 0},
		// One that is larger than the memory below the tree.
		{large, 0x8100_0000, 0xbfe0_0000, 1 << 30, 0x1_4000_0000}, {large, 0x8100_0000, 0xbfe0_0000, 3<<30 + 1, 0},
		{large, 0x8100_0000, 0xbfe0_0000, 3 << 30, 0xc000_0000},
	} {
		if got, err := PlaceInitrd(c.ram, c.kernelEnd, c.fdt, c.n); got != c.want || (err == nil) != (c.want != 0) {
			t.Errorf("PlaceInitrd(%#x, %#x, %#x, %#x) = %#x, %v; want %#x", c.ram, uint64(c.kernelEnd), uint64(c.fdt), c.n, uint64(got), err, uint64(c.want))
		}
	}
}

// TestResetVector holds the machine code to its source.
func TestResetVector(t *testing.T) {
	want := asm.MustAssemble(`
1:	auipc t0, 0
	addi  a2, t0, dynamic - 1b
	csrr  a0, mhartid
	ld    a1, fdt - 1b(t0)
	ld    t0, start - 1b(t0)
	jr    t0
start:	.dword 0x80000000
fdt:	.dword 0x9fe00000
dynamic:
	.dword 0x4942534f, 2, 0x80200000, 1, 0, 0
`, asm.Options{Origin: uint64(MROMBase)}).Code
	if got := ResetVector(RAMBase, 0x9fe0_0000, KernelBase); string(got) != string(want) {
		t.Errorf("reset vector\n%x, want\n%x", got, want)
	}
}
