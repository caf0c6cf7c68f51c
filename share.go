package doppel

import (
	"doppel/internal/cpu/sched"
	"doppel/internal/machine"
)

// Usage is what a processor of a machine has had of the host's.
type Usage = machine.Usage

// Histogram counts times by their logarithm.
type Histogram = machine.Histogram

// CPUShare is the machine's weight, and its cap as it was configured.
func (m *Machine) CPUShare() (weight int, limit string) {
	if weight = m.config.CPUWeight; weight == 0 {
		weight = sched.DefaultWeight
	}
	return weight, m.config.CPUCap
}

// share is what the machine may have of the processors.
func (cfg *Config) share() (sched.Share, error) {
	s := sched.Share{Weight: cfg.CPUWeight}
	var err error
	if s.Cap, err = sched.ParseCap(cfg.CPUCap); err != nil {
		return s, &ConfigError{Field: "CPUCap", Value: cfg.CPUCap, Reason: err.Error()}
	}
	if s.Affinity, err = sched.ParseCPUs(cfg.CPUAffinity); err != nil {
		return s, &ConfigError{Field: "CPUAffinity", Value: cfg.CPUAffinity, Reason: err.Error()}
	}
	return s, nil
}

// Processors are the numbers of the host's processors that machines run on.
func Processors() []int { return machine.Processors() }
