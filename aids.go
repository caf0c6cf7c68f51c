package doppel

import (
	"errors"

	"doppel/internal/cpu/jit"
)

// aids are what a machine's translator tells its developers.
type aids struct {
	dump *jit.Dumper
	perf *jit.PerfMap
}

// openAids creates the files that are wanted.
func (cfg *Config) openAids() (a aids, err error) {
	if cfg.Engine == engineInterp {
		const reason = "the interpreter translates nothing: choose --engine auto or jit (Config.Engine)"
		switch {
		case cfg.JITDump != "":
			return a, &ConfigError{Field: "JITDump", Value: cfg.JITDump, Reason: reason}
		case cfg.PerfMap:
			return a, &ConfigError{Field: "PerfMap", Value: "true", Reason: reason}
		}
	}
	if cfg.PerfMap {
		if a.perf, err = jit.OpenPerfMap(); err != nil {
			return a, &ConfigError{Field: "PerfMap", Value: "true", Reason: err.Error()}
		}
	}
	if cfg.JITDump != "" {
		if a.dump, err = jit.CreateDump(cfg.JITDump); err != nil {
			return a, &ConfigError{Field: "JITDump", Value: cfg.JITDump, Reason: "cannot be written: " + err.Error()}
		}
	}
	return a, nil
}

// close ends the dump and tells what could not be written.
func (a *aids) close() error { return errors.Join(a.dump.Close(), a.perf.Err()) }
