// Package plic is the RISC-V Platform-Level Interrupt Controller in SiFive's
// layout, as on the reference board: level-triggered gateways, priorities 0 to
// 7, one context for each privilege mode of each hart that takes interrupts.
//
// Threads: Read and Write from any vCPU; a source's Line from any goroutine.
// Lock order: a device's lock, then PLIC.mu, then the harts' interrupt inputs
// (which take no locks).
package plic

import (
	"sync"

	"doppel/internal/device"
	"doppel/internal/fdt"
	"doppel/internal/state"
)

const (
	// WindowSize is the length of the register window on the reference board.
	WindowSize = 0x600000
	// MaxSource is the highest interrupt number; 0 means none (plic §1.3).
	MaxSource = 95
	// MaxPriority is the highest priority and threshold.
	MaxPriority = 7
	// MaxContexts is the number of contexts for which the window has room.
	MaxContexts = (WindowSize - contextBase) / contextStride

	sourceWords = (MaxSource + 32) / 32
)

// Register layout (plic §3).
const (
	priorityBase  = 0x000000 // 4 bytes a source
	pendingBase   = 0x001000 // a bit a source
	enableBase    = 0x002000 // a bit a source, for each context
	enableStride  = 0x80
	contextBase   = 0x200000
	contextStride = 0x1000
	regThreshold  = 0x0
	regClaim      = 0x4
)

// Context is where a context's interrupt goes.
type Context struct {
	Line device.Line
	// Cells are the context's entry in the device tree's interrupts-extended:
	// the phandle of a hart's interrupt controller and its interrupt number.
	Cells [2]uint32
}

// PLIC is the interrupt controller.
type PLIC struct {
	contexts []Context
	phandle  uint32

	mu sync.Mutex
	registers
}

type bitmap [sourceWords]uint32

func (b *bitmap) get(i int) bool { return b[i/32]>>(i%32)&1 != 0 }
func (b *bitmap) set(i int, v bool) {
	if v {
		b[i/32] |= 1 << (i % 32)
	} else {
		b[i/32] &^= 1 << (i % 32)
	}
}

type registers struct {
	priority [MaxSource + 1]uint8
	pending  bitmap
	level    bitmap // the sources' lines: wires, not cleared by Reset
	inFlight bitmap // forwarded by the gateway and not yet completed
	context  []contextRegisters
}

type contextRegisters struct {
	enable    bitmap
	threshold uint8
}

// New returns a PLIC with one context for each of contexts (at most
// MaxContexts). phandle names it in the device tree.
func New(contexts []Context, phandle uint32) *PLIC {
	p := &PLIC{contexts: contexts, phandle: phandle}
	p.context = make([]contextRegisters, len(contexts))
	return p
}

// Line returns the line of a source, 1 to MaxSource.
func (p *PLIC) Line(source uint32) device.Line {
	if source == 0 || source > MaxSource {
		panic("BUG: plic: no such source")
	}
	return device.LineFunc(func(on bool) { p.setLevel(int(source), on) })
}

func (p *PLIC) setLevel(source int, on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.level.get(source) == on {
		return
	}
	p.level.set(source, on)
	if p.forward(source) {
		p.update()
	}
}

// forward is the gateway of a level-triggered source (plic §1.2): it sends one
// request while the line is high and then none until completion. A request
// stays pending although the line falls.
func (p *PLIC) forward(source int) bool {
	if !p.level.get(source) || p.inFlight.get(source) {
		return false
	}
	p.inFlight.set(source, true)
	p.pending.set(source, true)
	return true
}

// best is the enabled pending source of the highest priority above floor; of
// equals the lowest number wins (plic §1.4). 0 if there is none.
func (p *PLIC) best(ctx int, floor uint8) int {
	source := 0
	c := &p.context[ctx]
	for w := range p.pending {
		if p.pending[w]&c.enable[w] == 0 {
			continue
		}
		for i := w * 32; i < w*32+32 && i <= MaxSource; i++ {
			if p.pending.get(i) && c.enable.get(i) && p.priority[i] > floor {
				source, floor = i, p.priority[i]
			}
		}
	}
	return source
}

