//go:build linux && (amd64 || arm64)

package engines

import (
	"math/rand/v2"
	"testing"

	"doppel/internal/cpu/jit"
	"doppel/internal/riscv"
)

// newBytes makes a program of bytes, in a world that a seed makes. Nobody can
// write to its code, so that only the handlers' fence.i may be noticed.
func newBytes(seed uint64, code []byte) *program {
	r := rand.New(rand.NewPCG(seed, 0x62797465))
	p := &program{world: newWorld(r), theme: theme{name: "bytes"}}
	for !p.paged || p.mode == riscv.Machine {
		p.world = newWorld(r)
	}
	p.generators(r.Uint64())
	for i := range uint64(2) { // address spaces
		t := tables{w: p.world, levels: int(p.state.CSR.Satp>>riscv.SatpModeShift) - 5, root: p.roots[i]}
		for n := range uint64(codePages) {
			t.set(p.win+writeVA+n*page, 0, 0)
		}
		p.u64(t.entry(p.win+largeVA, 1), 0) // which has the code in it, too
		for n := range uint64(12) {
			// Data is no code.
			if e := t.entry(p.win+dataVA+n*page, 0); p.ram[e]&byte(riscv.PTEX) != 0 {
				p.u64(e, 0)
			}
		}
	}
	p.state.CSR.Mstatus |= riscv.MstatusTVM // satp stays
	p.start = seed % page &^ 1
	p.code = make([]byte, p.start, codePages*page)
	p.code = append(p.code, code[:min(len(code), cap(p.code)-len(p.code)-4)]...)
	if len(p.code)%2 != 0 {
		p.code = append(p.code, 0)
	}
	top := label{at: int(p.start)}
	p.jump(riscv.Inst{Op: riscv.JAL}, &top)
	p.finish()
	return p
}

// FuzzBoth runs bytes on both engines, in a loop, and compares them at every
// stop.
func FuzzBoth(f *testing.F) {
	need(f)
	for seed := range uint64(16) {
		p := newProgram(seed)
		f.Add(seed, p.code[p.start:])
	}
	f.Add(uint64(100), []byte{0x73, 0, 0, 0, 0x13, 5, 0x15, 0})
	options := []jit.Options{{Threshold: -1}, {Threshold: -1, CodeBytes: 64 << 10}}
	var all [][]*machine
	for _, o := range options {
		all = append(all, []*machine{newMachine(f, interpreter), newMachine(f, translator(o)), newMachine(f, interpreter, translator(o))})
	}
	f.Fuzz(func(t *testing.T, seed uint64, code []byte) {
		p := newBytes(seed, code)
		events := schedule(rand.New(rand.NewPCG(seed, 1)), 5000)
		if err := trial(p, events, all[seed%uint64(len(all))]); err != nil {
			t.Fatalf("%v-mode, satp %#x: %v\n%s", p.mode, p.state.CSR.Satp, err, last(t, p, events, stopOf(err)))
		}
	})
}
