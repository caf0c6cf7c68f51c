package fp

import "math/big"

// operand is what an instruction's source or destination holds.
type operand uint8

const (
	none operand = iota
	half
	single
	double
	word
	uword
	long
	ulong
	truth
)

func (o operand) String() string {
	return [...]string{"none", "half", "single", "double", "word", "uword", "long", "ulong", "truth"}[o]
}

func (o operand) format() (format, bool) {
	switch o {
	case half:
		return binary16, true
	case single:
		return binary32, true
	case double:
		return binary64, true
	}
	return format{}, false
}

// fn is an operation on raw operands. Integer and truth results are as in an
// integer register of RV64: 32-bit ones sign-extended.
type fn func(a, b, c uint64, rm RM) (uint64, uint32)

// op is an instruction: what the package makes of it and what the oracle does.
type op struct {
	name   string // the mnemonic
	in     []operand
	out    operand
	rm     bool // has a rounding mode
	impl   fn
	soft   fn // the soft path, where impl has a fast one
	oracle fn
	zfa    bool
}

var ops = buildOps()

func buildOps() []op {
	var all []op
	add := func(o op) { all = append(all, o) }
	for _, w := range []struct {
		suffix string
		o      operand
		f      format
		i      impls
	}{{".s", single, binary32, impls32}, {".d", double, binary64, impls64}} {
		f, one, two, three := w.f, []operand{w.o}, []operand{w.o, w.o}, []operand{w.o, w.o, w.o}
		sign := f.sign()
		add(op{"fadd" + w.suffix, two, w.o, true, w.i.add,
			func(a, b, _ uint64, rm RM) (uint64, uint32) { return f.add(a, b, rm) },
			func(a, b, _ uint64, rm RM) (uint64, uint32) { return oracleAdd(f, a, b, rm) }, false})
		add(op{"fsub" + w.suffix, two, w.o, true, w.i.sub,
			func(a, b, _ uint64, rm RM) (uint64, uint32) { return f.add(a, b^sign, rm) },
			func(a, b, _ uint64, rm RM) (uint64, uint32) { return oracleAdd(f, a, b^sign, rm) }, false})
		add(op{"fmul" + w.suffix, two, w.o, true, w.i.mul,
			func(a, b, _ uint64, rm RM) (uint64, uint32) { return f.mul(a, b, rm) },
			func(a, b, _ uint64, rm RM) (uint64, uint32) { return oracleMul(f, a, b, rm) }, false})
		add(op{"fdiv" + w.suffix, two, w.o, true, w.i.div,
			func(a, b, _ uint64, rm RM) (uint64, uint32) { return f.div(a, b, rm) },
			func(a, b, _ uint64, rm RM) (uint64, uint32) { return oracleDiv(f, a, b, rm) }, false})
		add(op{"fsqrt" + w.suffix, one, w.o, true, w.i.sqrt,
			func(a, _, _ uint64, rm RM) (uint64, uint32) { return f.sqrt(a, rm) },
			func(a, _, _ uint64, rm RM) (uint64, uint32) { return oracleSqrt(f, a, rm) }, false})
		for _, v := range []struct {
			name       string
			nega, negc uint64
		}{{"fmadd", 0, 0}, {"fmsub", 0, sign}, {"fnmsub", sign, 0}, {"fnmadd", sign, sign}} {
			add(op{v.name + w.suffix, three, w.o, true,
				func(a, b, c uint64, rm RM) (uint64, uint32) { return w.i.fma(a^v.nega, b, c^v.negc, rm) },
				func(a, b, c uint64, rm RM) (uint64, uint32) { return f.fma(a^v.nega, b, c^v.negc, rm) },
				func(a, b, c uint64, rm RM) (uint64, uint32) {
					return oracleFMA(f, a^v.nega, b, c^v.negc, rm)
				}, false})
		}
		for i, name := range []string{"fmin", "fmax", "fminm", "fmaxm"} {
			add(op{name + w.suffix, two, w.o, false, w.i.pick[i],
				func(a, b, _ uint64, _ RM) (uint64, uint32) { return f.pick(a, b, i%2 == 0, i >= 2) },
				func(a, b, _ uint64, _ RM) (uint64, uint32) {
					return oraclePick(f, a, b, i%2 == 0, i >= 2)
				}, i >= 2})
		}
		for i, name := range []string{"feq", "flt", "fle", "fltq", "fleq"} {
			add(op{name + w.suffix, two, truth, false, w.i.compare[i],
				func(a, b, _ uint64, _ RM) (uint64, uint32) { return softCompare(f, i, a, b) },
				func(a, b, _ uint64, _ RM) (uint64, uint32) {
					_, flags, nan := oracleNaN(f, decode(f, a), decode(f, b))
					if nan && (i == 1 || i == 2) {
						flags = NV
					}
					c := oracleCompare(f, a, b)
					return b2u(c == 0 && i != 1 && i != 3 || c == -1 && i != 0), flags
				}, i >= 3})
		}
		add(op{"fround" + w.suffix, one, w.o, true, w.i.round, nil,
			func(a, _, _ uint64, rm RM) (uint64, uint32) {
				r, flags := oracleRoundIntegral(f, a, rm)
				return r, flags & NV
			}, true})
		add(op{"froundnx" + w.suffix, one, w.o, true, w.i.roundnx, nil,
			func(a, _, _ uint64, rm RM) (uint64, uint32) { return oracleRoundIntegral(f, a, rm) }, true})
		for i, t := range []struct {
			name string
			o    operand
		}{{"w", word}, {"wu", uword}, {"l", long}, {"lu", ulong}} {
			lowest, highest := limits(t.o)
			add(op{"fcvt." + t.name + w.suffix, one, t.o, true, w.i.toInt[i],
				func(a, _, _ uint64, rm RM) (uint64, uint32) { return softToInt(f, t.o, a, rm) },
				func(a, _, _ uint64, rm RM) (uint64, uint32) {
					n, flags := oracleToInt(f, a, lowest, highest, rm)
					return register(t.o, n), flags
				}, false})
			add(op{"fcvt" + w.suffix + "." + t.name, []operand{t.o}, w.o, true, w.i.fromInt[i],
				func(a, _, _ uint64, rm RM) (uint64, uint32) { return softFromInt(f, t.o, a, rm) },
				func(a, _, _ uint64, rm RM) (uint64, uint32) {
					return oracleFromInt(f, integerOf(t.o, a), rm)
				}, false})
		}
	}
	for _, v := range []struct {
		name     string
		to, from operand
		impl     fn
	}{
		{"fcvt.d.s", double, single, func(a, _, _ uint64, _ RM) (uint64, uint32) { return F32ToF64(uint32(a)) }},
		{"fcvt.s.d", single, double, func(a, _, _ uint64, rm RM) (uint64, uint32) { return widen(F64ToF32(a, rm)) }},
		{"fcvt.s.h", single, half, func(a, _, _ uint64, _ RM) (uint64, uint32) { return widen(F16ToF32(uint16(a))) }},
		{"fcvt.d.h", double, half, func(a, _, _ uint64, _ RM) (uint64, uint32) { return F16ToF64(uint16(a)) }},
		{"fcvt.h.s", half, single, func(a, _, _ uint64, rm RM) (uint64, uint32) { return widen(F32ToF16(uint32(a), rm)) }},
		{"fcvt.h.d", half, double, func(a, _, _ uint64, rm RM) (uint64, uint32) { return widen(F64ToF16(a, rm)) }},
	} {
		to, _ := v.to.format()
		from, _ := v.from.format()
		add(op{v.name, []operand{v.from}, v.to, true, v.impl,
			func(a, _, _ uint64, rm RM) (uint64, uint32) { return convert(to, from, a, rm) },
			func(a, _, _ uint64, rm RM) (uint64, uint32) { return oracleConvert(to, from, a, rm) }, false})
	}
	add(op{"fcvtmod.w.d", []operand{double}, word, false,
		func(a, _, _ uint64, _ RM) (uint64, uint32) { v, flags := CvtModWD(a); return uint64(v), flags }, nil,
		func(a, _, _ uint64, _ RM) (uint64, uint32) { return oracleModular(a) }, true})
	return all
}

