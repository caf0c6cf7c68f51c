//go:build linux && (amd64 || arm64)

package jit

import (
	"doppel/internal/cpu/interp"
	"doppel/internal/riscv"
)

// Most blocks where slices end are in no loop, and explore takes fifty times as
// long to say so.

// walk finds out whether a block leads to itself. It goes the ways that explore
// goes; where it cannot tell it says that there is one more.
type walk struct {
	pages [maxPages]walkedPage
	n     int
	work  []int32 // offsets, as a graph's
}

type walkedPage struct {
	number int32
	page   *codePage
	seen   interp.Places
	led    interp.Places // where regions of the page have led
}

func (w *walk) find(number int32) *walkedPage {
	for i := range w.pages[:w.n] {
		if w.pages[i].number == number {
			return &w.pages[i]
		}
	}
	return nil
}

// add is graph.add.
func (w *walk) add(number int32, p *codePage) {
	if p == nil || p.codeTable == nil || w.n == maxPages || w.find(number) != nil {
		return
	}
	w.pages[w.n] = walkedPage{number: number, page: p}
	w.n++
	for _, b := range p.headers {
		for _, x := range b.region().exits {
			for i := range x.links {
				l := &x.links[i]
				if !l.taken {
					continue
				}
				to := number<<12 + l.target
				if l.far {
					w.add(to>>12, x.farTo(i))
				}
				if at := w.find(to >> 12); at != nil {
					at.led.Add(int(to & pageMask))
				}
			}
		}
	}
}

// led tells whether a region has led to an offset.
func (w *walk) led(off int32) bool {
	p := w.find(off >> 12)
	return p != nil && p.led.Has(int(off&pageMask))
}

// reach goes on at an offset if there is a block; those it has been to it leaves.
func (w *walk) reach(off int32) {
	p := w.find(off >> 12)
	if p == nil || !p.page.starts.Has(int(off&pageMask)) || p.seen.Has(int(off&pageMask)) {
		return
	}
	p.seen.Add(int(off & pageMask))
	w.work = append(w.work, off)
}

// leadsBack tells whether b may lead to itself.
func (w *walk) leadsBack(b *block) bool {
	w.n, w.work = 0, w.work[:0]
	w.add(0, b.page)
	start := int32(b.start)
	var buf [interp.MaxBlock]riscv.Inst
	at := start
	for _, d := range b.Insts(buf[:0]) {
		if (riscv.BEQ <= d.Op && d.Op <= riscv.BGEU || d.Op == riscv.JAL) && at+int32(d.Imm) == start {
			return true // a block jumps to itself without a link
		}
		at += int32(d.Len)
	}
	w.reach(start)
	for len(w.work) > 0 {
		at := w.work[len(w.work)-1]
		w.work = w.work[:len(w.work)-1]
		p := w.find(at >> 12)
		x := p.page.block(uint64(at & pageMask))
		raw := x.All()
		end := at + int32(len(raw))
		if at < start && start <= end {
			return true
		}
		base := at &^ pageMask
		for y := x; y != nil; y = y.alone() {
			for i := range y.links {
				l := &y.links[i]
				to := base + l.target
				if to == start {
					return true
				}
				if !l.taken && !w.led(to) {
					continue
				}
				if l.taken && l.far {
					w.add(to>>12, y.farTo(i))
				}
				w.reach(to)
			}
		}
		// Which blocks a table leads to explore finds out.
		if jumps(raw) {
			if insts := x.Insts(buf[:0]); throughTable(insts, len(insts)-1) {
				return true
			}
		}
		// What follows a call, and where regions have led.
		if calls(raw) || w.led(end) {
			if end == start {
				return true
			}
			w.reach(end)
		}
	}
	return false
}

// calls tells whether code seems to end with a call.
func calls(raw []byte) bool {
	if len(raw) < 4 {
		return false
	}
	last := uint32(raw[len(raw)-4]) | uint32(raw[len(raw)-3])<<8
	return last&0x7f == 0x6f && last>>7&31 != 0 // jal
}

// jumps tells whether code seems to end with a jump to an address in a register.
func jumps(raw []byte) bool {
	n := len(raw)
	if n < 4 {
		return false
	}
	half := uint32(raw[n-2]) | uint32(raw[n-1])<<8
	return half&0xf07f == 0x8002 || (uint32(raw[n-4])|uint32(raw[n-3])<<8)&0xfff == 0x67 // c.jr, jalr x0
}
