package devicetest

import (
	"strings"
	"testing"

	"doppel/internal/device"
	"doppel/internal/fdt"
	"doppel/internal/state"
)

// fake is a device of one register, with one thing broken.
type fake struct {
	broken string
	v      uint64
	line   *Line
}

func (f *fake) Size() uint64 { return 0x1000 }

func (f *fake) Read(off uint64, size int) (uint64, bool) {
	if off != 0 || size != 8 {
		if f.broken == "panics" && off == 0xffe {
			panic("index out of range")
		}
		return 0, false
	}
	return f.v, true
}

func (f *fake) Write(off uint64, size int, v uint64) bool {
	if off != 0 {
		return false
	}
	f.v = v
	f.line.Set(v&1 != 0)
	return true
}

func (f *fake) Reset() {
	if f.broken != "no reset" {
		f.v = 0
	}
	f.line.Set(f.v&1 != 0)
}

func (f *fake) Node(device.Wiring) *fdt.Node { return nil }
func (f *fake) StateName() string            { return "fake" }
func (f *fake) StateVersion() uint32         { return 1 }

func (f *fake) Save(e *state.Encoder) {
	if f.broken != "saves nothing" {
		e.U64(f.v)
	}
}

func (f *fake) Restore(d *state.Decoder, _ uint32) error {
	if f.broken == "saves nothing" {
		return nil
	}
	v := d.U64()
	if f.broken != "restores nothing" {
		f.v = v
	}
	if f.broken != "restores no line" {
		f.line.Set(f.v&1 != 0)
	}
	if f.broken == "accepts anything" {
		*d = *state.NewDecoder(nil)
		return nil
	}
	return d.Err()
}

// wide answers a byte read with more than a byte.
type wide struct{ fake }

func (w *wide) Read(uint64, int) (uint64, bool) { return 0x1234, true }

func suiteOf(broken string) Suite {
	return Suite{New: func(e *Env) device.Device { return &fake{broken: broken, line: e.Line} }}
}

// TestSuiteFails shows that each check can fail.
func TestSuiteFails(t *testing.T) {
	if errs := suiteOf("").Check(1); errs != nil {
		t.Errorf("a sound device fails: %v", errs)
	}
	for broken, check := range map[string]string{
		"panics":           "accesses: panic",
		"no reset":         "reset: state after Reset",
		"saves nothing":    "save and restore: ",
		"restores nothing": "save and restore: second save",
		"restores no line": "save and restore: interrupt line",
		"accepts anything": "damaged state: state cut",
	} {
		if errs := suiteOf(broken).Check(1); !contains(errs, check) {
			t.Errorf("a device that %s: got %v, want an error with %q", broken, errs, check)
		}
	}
	s := Suite{New: func(e *Env) device.Device { return &wide{fake{line: e.Line}} }}
	if errs := s.Check(1); !contains(errs, "does not fit") {
		t.Errorf("a device with a wide register: got %v", errs)
	}
}

func contains(errs []error, text string) bool {
	for _, err := range errs {
		if strings.Contains(err.Error(), text) {
			return true
		}
	}
	return false
}
