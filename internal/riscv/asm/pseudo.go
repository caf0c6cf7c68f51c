package asm

import (
	"fmt"
	"sort"
	"strconv"
	"strings"

	"doppel/internal/riscv"
)

// pseudoTable gives for a pseudo-instruction with a number of operands what it stands for; $1 is its first operand
// (unpriv, table of pseudo-instructions in the assembly programmer's handbook).
var pseudoTable = map[string]string{
	"nop 0":      "addi x0,x0,0",
	"mv 2":       "addi $1,$2,0",
	"move 2":     "addi $1,$2,0",
	"not 2":      "xori $1,$2,-1",
	"neg 2":      "sub $1,x0,$2",
	"negw 2":     "subw $1,x0,$2",
	"sext.w 2":   "addiw $1,$2,0",
	"zext.b 2":   "andi $1,$2,255",
	"zext.w 2":   "add.uw $1,$2,x0",
	"seqz 2":     "sltiu $1,$2,1",
	"snez 2":     "sltu $1,x0,$2",
	"sltz 2":     "slt $1,$2,x0",
	"sgtz 2":     "slt $1,x0,$2",
	"sgt 3":      "slt $1,$3,$2",
	"sgtu 3":     "sltu $1,$3,$2",
	"beqz 2":     "beq $1,x0,$2",
	"bnez 2":     "bne $1,x0,$2",
	"blez 2":     "bge x0,$1,$2",
	"bgez 2":     "bge $1,x0,$2",
	"bltz 2":     "blt $1,x0,$2",
	"bgtz 2":     "blt x0,$1,$2",
	"bgt 3":      "blt $2,$1,$3",
	"ble 3":      "bge $2,$1,$3",
	"bgtu 3":     "bltu $2,$1,$3",
	"bleu 3":     "bgeu $2,$1,$3",
	"j 1":        "jal x0,$1",
	"jal 1":      "jal x1,$1",
	"ret 0":      "jalr x0,0(x1)",
	"unimp 0":    "csrrw x0,cycle,x0",
	"scall 0":    "ecall",
	"sbreak 0":   "ebreak",
	"fence 0":    "fence iorw,iorw",
	"ntl.p1 0":   "add x0,x0,x2",
	"ntl.pall 0": "add x0,x0,x3",
	"ntl.s1 0":   "add x0,x0,x4",
	"ntl.all 0":  "add x0,x0,x5",

	"c.ntl.p1 0":   "c.add x0,x2",
	"c.ntl.pall 0": "c.add x0,x3",
	"c.ntl.s1 0":   "c.add x0,x4",
	"c.ntl.all 0":  "c.add x0,x5",
	"c.nop 1":      "c.addi x0,$1",

	"sfence.vma 0": "sfence.vma x0,x0",
	"sfence.vma 1": "sfence.vma $1,x0",
	"sinval.vma 0": "sinval.vma x0,x0",
	"sinval.vma 1": "sinval.vma $1,x0",

	"csrr 2":      "csrrs $1,$2,x0",
	"csrw 2":      "csrrw x0,$1,$2",
	"csrs 2":      "csrrs x0,$1,$2",
	"csrc 2":      "csrrc x0,$1,$2",
	"csrwi 2":     "csrrwi x0,$1,$2",
	"csrsi 2":     "csrrsi x0,$1,$2",
	"csrci 2":     "csrrci x0,$1,$2",
	"rdcycle 1":   "csrrs $1,cycle,x0",
	"rdtime 1":    "csrrs $1,time,x0",
	"rdinstret 1": "csrrs $1,instret,x0",
	"frcsr 1":     "csrrs $1,fcsr,x0",
	"fscsr 1":     "csrrw x0,fcsr,$1",
	"fscsr 2":     "csrrw $1,fcsr,$2",
	"frrm 1":      "csrrs $1,frm,x0",
	"fsrm 1":      "csrrw x0,frm,$1",
	"fsrm 2":      "csrrw $1,frm,$2",
	"fsrmi 1":     "csrrwi x0,frm,$1",
	"fsrmi 2":     "csrrwi $1,frm,$2",
	"frflags 1":   "csrrs $1,fflags,x0",
	"fsflags 1":   "csrrw x0,fflags,$1",
	"fsflags 2":   "csrrw $1,fflags,$2",
	"fsflagsi 1":  "csrrwi x0,fflags,$1",
	"fsflagsi 2":  "csrrwi $1,fflags,$2",

	"fmv.s 2":   "fsgnj.s $1,$2,$2",
	"fabs.s 2":  "fsgnjx.s $1,$2,$2",
	"fneg.s 2":  "fsgnjn.s $1,$2,$2",
	"fmv.d 2":   "fsgnj.d $1,$2,$2",
	"fabs.d 2":  "fsgnjx.d $1,$2,$2",
	"fneg.d 2":  "fsgnjn.d $1,$2,$2",
	"fgt.s 3":   "flt.s $1,$3,$2",
	"fge.s 3":   "fle.s $1,$3,$2",
	"fgt.d 3":   "flt.d $1,$3,$2",
	"fge.d 3":   "fle.d $1,$3,$2",
	"fgtq.s 3":  "fltq.s $1,$3,$2",
	"fgeq.s 3":  "fleq.s $1,$3,$2",
	"fgtq.d 3":  "fltq.d $1,$3,$2",
	"fgeq.d 3":  "fleq.d $1,$3,$2",
	"fmv.x.s 2": "fmv.x.w $1,$2",
	"fmv.s.x 2": "fmv.w.x $1,$2",
}

