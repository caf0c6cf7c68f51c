package main

import (
	"testing"

	"doppel/internal/cpu"
)

func TestCounts(t *testing.T) {
	before := []cpu.Count{{Name: "blocks", N: 10}, {Name: "links", N: 7}, {Name: "slow csrrs", N: 5}}
	after := []cpu.Count{{Name: "blocks", N: 30}, {Name: "links", N: 7}, {Name: "slow csrrs", N: 6}}
	got := describeCounts("Doppel jit", "sort", divide(before, after, 8))
	if want := "sort on Doppel jit, in an iteration: blocks 2.50, slow csrrs 0.12"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := describeCounts("e", "p", divide(before, before, 1)); got != "p on e, in an iteration: nothing" {
		t.Errorf("got %s", got)
	}
}
