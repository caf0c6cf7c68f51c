package main

import (
	"math"
	"slices"
)

// median is NaN for no samples.
func median(samples []float64) float64 {
	s := slices.Sorted(slices.Values(samples))
	n := len(s)
	switch {
	case n == 0:
		return math.NaN()
	case n%2 == 1:
		return s[n/2]
	}
	return (s[n/2-1] + s[n/2]) / 2
}

// spread is half the distance of the quartiles from each other, as a part of
// the median: how far to trust the median.
func spread(samples []float64) float64 {
	s := slices.Sorted(slices.Values(samples))
	if len(s) < 2 {
		return 0
	}
	return (quantile(s, 0.75) - quantile(s, 0.25)) / 2 / median(s)
}

// quantile interpolates between the samples on both sides. s is sorted.
func quantile(s []float64, q float64) float64 {
	at := q * float64(len(s)-1)
	i := int(at)
	if i+1 >= len(s) {
		return s[len(s)-1]
	}
	return s[i] + (at-float64(i))*(s[i+1]-s[i])
}

// geomean is NaN for no ratios. Those that are not there (NaN) are passed over.
func geomean(ratios []float64) float64 {
	sum, n := 0.0, 0
	for _, r := range ratios {
		if !math.IsNaN(r) {
			sum += math.Log(r)
			n++
		}
	}
	if n == 0 {
		return math.NaN()
	}
	return math.Exp(sum / float64(n))
}

// least is NaN for no ratios.
func least(ratios []float64) float64 {
	least := math.NaN()
	for _, r := range ratios {
		if !(r >= least) && !math.IsNaN(r) {
			least = r
		}
	}
	return least
}
