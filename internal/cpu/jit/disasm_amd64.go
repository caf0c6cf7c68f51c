package jit

import (
	"fmt"
	"strings"

	"golang.org/x/arch/x86/x86asm"
)

// hostInst disassembles the first instruction of code, which is at pc in code
// of size bytes that starts at start. Jumps within it are shown as offsets.
func hostInst(code []byte, pc, start uint64, size int) (text string, n int) {
	if code[0] == 0xc4 || code[0] == 0xc5 {
		if text, n = vexInst(code); n > 0 {
			return text, n
		}
	}
	in, err := x86asm.Decode(code, 64)
	if err != nil || in.Len == 0 || in.Len > len(code) {
		return fmt.Sprintf(".byte %#02x", code[0]), 1
	}
	if rel, ok := in.Args[0].(x86asm.Rel); ok {
		if to := int64(pc-start) + int64(in.Len) + int64(rel); to >= 0 && to < int64(size) {
			return fmt.Sprintf("%s +%04x", strings.ToLower(in.Op.String()), to), in.Len
		}
	}
	return strings.ToLower(x86asm.IntelSyntax(in, pc, nil)), in.Len
}

// What x86asm does not know: instructions with a VEX prefix.

// vexForm is the order of operands: r is the register field, v the one in the
// prefix, m the one that may be memory, i an immediate byte; in capitals if it
// is a general register.
type vexForm struct{ name, operands string }

// vexKey is the opcode in the low byte, then the map, then the mandatory
// prefix.
func vexKey(prefix, opmap, opcode byte) uint32 {
	return uint32(prefix)<<16 | uint32(opmap)<<8 | uint32(opcode)
}

var vexForms = makeVexForms()

func makeVexForms() map[uint32]vexForm {
	t := map[uint32]vexForm{}
	const none, p66, pf3, pf2 = 0, 1, 2, 3
	for prefix, suffix := range []string{"ps", "pd", "ss", "sd"} {
		p := byte(prefix)
		for code, name := range map[byte]string{0x51: "vsqrt", 0x58: "vadd", 0x59: "vmul", 0x5c: "vsub", 0x5d: "vmin", 0x5e: "vdiv", 0x5f: "vmax"} {
			t[vexKey(p, 1, code)] = vexForm{name + suffix, "rvm"}
		}
		t[vexKey(p, 1, 0xc2)] = vexForm{"vcmp" + suffix, "rvmi"}
		t[vexKey(p, 1, 0x10)] = vexForm{"vmovu" + suffix, "rm"}
		t[vexKey(p, 1, 0x11)] = vexForm{"vmovu" + suffix, "mr"}
	}
	for i, suffix := range []string{"ps", "pd"} {
		p := byte(i)
		for code, name := range map[byte]string{0x54: "vand", 0x55: "vandn", 0x56: "vor", 0x57: "vxor"} {
			t[vexKey(p, 1, code)] = vexForm{name + suffix, "rvm"}
		}
		t[vexKey(p, 1, 0x28)] = vexForm{"vmova" + suffix, "rm"}
		t[vexKey(p, 1, 0x50)] = vexForm{"vmovmsk" + suffix, "Rm"}
	}
	for i, suffix := range []string{"ss", "sd"} {
		p := byte(pf3 + i)
		t[vexKey(p, 1, 0x10)] = vexForm{"vmov" + suffix, "rvm"}
		t[vexKey(p, 1, 0x11)] = vexForm{"vmov" + suffix, "mvr"}
		t[vexKey(p, 1, 0x2a)] = vexForm{"vcvtsi2" + suffix, "rvM"}
		t[vexKey(p, 1, 0x2c)] = vexForm{"vcvtt" + suffix + "2si", "Rm"}
		t[vexKey(p, 1, 0x2d)] = vexForm{"vcvt" + suffix + "2si", "Rm"}
		t[vexKey(byte(i), 1, 0x2e)] = vexForm{"vucomi" + suffix, "rm"}
		t[vexKey(byte(i), 1, 0x2f)] = vexForm{"vcomi" + suffix, "rm"}
		t[vexKey(p66, 3, byte(0x0a+i))] = vexForm{"vround" + suffix, "rvmi"}
	}
	t[vexKey(pf3, 1, 0x5a)] = vexForm{"vcvtss2sd", "rvm"}
	t[vexKey(pf2, 1, 0x5a)] = vexForm{"vcvtsd2ss", "rvm"}
	t[vexKey(p66, 1, 0x6e)] = vexForm{"vmovq", "rM"}
	t[vexKey(p66, 1, 0x7e)] = vexForm{"vmovq", "Mr"}
	t[vexKey(p66, 1, 0xef)] = vexForm{"vpxor", "rvm"}
	t[vexKey(p66, 1, 0xdb)] = vexForm{"vpand", "rvm"}
	t[vexKey(p66, 1, 0xeb)] = vexForm{"vpor", "rvm"}
	for i, order := range []string{"132", "213", "231"} {
		for j, name := range []string{"vfmadd", "vfmsub", "vfnmadd", "vfnmsub"} {
			t[vexKey(p66, 2, byte(0x99+0x10*i+2*j))] = vexForm{name + order, "rvm"}
		}
	}
	t[vexKey(none, 2, 0xf2)] = vexForm{"andn", "RVM"}
	t[vexKey(none, 2, 0xf7)] = vexForm{"bextr", "RMV"}
	t[vexKey(none, 2, 0xf5)] = vexForm{"bzhi", "RMV"}
	t[vexKey(pf3, 2, 0xf5)] = vexForm{"pext", "RVM"}
	t[vexKey(pf2, 2, 0xf5)] = vexForm{"pdep", "RVM"}
	t[vexKey(pf2, 2, 0xf6)] = vexForm{"mulx", "RVM"}
	t[vexKey(p66, 2, 0xf7)] = vexForm{"shlx", "RMV"}
	t[vexKey(pf3, 2, 0xf7)] = vexForm{"sarx", "RMV"}
	t[vexKey(pf2, 2, 0xf7)] = vexForm{"shrx", "RMV"}
	t[vexKey(pf2, 3, 0xf0)] = vexForm{"rorx", "RMi"}
	return t
}

