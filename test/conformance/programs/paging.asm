# Sv39, Sv48 and Sv57: permissions, superpages, A and D, Svnapot, Svpbmt, SUM, MXR, MPRV (priv §4.3 to §4.5, §5).
	.equ l4, 0x80400000
	.equ l3, 0x80401000
	.equ l2, 0x80402000
	.equ l1, 0x80403000
	.equ l0, 0x80404000
	.equ data, 0x80500000
	.equ V, 1
	.equ R, 2
	.equ W, 4
	.equ X, 8
	.equ U, 16
	.equ G, 32
	.equ A, 64
	.equ D, 128
	.equ window, 0x40000000		# index 1 of l2, 0 of all else

# entry: writes a page-table entry.
.macro entry table, index, pa, flags
	li t5, \table + 8 * (\index)
	li t4, (\pa) >> 2 | (\flags)
	sd t4, (t5)
	sfence.vma
.endm
# loads, stores, jumps: what mode gets at va. faults: with this cause.
.macro loads mode, va
	li a0, \va
	enter \mode
	ld a1, (a0)
	back
.endm
.macro loads_fault mode, va, cause
	li a0, \va
	enter \mode
	expect
	ld a1, (a0)
	trapped \cause, \va
.endm
.macro stores mode, va
	li a0, \va
	enter \mode
	sd a0, (a0)
	back
.endm
.macro stores_fault mode, va, cause
	li a0, \va
	enter \mode
	expect
	sd a0, (a0)
	trapped \cause, \va
.endm
.macro jumps_fault mode, va, cause
	li a0, \va
	enter \mode
	expect
	jr a0
	trapped \cause, \va
.endm
# code: which mode may run this program.
.macro code flags
	entry l2, 2, 0x80000000, \flags
.endm
.macro both table, index, pa, flags
	entry \table, \index, \pa, \flags
.endm

