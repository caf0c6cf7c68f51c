package machine

import (
	"fmt"

	"doppel/internal/board"
	"doppel/internal/device"
	"doppel/internal/device/aclint"
	"doppel/internal/device/finisher"
	"doppel/internal/device/flash"
	"doppel/internal/device/plic"
	"doppel/internal/device/rtc"
	"doppel/internal/device/uart"
	"doppel/internal/device/virtio/mmio"
	"doppel/internal/fdt"
	"doppel/internal/memory"
	"doppel/internal/riscv/hart"
	"doppel/internal/state"
)

// Interrupt inputs of a hart, by their mip bits.
const (
	inputMSIP = 3
	inputMTIP = 7
	inputSEIP = 9
	inputMEIP = 11
)

// noContext marks a PLIC context that the device tree does not connect.
const noContext = ^uint32(0)

// build makes memory, harts and devices and joins them.
func (m *Machine) build() (err error) {
	if m.cfg.Budget != nil {
		m.mem.Limit(m.cfg.Budget, m.kickAll)
	}
	if m.ram, err = m.mem.Add(memory.RAM, "ram", board.RAMBase, m.cfg.Memory); err != nil {
		return err
	}
	if m.mrom, err = m.mem.Add(memory.ROM, "mrom", board.MROMBase, board.MROMSize); err != nil {
		return err
	}
	if err := m.buildHarts(); err != nil {
		return err
	}
	if err := m.buildDevices(); err != nil {
		return err
	}
	return m.buildFlash()
}

func (m *Machine) buildHarts() error {
	checkers := m.checkers()
	for i := range m.cfg.CPUs {
		cfg := hart.Config{ID: i, Memory: m.mem, Clock: m.clock, Entropy: m.entropy, Supervisor: m.plan.supervisor}
		if m.cfg.Engine != engineCheck { // which executes each instruction twice
			cfg.Stall = func() { m.stall(m.vcpus[i]) }
			cfg.Watched = true
		}
		c, h, fallback, err := newEngine(m.cfg.Engine, cfg, m.cfg.JIT, checkers)
		if err != nil {
			return fmt.Errorf("engine %s: %w", m.cfg.Engine, err)
		}
		if fallback != nil {
			m.cfg.Engine, m.fallback = "interp", fallback // for the other harts too
		}
		m.vcpus = append(m.vcpus, newVCPU(c, h))
	}
	m.newSeats()
	if m.plan.supervisor {
		m.sbi = newSBI(m)
	}
	if m.plan.tohost != 0 {
		m.budget = htifBudget
		m.htif = &htif{mem: m.mem, tohost: m.plan.tohost, fromhost: m.plan.fromhost, console: m.console,
			finish: func(code int) { m.post(event{result: Result{Finished, code}}) }}
	}
	return nil
}

// input is the line to a hart's interrupt input.
func (m *Machine) input(hart int, n uint) device.Line {
	v := m.vcpus[hart]
	return device.LineFunc(func(on bool) { v.SetInterrupt(n, on) })
}

func (m *Machine) buildDevices() error {
	var contexts []plic.Context
	var harts []aclint.Hart
	for i := range m.vcpus {
		intc := board.InterruptPhandle(i)
		machineInput := uint32(inputMEIP)
		if m.plan.supervisor {
			machineInput = noContext // M-mode is the VMM's
		}
		contexts = append(contexts,
			plic.Context{Line: m.input(i, inputMEIP), Cells: [2]uint32{intc, machineInput}},
			plic.Context{Line: m.input(i, inputSEIP), Cells: [2]uint32{intc, inputSEIP}})
		harts = append(harts, aclint.Hart{Software: m.input(i, inputMSIP), Timer: m.input(i, inputMTIP), Phandle: intc})
	}
	intc := plic.New(contexts, board.PLICPhandle)
	m.intc = intc
	serial := uart.New(uart.Config{Name: "uart0", Clock: m.clock, Line: intc.Line(board.UARTIRQ), Backend: m.console})
	m.console.uart, m.console.beside = serial, m.beside
	m.workers = append(m.workers, m.console)
	end := finisher.New(board.FinisherPhandle, m.finish)
	m.extra = end.SysconNodes()

	for _, d := range []struct {
		device.Device
		base memory.GPA
		irq  uint32
	}{
		{end, board.FinisherBase, 0},
		{rtc.New(m.clock, intc.Line(board.RTCIRQ)), board.RTCBase, board.RTCIRQ},
		{aclint.New(aclint.Config{Clock: m.clock, Hz: hart.TimeHz, Harts: harts}), board.ACLINTBase, 0},
		{intc, board.PLICBase, 0},
		{serial, board.UARTBase, board.UARTIRQ},
	} {
		if err := m.attach(d.Device, d.base, d.irq); err != nil {
			return err
		}
	}
	for i := range board.VirtioSlots {
		if err := m.attach(m.virtio(i, intc), board.VirtioBase+memory.GPA(i*board.VirtioStride), uint32(board.VirtioIRQ+i)); err != nil {
			return err
		}
	}
	return nil
}

