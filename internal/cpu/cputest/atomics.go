package cputest

import (
	"fmt"
	"strings"

	"doppel/internal/cpu"
	"doppel/internal/riscv"
)

// amos say what each AMO stores.
var amos = map[string]func(old, v uint64) uint64{
	"swap": func(_, v uint64) uint64 { return v },
	"add":  binaryOps["add"],
	"xor":  binaryOps["xor"],
	"and":  binaryOps["and"],
	"or":   binaryOps["or"],
	"min":  binaryOps["min"],
	"max":  binaryOps["max"],
	"minu": binaryOps["minu"],
	"maxu": binaryOps["maxu"],
}

// checkAtomics: every AMO on the corners, both widths, all orderings, rd = rs2.
func checkAtomics(t TB, newEngine New) {
	var src strings.Builder
	for name := range amos {
		for _, width := range []string{"w", "d"} {
			for i, order := range []string{"", ".aq", ".rl", ".aqrl"} {
				fmt.Fprintf(&src, "%s%s%d: amo%s.%s%s a2, a1, (a0)\n", name, width, i, name, width, order)
			}
			fmt.Fprintf(&src, "%s%s4: amo%s.%s a1, a1, (a0)\n", name, width, name, width)
		}
	}
	src.WriteString("casw: amocas.w a2, a1, (a0)\ncasd: amocas.d a2, a1, (a0)\ncasq: amocas.q a2, a4, (a0)\n")
	src.WriteString("casz: amocas.q x0, x0, (a0)\n")
	m := NewMachine(t, newEngine, src.String(), Options{})
	h := m.Hart()
	const data = Base + 0x10000
	for name, f := range amos {
		for _, width := range []string{"w", "d"} {
			for i := range 5 {
				label := fmt.Sprintf("%s%s%d", name, width, i)
				rd := 12
				if i == 4 {
					rd = 11
				}
				for _, old := range operands {
					for _, v := range operands {
						m.SetU64(data, old)
						h.X[10], h.X[11] = data, v
						m.step(label)
						stored, loaded := f(old, v), old
						if width == "w" {
							a, b := word(old), word(v)
							if strings.HasSuffix(name, "u") {
								a, b = old%(1<<32), v%(1<<32)
							}
							stored, loaded = f(a, b)%(1<<32)+old>>32<<32, word(old)
						}
						if h.X[rd] != loaded || m.U64(data) != stored {
							t.Fatalf("%s of %#x with %#x: rd %#x, memory %#x; want %#x, %#x", label, old, v, h.X[rd], m.U64(data), loaded, stored)
						}
					}
				}
			}
		}
	}
	const old = 0x8877_6655_c433_2211
	for _, expected := range []uint64{old, old + 1, old ^ 1<<63, word(old)} {
		h.X[10], h.X[11] = data, 0x1111_2222_3333_4444

		m.SetU64(data, old)
		h.X[12] = expected
		m.step("casw")
		want := uint64(old)
		if uint32(expected) == old%(1<<32) {
			want = old>>32<<32 | 0x3333_4444
		}
		m.want("amocas.w: rd", h.X[12], word(old))
		m.want("amocas.w: memory", m.U64(data), want)

		m.SetU64(data, old)
		h.X[12] = expected
		m.step("casd")
		want = old
		if expected == old {
			want = h.X[11]
		}
		m.want("amocas.d: rd", h.X[12], old)
		m.want("amocas.d: memory", m.U64(data), want)

		for _, upper := range []uint64{77, 78} {
			m.SetU64(data, old)
			m.SetU64(data+8, 77)
			h.X[12], h.X[13], h.X[14], h.X[15] = expected, upper, 5, 6
			m.step("casq")
			wantLo, wantHi := uint64(old), uint64(77)
			if expected == old && upper == 77 {
				wantLo, wantHi = 5, 6
			}
			m.want("amocas.q: rd", h.X[12], old)
			m.want("amocas.q: rd+1", h.X[13], 77)
			m.want("amocas.q: memory", m.U64(data), wantLo)
			m.want("amocas.q: memory+8", m.U64(data+8), wantHi)
		}
	}
	h.X[1] = 99
	m.step("casz")
	m.want("x1 after amocas.q x0", h.X[1], 99)
}

