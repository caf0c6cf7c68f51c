//go:build !linux || !(amd64 || arm64)

// Package jit is the binary translator. This host has no back end for it: the
// interpreter serves.
package jit

import (
	"errors"

	"doppel/internal/cpu/interp"
	"doppel/internal/riscv/hart"
)

// VCPU is never made on this host.
type VCPU struct{ *interp.VCPU }

// Options: see the package on hosts that have a back end.
type Options struct {
	CodeBytes int
	Threshold int64
	Samples   int
	Slice     int64
	Dump      *Dumper
	PerfMap   *PerfMap
}

// Available is false: there is no back end for this host.
func Available() bool { return false }

// New fails.
func New(hart.Config, Options) (*VCPU, error) {
	return nil, errors.New("translator: not available on this host, use the interpreter")
}
