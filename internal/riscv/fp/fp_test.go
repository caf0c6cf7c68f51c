package fp

import (
	"flag"
	"math/rand/v2"
	"testing"
)

var (
	seedFlag  = flag.Uint64("fp.seed", 0, "seed of random operands; 0 picks one")
	countFlag = flag.Int("fp.count", 2000, "random operand tuples for each instruction and rounding mode")
	fullFlag  = flag.Bool("fp.full", false, "combine all level 1 operands of three-operand instructions")
)

var modes = []RM{RNE, RTZ, RDN, RUP, RMM}

// seed picks the seed and prints it.
func seed(t testing.TB) uint64 {
	s := *seedFlag
	if s == 0 {
		s = rand.Uint64()
	}
	t.Logf("seed: -fp.seed=%d", s)
	return s
}

func (o op) modes() []RM {
	if o.rm {
		return modes
	}
	return modes[:1]
}

// check compares an instruction with the oracle.
func (o op) check(t *testing.T, v [3]uint64, rm RM) {
	r, flags := o.impl(v[0], v[1], v[2], rm)
	want, wantFlags := o.oracle(v[0], v[1], v[2], rm)
	if r != want || flags != wantFlags {
		t.Fatalf("%s %#x %#x %#x %v: got %#x flags %#x, want %#x flags %#x",
			o.name, v[0], v[1], v[2], rm, r, flags, want, wantFlags)
	}
}

func cornersOf(o op, in operand) []uint64 {
	f, ok := in.format()
	switch {
	case ok && len(o.in) == 3:
		return fewCorners(f)
	case ok:
		return corners(f)
	}
	var all []uint64
	for _, x := range integers {
		all = append(all, x, -x)
	}
	return all
}

// combine calls do for each tuple of one value from each list.
func combine(lists [][]uint64, do func(v [3]uint64)) {
	for len(lists) < 3 {
		lists = append(lists, []uint64{0})
	}
	for _, a := range lists[0] {
		for _, b := range lists[1] {
			for _, c := range lists[2] {
				do([3]uint64{a, b, c})
			}
		}
	}
}

// each runs a parallel subtest for each instruction.
func each(t *testing.T, test func(t *testing.T, o op)) {
	for _, o := range ops {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			test(t, o)
		})
	}
}

func TestCorners(t *testing.T) {
	each(t, func(t *testing.T, o op) {
		var lists [][]uint64
		for _, in := range o.in {
			lists = append(lists, cornersOf(o, in))
		}
		turn := 0
		combine(lists, func(v [3]uint64) {
			for _, rm := range o.modes() {
				// Each pair in every mode; each tuple of three in two modes, in turn.
				if turn++; len(o.in) < 3 || turn%5 < 2 {
					o.check(t, v, rm)
				}
			}
		})
	})
}

func TestLevelOne(t *testing.T) {
	each(t, func(t *testing.T, o op) {
		f, ok := o.in[0].format()
		if !ok {
			t.Skip("takes an integer: TestCorners has the corners of those")
		}
		var lists [][]uint64
		for range o.in {
			lists = append(lists, levelOne(f))
		}
		turn := 0
		combine(lists, func(v [3]uint64) {
			for _, rm := range o.modes() {
				// Three operands make millions of tuples: a prime stride samples them.
				if turn++; *fullFlag || len(o.in) < 3 || turn%61 == 0 {
					o.check(t, v, rm)
				}
			}
		})
	})
}

func TestRandom(t *testing.T) {
	s := seed(t)
	each(t, func(t *testing.T, o op) {
		g := newGenerator(s)
		for range *countFlag {
			for _, rm := range o.modes() {
				o.check(t, g.operands(o), rm)
			}
		}
	})
}

// TestHalf goes through every half-precision value.
func TestHalf(t *testing.T) {
	for _, o := range ops {
		if o.in[0] != half {
			continue
		}
		for x := range uint64(1 << 16) {
			o.check(t, [3]uint64{x}, RNE)
		}
	}
}

// FuzzFastPath holds the fast path equal to the soft path.
func FuzzFastPath(f *testing.F) {
	g := newGenerator(1)
	var ops []op // those of two paths
	for _, o := range buildOps() {
		if o.soft != nil {
			ops = append(ops, o)
		}
	}
	for i, o := range ops {
		for range 4 {
			v := g.operands(o)
			f.Add(uint8(i), uint8(g.IntN(8)), v[0], v[1], v[2])
		}
	}
	f.Fuzz(func(t *testing.T, index, mode uint8, a, b, c uint64) {
		o := ops[int(index)%len(ops)]
		v := [3]uint64{a, b, c}
		for i, in := range o.in {
			if w, ok := in.format(); ok {
				v[i] &= w.sign()<<1 - 1
			}
		}
		// Reserved modes must be harmless.
		for _, rm := range []RM{RNE, RM(mode)} {
			r, flags := o.impl(v[0], v[1], v[2], rm)
			want, wantFlags := o.soft(v[0], v[1], v[2], rm)
			if r != want || flags != wantFlags {
				t.Fatalf("%s %#x %v: got %#x flags %#x, want %#x flags %#x", o.name, v, rm, r, flags, want, wantFlags)
			}
		}
	})
}

// TestFastPath is many more random tuples than the oracle could take.
func TestFastPath(t *testing.T) {
	s := seed(t)
	each(t, func(t *testing.T, o op) {
		if o.soft == nil {
			return
		}
		g := newGenerator(s)
		for range 20 * *countFlag {
			v := g.operands(o)
			r, flags := o.impl(v[0], v[1], v[2], RNE)
			want, wantFlags := o.soft(v[0], v[1], v[2], RNE)
			if r != want || flags != wantFlags {
				t.Fatalf("%s %#x: got %#x flags %#x, want %#x flags %#x", o.name, v, r, flags, want, wantFlags)
			}
		}
	})
}