// update drives the contexts' outputs.
func (p *PLIC) update() {
	for i := range p.contexts {
		p.contexts[i].Line.Set(p.best(i, p.context[i].threshold) != 0)
	}
}

// claim returns the best pending source and clears its pending bit. The
// threshold does not matter to it (plic §8); priority 0 never interrupts.
func (p *PLIC) claim(ctx int) int {
	source := p.best(ctx, 0)
	if source != 0 {
		p.pending.set(source, false)
		p.update()
	}
	return source
}

// complete ends the service of a source. A number that is not enabled for the
// context is ignored (plic §9), and so is one that is not being serviced.
func (p *PLIC) complete(ctx int, v uint32) {
	if v == 0 || v > MaxSource || !p.context[ctx].enable.get(int(v)) || p.pending.get(int(v)) {
		return
	}
	p.inFlight.set(int(v), false)
	if p.forward(int(v)) {
		p.update()
	}
}

// Size implements device.Device.
func (p *PLIC) Size() uint64 { return WindowSize }

// Reset implements device.Device. Lines keep their levels: their owners reset
// them.
func (p *PLIC) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.registers = registers{level: p.level, context: make([]contextRegisters, len(p.contexts))}
	for i := 1; i <= MaxSource; i++ {
		p.forward(i)
	}
	p.update()
}

// Node implements device.Device.
func (p *PLIC) Node(w device.Wiring) *fdt.Node {
	n := &fdt.Node{Name: device.UnitName("plic", w.Base)}
	n.U32("phandle", p.phandle)
	n.Str("compatible", "sifive,plic-1.0.0", "riscv,plic0")
	n.U64("reg", uint64(w.Base), WindowSize)
	n.U32("riscv,ndev", MaxSource)
	n.Flag("interrupt-controller")
	n.U32("#interrupt-cells", 1)
	n.U32("#address-cells", 0)
	var cells []uint32
	for _, c := range p.contexts {
		cells = append(cells, c.Cells[:]...)
	}
	n.U32("interrupts-extended", cells...)
	return n
}

func (p *PLIC) StateName() string    { return "plic" }
func (p *PLIC) StateVersion() uint32 { return 1 }

func (p *PLIC) Save(e *state.Encoder) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, v := range p.priority {
		e.U8(v)
	}
	for _, b := range []bitmap{p.pending, p.level, p.inFlight} {
		b.save(e)
	}
	e.U32(uint32(len(p.context)))
	for _, c := range p.context {
		c.enable.save(e)
		e.U8(c.threshold)
	}
}

func (p *PLIC) Restore(d *state.Decoder, _ uint32) error {
	r := registers{context: make([]contextRegisters, len(p.contexts))}
	for i := range r.priority {
		r.priority[i] = d.U8()
		if r.priority[i] > MaxPriority {
			d.Failf("priority of source %d is %d", i, r.priority[i])
		}
	}
	for _, b := range []*bitmap{&r.pending, &r.level, &r.inFlight} {
		b.restore(d)
	}
	if n := d.U32(); int(n) != len(p.contexts) {
		d.Failf("%d contexts, this machine has %d", n, len(p.contexts))
	}
	for i := range r.context {
		r.context[i].enable.restore(d)
		if r.context[i].threshold = d.U8(); r.context[i].threshold > MaxPriority {
			d.Failf("threshold of context %d is %d", i, r.context[i].threshold)
		}
	}
	if d.Err() != nil {
		return d.Err()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.registers = r
	p.update()
	return nil
}

func (b *bitmap) save(e *state.Encoder) {
	for _, w := range b {
		e.U32(w)
	}
}

func (b *bitmap) restore(d *state.Decoder) {
	for i := range b {
		b[i] = d.U32()
	}
	if b[0]&1 != 0 {
		d.Failf("bit of source 0 is set")
	}
}
