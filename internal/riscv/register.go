package riscv

import "strconv"

// Calling-convention names of the registers, as assemblers and debuggers use them.
var (
	xNames = [32]string{"zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4", "a5",
		"a6", "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6"}
	fNames = [32]string{"ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7", "fs0", "fs1", "fa0", "fa1", "fa2", "fa3",
		"fa4", "fa5", "fa6", "fa7", "fs2", "fs3", "fs4", "fs5", "fs6", "fs7", "fs8", "fs9", "fs10", "fs11", "ft8", "ft9",
		"ft10", "ft11"}
	xNumbers = registerNumbers("x", &xNames, "fp", 8)
	fNumbers = registerNumbers("f", &fNames, "", 0)
)

func registerNumbers(prefix string, names *[32]string, alias string, n uint8) map[string]uint8 {
	m := make(map[string]uint8, 65)
	for i, name := range names {
		m[name] = uint8(i)
		m[prefix+strconv.Itoa(i)] = uint8(i)
	}
	if alias != "" {
		m[alias] = n
	}
	return m
}

// XName returns the calling-convention name of integer register n, such as "a0".
func XName(n uint8) string { return xNames[n&31] }

// FName returns the calling-convention name of floating-point register n, such as "fa0".
func FName(n uint8) string { return fNames[n&31] }

// XByName returns the number of an integer register: "x10", "a0" or "fp".
func XByName(name string) (uint8, bool) {
	n, ok := xNumbers[name]
	return n, ok
}

// FByName returns the number of a floating-point register: "f10" or "fa0".
func FByName(name string) (uint8, bool) {
	n, ok := fNumbers[name]
	return n, ok
}
