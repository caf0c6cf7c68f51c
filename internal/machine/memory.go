package machine

import "doppel/internal/memory"

// MemoryUsage is what the machine's RAM takes of the host; ok is false if the
// host does not tell, or the machine is closed.
func (m *Machine) MemoryUsage() (u memory.Usage, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.status == Closed {
		return u, false
	}
	return m.ram.Usage()
}

// MemorySize is the size of RAM in bytes.
func (m *Machine) MemorySize() uint64 { return m.cfg.Memory }
