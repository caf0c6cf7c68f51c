package machine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"doppel/internal/riscv/asm"
)

// plicEcho takes typed bytes by UART interrupt through the PLIC, in context 0
// (M-mode of hart 0), until a dot comes.
const plicEcho = prelude + `
	la   t0, trap
	csrw mtvec, t0
	li   t0, 0x0c000000
	li   t1, 1
	sw   t1, 40(t0)		# priority of source 10
	li   t0, 0x0c002000
	li   t1, 1 << 10
	sw   t1, 0(t0)		# enable
	li   t0, 0x10000000
	li   t1, 1
	sb   t1, 2(t0)		# FIFOs
	sb   t1, 1(t0)		# receive interrupt
	li   t0, 1 << 11
	csrw mie, t0
	csrsi mstatus, 8
1:	wfi
	j    1b
	.align 3
trap:	li   s1, 0x0c200004
	lw   s2, 0(s1)		# claim
	li   t0, 10
	bne  s2, t0, bad
2:	li   t0, 0x10000000
	lbu  t1, 5(t0)
	andi t1, t1, 1
	beqz t1, 3f
	lbu  s0, 0(t0)
	mv   a0, s0
	call putc
	li   t0, '.'
	beq  s0, t0, good
	j    2b
3:	sw   s2, 0(s1)		# complete
	mret
good:	li   a0, 0x5555
	j    end
bad:	li   a0, 0x13333
	j    end
`

func TestPLICEcho(t *testing.T) {
	text := strings.Repeat("interrupts, one after another; ", 100) + "."
	cfg := bare(t, plicEcho)
	out := &terminal{}
	cfg.Console = out
	_, _, ended := start(t, cfg)
	out.enter(text)
	if err := <-ended; err != nil || out.String() != text {
		t.Errorf("%v; %d bytes came back of %d", err, len(out.String()), len(text))
	}
}

// softwareInterrupts: hart 0 wakes the others one after another by msip; each
// prints its number and wakes the next.
const softwareInterrupts = prelude + `
	li   t0, 8
	csrw mie, t0
	csrr s0, mhartid
	beqz s0, 2f
1:	wfi
	csrr t0, mip
	andi t0, t0, 8
	beqz t0, 1b
2:	addi a0, s0, '0'
	call putc
	li   t0, 0x2000000
	slli t1, s0, 2
	add  t1, t1, t0
	sw   zero, 0(t1)	# own msip
	addi t2, s0, 1
	li   t3, %d
	beq  t2, t3, 3f
	slli t2, t2, 2
	add  t2, t2, t0
	li   t1, 1
	sw   t1, 0(t2)
4:	wfi
	j    4b
3:	li   a0, 0x5555
	j    end
`

func TestHarts(t *testing.T) {
	for _, n := range []int{1, 2, 5} {
		cfg := bare(t, fmt.Sprintf(softwareInterrupts, n))
		cfg.CPUs = n
		r, out := run(t, cfg)
		if want := "01234"[:n]; r.Reason != PowerOff || out != want {
			t.Errorf("%d harts: %+v, %q; want %q", n, r, out, want)
		}
	}
}

// flashProgram erases a block, programs a word and reads it back, as array
// and as query, from two harts' point of view alike.
const flashProgram = prelude + `
	li   s0, 0x20000000
	lw   t0, 0(s0)		# in the TLB
	li   t1, 0x00200020
	sw   t1, 0(s0)
	li   t1, 0x00d000d0
	sw   t1, 0(s0)
	lw   t0, 0(s0)
	li   t1, 0x00800080
	bne  t0, t1, bad	# status
	li   t1, 0x00400040
	sw   t1, 4(s0)
	li   t1, 0x12345678
	sw   t1, 4(s0)
	li   t1, 0x00ff00ff
	sw   t1, 0(s0)
	lw   t0, 4(s0)
	li   t1, 0x12345678
	bne  t0, t1, bad
	lw   t0, 0(s0)
	li   t1, -1
	bne  t0, t1, bad
	li   t1, 0x00980098
	sw   t1, 0x154(s0)
	lw   t0, 0x40(s0)
	li   t1, 0x00510051	# Q
	bne  t0, t1, bad
	li   a0, 0x5555
	j    end
bad:	li   a0, 0x13333
	j    end
`

func TestFlash(t *testing.T) {
	if r, _ := run(t, bare(t, flashProgram)); (r != Result{PowerOff, 0}) {
		t.Errorf("got %+v", r)
	}
}