// impls are the exported functions of one format.
type impls struct {
	add, sub, mul, div, sqrt, fma, round, roundnx fn
	pick                                          [4]fn
	compare                                       [5]fn
	toInt, fromInt                                [4]fn
}

var impls64 = impls{
	add: two64(Add64), sub: two64(Sub64), mul: two64(Mul64), div: two64(Div64), fma: FMA64,
	sqrt: one64(Sqrt64), round: one64(Round64), roundnx: one64(RoundNX64),
	pick:    [4]fn{pick64(Min64), pick64(Max64), pick64(MinM64), pick64(MaxM64)},
	compare: [5]fn{compare64(Eq64), compare64(Lt64), compare64(Le64), compare64(Ltq64), compare64(Leq64)},
	toInt: [4]fn{
		func(a, _, _ uint64, rm RM) (uint64, uint32) { v, x := F64ToI32(a, rm); return uint64(v), x },
		func(a, _, _ uint64, rm RM) (uint64, uint32) { v, x := F64ToU32(a, rm); return uint64(int32(v)), x },
		func(a, _, _ uint64, rm RM) (uint64, uint32) { v, x := F64ToI64(a, rm); return uint64(v), x },
		one64(F64ToU64),
	},
	fromInt: [4]fn{
		func(a, _, _ uint64, _ RM) (uint64, uint32) { return I32ToF64(int32(a)), 0 },
		func(a, _, _ uint64, _ RM) (uint64, uint32) { return U32ToF64(uint32(a)), 0 },
		func(a, _, _ uint64, rm RM) (uint64, uint32) { return I64ToF64(int64(a), rm) },
		one64(U64ToF64),
	},
}

