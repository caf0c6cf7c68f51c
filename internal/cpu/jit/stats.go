//go:build linux && (amd64 || arm64)

package jit

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"doppel/internal/cpu"
	"doppel/internal/riscv"
)

// Stats counts what a VCPU's translator has done.
type Stats struct {
	Blocks    uint64 // translated
	Bytes     uint64 // of code made
	Regions   uint64 // made
	Compile   time.Duration
	Evictions uint64 // times that the code cache was emptied
	Trims     uint64 // times that it was given back, since the guest was idle
	Common    uint64 // runs in a Common
	Compared  uint64 // pages compared with memory after fence.i
	Stale     uint64 // pages dropped because their code had changed
	Slow      uint64 // instructions that the interpreter executed inside blocks
	Links     uint64 // jumps linked
	Shared    uint64 // times that a check for several accesses failed
	Strayed   uint64 // regions given up because their data lay otherwise
	Merged    uint64 // accesses that were given the site of another
	Separated uint64 // blocks made again without such checks
	Lookups   uint64 // jumps that missed the jump cache
	Slices    uint64 // ends of slices
	Cold      uint64 // times that the interpreter took over
	SlowOps   [riscv.NumOps]uint64
}

func (s Stats) String() string {
	var sb strings.Builder
	fmt.Fprintf(&sb, "%d blocks, %d regions, %d bytes, %d evictions, %d stale pages; exits: slow %d, shared %d, link %d, lookup %d, slice %d, cold %d; slow:",
		s.Blocks, s.Regions, s.Bytes, s.Evictions, s.Stale, s.Slow, s.Shared, s.Links, s.Lookups, s.Slices, s.Cold)
	ops := make([]riscv.Op, riscv.NumOps)
	for i := range ops {
		ops[i] = riscv.Op(i)
	}
	slices.SortFunc(ops, func(a, b riscv.Op) int { return int(int64(s.SlowOps[b]) - int64(s.SlowOps[a])) })
	const most = 12
	for _, op := range ops[:most] {
		if s.SlowOps[op] != 0 {
			fmt.Fprintf(&sb, " %s %d", op, s.SlowOps[op])
		}
	}
	return sb.String()
}

// Stats is the counts so far. The VCPU is not running.
func (v *VCPU) Stats() Stats { return v.stats }

// Counts is for cpu.Counter.
func (v *VCPU) Counts() []cpu.Count {
	s := &v.stats
	all := []cpu.Count{
		{Name: "blocks", N: s.Blocks},
		{Name: "regions", N: s.Regions},
		{Name: "bytes of code", N: s.Bytes},
		{Name: "evictions", N: s.Evictions},
		{Name: "trims", N: s.Trims},
		{Name: "common runs", N: s.Common},
		{Name: "pages compared", N: s.Compared},
		{Name: "stale pages", N: s.Stale},
		{Name: "slow instructions", N: s.Slow},
		{Name: "failed shared checks", N: s.Shared},
		{Name: "blocks made again", N: s.Separated},
		{Name: "regions given up", N: s.Strayed},
		{Name: "links", N: s.Links},
		{Name: "lookups", N: s.Lookups},
		{Name: "slices", N: s.Slices},
		{Name: "cold", N: s.Cold},
		{Name: "nanoseconds of translation", N: uint64(s.Compile)},
	}
	all = append(all, v.in.TranslationCounts()...)
	for op, n := range s.SlowOps {
		all = append(all, cpu.Count{Name: "slow " + riscv.Op(op).String(), N: n})
	}
	return all
}
