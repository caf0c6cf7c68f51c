package machine

import (
	"fmt"

	"doppel/internal/board"
	"doppel/internal/fdt"
	"doppel/internal/loader"
	"doppel/internal/memory"
	host "doppel/internal/platform"
	"doppel/internal/riscv/hart"
)

// plan is how a machine starts: what is put where in memory, and in which mode
// the first instruction runs. It is made once and carried out at each reset.
type plan struct {
	programs   []*loader.Program
	initrdAt   memory.GPA
	start      memory.GPA // the first instruction behind the boot ROM, or the kernel's
	next       memory.GPA // where firmware goes on, 0 for nowhere
	supervisor bool       // the VMM is the SBI
	end        memory.GPA // of all programs
	tohost     memory.GPA
	fromhost   memory.GPA
}

func newPlan(cfg *Config) (*plan, error) {
	p := &plan{}
	if cfg.Firmware.Data != nil {
		fw, err := p.load(cfg, "Firmware", cfg.Firmware, board.RAMBase, true)
		if err != nil {
			return nil, err
		}
		p.start = fw.Entry
	}
	if cfg.Kernel.Data != nil {
		k, err := p.load(cfg, "Kernel", cfg.Kernel, board.KernelBase, cfg.Firmware.Data != nil || cfg.Bare)
		if err != nil {
			return nil, err
		}
		if cfg.Firmware.Data != nil {
			p.next = k.Entry
		} else {
			p.start = k.Entry
			// What is linked below the place of a supervisor-mode kernel wants
			// to be the firmware, wherever in it execution starts.
			p.supervisor = !cfg.Bare && k.Entry >= board.KernelBase && lowest(k) >= board.KernelBase
		}
	}
	if err := p.checkOverlap(); err != nil {
		return nil, err
	}
	return p, nil
}

// lowest is where a program's first segment is.
func lowest(p *loader.Program) memory.GPA {
	at := p.Entry
	for _, s := range p.Segments {
		at = min(at, s.Addr)
	}
	return at
}

func (p *plan) load(cfg *Config, field string, f File, rawAt memory.GPA, raw bool) (*loader.Program, error) {
	prog, err := loader.Parse(f.Data, loader.Options{RAMBase: board.RAMBase, RAMSize: cfg.Memory, AllowRaw: raw, RawAt: rawAt})
	if err != nil {
		return nil, &ConfigError{field, f.Name, err.Error()}
	}
	p.programs = append(p.programs, prog)
	p.end = max(p.end, prog.End)
	if prog.ToHost != 0 {
		p.tohost, p.fromhost = prog.ToHost, prog.FromHost
	}
	return prog, nil
}

func (p *plan) checkOverlap() error {
	if len(p.programs) != 2 {
		return nil
	}
	for _, a := range p.programs[0].Segments {
		for _, b := range p.programs[1].Segments {
			if a.Addr < b.Addr+memory.GPA(b.Size) && b.Addr < a.Addr+memory.GPA(a.Size) {
				return &ConfigError{"Kernel", fmt.Sprintf("at %#x", uint64(b.Addr)), fmt.Sprintf("overlaps the firmware, which takes %d bytes at %#x", a.Size, uint64(a.Addr))}
			}
		}
	}
	return nil
}

// reading calls f, which reads the files of the configuration.
func (c *Config) reading(f func() error) error {
	if c.CheckFiles == nil {
		return host.ReadMapped(f)
	}
	if err := c.CheckFiles(); err != nil {
		return err
	}
	err := host.ReadMapped(f)
	if changed := c.CheckFiles(); changed != nil {
		return changed
	}
	return err
}

// load puts everything in memory and the harts at their starting points.
func (m *Machine) load() error { return m.cfg.reading(m.loadFiles) }

func (m *Machine) loadFiles() error {
	p := m.plan
	for _, prog := range p.programs {
		if err := prog.Load(m.mem); err != nil {
			return err
		}
	}
	tree := fdt.Encode(m.tree())
	// Room for the initrd's place too, which is not known yet.
	fdtAt, err := board.PlaceFDT(m.cfg.Memory, len(tree)+memory.PageSize)
	if err != nil {
		return &ConfigError{"Memory", fmt.Sprint(m.cfg.Memory), err.Error()}
	}
	if fdtAt < p.end && p.overlapsRAM(fdtAt, uint64(len(tree)+memory.PageSize)) {
		behind := (uint64(p.end-board.RAMBase)+board.KernelOffset-1)/board.KernelOffset + 1 // large pages, the tree's own included
		return &ConfigError{"Memory", fmt.Sprintf("%d MiB", m.cfg.Memory>>20), fmt.Sprintf("has no room for the device tree behind the kernel, which ends at %#x: give the machine at least %d MiB",
			uint64(p.end), behind*board.KernelOffset>>20)}
	}
	if n := uint64(len(m.cfg.Initrd.Data)); n != 0 {
		if p.initrdAt, err = board.PlaceInitrd(m.cfg.Memory, p.end, fdtAt, n); err != nil {
			return &ConfigError{"Initrd", m.cfg.Initrd.Name, err.Error() + ": give the machine more memory"}
		}
		if err := m.mem.WriteAt(m.cfg.Initrd.Data, p.initrdAt); err != nil {
			return err
		}
		tree = fdt.Encode(m.tree()) // now with the initrd's place, less than a page longer
	}
	if err := m.mem.WriteAt(tree, fdtAt); err != nil {
		return err
	}
	m.mrom.MarkDirtyRange(0, uint64(copy(m.mrom.Bytes(), board.ResetVector(p.start, fdtAt, p.next))))
	for _, v := range m.vcpus {
		startHart(v.hart, p, fdtAt)
	}
	return nil
}

func (p *plan) overlapsRAM(at memory.GPA, n uint64) bool {
	for _, prog := range p.programs {
		for _, s := range prog.Segments {
			if at < s.Addr+memory.GPA(s.Size) && s.Addr < at+memory.GPA(n) {
				return true
			}
		}
	}
	return false
}

// startHart sets the registers at the start of the first stage: the boot ROM,
// or a supervisor-mode kernel (Linux: a0 = hart id, a1 = device tree).
func startHart(h *hart.Hart, p *plan, fdtAt memory.GPA) {
	if !p.supervisor {
		h.PC = uint64(board.MROMBase)
		return
	}
	h.PC = uint64(p.start)
	h.X[10], h.X[11] = uint64(h.ID()), uint64(fdtAt)
}
