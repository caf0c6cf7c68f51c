package board

import (
	"fmt"
	"strings"

	"doppel/internal/fdt"
	"doppel/internal/memory"
)

// Phandles of the tree.
const (
	PLICPhandle     = 1
	FinisherPhandle = 2
	cpuPhandle      = 0x10 // of hart 0; hart n has cpuPhandle+2n
)

// InterruptPhandle is the phandle of a hart's interrupt controller.
func InterruptPhandle(hart int) uint32 { return uint32(cpuPhandle + 2*hart + 1) }

// TreeConfig is what the device tree depends on besides the bus.
type TreeConfig struct {
	Harts      int
	RAMSize    uint64
	TimebaseHz uint32
	// Extensions are the ISA's single letters and multi-letter extensions in
	// canonical order, e.g. "i", "m", ..., "zba".
	Extensions []string
	MMU        string // e.g. "sv57"

	Bootargs  string
	InitrdAt  memory.GPA
	InitrdLen uint64
	KASLRSeed [8]byte
	RNGSeed   [32]byte
	// Extra nodes at the root, such as the syscon drivers'.
	Extra []*fdt.Node
}

// ISAString is the riscv,isa property: single letters, then the others each
// after an underscore (unpriv, "ISA extension naming conventions").
func ISAString(extensions []string) string {
	var sb strings.Builder
	sb.WriteString("rv64")
	for _, e := range extensions {
		if len(e) > 1 {
			sb.WriteByte('_')
		}
		sb.WriteString(e)
	}
	return sb.String()
}

// Tree builds the device tree.
func Tree(cfg TreeConfig, b *Bus) *fdt.Node {
	root := &fdt.Node{}
	root.U32("#address-cells", 2)
	root.U32("#size-cells", 2)
	root.Str("compatible", "riscv-virtio")
	root.Str("model", "riscv-virtio,doppel")
	root.Add(chosen(cfg))
	mem := root.Child("memory@%x", uint64(RAMBase))
	mem.Str("device_type", "memory")
	mem.U64("reg", uint64(RAMBase), cfg.RAMSize)
	root.Add(cpus(cfg))
	for _, n := range cfg.Extra {
		root.Add(n)
	}
	soc := root.Child("soc")
	soc.U32("#address-cells", 2)
	soc.U32("#size-cells", 2)
	soc.Str("compatible", "simple-bus")
	soc.Flag("ranges")
	for _, n := range b.nodes() {
		soc.Add(n)
	}
	return root
}

func chosen(cfg TreeConfig) *fdt.Node {
	n := &fdt.Node{Name: "chosen"}
	if cfg.Bootargs != "" {
		n.Str("bootargs", cfg.Bootargs)
	}
	n.Str("stdout-path", fmt.Sprintf("/soc/serial@%x", uint64(UARTBase)))
	n.Bytes("rng-seed", cfg.RNGSeed[:])
	n.Bytes("kaslr-seed", cfg.KASLRSeed[:])
	if cfg.InitrdLen != 0 {
		n.U64("linux,initrd-start", uint64(cfg.InitrdAt))
		n.U64("linux,initrd-end", uint64(cfg.InitrdAt)+cfg.InitrdLen)
	}
	return n
}

func cpus(cfg TreeConfig) *fdt.Node {
	n := &fdt.Node{Name: "cpus"}
	n.U32("#address-cells", 1)
	n.U32("#size-cells", 0)
	n.U32("timebase-frequency", cfg.TimebaseHz)
	cluster := &fdt.Node{Name: "cluster0"}
	for i := range cfg.Harts {
		n.Add(cpu(cfg, i))
		core := cluster.Child("core%d", i)
		core.U32("cpu", uint32(cpuPhandle+2*i))
	}
	n.Child("cpu-map").Add(cluster)
	return n
}

func cpu(cfg TreeConfig, hart int) *fdt.Node {
	n := &fdt.Node{Name: fmt.Sprintf("cpu@%x", hart)}
	n.U32("phandle", uint32(cpuPhandle+2*hart))
	n.Str("device_type", "cpu")
	n.U32("reg", uint32(hart))
	n.Str("status", "okay")
	n.Str("compatible", "riscv")
	n.Str("riscv,isa", ISAString(cfg.Extensions))
	n.Str("riscv,isa-base", "rv64i")
	n.Str("riscv,isa-extensions", cfg.Extensions...)
	n.U32("riscv,cbom-block-size", 64)
	n.U32("riscv,cbop-block-size", 64)
	n.U32("riscv,cboz-block-size", 64)
	n.Str("mmu-type", "riscv,"+cfg.MMU)
	intc := n.Child("interrupt-controller")
	intc.U32("#interrupt-cells", 1)
	intc.Flag("interrupt-controller")
	intc.Str("compatible", "riscv,cpu-intc")
	intc.U32("phandle", InterruptPhandle(hart))
	return n
}
