package isolation

import (
	"math"
	"testing"
)

// TestJudge: what the figures of rounds say, and when others have had a part in
// them.
func TestJudge(t *testing.T) {
	window := func(share, pace, wall float64) figures {
		return figures{work: 1e9 * share * pace, executed: 1e9 * share, used: 1e9, wall: wall * 1e9}
	}
	at := func(share, pace, wall float64) round { return round{window(.5, 1, 1), window(.5*share, pace, wall)} }
	rounds := func(n int, r round) (all []round) {
		for range n {
			all = append(all, r)
		}
		return all
	}
	slow := round{window(.5, .9, 1), window(.45, .9, 1)}
	for name, c := range map[string]struct {
		all       []round
		share     float64
		pace      float64
		rounds    int
		disturbed bool
	}{
		"quiet":                {rounds(4, at(.97, .99, 1)), .97, .99, 4, false},
		"too little":           {rounds(16, at(.9, 1, 1.01)), .9, 1, 16, false},
		"one odd":              {append(rounds(4, at(.97, 1, 1)), at(.5, 1, 1)), .97, 1, 5, false},
		"some disturbed":       {append(rounds(4, at(.98, 1, 1)), rounds(8, at(.6, .8, 2))...), .98, 1, 4, false},
		"most disturbed":       {append(rounds(3, at(.98, 1, 1)), rounds(5, at(.6, .8, 2))...), .6, .8, 8, true},
		"the pace is not even": {append(rounds(4, at(.9, 1, 1)), rounds(4, slow)...), .9, 1, 8, true},
	} {
		r := judge(c.all)
		if math.Abs(r.share-c.share) > 1e-9 || math.Abs(r.pace-c.pace) > 1e-9 || r.rounds != c.rounds || r.disturbed != "" != c.disturbed {
			t.Errorf("%s: %v, %q", name, r, r.disturbed)
		}
	}
}
