//go:build linux

package interp

import (
	"testing"

	"doppel/internal/cpu/cputest"
)

func BenchmarkMIPS(b *testing.B) { cputest.Benchmark(b, newEngine) }
