package main

import (
	"bytes"
	"fmt"
)

// generatedFile is a source that programs/cold.c copies the code of: blocks
// enough that no cache of translated code is warm to begin with.
const generatedFile = "generated.c"

// The size of the generated code. A conditional is three basic blocks.
const (
	generatedFunctions    = 250
	generatedConditionals = 27
)

// generate makes functions of many conditionals, each different, in a section
// of their own. They refer to nothing outside it, so it may be copied and run
// elsewhere.
func generate() []byte {
	var b bytes.Buffer
	b.WriteString("/* Made by bench/generate.go. */\n#include \"bench.h\"\n\n" +
		"#define HERE __attribute__((section(\"generated\"), noinline, noclone))\n" +
		"/* Keeps a conditional from becoming a conditional move. */\n" +
		"#define FIX(x) __asm__ volatile(\"\" : \"+r\"(x))\n\n")
	state := uint64(1)
	random := func(n uint64) uint64 {
		state ^= state << 13
		state ^= state >> 7
		state ^= state << 17
		return state % n
	}
	for f := range generatedFunctions {
		fmt.Fprintf(&b, "HERE static u64 f%d(u64 x)\n{\n", f)
		for range generatedConditionals {
			fmt.Fprintf(&b, "\tif (x >> %d & 1) {\n\t\tx += x << %d; x ^= %d; FIX(x);\n\t} else {\n\t\tx += %d; x = x << %d ^ x >> %[5]d; FIX(x);\n\t}\n",
				random(20), 1+random(9), random(2000), random(2000), 1+random(9))
		}
		b.WriteString("\treturn x;\n}\n\n")
	}
	b.WriteString("HERE u64 generated_code(u64 x)\n{\n")
	for f := range generatedFunctions {
		fmt.Fprintf(&b, "\tx = f%d(x);\n", f)
	}
	b.WriteString("\treturn x;\n}\n")
	return b.Bytes()
}
