//go:build linux && (amd64 || arm64)

package jit

import (
	"unsafe"

	"doppel/internal/cpu/interp"
	"doppel/internal/cpu/jit/ir"
)

// site is described in the back end that has them.
type site struct {
	tag, limit, addend uint64
	full               uint32
	state              uint32 // bit 0: it is in a log; the rest counts misses
}

const maxSites = 1 << 14

// siteLog lists the sites that may not be void, by their distance from the VCPU's
// base. Each of them is in one log, once.
type siteLog struct {
	n  uint32
	at [maxSites]int32
}

// sites is what generated code uses of them.
type sites struct {
	logs         [8]int64 // by kind of data context: the log's distance from the base, or 0
	user, kernel siteLog
	table        [maxSites]site
}

// init says which kinds of context have a log.
func (s *sites) init() {
	at := func(field uintptr) int64 {
		return int64(layout.SiteLogs) + int64(field-unsafe.Offsetof(s.logs))
	}
	s.logs[interp.KindM] = at(unsafe.Offsetof(s.kernel))
	s.logs[interp.KindS] = at(unsafe.Offsetof(s.kernel))
	s.logs[interp.KindU] = at(unsafe.Offsetof(s.user))
}

// forget makes a log's sites void.
func (v *VCPU) forget(l *siteLog) {
	if l.n == 0 {
		return
	}
	first := int64(layout.SiteTable)
	for _, at := range l.at[:l.n] {
		s := &v.sites.table[(int64(at)-first)/siteBytes]
		s.limit = 0
		s.state &^= 1
	}
	l.n = 0
}

const siteBytes = 32

// fresh makes sites void and has them checked for new spans.
func (s *sites) fresh(first int, r *ir.Region) {
	for i := range r.Sites {
		x := &s.table[first+i]
		x.limit, x.full = 0, pageMask+1
		x.state &= 1
	}
	for i := range r.Blocks {
		for _, in := range r.Blocks[i].Insts {
			if in.Span != 0 {
				x := &s.table[first+int(in.Site)]
				x.full = min(x.full, uint32(pageMask+1-int(in.Span)+1))
			}
		}
	}
}

// freshSites makes the sites void whose translations the interpreter has
// forgotten.
func (v *VCPU) freshSites() {
	user, kernel := v.in.DataEpochs()
	if user != v.userEpoch {
		v.userEpoch = user
		v.forget(&v.sites.user)
	}
	if kernel != v.kernelEpoch {
		v.kernelEpoch = kernel
		v.forget(&v.sites.kernel)
	}
}
