package machine

import (
	"fmt"
	"strings"

	"doppel/internal/cpu"
)

// CPUStats counts what a vCPU has done since the machine was built.
type CPUStats struct {
	Usage
	Instructions uint64 // as of its last exit
	Exits        [cpu.ExitError + 1]uint64
	Counts       []cpu.Count // of its translator, if it has one, as of the last pause or Counts
}

// Stats counts what a machine has done.
type Stats struct {
	CPUs []CPUStats
	// Devices is what devices' workers have had of the processors, as long as
	// the machine shared them with others or had a cap.
	Devices Usage
	// WakeUps are the times from when a timer of the guest's was due to when
	// the vCPU ran for it, of those that did not run then.
	WakeUps Histogram
}

// Stats may be called at any time.
func (m *Machine) Stats() Stats {
	s := Stats{WakeUps: m.wakeUps.read()}
	ran, waited, executed := m.group.Workers()
	s.Devices = Usage{uint64(ran), uint64(waited), uint64(executed)}
	for _, v := range m.vcpus {
		c := CPUStats{Usage: v.seat.usage(), Instructions: v.insns.Load()}
		for i := range v.exits {
			c.Exits[i] = v.exits[i].Load()
		}
		c.Counts = v.counts()
		s.CPUs = append(s.CPUs, c)
	}
	return s
}

// Instructions is the sum over all vCPUs.
func (s Stats) Instructions() (n uint64) {
	for _, c := range s.CPUs {
		n += c.Instructions
	}
	return n
}

func (s Stats) String() string {
	var sb strings.Builder
	for i, c := range s.CPUs {
		fmt.Fprintf(&sb, "cpu%d: %d instructions; exits:", i, c.Instructions)
		for r, n := range c.Exits {
			if n != 0 {
				fmt.Fprintf(&sb, " %s %d", cpu.ExitReason(r), n)
			}
		}
		sb.WriteByte('\n')
		if len(c.Counts) > 0 {
			fmt.Fprintf(&sb, "cpu%d: translator:", i)
			for _, n := range c.Counts {
				if n.N != 0 {
					fmt.Fprintf(&sb, " %s %d;", n.Name, n.N)
				}
			}
			sb.WriteByte('\n')
		}
	}
	return sb.String()
}