// specialNames are the pseudo-instructions that need more than a pattern; see special.
var specialNames = map[string]string{
	"li": "rd, value", "la": "rd, symbol", "lla": "rd, symbol", "call": "symbol", "tail": "symbol",
	"jump": "symbol, rt", "jr": "rs",
}

// pseudo returns what a pseudo-instruction stands for.
func pseudo(name string, args []string) (string, bool) {
	pattern, ok := pseudoTable[name+" "+strconv.Itoa(len(args))]
	if !ok {
		return "", false
	}
	// All places are replaced at once, so that an operand with a $ in it is not taken for one.
	pairs := make([]string, 0, 2*len(args))
	for n, arg := range args {
		pairs = append(pairs, "$"+strconv.Itoa(n+1), arg)
	}
	return strings.NewReplacer(pairs...).Replace(pattern), true
}

// pseudoUsage explains a pseudo-instruction that was given a wrong number of operands, or returns "".
func pseudoUsage(name string) string {
	if u, ok := specialNames[name]; ok {
		return name + " takes " + u
	}
	var counts []string
	for n := range 4 {
		if _, ok := pseudoTable[name+" "+strconv.Itoa(n)]; ok {
			counts = append(counts, strconv.Itoa(n))
		}
	}
	if counts == nil {
		return ""
	}
	return name + " takes " + strings.Join(counts, " or ") + " operands"
}

// unknown makes the error for a mnemonic that does not exist, with what may have been meant.
func unknown(name string) error {
	var near []string
	consider := func(s string) {
		if oneEdit(name, s) {
			near = append(near, s)
		}
	}
	for _, s := range riscv.Mnemonics() {
		consider(s)
	}
	for s := range specialNames {
		consider(s)
	}
	if near == nil {
		return fmt.Errorf("there is no instruction, directive or macro %q", shorten(name))
	}
	sort.Strings(near)
	return fmt.Errorf("there is no instruction, directive or macro %q; was %s meant?", name, strings.Join(near[:min(3, len(near))], " or "))
}

// oneEdit reports whether one inserted, removed or changed letter, or two exchanged ones, make a into b.
func oneEdit(a, b string) bool {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	x, y := a[n:], b[n:]
	switch {
	case len(x) == len(y) && len(x) > 0:
		return x[1:] == y[1:] || len(x) > 1 && x[0] == y[1] && x[1] == y[0] && x[2:] == y[2:]
	case len(x) == len(y)+1:
		return x[1:] == y
	case len(y) == len(x)+1:
		return y[1:] == x
	}
	return false
}
