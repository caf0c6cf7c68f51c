package conformance

import (
	"fmt"
	"strings"
	"testing"

	"doppel/internal/cpu"
	"doppel/internal/riscv"
	"doppel/internal/riscv/asm"
	"doppel/test/bare"
)

// csrRanges lists the CSRs that the hart has, by the lowest mode that may use
// them once all enables are set. Every other number is an illegal instruction.
var csrRanges = map[riscv.Privilege]string{
	riscv.User: "fflags frm fcsr cycle time instret hpmcounter3-31",
	riscv.Supervisor: "sstatus sie stvec scounteren senvcfg sstateen0-3 sscratch sepc scause stval sip stimecmp satp " +
		"scountovf",
	riscv.Machine: "mvendorid marchid mimpid mhartid mconfigptr mstatus misa medeleg mideleg mie mtvec mcounteren menvcfg " +
		"mstateen0-3 mcountinhibit mhpmevent3-31 mscratch mepc mcause mtval mip pmpcfg0 pmpcfg2 mseccfg " +
		"mcycle minstret mhpmcounter3-31 pmpaddr0-63 pmpcfg4 pmpcfg6 pmpcfg8 pmpcfg10 pmpcfg12 pmpcfg14 " + // above 15: read-only zero
		"tselect tdata1 tdata2 tdata3 tinfo", // no triggers: tselect reads 0, tinfo says so
}

// csrNumbers expands the names, such as "pmpaddr0-15".
func csrNumbers(t *testing.T, names string) map[riscv.CSR]bool {
	out := map[riscv.CSR]bool{}
	for _, name := range strings.Fields(names) {
		base, first, last := strings.TrimRight(name, "0123456789-"), 0, 0
		if n, _ := fmt.Sscanf(name[len(base):], "%d-%d", &first, &last); n < 2 {
			base, first, last = name, -1, -1
		}
		for i := first; i <= last; i++ {
			full := base
			if i >= 0 {
				full = fmt.Sprint(base, i)
			}
			c, ok := riscv.CSRByName(full)
			if !ok {
				t.Fatalf("no CSR is named %s", full)
			}
			out[c] = true
		}
	}
	return out
}

// sweep tries an instruction on every CSR in one mode: a byte for each tells
// whether it trapped. The handler goes on behind the instruction.
const sweep = `
	lla t0, handler
	csrw mtvec, t0
	li t0, -1
	csrw pmpaddr0, t0
	csrwi pmpcfg0, 0x1f
	csrw mcounteren, t0
	csrw scounteren, t0
	csrw mstateen0, t0
	csrw mstateen1, t0
	csrw mstateen2, t0
	csrw mstateen3, t0
	li t0, 1 << 63
	csrw menvcfg, t0
	li t0, 0x1800
	csrc mstatus, t0
	li t0, MODE << 11 | 0x6000
	csrs mstatus, t0
	lla t0, body
	csrw mepc, t0
	mret
	.align 2
handler:
	csrr t0, mcause
	addi t0, t0, -2
	bnez t0, stop
	li s9, 1
	csrr t0, mepc
	addi t0, t0, 4
	csrw mepc, t0
	mret
stop:	csrr t0, mcause
	li t1, 0x100000
	sw t0, (t1)
1:	j 1b
body:
	li s8, 0x80800000
	li s7, -1
.set n, 0
.rept 4096
	li s9, 0
	TRY
	sb s9, (s8)
	addi s8, s8, 1
	.set n, n + 1
.endr
	ecall
`

// runSweep returns which CSRs the instruction trapped on.
func runSweep(t *testing.T, e bare.Engine, mode riscv.Privilege, try string) []byte {
	src := strings.ReplaceAll(strings.ReplaceAll(sweep, "TRY", try), "MODE", fmt.Sprint(uint8(mode)))
	p, err := asm.Assemble(src, asm.Options{Origin: bare.Base})
	if err != nil {
		t.Fatal(err)
	}
	m := bare.New(t, e, bare.Config{})
	m.Load(bare.Base, p.Code)
	m.Start(bare.Base)
	ended, cause := false, riscv.Cause(0)
	m.MMIO = func(a cpu.MMIO) (uint64, bool) {
		ended, cause = true, riscv.Cause(a.Data)
		return 0, true
	}
	if err := m.Run(1_000_000, 1000, func() bool { return ended }); err != nil {
		t.Fatal(err)
	}
	if cause < riscv.EnvironmentCallFromU || cause > riscv.EnvironmentCallFromM {
		t.Fatalf("the sweep ended with %v at %#x", cause, m.Hart.CSR.Mepc)
	}
	return m.RAM[0x80_0000:][:4096]
}

// Every one of the 4,096 numbers, read and written in every mode, is there or
// traps, exactly as the list says.
func TestCSRSweep(t *testing.T) {
	there := map[riscv.Privilege]map[riscv.CSR]bool{}
	for mode, names := range csrRanges {
		there[mode] = csrNumbers(t, names)
	}
	for _, e := range bare.Engines {
		for _, mode := range []riscv.Privilege{riscv.User, riscv.Supervisor, riscv.Machine} {
			reads := runSweep(t, e, mode, "csrr a0, n")
			// The old value comes back at once: the sweep itself must live on.
			writes := runSweep(t, e, mode, "csrrw s6, n, s7\n csrrw zero, n, s6")
			if mode == riscv.Machine {
				writes = runSweep(t, e, mode, "csrrs zero, n, s5") // s5 is 0, yet it is a write
			}
			for n := range riscv.CSR(4096) {
				exists := there[riscv.User][n] || mode >= riscv.Supervisor && there[riscv.Supervisor][n] || mode == riscv.Machine && there[riscv.Machine][n]
				if (reads[n] == 0) != exists {
					t.Errorf("%s: reading %v in %v-mode: trapped %v, exists %v", e.Name, n, mode, reads[n] != 0, exists)
				}
				// The entropy source is there for writes only, in M-mode unless mseccfg opens it (unpriv §34.2).
				writable := exists && !n.ReadOnly() || n == riscv.CSRSeed && mode == riscv.Machine
				if (writes[n] == 0) != writable {
					t.Errorf("%s: writing %v in %v-mode: trapped %v, writable %v", e.Name, n, mode, writes[n] != 0, writable)
				}
			}
		}
	}
}