// checkReservations: when SC stores and when it must not.
func checkReservations(t TB, newEngine New) {
	m := NewMachine(t, newEngine, `
lrw:	lr.w a1, (a0)
lrd:	lr.d a1, (a0)
scw:	sc.w a2, a3, (a0)
scd:	sc.d a2, a3, (a0)
other:	sc.d a2, a3, (a4)
store:	sd a5, 0(a0)
	.balign 4
back:	mret
`, Options{})
	h := m.Hart()
	const data, initial, value = Base + 0x10000, 0xffff_ffff_8000_0001, 0x1234_5678_9abc_def0
	h.X[10], h.X[13], h.X[14], h.X[15] = data, value, data+8, 42
	for _, tt := range []struct {
		steps string
		fails uint64
		want  uint64
	}{
		{"scw", 1, initial},
		{"lrw scw", 0, initial>>32<<32 | value%(1<<32)},
		{"lrd scd", 0, value},
		{"lrw scd", 1, initial},
		{"lrd scw", 1, initial},
		{"lrd other", 1, initial},
		{"lrd other scd", 1, initial}, // an SC ends the reservation, wherever it goes
		{"lrd scw scd", 1, initial},
		{"lrd scd scd", 1, value},
		{"lrw lrd scd", 0, value},
		{"lrd store scd", 1, 42},
	} {
		m.SetU64(data, initial)
		m.SetU64(data+8, initial)
		h.ResValid = false
		for _, label := range strings.Fields(tt.steps) {
			m.step(label)
			switch label {
			case "lrw", "lrd": // the word is negative too
				want := uint64(initial)
				if label == "lrw" {
					want = word(initial)
				}
				m.want(label, h.X[11], want)
			}
		}
		m.want(tt.steps+": result", h.X[12], tt.fails)
		m.want(tt.steps+": memory", m.U64(data), tt.want)
		m.want(tt.steps+": neighbour", m.U64(data+8), initial)
	}
	// An interrupt between the two, whose handler touches nothing.
	m.SetU64(data, initial)
	h.CSR.Mtvec, h.CSR.Mie = m.Sym("back"), 1<<11
	h.CSR.Mstatus |= riscv.MstatusMIE
	m.step("lrd")
	m.CPUs[0].SetInterrupt(11, true)
	m.exit(m.CPUs[0].Run(1), cpu.ExitBudget)
	m.want("cause", h.CSR.Mcause, uint64(riscv.MachineExternalInterrupt))
	m.CPUs[0].SetInterrupt(11, false)
	m.step("scd")
	m.want("an interrupt between lr and sc: result", h.X[12], 1)
	m.want("an interrupt between lr and sc: memory", m.U64(data), initial)
}

// checkAtomicFaults: misaligned ones are misaligned exceptions, with no effect.
func checkAtomicFaults(t TB, newEngine New) {
	m := NewMachine(t, newEngine, `
lrw:	lr.w a1, (a0)
scw:	sc.w a1, a1, (a0)
amow:	amoadd.w a1, a1, (a0)
casw:	amocas.w a1, a1, (a0)
lrd:	lr.d a1, (a0)
scd:	sc.d a1, a1, (a0)
amod:	amoadd.d a1, a1, (a0)
casd:	amocas.d a1, a1, (a0)
casq:	amocas.q a2, a2, (a0)
`, Options{})
	h := m.Hart()
	h.CSR.Mtvec = Base + 0x3000
	for label, size := range map[string]uint64{"lrw": 4, "scw": 4, "amow": 4, "casw": 4,
		"lrd": 8, "scd": 8, "amod": 8, "casd": 8, "casq": 16} {
		for off := uint64(1); off < size; off++ {
			h.X[10] = Base + 0x10000 + off
			m.step(label)
			cause := riscv.StoreAddressMisaligned
			if strings.HasPrefix(label, "lr") {
				cause = riscv.LoadAddressMisaligned
			}
			m.want(label+": cause", h.CSR.Mcause, uint64(cause))
			m.want(label+": tval", h.CSR.Mtval, h.X[10])
			m.want(label+": epc", h.CSR.Mepc, m.Sym(label))
		}
	}
	m.want("instructions", m.CPUs[0].Instructions(), 0)
	m.exit(m.CPUs[0].Run(0), cpu.ExitBudget)
}
