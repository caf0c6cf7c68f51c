package asm

import "testing"

// gnuProgram uses labels, macros, data, expressions and every pseudo-instruction in the way that both assemblers take.
const gnuProgram = `
	.equ SIZE, 0x40
	.set COUNT, SIZE / 4 + 1
NAME = SIZE << 2
	.globl _start
	.macro save reg, slot=1
	sd \reg, \slot*8(sp)
	.endm
	.macro spin n
again\@:
	addi \n, \n, -1
	bnez \n, again\@
	.endm
	.text
_start:
	nop
	li a0, SIZE
	li a1, COUNT*2+1
	li a2, NAME|1
	li a3, -1
	li a4, 0x123456789abcdef0
	mv a0, a1
	move a0, a1
	not a0, a1
	neg a0, a1
	negw a0, a1
	sext.w a0, a1
	zext.b a0, a1
	zext.w a0, a1
	zext.h a0, a1
	sext.b a0, a1
	sext.h a0, a1
	seqz a0, a1
	snez a0, a1
	sltz a0, a1
	sgtz a0, a1
	sgt a0, a1, a2
	sgtu a0, a1, a2
	beqz a0, 1f
	bnez a0, 1f
	blez a0, 1f
	bgez a0, 1f
	bltz a0, 1f
	bgtz a0, 1f
	bgt a0, a1, 1f
	ble a0, a1, 1f
	bgtu a0, a1, 1f
	bleu a0, a1, 1f
1:	j 1b
	jal 1f
	jal t0, 1f
	jalr a0
	jalr a0, a1
	jalr a0, 8(a1)
	jalr a0, a1, 8
	jr a0
	jr 4(a0)
	ret
1:	call far
	call t0, far
	tail far
	jump far, t3
	la a0, data
	lla a1, data+8
	lw a0, data
	ld a1, data
	fld fa0, data, t0
	sw a0, data, t0
	fsd fa1, data, t1
	.option push
	.option norvc	# GNU as never compresses what the linker fills in
	lui a0, %hi(data)
	.option pop
	addi a0, a0, %lo(data)
	lw a1, %lo(data)(a0)
	sw a1, %lo(data+4)(a0)
2:	auipc a0, %pcrel_hi(data)
	addi a0, a0, %pcrel_lo(2b)
	ld a1, %pcrel_lo(2b)(a0)
	sd a1, %pcrel_lo(2b)(a0)
	save s0
	save s1, 2
	save slot=3, reg=s2
	spin t0
	spin t1
	add a0, a1, 5
	and a0, a1, -5
	or a0, a1, 'A'
	xor a0, a1, '\n'
	sll a0, a1, 3
	srl a0, a1, 3
	sra a0, a1, 3
	slt a0, a1, 3
	sltu a0, a1, 3
	addw a0, a1, 3
	sllw a0, a1, 3
	srlw a0, a1, 3
	sraw a0, a1, 3
	ror a0, a1, 3
	rorw a0, a1, 3
	bset a0, a1, 3
	bclr a0, a1, 3
	binv a0, a1, 3
	bext a0, a1, 3
	csrr a0, mstatus
	csrw mtvec, a0
	csrs sie, a0
	csrc sip, a0
	csrwi mstatus, 8
	csrsi mstatus, 8
	csrci mstatus, 8
	csrw mscratch, 3
	csrs mscratch, 3
	csrc mscratch, 3
	csrrw a0, mscratch, 3
	csrrs a0, 0x340, a1
	csrrci a0, mscratch, 31
	rdcycle a0
	rdtime a0
	rdinstret a0
	frcsr a0
	fscsr a0
	fscsr a0, a1
	frrm a0
	fsrm a0
	fsrm a0, a1
	fsrmi 3
	fsrmi a0, 3
	frflags a0
	fsflags a0
	fsflags a0, a1
	fsflagsi 3
	fsflagsi a0, 3
	fmv.s fa0, fa1
	fabs.s fa0, fa1
	fneg.s fa0, fa1
	fmv.d fa0, fa1
	fabs.d fa0, fa1
	fneg.d fa0, fa1
	fgt.s a0, fa1, fa2
	fge.s a0, fa1, fa2
	fgt.d a0, fa1, fa2
	fge.d a0, fa1, fa2
	fmv.x.s a0, fa0
	fmv.s.x fa0, a0
	fcvt.w.d a0, fa0
	fcvt.w.d a0, fa0, rtz
	fcvt.d.w fa0, a0
	fcvt.s.h fa0, fa1
	fcvt.d.l fa0, a0
	fmadd.d fa0, fa1, fa2, fa3
	fmadd.d fa0, fa1, fa2, fa3, rdn
	fence
	fence rw, w
	fence.tso
	fence.i
	pause
	ecall
	ebreak
	scall
	sbreak
	unimp
	wfi
	mret
	sret
	sfence.vma
	sfence.vma a0
	sfence.vma a0, a1
	sinval.vma a0, a1
	sfence.w.inval
	sfence.inval.ir
	lr.w.aq a0, (a1)
	lr.d a0, 0(a1)
	sc.w.rl a0, a1, (a2)
	amoadd.d.aqrl a0, a1, (a2)
	amoswap.w a0, a1, (a2)
	cbo.zero (a0)
	cbo.clean 0(a0)
	prefetch.r 64(a0)
	wrs.nto
	.option push
	.option rvc
	c.nop
	c.addi a0, -3
	c.addiw a0, 7
	c.li a0, 31
	c.lui a0, 0xfffe1
	c.addi16sp sp, -64
	c.addi4spn a0, sp, 16
	c.mv a0, a1
	c.add a0, a1
	c.sub a0, a1
	c.andi a0, -1
	c.srli a0, 63
	c.slli t0, 1
	c.lw a0, 4(a1)
	c.ld a0, 8(a1)
	c.sw a0, 4(a1)
	c.sd a0, 8(a1)
	c.fld fa0, 8(a1)
	c.fsd fa0, 8(a1)
	c.lwsp t0, 8(sp)
	c.ldsp t0, 8(sp)
	c.swsp t0, 8(sp)
	c.sdsp t0, 8(sp)
	c.fldsp ft0, 8(sp)
	c.fsdsp ft0, 8(sp)
	c.jr t0
	c.jalr t0
	c.ebreak
1:	c.j 1b
	c.beqz a0, 1b
	c.bnez a0, 1f
	.option pop
1:	.align 3
	nop
	.balign 32
	.rept 3
	addi a0, a0, 1
	.endr
	.irp r, a0, a1, a2
	mv \r, s0
	.endr
	.if SIZE == 0x40
	li a0, 1
	.else
	li a0, 2
	.endif
	.ifdef NOWHERE
	li a0, 3
	.elseif COUNT > 100
	li a0, 4
	.else
	li a0, 5
	.endif
	.option push
	.option norvc
	li a0, (1 + 2 & 3) * -4 % 7	# precedence: 1 + (2 & 3)
	li a0, 1 << 4 | 3 ^ 2
	li a0, ~0x0f && 1
	.option pop
	.align 3
data:
	.byte 1, -1, 0xff, 'x'
	.half 0x1234, -2
	.2byte 7
	.word 0x12345678, end - data
	.4byte -1
	.dword 0x123456789abcdef0
	.quad -1
	.ascii "hello, # not; a comment // \"quoted\"\n"
	.asciz "zero"
	.string "a\tb\\", "c\101\x41"
	.zero 5
	.skip 3, 0xaa
	.fill 3, 2, 0x55
	.float 1.5
	.double -2.25
	.balign 8, 0
end:	/* a comment
	over lines */
	nop; nop; nop
far:	ret
	.balign 32	# GNU as pads the section itself
`

func TestProgramAgainstGNU(t *testing.T) {
	for _, head := range []string{".option norvc\n", ".option rvc\n"} {
		sameAsGNU(t, []string{gnuProgram}, head, Options{Origin: 0x1_0000})
	}
}