var impls32 = impls{
	add: two32(Add32), sub: two32(Sub32), mul: two32(Mul32), div: two32(Div32),
	fma: func(a, b, c uint64, rm RM) (uint64, uint32) {
		return widen(FMA32(uint32(a), uint32(b), uint32(c), rm))
	},
	sqrt: one32(Sqrt32), round: one32(Round32), roundnx: one32(RoundNX32),
	pick:    [4]fn{pick32(Min32), pick32(Max32), pick32(MinM32), pick32(MaxM32)},
	compare: [5]fn{compare32(Eq32), compare32(Lt32), compare32(Le32), compare32(Ltq32), compare32(Leq32)},
	toInt: [4]fn{
		func(a, _, _ uint64, rm RM) (uint64, uint32) { v, x := F32ToI32(uint32(a), rm); return uint64(v), x },
		func(a, _, _ uint64, rm RM) (uint64, uint32) {
			v, x := F32ToU32(uint32(a), rm)
			return uint64(int32(v)), x
		},
		func(a, _, _ uint64, rm RM) (uint64, uint32) { v, x := F32ToI64(uint32(a), rm); return uint64(v), x },
		func(a, _, _ uint64, rm RM) (uint64, uint32) { return F32ToU64(uint32(a), rm) },
	},
	fromInt: [4]fn{
		func(a, _, _ uint64, rm RM) (uint64, uint32) { return widen(I32ToF32(int32(a), rm)) },
		func(a, _, _ uint64, rm RM) (uint64, uint32) { return widen(U32ToF32(uint32(a), rm)) },
		func(a, _, _ uint64, rm RM) (uint64, uint32) { return widen(I64ToF32(int64(a), rm)) },
		func(a, _, _ uint64, rm RM) (uint64, uint32) { return widen(U64ToF32(a, rm)) },
	},
}