// attach puts a device on the bus.
func (m *Machine) attach(d device.Device, base memory.GPA, irq uint32) error {
	if w, ok := d.(device.Worker); ok {
		m.workers = append(m.workers, w)
	}
	return m.bus.Attach(d, device.Wiring{Base: base, IRQ: irq, IRQParent: board.PLICPhandle})
}

// buildFlash makes the flash banks; the first describes both.
func (m *Machine) buildFlash() error {
	var bases []memory.GPA
	for i := range board.FlashBanks {
		bases = append(bases, board.FlashBase+memory.GPA(i*board.FlashSize))
	}
	m.extra = append(m.extra, flash.Tree(bases, board.FlashSize))
	if !m.plan.supervisor {
		m.extra = append(m.extra, hart.PMUNode())
	}
	for i, base := range bases {
		name := fmt.Sprintf("flash%d", i)
		region, err := m.mem.Add(memory.ROM, name, base, board.FlashSize)
		if err != nil {
			return err
		}
		region.MarkDirtyRange(0, uint64(copy(region.Bytes(), m.cfg.Flash[i].Data)))
		cfg := flash.Config{Name: name, Region: region, ModeChanged: m.forgetTranslations, Backing: m.cfg.Flash[i].Backing}
		if err := m.attach(flash.New(cfg), base, 0); err != nil {
			return err
		}
	}
	return nil
}

// virtio returns the device in a slot.
func (m *Machine) virtio(slot int, intc *plic.PLIC) device.Device {
	name := fmt.Sprintf("virtio%d", slot)
	if slot >= len(m.cfg.Virtio) || m.cfg.Virtio[slot] == nil {
		return mmio.NewEmpty(name)
	}
	model := m.cfg.Virtio[slot]
	model.Seat(m.newPlace)
	return mmio.New(name, m.mem, intc.Line(uint32(board.VirtioIRQ+slot)), model)
}

// finish serves the test finisher.
func (m *Machine) finish(status, code uint16) {
	switch status {
	case finisher.Pass:
		m.post(event{result: Result{PowerOff, 0}})
	case finisher.Fail:
		m.post(event{result: Result{Finished, int(code)}})
	case finisher.Reset:
		m.post(event{reset: true})
	}
}

// tree is the machine's device tree.
func (m *Machine) tree() *fdt.Node {
	cfg := board.TreeConfig{
		Harts: m.cfg.CPUs, RAMSize: m.cfg.Memory, TimebaseHz: hart.TimeHz, Extensions: extensions(m.plan.supervisor), MMU: "sv57",
		Bootargs: m.cfg.Append, InitrdAt: m.plan.initrdAt, InitrdLen: uint64(len(m.cfg.Initrd.Data)), Extra: m.extra,
	}
	m.entropy.Fill(cfg.RNGSeed[:])
	m.entropy.Fill(cfg.KASLRSeed[:])
	return board.Tree(cfg, &m.bus)
}

// components lists what has state, in the order of saving and restoring: who
// drives a line comes before who reads it.
func (m *Machine) components() []state.Component {
	cs := []state.Component{m.clock, m.entropy, m.console}
	for _, s := range m.bus.Slots() {
		if s.Device != m.intc {
			cs = append(cs, s.Device)
		}
	}
	cs = append(cs, m.intc)
	if m.sbi != nil {
		cs = append(cs, m.sbi)
	}
	for _, v := range m.vcpus {
		cs = append(cs, v.VCPU)
	}
	return cs
}
