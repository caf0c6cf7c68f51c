package doppel

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// HostConfig describes what the machines of a Host share. The zero value is a
// host without networks.
type HostConfig struct{}

// Host is a set of machines that live in this process and share what the
// process lends them. Its methods may be called from any goroutine.
type Host struct {
	config HostConfig

	// mu guards what follows. It is held while a machine is built, so that two
	// cannot claim the same thing, and never while one runs or ends.
	mu       sync.Mutex
	machines []*Machine
	count    int // of machines that were made, for names
	closed   bool
}

// ErrHostClosed says that a host takes no more machines.
var ErrHostClosed = errors.New("the host is closed")

// NewHost makes a host without machines.
func NewHost(cfg HostConfig) (*Host, error) {
	return &Host{config: cfg}, nil
}

// New builds a machine on the host: files are read, disks opened and ports
// bound. Nothing runs before Run, and nothing is left of a machine that cannot
// be built. The machine leaves the host when it is closed.
func (h *Host) New(cfg Config) (*Machine, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, ErrHostClosed
	}
	if err := h.claim(&cfg); err != nil {
		return nil, err
	}
	m, err := build(&cfg)
	if err != nil {
		return nil, err
	}
	m.host, m.config = h, cfg
	h.machines = append(h.machines, m)
	h.count++
	return m, nil
}

// claim gives a machine without a name one, and checks that what a machine
// has for itself is nobody else's; the lock is held.
func (h *Host) claim(cfg *Config) error {
	if cfg.Name == "" {
		cfg.Name = h.freeName()
	}
	if err := checkName(cfg.Name); err != nil {
		return err
	}
	for _, m := range h.machines {
		if m.config.Name == cfg.Name {
			return &ConfigError{Field: "Name", Value: cfg.Name, Reason: "another machine of this host has this name; names are unique"}
		}
	}
	return nil
}

// freeName returns a name that no machine has; the lock is held.
func (h *Host) freeName() string {
	for n := h.count + 1; ; n++ {
		name := fmt.Sprintf("machine-%d", n)
		if !slices.ContainsFunc(h.machines, func(m *Machine) bool { return m.config.Name == name }) {
			return name
		}
	}
}

// maxName is the longest name of a machine, in bytes.
const maxName = 128

func checkName(name string) error {
	plain := func(r rune) bool { return unicode.IsGraphic(r) && !unicode.IsSpace(r) && r != ',' && r != '"' }
	if len(name) > maxName || !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !plain(r) }) {
		return &ConfigError{Field: "Name", Value: name, Reason: fmt.Sprintf("a name has at most %d bytes of visible characters, no spaces, commas or quotes", maxName)}
	}
	return nil
}

// Machines returns the machines that are not closed, in the order in which
// they were made.
func (h *Host) Machines() []*Machine {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.machines)
}

// Close closes all machines and releases what they shared. It may be called
// twice.
func (h *Host) Close() error {
	h.mu.Lock()
	h.closed = true
	all := slices.Clone(h.machines)
	h.mu.Unlock()
	var errs []error
	for _, m := range all {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}

// leave takes a machine that was closed off the list.
func (h *Host) leave(m *Machine) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.machines = slices.DeleteFunc(h.machines, func(o *Machine) bool { return o == m })
}