.macro translated mode, root
	entry l4, 0, l3, V
	entry l3, 0, l2, V
	entry l2, 1, l1, V
	entry l1, 0, l0, V
	code V|R|W|X|A|D
	li t0, \mode << 60 | \root >> 12
	csrw satp, t0
	csrr t1, satp
	sub t1, t1, t0
	check t1, 0
	li t0, data
	li t1, 0x1122334455667788
	sd t1, (t0)

	# A page, and that it is the right one.
	entry l0, 0, data, V|R|W|A|D
	loads 1, window
	check a1, 0x1122334455667788
	stores 1, window + 8
	li t0, data
	ld t1, 8(t0)
	check t1, window + 8
	# Without V, or W without R: nothing.
	entry l0, 0, data, R|W|A|D
	loads_fault 1, window, 13
	stores_fault 1, window, 15
	jumps_fault 1, window, 12
	entry l0, 0, data, V|W|A|D
	loads_fault 1, window, 13
	stores_fault 1, window, 15
	entry l0, 0, data, V|W|X|A|D
	loads_fault 1, window, 13
	# Read only, and no execution.
	entry l0, 0, data, V|R|A|D
	loads 1, window
	stores_fault 1, window, 15
	jumps_fault 1, window, 12
	li a0, window
	enter 1
	expect
	amoadd.d a1, a1, (a0)
	trapped 15, window
	enter 1
	lr.d a1, (a0)
	expect
	sc.d a1, a1, (a0)
	trapped 15, window
	# Execute only; MXR makes it readable.
	entry l0, 0, data, V|X|A|D
	loads_fault 1, window, 13
	li t0, 1 << 19
	csrs mstatus, t0
	loads 1, window
	stores_fault 1, window, 15
	li t0, 1 << 19
	csrc mstatus, t0
	# U pages: S needs SUM for data and never executes them.
	entry l0, 0, data, V|R|W|X|U|A|D
	loads_fault 1, window, 13
	stores_fault 1, window, 15
	jumps_fault 1, window, 12
	li t0, 1 << 18
	csrs mstatus, t0
	loads 1, window
	stores 1, window + 8
	jumps_fault 1, window, 12
	li t0, 1 << 18
	csrc mstatus, t0
	# U-mode: U pages only.
	code V|R|W|X|U|A|D
	loads 0, window
	stores 0, window + 8
	entry l0, 0, data, V|R|W|X|A|D
	loads_fault 0, window, 13
	jumps_fault 0, window, 12
	# MPRV: M-mode takes the translation of MPP.
	li t0, 1 << 17
	csrs mstatus, t0
	li t0, 0x1800
	csrc mstatus, t0
	li a0, window
	expect
	ld a1, (a0)
	trapped 13, window		# as U
	li t0, 0x1800
	csrc mstatus, t0
	li t0, 0x800
	csrs mstatus, t0
	li a0, window
	ld a1, (a0)			# as S
	li t0, 1 << 17
	csrc mstatus, t0
	code V|R|W|X|A|D
	# Svade: clear A or D is a page fault.
	csrr t0, menvcfg
	li t1, 1 << 61
	not t1, t1
	and t0, t0, t1
	csrw menvcfg, t0
	sfence.vma
	entry l0, 0, data, V|R|W|D
	loads_fault 1, window, 13
	entry l0, 0, data, V|R|W|A
	loads 1, window
	stores_fault 1, window, 15
	# Svadu: menvcfg.ADUE has them set instead.
	li t0, 1 << 61 | 0xf0
	csrw menvcfg, t0
	sfence.vma
	entry l0, 0, data, V|R|W
	loads 1, window
	li t0, l0
	ld t1, (t0)
	check t1, data >> 2 | V|R|W|A
	stores 1, window + 16
	li t0, l0
	ld t1, (t0)
	check t1, data >> 2 | V|R|W|A|D
	entry l0, 0, data, V|R
	stores_fault 1, window, 15	# a fault sets nothing
	li t0, l0
	ld t1, (t0)
	check t1, data >> 2 | V|R
	li t0, 0xf0
	csrw menvcfg, t0
	sfence.vma
	# Superpages, and what makes them illegal.
	entry l1, 1, 0x80400000, V|R|W|A|D
	li a0, window + 0x300000
	loads 1, window + 0x300000
	check a1, 0x1122334455667788
	entry l1, 1, 0x80401000, V|R|W|A|D
	loads_fault 1, window + 0x200000, 13
	entry l2, 3, 0x80000000, V|R|W|A|D
	loads 1, 0xc0500000
	check a1, 0x1122334455667788
	entry l2, 3, 0x80200000, V|R|W|A|D
	loads_fault 1, 0xc0500000, 13
	# A pointer at the last level, or with A, D or U set.
	entry l0, 0, data, V
	loads_fault 1, window, 13
	entry l0, 0, data, V|R|W|A|D
	entry l1, 0, l0, V|A
	loads_fault 1, window, 13
	entry l1, 0, l0, V|D
	loads_fault 1, window, 13
	entry l1, 0, l0, V|U
	loads_fault 1, window, 13
	entry l1, 0, l0, V|G
	loads 1, window
	entry l1, 0, l0, V
	# Reserved bits, Svnapot and Svpbmt.
	entry l0, 0, data, V|R|W|A|D|1<<54
	loads_fault 1, window, 13
	entry l0, 0, data, V|R|W|A|D|1<<60
	loads_fault 1, window, 13
	li t1, 0x11
	li t0, data + 0x7000
	sd t1, (t0)
	entry l0, 7, data + 0x8000, V|R|W|A|D|1<<63	# 64 KiB: its own place comes from the address
	loads 1, window + 0x7000
	check a1, 0x11
	entry l0, 7, data + 0x4000, V|R|W|A|D|1<<63	# no such size
	loads_fault 1, window + 0x7000, 13
	entry l0, 7, 0, 0
	entry l0, 0, data, V|R|W|A|D|1<<61	# PBMT without menvcfg.PBMTE
	loads_fault 1, window, 13
	li t0, 1 << 62 | 0xf0
	csrw menvcfg, t0
	sfence.vma
	loads 1, window
	entry l0, 0, data, V|R|W|A|D|2<<61
	loads 1, window
	entry l0, 0, data, V|R|W|A|D|3<<61
	loads_fault 1, window, 13
	entry l1, 0, l0, V|1<<61		# not for pointers
	loads_fault 1, window, 13
	entry l1, 0, l0, V
	li t0, 0xf0
	csrw menvcfg, t0
	sfence.vma
	# Across two pages that lie apart; the second one missing.
	entry l0, 0, data, V|R|W|A|D
	entry l0, 1, data + 0x5000, V|R|W|A|D
	li t0, data + 0x1000 - 4
	li t1, 0x55667788
	sw t1, (t0)
	li t0, data + 0x5000
	li t1, 0x11223344
	sw t1, (t0)
	loads 1, window + 0xffc
	check a1, 0x1122334455667788
	stores 1, window + 0xffc
	li t0, data + 0x5000
	lw t1, (t0)
	check t1, 0
	entry l0, 1, 0, 0
	li a0, window + 0xffc
	enter 1
	expect
	ld a1, (a0)
	trapcause 13
	li t0, data + 0x1000 - 4
	li t1, 0x77
	sw t1, (t0)
	enter 1
	expect
	sd a0, (a0)
	trapcause 15
	# An address that is not sign-extended.
	loads_fault 1, 1 << 62 | window, 13
	jumps_fault 1, 1 << 62 | window, 12
	# A table where there is no memory.
	entry l1, 0, 0x40000000, V
	loads_fault 1, window, 5
	entry l1, 0, l0, V
	# ASIDs: entries of another one do not serve, global ones do.
	li t0, \mode << 60 | 5 << 44 | \root >> 12
	csrw satp, t0
	entry l0, 0, data, V|R|W|A|D
	loads 1, window
	li t0, \mode << 60 | 6 << 44 | \root >> 12
	csrw satp, t0
	loads 1, window
	li t5, l0
	li t4, (data + 0x5000) >> 2 | V|R|W|A|D
	sd t4, (t5)
	li t1, 5
	sfence.vma zero, t1
	li t1, 6
	li t0, window
	sfence.vma t0, t1
	loads 1, window
	lw t1, (s11)
	li t0, data + 0x5000
	ld t1, (t0)
	sub t1, t1, a1
	check t1, 0
	csrw satp, zero
	sfence.vma
.endm

	li t0, 0xf0
	csrw menvcfg, t0
sv39:	translated 8, l2
sv48:	translated 9, l3
sv57:	translated 10, l4
