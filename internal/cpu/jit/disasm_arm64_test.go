package jit

// dumpedCode is in every dump: how a block begins.
var dumpedCode = []string{"subs x20, x20, #0x", "b.mi .+0x"}
