//go:build linux && (amd64 || arm64)

package jit

import (
	"bytes"
	"os"
	"testing"

	"doppel/internal/cpu"
	"doppel/internal/cpu/cputest"
)

// TestTrim: a VCPU that gives its memory back, after any number of
// instructions, goes on as if nothing had been; and it does give it back.
func TestTrim(t *testing.T) {
	p := newPair(t, Options{Threshold: 2, Samples: 1, Slice: 200}, sprawling, cputest.Options{RAM: 1 << 20})
	v := p.v
	var _ cpu.Trimmer = v
	grown := 0
	for round := range 60 {
		p.together(t, uint64(20_000+37*round), "round %d", round)
		end := v.code.end
		grown = max(grown, end)
		for _, m := range p.both() {
			m.CPUs[0].(cpu.Trimmer).Trim()
		}
		if len(v.code.pages) != 0 || len(v.code.blocks) != 0 {
			t.Fatalf("%d pages and %d blocks are left", len(v.code.pages), len(v.code.blocks))
		}
		page := os.Getpagesize()
		if from := (v.code.end + page - 1) / page * page; from < end {
			if held := v.code.mem.Bytes[from:end]; !bytes.Equal(held, make([]byte, len(held))) {
				t.Fatal("the memory for code holds what it held")
			}
		}
	}
	if grown < 100_000 || v.stats.Trims != 60 {
		t.Errorf("%d bytes of code, %d times given back: this test shows nothing", grown, v.stats.Trims)
	}
	if hasRegions && v.stats.Regions < 100 {
		t.Errorf("only %d regions were made", v.stats.Regions)
	}
}