// faults touches what nothing answers, and counts access faults.
const faults = prelude + `
	la   t0, trap
	csrw mtvec, t0
	li   s0, 0
	la   s1, table
1:	ld   t0, 0(s1)
	beqz t0, 2f
	lw   t1, 0(t0)
	sw   t1, 0(t0)
	addi s1, s1, 8
	j    1b
2:	li   t0, 12		# two faults for each of six addresses
	bne  s0, t0, bad
	li   a0, 0x5555
	j    end
bad:	slli a0, s0, 16
	li   t0, 0x3333
	or   a0, a0, t0
	j    end
	.align 3
trap:	addi s0, s0, 1
	csrr t2, mepc
	addi t2, t2, 4
	csrw mepc, t2
	mret
	.align 3
table:	.dword 0x10, 0x102000, 0x30000000, 0x7ffffffc, 0x81000000, 0x4000000000000, 0
`

func TestUnassigned(t *testing.T) {
	if r, _ := run(t, bare(t, faults)); (r != Result{PowerOff, 0}) {
		t.Errorf("got %+v: the code is the number of faults", r)
	}
}

// withToHost makes an ELF file of src at 0x80000000, with the symbol tohost
// 4 KiB behind it and fromhost behind that.
func withToHost(t *testing.T, src string) []byte {
	t.Helper()
	p, err := asm.Assemble(src, asm.Options{Origin: 0x80000000})
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	const header, ph, sh, sym = 64, 56, 64, 24
	b := make([]byte, header+ph)
	copy(b, "\x7fELF\x02\x01\x01")
	le.PutUint16(b[16:], 2)
	le.PutUint16(b[18:], 243)
	le.PutUint64(b[24:], 0x80000000)
	le.PutUint64(b[32:], header)
	le.PutUint16(b[54:], ph)
	le.PutUint16(b[56:], 1)
	le.PutUint32(b[header:], 1)
	le.PutUint64(b[header+8:], header+ph)
	le.PutUint64(b[header+16:], 0x80000000)
	le.PutUint64(b[header+24:], 0x80000000)
	le.PutUint64(b[header+32:], uint64(len(p.Code)))
	le.PutUint64(b[header+40:], 0x3000)
	b = append(b, p.Code...)
	names, table := "\x00tohost\x00fromhost\x00", make([]byte, 3*sym)
	le.PutUint32(table[sym:], 1)
	le.PutUint64(table[sym+8:], 0x80001000)
	le.PutUint32(table[2*sym:], 8)
	le.PutUint64(table[2*sym+8:], 0x80001040)
	sections := make([]byte, 3*sh)
	le.PutUint32(sections[sh+4:], 2)
	le.PutUint64(sections[sh+24:], uint64(len(b)))
	le.PutUint64(sections[sh+32:], uint64(len(table)))
	le.PutUint32(sections[sh+40:], 2)
	b = append(b, table...)
	le.PutUint64(sections[2*sh+24:], uint64(len(b)))
	le.PutUint64(sections[2*sh+32:], uint64(len(names)))
	b = append(b, names...)
	le.PutUint64(b[40:], uint64(len(b)))
	le.PutUint16(b[58:], sh)
	le.PutUint16(b[60:], 3)
	return append(b, sections...)
}

// TestToHost: programs of the public test suites print and end through tohost.
func TestToHost(t *testing.T) {
	const wait = `
	li   s0, 0x80001000
	j    main
send:	sd   a0, 0(s0)
1:	ld   t0, 64(s0)
	beqz t0, 1b
	sd   zero, 64(s0)
	ret
main:
`
	for name, c := range map[string]struct {
		src    string
		code   int
		output string
	}{
		"pass": {wait + "li a0, 1\n call send", 0, ""},
		"fail": {wait + "li a0, 1337 << 1 | 1\n call send", 1337, ""},
		"putchar": {wait + `
	li   a0, 1 << 56 | 1 << 48 | 'x'
	call send
	li   a0, 1
	call send`, 0, "x"},
		"write": {wait + `
	la   a0, block
	call send
	la   t0, block
	ld   t0, 0(t0)		# the result
	li   t1, 5
	bne  t0, t1, 2f
	li   a0, 1
	call send
2:	li   a0, 3
	call send
	.align 3
block:	.dword 64, 1, text, 5
text:	.ascii "hello"`, 0, "hello"},
	} {
		cfg := Config{Memory: 16 << 20, CPUs: 1, Kernel: File{"test.elf", withToHost(t, c.src)}}
		if r, out := run(t, cfg); (r != Result{Finished, c.code}) || out != c.output {
			t.Errorf("%s: %+v, %q; want code %d, %q", name, r, out, c.code, c.output)
		}
	}
}

