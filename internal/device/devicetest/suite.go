// Package devicetest is the contract suite of device.Device: every device
// runs it in one line. It checks that no access panics, that registers keep to
// their sizes, that Reset leads to the state at power-on, that saved state
// makes an equal device, and that damaged state is refused or harmless.
//
// It does not know what a device is for: each device's own tests do.
package devicetest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"doppel/internal/device"
	"doppel/internal/state"
)

// Env is what the suite lends to one device.
type Env struct {
	Clock *Clock
	Line  *Line
}

// NewEnv returns a fresh environment.
func NewEnv() *Env { return &Env{NewClock(), &Line{}} }

// Line is an interrupt line that remembers its level and counts changes.
type Line struct {
	Level   bool
	Changes int
}

func (l *Line) Set(on bool) {
	if l.Level != on {
		l.Level = on
		l.Changes++
	}
}

// Suite says what device the suite is for.
type Suite struct {
	// New makes a device as at power-on. Two devices that are made one after
	// the other must behave alike.
	New func(*Env) device.Device
	// Carry, if not nil, copies what belongs to a device and travels beside its
	// state, such as memory.
	Carry func(from, to device.Device)
	// KeepsOverReset is set for a device some of whose state a reset keeps.
	KeepsOverReset bool
}

// Run runs the whole suite.
func (s Suite) Run(t *testing.T) {
	t.Helper()
	seed := rand.Uint64()
	for _, err := range s.Check(seed) {
		t.Errorf("%v (seed %d)", err, seed)
	}
}

// Check runs the whole suite and returns what is wrong.
func (s Suite) Check(seed uint64) (errs []error) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	for _, c := range []struct {
		name string
		fn   func(*rand.Rand) error
	}{
		{"accesses", s.checkAccesses},
		{"reset", s.checkReset},
		{"save and restore", s.checkRestore},
		{"damaged state", s.checkDamaged},
	} {
		if err := guard(func() error { return c.fn(rnd) }); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", c.name, err))
		}
	}
	return errs
}

// guard makes a panic an error.
func guard(fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return fn()
}

// Script replays data as accesses to a new device: for fuzz targets. It
// panics or fails if the device does.
func (s Suite) Script(t testing.TB, data []byte) {
	env := NewEnv()
	d := s.New(env)
	for len(data) >= opBytes {
		if err := decodeOp(data, d.Size()).do(env, d, nil); err != nil {
			t.Fatal(err)
		}
		data = data[opBytes:]
	}
	if err := s.sameAfterRestore(env, d); err != nil {
		t.Fatal(err)
	}
}

// Fuzz runs Script as a fuzz target.
func (s Suite) Fuzz(f *testing.F) {
	f.Add([]byte{})
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 8 {
		seed := make([]byte, 20*opBytes)
		for i := range seed {
			seed[i] = byte(rnd.Uint32())
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) { s.Script(t, data) })
}

// checkAccesses tries every offset of small windows, and those near powers of
// two and at random of large ones, with every size and telling values.
func (s Suite) checkAccesses(rnd *rand.Rand) error {
	const dense = 0x200
	env := NewEnv()
	d := s.New(env)
	try := func(off uint64) error {
		for _, size := range []int{1, 2, 4, 8} {
			for _, v := range []uint64{0, 1, 0x5a5a_5a5a_5a5a_5a5a, 1 << 31, ^uint64(0), rnd.Uint64()} {
				o := op{kind: opWrite, off: off &^ uint64(size-1), size: size, value: v & mask(size)}
				if err := o.do(env, d, nil); err != nil {
					return err
				}
				o.kind = opRead
				if err := o.do(env, d, nil); err != nil {
					return err
				}
			}
		}
		return nil
	}
	size := d.Size()
	if size == 0 {
		return fmt.Errorf("the window is empty")
	}
	for off := uint64(0); off < min(dense, size); off++ {
		if err := try(off); err != nil {
			return err
		}
	}
	for at := uint64(dense); at < size; at *= 2 {
		for delta := range uint64(64) {
			if off := at + delta; off < size {
				if err := try(off); err != nil {
					return err
				}
			}
			if off := at - delta; off < size {
				if err := try(off); err != nil {
					return err
				}
			}
		}
	}
	for range 200 {
		if err := try(rnd.Uint64N(size)); err != nil {
			return err
		}
	}
	return try(size - 1)
}

