package interp

import (
	"fmt"
	"runtime/debug"
	"sync"
	"unsafe"

	"doppel/internal/cpu"
	"doppel/internal/memory"
	"doppel/internal/riscv/hart"
)

// Common is an interpreter that VCPUs of any machines use in turn, each for a
// short time. Who wakes up seldom finds nothing of its own in the host's caches;
// here it finds what it needs in use by others: instructions that they have
// decoded, if their kernel is the same, and TLBs, of which only the entries are
// its own. And it takes no memory for either as long as it does little.
//
// Nothing of one VCPU's is seen by the next: translations are forgotten, and a
// block is compared with the memory of whoever is here before it runs. What is
// left to learn is how long something takes.
type Common struct {
	v VCPU
	// kernel tells by which machines it was used last: where traps go to.
	kernel uint64
	filled []uint64 // tags in the TLBs; see note
	own    *VCPU    // that is here
	broken bool     // after a panic
}

const (
	// maxCommonBytes is what a Common decodes. A kernel that is idle takes some
	// hundred KiB.
	maxCommonBytes = 4 << 20
	// maxFilled entries are forgotten one by one, more all at once.
	maxFilled = 4096
)

func newCommon() *Common {
	c := &Common{filled: make([]uint64, 0, maxFilled)}
	v := &c.v
	v.common = c
	v.spaces = make(map[uint64]uint64)
	v.nextSpace, v.gen, v.heat = 1, 1, never
	v.codeOf = func(memory.GPA, uint64) unsafe.Pointer { return nil }
	v.codePages = make(map[uint64]struct{})
	v.blocks.init(maxCommonBytes)
	return c
}

// note remembers an entry of the TLBs by its tag, to forget it.
func (v *VCPU) note(tag uint64) {
	if c := v.common; c != nil && len(c.filled) < maxFilled {
		c.filled = append(c.filled, tag)
	}
}

// missed is what a VCPU has not been told while its hart was in a Common.
type missed struct {
	fence, code bool
}

// prepare is called before the VCPU executes anything.
func (v *VCPU) prepare() {
	v.blocks.open()
	m := v.missed
	if m == (missed{}) {
		return
	}
	v.missed = missed{}
	if m.fence {
		v.flushTLB(hart.Fence{})
	}
	if m.code {
		v.gen++
	}
}

// visit is the hart's view of the Common that it is in.
type visit struct{ c *Common }

func (t visit) FlushTLB(f hart.Fence) {
	t.c.v.flushTLB(f)
	if !f.Context { // who is here compares satp and mstatus itself
		t.c.own.missed.fence = true
	}
}

func (t visit) FlushCode() { t.c.v.flushCode() }

// RunIn is Run in a Common. The VCPU's own caches are neither used nor filled.
func (v *VCPU) RunIn(c *Common, budget uint64) (exit cpu.Exit) {
	if v.pending.on {
		return cpu.Exit{Reason: cpu.ExitError, Err: fmt.Errorf("BUG: hart %d runs with an access not completed", v.ID())}
	}
	h, t := v.h, &c.v
	defer func() {
		if p := recover(); p != nil {
			// As in Run.
			c.broken = true
			exit = cpu.Exit{Reason: cpu.ExitError, Err: fmt.Errorf("BUG: common interpreter at guest pc %#x: %v\n%s", h.PC, p, debug.Stack())}
		}
		h.Leave()
		h.SetEngine(engine{v})
		c.empty()
	}()
	c.own, t.h, t.mem = v, h, v.mem
	t.gen++ // every block is compared with this memory
	t.setContext()
	h.SetEngine(visit{c})
	h.Enter()
	if t.Begin(budget) {
		t.proceed()
	}
	v.pending, t.pending = t.pending, pending{}
	if v.pending.on {
		v.refresh() // CompleteMMIO ends a load with what the VCPU knows
	}
	return t.exit
}

// empty forgets all that belongs to the VCPU that was here.
func (c *Common) empty() {
	v := &c.v
	if len(c.filled) < maxFilled {
		for _, tag := range c.filled {
			v.flushEntry(tag)
		}
	} else {
		v.forgetTranslations()
	}
	c.filled = c.filled[:0]
	clear(v.spaces)
	v.nextSpace, v.unshared = 1, false
	v.super = [2]addressRange{{^uint64(0), 0}, {^uint64(0), 0}}
	v.forgetJumps()
	c.own, v.h, v.mem = nil, nil, nil
}

// flushEntry forgets what the TLBs may have under a tag.
func (v *VCPU) flushEntry(tag uint64) {
	page, ctx := tag>>memory.PageShift, tag&pageMask
	v.loads[page%tlbSize], v.stores[page%tlbSize] = tlbEntry{}, tlbEntry{}
	v.fetches[page%fetchTLBSize] = fetchEntry{}
	v.moreLoads.put(tag, ctx, tlbEntry{})
	v.moreStores.put(tag, ctx, tlbEntry{})
}

// Commons are Commons for as many VCPUs as want one at once. Its zero value is
// ready. Any goroutine may call its methods.
type Commons struct {
	mu    sync.Mutex
	free  []*Common // the last one used last
	users int
}

// maxFree is how many are kept: for the processors of a host, and for kernels
// that differ.
const maxFree = 4

// Join says that there is one more whose VCPUs may want a Common.
func (s *Commons) Join() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users++
}

// Leave undoes a Join, with no Common taken. Nothing is kept for nobody: several
// MiB each.
func (s *Commons) Leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users--; s.users == 0 {
		s.free = nil
	}
}

// Kept is how many Commons wait for use.
func (s *Commons) Kept() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.free)
}

// Take gives the Common that is best for a hart, which has it until Give.
func (s *Commons) Take(h *hart.Hart) *Common {
	kernel := h.CSR.Stvec
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.free)
	i := n - 1
	for i >= 0 && s.free[i].kernel != kernel {
		i--
	}
	if i < 0 {
		if n < maxFree {
			c := newCommon()
			c.kernel = kernel
			return c
		}
		i = 0
	}
	c := s.free[i]
	s.free = append(s.free[:i], s.free[i+1:]...)
	c.kernel = kernel
	return c
}

// Give takes it back.
func (s *Commons) Give(c *Common) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.free) < maxFree && !c.broken {
		s.free = append(s.free, c)
	}
}