func widen[T uint16 | uint32](r T, flags uint32) (uint64, uint32) { return uint64(r), flags }

func one64(f func(uint64, RM) (uint64, uint32)) fn {
	return func(a, _, _ uint64, rm RM) (uint64, uint32) { return f(a, rm) }
}

func two64(f func(a, b uint64, rm RM) (uint64, uint32)) fn {
	return func(a, b, _ uint64, rm RM) (uint64, uint32) { return f(a, b, rm) }
}

func pick64(f func(a, b uint64) (uint64, uint32)) fn {
	return func(a, b, _ uint64, _ RM) (uint64, uint32) { return f(a, b) }
}

func compare64(f func(a, b uint64) (bool, uint32)) fn {
	return func(a, b, _ uint64, _ RM) (uint64, uint32) { t, flags := f(a, b); return b2u(t), flags }
}

func one32(f func(uint32, RM) (uint32, uint32)) fn {
	return func(a, _, _ uint64, rm RM) (uint64, uint32) { return widen(f(uint32(a), rm)) }
}

func two32(f func(a, b uint32, rm RM) (uint32, uint32)) fn {
	return func(a, b, _ uint64, rm RM) (uint64, uint32) { return widen(f(uint32(a), uint32(b), rm)) }
}

func pick32(f func(a, b uint32) (uint32, uint32)) fn {
	return func(a, b, _ uint64, _ RM) (uint64, uint32) { return widen(f(uint32(a), uint32(b))) }
}

func compare32(f func(a, b uint32) (bool, uint32)) fn {
	return func(a, b, _ uint64, _ RM) (uint64, uint32) {
		t, flags := f(uint32(a), uint32(b))
		return b2u(t), flags
	}
}

func limits(o operand) (lowest, highest *big.Int) {
	width := 32
	if o == long || o == ulong {
		width = 64
	}
	if o == uword || o == ulong {
		return new(big.Int), new(big.Int).Sub(pow2(width), big.NewInt(1))
	}
	return new(big.Int).Neg(pow2(width - 1)), new(big.Int).Sub(pow2(width-1), big.NewInt(1))
}

func integerOf(o operand, x uint64) *big.Int {
	switch o {
	case word:
		return big.NewInt(int64(int32(x)))
	case uword:
		return big.NewInt(int64(uint32(x)))
	case long:
		return big.NewInt(int64(x))
	}
	return new(big.Int).SetUint64(x)
}

// register gives an integer as an RV64 register holds it.
func register(o operand, n *big.Int) uint64 {
	x := new(big.Int).Mod(n, pow2(64)).Uint64()
	if o == word || o == uword {
		return uint64(int32(x))
	}
	return x
}

func softToInt(f format, o operand, a uint64, rm RM) (uint64, uint32) {
	switch o {
	case word:
		v, flags := f.toSigned(a, 32, rm)
		return uint64(v), flags
	case long:
		v, flags := f.toSigned(a, 64, rm)
		return uint64(v), flags
	case uword:
		v, flags := f.toUnsigned(a, 32, rm)
		return uint64(int32(v)), flags
	}
	return f.toUnsigned(a, 64, rm)
}

func softFromInt(f format, o operand, a uint64, rm RM) (uint64, uint32) {
	switch o {
	case word:
		return f.fromSigned(int64(int32(a)), rm)
	case uword:
		return f.fromMagnitude(false, uint64(uint32(a)), rm)
	case long:
		return f.fromSigned(int64(a), rm)
	}
	return f.fromMagnitude(false, a, rm)
}

// softCompare takes the comparison's place in impls.
func softCompare(f format, i int, a, b uint64) (uint64, uint32) {
	var t bool
	var flags uint32
	switch i {
	case 0:
		t, flags = f.eq(a, b)
	case 1, 3:
		t, flags = f.lt(a, b, i == 1)
	default:
		t, flags = f.le(a, b, i == 2)
	}
	return b2u(t), flags
}
