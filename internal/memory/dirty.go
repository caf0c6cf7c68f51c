package memory

import "sync/atomic"

// dirtyLog holds a bit a page. What stores through Space is marked after the
// store, so that a Collect in between misses nothing; an engine marks a page
// (HoldPage) before it lets the guest store to it, and forgets its store
// translations when asked to (vCPU FlushTLB) after each Collect.
type dirtyLog struct {
	on   atomic.Bool
	bits []atomic.Uint64
}

func (l *dirtyLog) init(size uint64) {
	l.bits = make([]atomic.Uint64, (size>>PageShift+63)/64)
}

// MarkDirty records a store to the page that holds off.
func (r *Region) MarkDirty(off uint64) {
	r.touch(off)
	r.logDirty(off)
}

func (r *Region) logDirty(off uint64) {
	r.dirty.mark(off)
	r.viewed.mark(off)
}

func (l *dirtyLog) mark(off uint64) {
	if l.on.Load() {
		page := off >> PageShift
		l.bits[page/64].Or(1 << (page % 64))
	}
}

// MarkDirtyRange records a store to the n bytes from off.
func (r *Region) MarkDirtyRange(off, n uint64) {
	if n == 0 {
		return
	}
	for page := off >> PageShift; page <= (off+n-1)>>PageShift; page++ {
		r.MarkDirty(page << PageShift)
	}
}

// change is MarkDirtyRange for who gives the range back.
func (r *Region) change(off, n uint64) {
	for end := off + n; off < end; off += PageSize {
		r.changed(off)
		r.logDirty(off)
	}
}

// StartDirtyLog clears the log and begins to record.
func (r *Region) StartDirtyLog() {
	for i := range r.dirty.bits {
		r.dirty.bits[i].Store(0)
	}
	r.dirty.on.Store(true)
}

// StopDirtyLog ends recording.
func (r *Region) StopDirtyLog() { r.dirty.on.Store(false) }

// CollectDirty returns the bitmap of pages stored to since the last call (bit
// n%64 of word n/64 is page n) and clears it.
func (r *Region) CollectDirty() []uint64 {
	out := make([]uint64, len(r.dirty.bits))
	for i := range out {
		out[i] = r.dirty.bits[i].Swap(0)
	}
	return out
}
