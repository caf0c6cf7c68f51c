// Package finisher is SiFive's test finisher: a register through which the
// guest ends the machine, with a pass or fail code, or resets it. The device
// tree shows it also as a syscon, for the generic power-off drivers.
//
// Threads: any vCPU. It has no state.
package finisher

import (
	"doppel/internal/device"
	"doppel/internal/fdt"
	"doppel/internal/state"
)

// WindowSize is the length of the register window.
const WindowSize = 0x1000

// Values of the low half of the register; the high half is a fail's code.
const (
	Pass  = 0x5555
	Fail  = 0x3333
	Reset = 0x7777
)

// Device is the finisher.
type Device struct {
	phandle uint32
	finish  func(status, code uint16)
}

// New returns a finisher that calls finish with Pass, Fail or Reset and the
// code. finish returns at once; the write returns to the guest.
func New(phandle uint32, finish func(status, code uint16)) *Device {
	return &Device{phandle: phandle, finish: finish}
}

// Size implements device.Device.
func (*Device) Size() uint64 { return WindowSize }

// Read implements device.Device.
func (*Device) Read(_ uint64, _ int) (uint64, bool) { return 0, true }

// Write implements device.Device. Unknown values are ignored.
func (d *Device) Write(off uint64, size int, v uint64) bool {
	if off != 0 || size == 1 {
		return true
	}
	switch status := uint16(v); status {
	case Pass, Fail, Reset:
		d.finish(status, uint16(v>>16))
	}
	return true
}

// Reset implements device.Device.
func (*Device) Reset() {}

// Node implements device.Device.
func (d *Device) Node(w device.Wiring) *fdt.Node {
	n := &fdt.Node{Name: device.UnitName("test", w.Base)}
	n.U32("phandle", d.phandle)
	n.Str("compatible", "sifive,test1", "sifive,test0", "syscon")
	n.U64("reg", uint64(w.Base), WindowSize)
	return n
}

// SysconNodes are the nodes of the generic power-off and reset drivers, which
// stand at the root of the tree.
func (d *Device) SysconNodes() []*fdt.Node {
	node := func(name string, value uint32) *fdt.Node {
		n := &fdt.Node{Name: name}
		n.Str("compatible", "syscon-"+name)
		n.U32("regmap", d.phandle)
		n.U32("offset", 0)
		n.U32("value", value)
		return n
	}
	return []*fdt.Node{node("poweroff", Pass), node("reboot", Reset)}
}

func (*Device) StateName() string                        { return "finisher" }
func (*Device) StateVersion() uint32                     { return 1 }
func (*Device) Save(*state.Encoder)                      {}
func (*Device) Restore(d *state.Decoder, _ uint32) error { return d.Err() }
