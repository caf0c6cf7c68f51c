//go:build linux && (amd64 || arm64)

package jit

import (
	"testing"

	"doppel/internal/cpu/cputest"
)

func BenchmarkMIPS(b *testing.B) { cputest.Benchmark(b, engineOf(Options{})) }
