package doppel

import (
	"doppel/internal/cpu/sched"
	"doppel/internal/machine"
)

// Usage is what a processor of a machine has had of the host's.
type Usage = machine.Usage

// Histogram counts times by their logarithm.
type Histogram = machine.Histogram

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