func (s Suite) checkReset(rnd *rand.Rand) error {
	env := NewEnv()
	d := s.New(env)
	fresh := save(d)
	for range 50 {
		if err := randomOps(rnd, env, d, 40); err != nil {
			return err
		}
		d.Reset()
		once := save(d)
		if !s.KeepsOverReset && !bytes.Equal(once, fresh) {
			return fmt.Errorf("state after Reset differs from that at power-on:\n%x\n%x", once, fresh)
		}
		d.Reset()
		if twice := save(d); !bytes.Equal(once, twice) {
			return fmt.Errorf("state after two Resets differs from that after one")
		}
	}
	return nil
}

func (s Suite) checkRestore(rnd *rand.Rand) error {
	for range 100 {
		env := NewEnv()
		d := s.New(env)
		if err := randomOps(rnd, env, d, rnd.IntN(200)); err != nil {
			return err
		}
		if err := s.sameAfterRestore(env, d); err != nil {
			return err
		}
		env2, d2, err := s.copyOf(env, d)
		if err != nil {
			return err
		}
		if err := alike(rnd, env, d, env2, d2); err != nil {
			return err
		}
	}
	return nil
}

// copyOf restores d's state into a new device at the same time.
func (s Suite) copyOf(env *Env, d device.Device) (*Env, device.Device, error) {
	env2 := NewEnv()
	env2.Clock.Advance(env.Clock.Now())
	d2 := s.New(env2)
	if s.Carry != nil {
		s.Carry(d, d2)
	}
	return env2, d2, restore(d2, save(d))
}

func (s Suite) sameAfterRestore(env *Env, d device.Device) error {
	first := save(d)
	env2, d2, err := s.copyOf(env, d)
	if err != nil {
		return fmt.Errorf("what Save wrote is refused by Restore: %w", err)
	}
	if second := save(d2); !bytes.Equal(first, second) {
		return fmt.Errorf("second save differs from the first:\n%x\n%x", first, second)
	}
	if env.Line.Level != env2.Line.Level {
		return fmt.Errorf("interrupt line is %t, after restore %t", env.Line.Level, env2.Line.Level)
	}
	return nil
}

// alike gives both devices the same accesses.
func alike(rnd *rand.Rand, env *Env, d device.Device, env2 *Env, d2 device.Device) error {
	for range 50 {
		o := randomOp(rnd, d.Size())
		var a, b result
		if err := o.do(env, d, &a); err != nil {
			return err
		}
		if err := o.do(env2, d2, &b); err != nil {
			return err
		}
		if a != b {
			return fmt.Errorf("%v: a restored device answers %+v, the original %+v", o, b, a)
		}
		if env.Line.Level != env2.Line.Level {
			return fmt.Errorf("%v: a restored device's line is %t, the original's %t", o, env2.Line.Level, env.Line.Level)
		}
	}
	return nil
}

// checkDamaged restores every prefix of a state, and states with a byte
// changed: a prefix must be refused, nothing may panic.
func (s Suite) checkDamaged(rnd *rand.Rand) error {
	env := NewEnv()
	d := s.New(env)
	if err := randomOps(rnd, env, d, 100); err != nil {
		return err
	}
	whole := save(d)
	step := max(1, len(whole)/500)
	for n := 0; n < len(whole); n += step {
		if restore(s.New(NewEnv()), whole[:n]) == nil {
			return fmt.Errorf("state cut to %d of %d bytes is accepted", n, len(whole))
		}
	}
	for n := 0; n < len(whole); n += step {
		damaged := bytes.Clone(whole)
		damaged[n] ^= byte(1 + rnd.UintN(255))
		env2 := NewEnv()
		d2 := s.New(env2)
		if restore(d2, damaged) != nil {
			continue
		}
		if err := randomOps(rnd, env2, d2, 20); err != nil {
			return fmt.Errorf("after a restore with byte %d changed: %w", n, err)
		}
	}
	return nil
}

func save(d device.Device) []byte {
	var e state.Encoder
	d.Save(&e)
	return bytes.Clone(e.Data())
}

func restore(d device.Device, b []byte) error {
	dec := state.NewDecoder(b)
	if err := d.Restore(dec, d.StateVersion()); err != nil {
		return err
	}
	return dec.Done()
}
