package hart

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"doppel/internal/riscv"
)

// TestExtensionsAreTrue: what the device tree says of A and D bits is what
// happens after Reset.
func TestExtensionsAreTrue(t *testing.T) {
	for _, supervisor := range []bool{false, true} {
		names := Extensions(supervisor)
		if !slices.IsSorted(names) {
			t.Errorf("%v is not in order", names)
		}
		on := slices.Contains(names, "svadu") && !slices.Contains(names, "svade")
		m := newMachine(t, supervisor)
		m.mapPage(t, 8, 3, 0, 0, ppn(ramBase)|riscv.PTEV|riscv.PTER)
		if !supervisor {
			m.openPMP()
		}
		m.Priv = S
		if _, _, ok := m.Translate(0, 8, Load); ok != on {
			t.Errorf("supervisor %v: %v, but A is set: %v", supervisor, names, ok)
		}
	}
}

// TestPMUNode: the counters that the node promises count what it says.
func TestPMUNode(t *testing.T) {
	cells := map[string][]uint32{}
	for _, p := range PMUNode().Props {
		if bytes.HasPrefix([]byte(p.Name), []byte("riscv,event")) {
			v := make([]uint32, len(p.Value)/4)
			if _, err := binary.Decode(p.Value, binary.BigEndian, v); err != nil {
				t.Fatal(err)
			}
			cells[p.Name] = v
		}
	}
	selector := map[uint32]uint64{}
	for v := cells["riscv,event-to-mhpmevent"]; len(v) >= 3; v = v[3:] {
		selector[v[0]] = uint64(v[1])<<32 | uint64(v[2])
	}
	seen := 0
	for v := cells["riscv,event-to-mhpmcounters"]; len(v) >= 3; v = v[3:] {
		for event := v[0]; event <= v[1]; event++ {
			for n := range 32 {
				if v[2]>>n&1 == 0 {
					continue
				}
				m := newMachine(t, false)
				if n >= 3 {
					m.write(t, riscv.CSRMhpmevent3+riscv.CSR(n-3), selector[event])
				}
				m.Instret += 9
				if got := m.read(t, riscv.CSRMcycle+riscv.CSR(n)); got != 9 {
					t.Errorf("event %d on counter %d: %d, want 9", event, n, got)
				}
				m.mem.Close()
				seen++
			}
		}
	}
	if seen != 60 {
		t.Errorf("%d pairs of event and counter, want 60", seen)
	}
}
