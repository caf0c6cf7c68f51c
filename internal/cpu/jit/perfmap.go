package jit

import (
	"fmt"
	"os"
	"sync"

	"doppel/internal/platform"
)

// PerfMap tells Linux's perf the names of generated code: a line of start,
// size (both in hexadecimal) and name for each piece. There is one for the
// process, at the path where perf looks; it stays when the process ends, for
// perf reads it later. Code memory that is used again has several names, of
// which perf takes one. A nil PerfMap does nothing.
type PerfMap struct {
	mu  sync.Mutex
	f   *os.File
	err error
}

var perfMap PerfMap

// PerfMapPath is where perf looks for the map of this process.
func PerfMapPath() string { return fmt.Sprintf("/tmp/perf-%d.map", os.Getpid()) }

// OpenPerfMap returns the process's map, created the first time.
func OpenPerfMap() (*PerfMap, error) {
	p := &perfMap
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.f == nil {
		f, err := platform.CreateOwn(PerfMapPath())
		if err != nil {
			return nil, err
		}
		p.f = f
	}
	return p, nil
}

// Add names size bytes of code.
func (p *PerfMap) Add(at uintptr, size int, format string, args ...any) {
	if p == nil {
		return
	}
	line := fmt.Appendf(nil, "%x %x ", at, size)
	line = append(fmt.Appendf(line, format, args...), '\n')
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return
	}
	if _, err := p.f.Write(line); err != nil {
		p.err = fmt.Errorf("map for perf: %w; it is not complete", err)
	}
}

// Err is the first failure to write.
func (p *PerfMap) Err() error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}
