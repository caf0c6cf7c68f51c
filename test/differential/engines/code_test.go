//go:build linux && (amd64 || arm64)

package engines

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestCodeStays: programs write to their code only where they mean to, which a
// fence.i follows. Other stores to code may be seen at any time until one
// (unpriv §6.1), so that engines may differ where neither is wrong.
func TestCodeStays(t *testing.T) {
	m := newMachine(t, interpreter)
	stays := func(name string, program func(seed uint64) *program, seed uint64) {
		p := program(seed)
		events := schedule(rand.New(rand.NewPCG(seed, 1)), length)
		p.devices(events)
		m.load(p.world)
		if err := follow(events, m); err != nil {
			t.Fatalf("%s: seed %d: %v", name, seed, err)
		}
		if at, ok := p.written(m.ram.Bytes()); ok {
			t.Errorf("%s: seed %d, theme %q, %v-mode, satp %#x: code at %#x is written to", name, seed, p.theme.name, p.mode, p.state.CSR.Satp, at)
		}
	}
	for seed := range uint64(150) {
		stays("programs", newProgram, seed)
	}
	for seed := range uint64(20) {
		stays("addresses", newAddresses, seed)
		stays("contexts", newContexts, seed)
	}
	// Walkers that began below the code went through it, with these.
	for _, seed := range []uint64{1795354170822947736, 1795354170822949462, 1795354170822952281, 1795354170822958654, 1795354170822967601} {
		stays("programs", newProgram, seed)
	}
}

// TestCodeStaysCanFail: a store to any other place in the code is seen.
func TestCodeStaysCanFail(t *testing.T) {
	p := newProgram(1)
	for _, off := range []int{0, int(p.start), codePages*page - 1} {
		ram := slices.Clone(p.ram)
		ram[p.codeOffset(off)]++
		if at, ok := p.written(ram); !ok || at != p.entry()+uint64(off) {
			t.Errorf("a store at %#x is seen: %v, at %#x", p.entry()+uint64(off), ok, at)
		}
	}
	if at, ok := p.written(p.ram); ok {
		t.Errorf("a store at %#x that was none", at)
	}
}