// TestStartModes: where a program is linked, and what comes with it, decides
// in which mode it starts. It prints M or S: M-mode may read mhartid.
func TestStartModes(t *testing.T) {
	const probe = prelude + `
	la   t0, isS
	csrw stvec, t0
	csrr t1, mhartid
	li   a0, 'M'
	j    print
	.align 3
isS:	li   a0, 'S'
print:	call putc
	li   a0, 0x5555
	j    end
`
	code := func(origin uint64) []byte { return asm.MustAssemble(probe, asm.Options{Origin: origin}).Code }
	// jump is a firmware that goes on where a2 says, in M-mode.
	jump := asm.MustAssemble("ld t0, 16(a2)\n jr t0\n", asm.Options{Origin: 0x80000000}).Code
	// late starts 2 MiB behind its first byte.
	late := elfAt(0x80000000, append(make([]byte, 2<<20), code(0x80200000)...))
	binary.LittleEndian.PutUint64(late[24:], 0x80200000)
	for name, c := range map[string]struct {
		cfg  Config
		want string
	}{
		"firmware alone":                        {Config{Firmware: File{"fw", code(0x80000000)}}, "M"},
		"bare kernel":                           {Config{Kernel: File{"k", code(0x80200000)}, Bare: true}, "M"},
		"firmware and kernel":                   {Config{Firmware: File{"fw", jump}, Kernel: File{"k", code(0x80200000)}}, "M"},
		"ELF at the RAM start":                  {Config{Kernel: File{"k", elfAt(0x80000000, code(0x80000000))}}, "M"},
		"ELF at the RAM start that starts late": {Config{Kernel: File{"k", late}}, "M"},
		"ELF at 2 MiB":                          {Config{Kernel: File{"k", elfAt(0x80200000, code(0x80200000))}}, "S"},
	} {
		c.cfg.Memory, c.cfg.CPUs = 16<<20, 1
		if _, out := run(t, c.cfg); out != c.want {
			t.Errorf("%s: started in %q, want %q", name, out, c.want)
		}
	}
}

func elfAt(at uint64, code []byte) []byte {
	le := binary.LittleEndian
	b := make([]byte, 64+56)
	copy(b, "\x7fELF\x02\x01\x01")
	le.PutUint16(b[16:], 2)
	le.PutUint16(b[18:], 243)
	le.PutUint64(b[24:], at)
	le.PutUint64(b[32:], 64)
	le.PutUint16(b[54:], 56)
	le.PutUint16(b[56:], 1)
	le.PutUint32(b[64:], 1)
	le.PutUint64(b[64+8:], 64+56)
	le.PutUint64(b[64+16:], at)
	le.PutUint64(b[64+24:], at)
	le.PutUint64(b[64+32:], uint64(len(code)))
	le.PutUint64(b[64+40:], uint64(len(code)))
	return append(b, code...)
}

// TestConfigErrors: each names field, value and what to do.
func TestConfigErrors(t *testing.T) {
	ok := bare(t, digits)
	elf := File{"k", elfAt(0x80200000, []byte("code"))}
	for name, c := range map[string]struct {
		change func(*Config)
		field  string
		want   string
	}{
		"no CPU":           {func(c *Config) { c.CPUs = 0 }, "CPUs", "1 to 64"},
		"many CPUs":        {func(c *Config) { c.CPUs = 65 }, "CPUs", "1 to 64"},
		"little memory":    {func(c *Config) { c.Memory = 4096 }, "Memory", "4 MiB"},
		"odd memory":       {func(c *Config) { c.Memory++ }, "Memory", "multiple of 4 KiB"},
		"engine":           {func(c *Config) { c.Engine = "kvm" }, "Engine", "auto, interp, jit or jit,check"},
		"nothing to start": {func(c *Config) { c.Firmware = File{} }, "Kernel", "is needed"},
		"initrd alone":     {func(c *Config) { c.Initrd = File{"i", []byte("x")} }, "Initrd", "needs a kernel"},
		"bare firmware":    {func(c *Config) { c.Bare = true }, "Firmware", "bare-metal"},
		"command line":     {func(c *Config) { c.Append = strings.Repeat("x", 1024) }, "Append", "under 1024"},
		"kernel":           {func(c *Config) { c.Firmware, c.Kernel = File{}, File{"k", []byte("text")} }, "Kernel", "neither"},
		"overlap":          {func(c *Config) { c.Kernel = File{"k", elfAt(0x80000000, []byte("code"))} }, "Kernel", "overlaps the firmware"},
		"big initrd": {func(c *Config) {
			c.Firmware, c.Kernel, c.Initrd = File{}, elf, File{"i", make([]byte, 15<<20)}
		}, "Initrd", "more memory"},
		"flash": {func(c *Config) { c.Flash[1].Data = make([]byte, 33<<20) }, "Flash", "bytes"},
	} {
		cfg := ok
		c.change(&cfg)
		m, err := New(cfg)
		if err == nil {
			m.Close()
		}
		var e *ConfigError
		if !errors.As(err, &e) || e.Field != c.field || !strings.Contains(e.Error(), c.want) {
			t.Errorf("%s: %v; want a ConfigError for %s with %q", name, err, c.field, c.want)
		}
	}
}
