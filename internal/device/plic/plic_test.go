package plic

import (
	"testing"

	"doppel/internal/device"
	"doppel/internal/device/devicetest"
)

func build(e *devicetest.Env, n int) (*PLIC, []*devicetest.Line) {
	var lines []*devicetest.Line
	var contexts []Context
	for i := range n {
		l := &devicetest.Line{}
		if i == 0 {
			l = e.Line
		}
		lines = append(lines, l)
		contexts = append(contexts, Context{Line: l})
	}
	return New(contexts, 1), lines
}

// withSources has some lines asserted, so that the suite finds requests.
func withSources(e *devicetest.Env) device.Device {
	p, _ := build(e, 4)
	for _, s := range []uint32{1, 2, 31, 32, 64, MaxSource} {
		p.Line(s).Set(true)
	}
	return p
}

func suite() devicetest.Suite { return devicetest.Suite{New: withSources} }

func TestContract(t *testing.T) { suite().Run(t) }

func FuzzPLIC(f *testing.F) { suite().Fuzz(f) }

type driver struct{ *PLIC }

func (d driver) priority(source int, v uint64) { d.Write(priorityBase+uint64(4*source), 4, v) }

func (d driver) enable(ctx, source int) {
	off := uint64(enableBase + enableStride*ctx + source/32*4)
	v, _ := d.Read(off, 4)
	d.Write(off, 4, v|1<<(source%32))
}

func (d driver) threshold(ctx int, v uint64) {
	d.Write(uint64(contextBase+contextStride*ctx+regThreshold), 4, v)
}

func (d driver) claimOf(ctx int) uint64 {
	v, _ := d.Read(uint64(contextBase+contextStride*ctx+regClaim), 4)
	return v
}

func (d driver) completeOf(ctx int, v uint64) {
	d.Write(uint64(contextBase+contextStride*ctx+regClaim), 4, v)
}

func (d driver) pendingBit(source int) bool {
	v, _ := d.Read(uint64(pendingBase+source/32*4), 4)
	return v>>(source%32)&1 != 0
}

// TestGateway is the life of a level-triggered interrupt (plic §1.2).
func TestGateway(t *testing.T) {
	p, lines := build(devicetest.NewEnv(), 2)
	d := driver{p}
	const source = 10
	line := p.Line(source)
	d.priority(source, 1)
	d.enable(1, source)

	line.Set(true)
	if !lines[1].Level || lines[0].Level || !d.pendingBit(source) {
		t.Fatalf("asserted: lines %t %t, pending %t", lines[0].Level, lines[1].Level, d.pendingBit(source))
	}
	if got := d.claimOf(1); got != source {
		t.Fatalf("claim is %d, want %d", got, source)
	}
	if lines[1].Level || d.pendingBit(source) {
		t.Error("claimed: still pending")
	}
	if got := d.claimOf(1); got != 0 {
		t.Errorf("second claim is %d: the gateway must hold further requests back", got)
	}
	line.Set(false)
	line.Set(true)
	if d.pendingBit(source) {
		t.Error("a new request before completion")
	}
	d.completeOf(1, source)
	if !lines[1].Level {
		t.Error("completed with the line high: no new request")
	}
	// A request stays although the line falls before the claim.
	line.Set(false)
	if got := d.claimOf(1); got != source {
		t.Errorf("claim after the line fell is %d, want %d", got, source)
	}
	d.completeOf(1, source)
	if lines[1].Level || d.claimOf(1) != 0 {
		t.Error("completed with the line low: still a request")
	}
}

func TestPriorities(t *testing.T) {
	p, lines := build(devicetest.NewEnv(), 2)
	d := driver{p}
	for source, prio := range map[int]uint64{3: 2, 4: 7, 5: 7, 6: 0, 95: 1} {
		d.priority(source, prio)
		d.enable(0, source)
		p.Line(uint32(source)).Set(true)
	}
	d.threshold(0, 7)
	if lines[0].Level {
		t.Error("interrupt at a threshold that no priority exceeds")
	}
	d.threshold(0, 6)
	if !lines[0].Level {
		t.Error("no interrupt although priority 7 exceeds threshold 6")
	}
	// The threshold does not bind claims; of equals the lowest number wins;
	// priority 0 never comes.
	for _, want := range []uint64{4, 5, 3, 95, 0} {
		if got := d.claimOf(0); got != want {
			t.Errorf("claim is %d, want %d", got, want)
		}
	}
}

// TestComplete: what is not enabled or not being serviced is ignored.
func TestComplete(t *testing.T) {
	p, _ := build(devicetest.NewEnv(), 2)
	d := driver{p}
	d.priority(7, 1)
	d.enable(0, 7)
	p.Line(7).Set(true)
	d.completeOf(0, 7) // before the claim
	if got := d.claimOf(0); got != 7 {
		t.Fatalf("claim is %d, want 7", got)
	}
	for _, v := range []uint64{0, 8, 96, 0xffff_ffff} {
		d.completeOf(0, v)
	}
	d.completeOf(1, 7) // context 1 has it not enabled
	if d.pendingBit(7) {
		t.Error("a completion that must be ignored was not")
	}
	d.completeOf(0, 7)
	if !d.pendingBit(7) {
		t.Error("the right completion was ignored")
	}
}

// TestRegisters writes all ones everywhere and reads what is left.
func TestRegisters(t *testing.T) {
	p, _ := build(devicetest.NewEnv(), 2)
	for _, c := range []struct{ off, want uint64 }{
		{priorityBase, 0}, {priorityBase + 4, 7}, {priorityBase + 4*MaxSource, 7}, {priorityBase + 4*(MaxSource+1), 0},
		{pendingBase, 0}, {pendingBase + 8, 0},
		{enableBase, 0xffff_fffe}, {enableBase + 4, 0xffff_ffff}, {enableBase + 8, 0xffff_ffff}, {enableBase + 12, 0},
		{enableBase + enableStride, 0xffff_fffe}, {enableBase + 2*enableStride, 0},
		{contextBase, 7}, {contextBase + contextStride, 7}, {contextBase + 2*contextStride, 0}, {contextBase + 8, 0},
	} {
		p.Write(c.off, 4, 0xffff_ffff)
		if got, ok := p.Read(c.off, 4); got != c.want || !ok {
			t.Errorf("register at %#x is %#x, %t; want %#x", c.off, got, ok, c.want)
		}
		for _, size := range []int{1, 2, 8} {
			if _, ok := p.Read(c.off&^7, size); ok || p.Write(c.off&^7, size, 0) {
				t.Errorf("access of %d bytes at %#x is answered", size, c.off)
			}
		}
	}
}

func TestResetWithLineHigh(t *testing.T) {
	p, _ := build(devicetest.NewEnv(), 1)
	p.Line(9).Set(true)
	p.Reset()
	if d := (driver{p}); !d.pendingBit(9) {
		t.Error("a line that stays high is not pending after Reset")
	}
}
