package main

import (
	"math"
	"testing"
)

func near(a, b float64) bool {
	return math.IsNaN(a) && math.IsNaN(b) || math.Abs(a-b) <= 1e-9*math.Max(1, math.Abs(b))
}

func TestStatistics(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		samples                        []float64
		median, spread, geomean, least float64
	}{
		{nil, nan, 0, nan, nan},
		{[]float64{4}, 4, 0, 4, 4},
		{[]float64{8, 2}, 5, 0.3, 4, 2},
		{[]float64{3, 1, 2}, 2, 0.25, math.Cbrt(6), 1},
		{[]float64{9, 1, 3, 3, 3}, 3, 0, math.Pow(243, 0.2), 1},
		{[]float64{4, 1, 2, 3, 100}, 3, 1.0 / 3, math.Pow(2400, 0.2), 1},
	} {
		in := append([]float64(nil), c.samples...)
		for name, got := range map[string][2]float64{
			"median":  {median(c.samples), c.median},
			"spread":  {spread(c.samples), c.spread},
			"geomean": {geomean(c.samples), c.geomean},
			"least":   {least(c.samples), c.least},
		} {
			if !near(got[0], got[1]) {
				t.Errorf("%s of %v is %v, want %v", name, c.samples, got[0], got[1])
			}
		}
		for i := range in {
			if in[i] != c.samples[i] {
				t.Fatalf("%v was changed to %v", in, c.samples)
			}
		}
	}
}

// What was not measured does not count.
func TestMissing(t *testing.T) {
	ratios := []float64{math.NaN(), 2, 8, math.NaN()}
	if g, l := geomean(ratios), least(ratios); !near(g, 4) || !near(l, 2) {
		t.Errorf("geomean %v, least %v; want 4 and 2", g, l)
	}
}
