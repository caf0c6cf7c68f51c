package jit

import "testing"

// dumpedCode is in every dump: how a block begins.
var dumpedCode = []string{"sub r14, 0x", "js +0"}

// TestVEX: what the disassembler of golang.org/x/arch does not know, as GNU
// objdump shows it, and the length of what nobody knows.
func TestVEX(t *testing.T) {
	for _, c := range []struct {
		code []byte
		want string
	}{
		{[]byte{0xc4, 0xe2, 0xf1, 0xa9, 0xc2}, "vfmadd213sd xmm0, xmm1, xmm2"},
		{[]byte{0xc4, 0xe2, 0x71, 0xaf, 0xc2}, "vfnmsub213ss xmm0, xmm1, xmm2"},
		{[]byte{0xc5, 0xfb, 0x58, 0x47, 0x08}, "vaddsd xmm0, xmm0, [rdi+0x8]"},
		{[]byte{0xc4, 0xc1, 0x7b, 0x11, 0x87, 0x00, 0x01, 0x00, 0x00}, "vmovsd [r15+0x100], xmm0, xmm0"},
		{[]byte{0xc4, 0xe1, 0xf9, 0x6e, 0xc8}, "vmovq xmm1, rax"},
		{[]byte{0xc4, 0xc1, 0xf9, 0x7e, 0xd1}, "vmovq r9, xmm2"},
		{[]byte{0xc4, 0xe3, 0x79, 0x0b, 0xc1, 0x0b}, "vroundsd xmm0, xmm0, xmm1, 0xb"},
		{[]byte{0xc4, 0xe2, 0xe9, 0xf7, 0xc7}, "shlx rax, rdi, rdx"},
		{[]byte{0xc4, 0xe2, 0x70, 0xf2, 0x04, 0x8b}, "andn eax, ecx, [rbx+rcx*4]"},
		{[]byte{0xc5, 0xf1, 0xef, 0xc9}, "vpxor xmm1, xmm1, xmm1"},
		{[]byte{0xc4, 0xe3, 0x79, 0x60, 0xc1, 0x0b}, "vex.1.3.60 xmm0, xmm0, xmm1, 0xb"},
	} {
		if text, n := hostInst(c.code, 0, 0, len(c.code)); text != c.want || n != len(c.code) {
			t.Errorf("% x is %q of %d bytes, want %q", c.code, text, n, c.want)
		}
		for short := range c.code {
			if short > 0 {
				hostInst(c.code[:short], 0, 0, short) // must not read further
			}
		}
	}
}
