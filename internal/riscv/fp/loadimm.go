package fp

import "math"

// LoadImm64 is FLI.D of Zfa: the constant that the rs1 field selects. Only the low
// five bits of index matter.
func LoadImm64(index uint8) uint64 {
	switch index %= 32; index {
	case 1:
		return 1 << binary64.frac
	case 30:
		return binary64.inf()
	case 31:
		return NaN64
	}
	return math.Float64bits(immediates[index])
}

// LoadImm32 is FLI.S of Zfa: as LoadImm64.
func LoadImm32(index uint8) uint32 {
	switch index %= 32; index {
	case 1:
		return 1 << binary32.frac
	case 30:
		return uint32(binary32.inf())
	case 31:
		return NaN32
	}
	return math.Float32bits(float32(immediates[index]))
}

// immediates are the constants of FLI (unpriv §24.1) that do not depend on the
// format; a single holds each. Left out are 1, the least normal number, 30,
// infinity, and 31, the canonical NaN.
var immediates = [32]float64{
	0:  -1,
	2:  1.0 / (1 << 16),
	3:  1.0 / (1 << 15),
	4:  1.0 / (1 << 8),
	5:  1.0 / (1 << 7),
	6:  0.0625,
	7:  0.125,
	8:  0.25,
	9:  0.3125,
	10: 0.375,
	11: 0.4375,
	12: 0.5,
	13: 0.625,
	14: 0.75,
	15: 0.875,
	16: 1,
	17: 1.25,
	18: 1.5,
	19: 1.75,
	20: 2,
	21: 2.5,
	22: 3,
	23: 4,
	24: 8,
	25: 16,
	26: 128,
	27: 256,
	28: 1 << 15,
	29: 1 << 16,
}