// vexInst disassembles an instruction with a VEX prefix. n is 0 if code is too
// short. One that is not in the table has its opcode for a name and the right
// length.
func vexInst(code []byte) (text string, n int) {
	var ext, v byte // ext: R, X and B, inverted
	opmap, w := byte(1), false
	switch {
	case code[0] == 0xc5 && len(code) >= 4:
		ext, v, n = code[1]&0x80|0x60, code[1], 2
	case code[0] == 0xc4 && len(code) >= 5:
		ext, opmap, v, n = code[1]&0xe0, code[1]&31, code[2], 3
		w = code[2]&0x80 != 0
	default:
		return "", 0
	}
	prefix, opcode := v&3, code[n]
	modrm := code[n+1]
	n += 2
	form, ok := vexForms[vexKey(prefix, opmap, opcode)]
	if !ok {
		form = vexForm{fmt.Sprintf("vex.%d.%d.%02x", prefix, opmap, opcode), "rvm"}
		if opmap == 3 || opmap == 1 && (opcode >= 0x70 && opcode <= 0x73 || opcode == 0xc2 || opcode >= 0xc4 && opcode <= 0xc6) {
			form.operands += "i"
		}
	}
	if opmap == 2 && prefix == 1 && strings.HasPrefix(form.name, "vf") {
		form.name += map[bool]string{false: "ss", true: "sd"}[w]
	}
	reg := modrm>>3&7 | ^ext>>4&8
	rm := modrm&7 | ^ext>>2&8
	memory := ""
	if modrm>>6 != 3 {
		var used int
		if memory, used = vexMemory(code[n:], modrm, ext); used < 0 {
			return "", 0
		}
		n += used
	}
	var args []string
	for _, o := range form.operands {
		general := o < 'a'
		switch o | 0x20 {
		case 'r':
			args = append(args, vexReg(reg, general, w))
		case 'v':
			args = append(args, vexReg(^v>>3&15, general, w))
		case 'm':
			if memory != "" {
				args = append(args, memory)
			} else {
				args = append(args, vexReg(rm, general, w))
			}
		case 'i':
			if n >= len(code) {
				return "", 0
			}
			args = append(args, fmt.Sprintf("%#x", code[n]))
			n++
		}
	}
	return form.name + " " + strings.Join(args, ", "), n
}

func vexReg(r byte, general, wide bool) string {
	switch {
	case !general:
		return fmt.Sprintf("xmm%d", r)
	case wide:
		return strings.ToLower((x86asm.RAX + x86asm.Reg(r)).String())
	}
	return strings.ToLower((x86asm.EAX + x86asm.Reg(r)).String())
}

// vexMemory disassembles an operand in memory, of which code is what comes
// after ModRM, and returns its length, or -1 if code is too short.
func vexMemory(code []byte, modrm, ext byte) (text string, n int) {
	mod, base := modrm>>6, modrm&7
	var parts []string
	if base == 4 {
		if len(code) == 0 {
			return "", -1
		}
		sib := code[0]
		n, base = 1, sib&7
		if index := sib>>3&7 | ^ext>>3&8; index != 4 {
			parts = append(parts, fmt.Sprintf("%s*%d", vexReg(index, true, true), 1<<(sib>>6)))
		}
	}
	size := [4]int{0, 1, 4}[mod]
	if mod == 0 && base == 5 {
		size = 4
		if modrm&7 == 5 {
			parts = append(parts, "rip")
		}
	} else {
		parts = append([]string{vexReg(base|^ext>>2&8, true, true)}, parts...)
	}
	if len(code) < n+size {
		return "", -1
	}
	disp := int32(0)
	switch size {
	case 1:
		disp = int32(int8(code[n]))
	case 4:
		disp = int32(uint32(code[n]) | uint32(code[n+1])<<8 | uint32(code[n+2])<<16 | uint32(code[n+3])<<24)
	}
	text = strings.Join(parts, "+")
	if size != 0 || text == "" {
		text += fmt.Sprintf("%+#x", disp)
	}
	return "[" + text + "]", n + size
}
