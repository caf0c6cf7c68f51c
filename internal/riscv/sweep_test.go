package riscv

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The sweep decodes every 16-bit encoding, and every combination of the bits of 32-bit ones other than rd and rs1 with
// one value of these and a part with others (see special), and compares with disassemblers that others wrote. Where they differ, the reason is in
// a list, and a reason that no longer occurs fails the test: the list is exact both ways.

// difference is one known reason why another disassembler's text is not ours.
type difference struct {
	why  string
	is   func(i Inst, ours, theirs string) bool
	seen int
}

// comparison is one run against one disassembler.
type comparison struct {
	known     []difference
	compared  int
	instances map[Op]int // how often both agreed that it is this
	failures  int
	shown     map[string]int // failures by the two mnemonics, of which a few are printed
}

// reporter is the part of testing.T that a comparison uses, so that TestSweepCanFail can watch one fail.
type reporter interface {
	Helper()
	Errorf(format string, args ...any)
	Logf(format string, args ...any)
}

func (c *comparison) check(t reporter, i Inst, ours, theirs string) {
	c.compared++
	if ours == theirs {
		if c.instances == nil {
			c.instances = map[Op]int{}
		}
		c.instances[i.Op]++
		return
	}
	for n := range c.known {
		if c.known[n].is(i, ours, theirs) {
			c.known[n].seen++
			return
		}
	}
	c.failures++
	a, _, _ := strings.Cut(ours, " ")
	b, _, _ := strings.Cut(theirs, " ")
	if c.shown == nil {
		c.shown = map[string]int{}
	}
	if c.shown[a+b]++; c.shown[a+b] <= 2 {
		t.Errorf("%0*x: %q, the other tool says %q", 2*int(i.Len), i.Raw, ours, theirs)
	}
}

// finish checks that every known difference was met and every instruction seen, apart from those the tool lacks.
func (c *comparison) finish(t reporter, lacks func(Op) bool) {
	t.Helper()
	for _, d := range c.known {
		if d.seen == 0 && !testing.Short() {
			t.Errorf("the known difference %q does not occur any more", d.why)
		}
		t.Logf("%8d %s", d.seen, d.why)
	}
	t.Logf("%8d encodings compared, %d differ", c.compared, c.failures)
	if testing.Short() || lacks == nil {
		return
	}
	for op := ILLEGAL; op < NumOps; op++ {
		if c.instances[op] == 0 && !lacks(op) {
			t.Errorf("%v was never confirmed", op)
		}
		if c.instances[op] != 0 && lacks(op) {
			t.Errorf("%v is said to be lacking but was confirmed %d times", op, c.instances[op])
		}
	}
}

type recorder struct{ errors int }

func (r *recorder) Helper()               {}
func (r *recorder) Errorf(string, ...any) { r.errors++ }
func (r *recorder) Logf(string, ...any)   {}

// A comparison must notice a wrong text, a difference that went away, and an instruction that never came.
func TestSweepCanFail(t *testing.T) {
	never := difference{why: "never", is: func(Inst, string, string) bool { return false }}
	c, r := &comparison{known: []difference{never}}, &recorder{}
	i := Decode(0xfff58513)
	c.check(r, i, i.Disassemble(0), "addi a0,a1,-1")
	if r.errors != 0 || c.failures != 0 {
		t.Error("equal texts fail")
	}
	c.check(r, i, i.Disassemble(0), "addi a0,a1,-2")
	if r.errors != 1 || c.failures != 1 {
		t.Error("different texts pass")
	}
	if testing.Short() {
		return // finish checks completeness in full runs only
	}
	c.finish(r, func(op Op) bool { return op != ADDI && op != SUB })
	if r.errors != 3 { // and never, and SUB
		t.Errorf("%d errors, want 3", r.errors)
	}
}

// words16 returns every 16-bit encoding of a compressed instruction.
func words16() []uint32 {
	var out []uint32
	for raw := range uint32(1 << 16) {
		if raw&3 != 3 {
			out = append(out, raw)
		}
	}
	return out
}

// registers are values of rd and rs1.
type registers struct{ rd, rs1 uint32 }

// every is the pair with which all other bits are gone through.
var every = registers{10, 11}

// special are the pairs that can mean something else: zero in hints, moves, fences and system instructions, odd
// registers in pairs. With these, of the major opcodes where the registers only name operands one in 16 is taken.
var special = []registers{{0, 0}, {0, 31}, {15, 0}}

// operandsOnly are the major opcodes (bits 6:2) in which rd and rs1 never tell instructions apart: loads, stores,
// branches, LUI, AUIPC, JAL, the fused operations, and the ones with nothing in them.
func operandsOnly(opcode uint32) bool {
	switch opcode << 2 {
	case 0x0c, 0x10, 0x18, 0x2c, 0x30, 0x38, 0x50, 0x64, 0x70: // in order: MISC-MEM, OP-IMM, OP-IMM-32, AMO, OP, OP-32, OP-FP, JALR, SYSTEM
		return false
	}
	return true
}

// words32 returns every combination of bits 31:20, 14:12 and 6:2 with rd and rs1, but for the prefixes of longer
// instructions and what special says.
func words32(r registers) []uint32 {
	out := make([]uint32, 0, 1<<20)
	for opcode := range uint32(32) {
		if opcode&7 == 7 {
			continue
		}
		thin := testing.Short() || r != every && operandsOnly(opcode)
		for funct3 := range uint32(8) {
			for high := range uint32(1 << 12) {
				if thin && high*2654435761>>28 != 0 { // one in 16, well spread
					continue
				}
				out = append(out, high<<20|r.rs1<<15|funct3<<12|r.rd<<7|opcode<<2|3)
			}
		}
	}
	return out
}

func TestLongPrefixesAreIllegal(t *testing.T) {
	for n := range uint32(1 << 20) {
		raw := n<<12 | n>>8&0xf80 | 0x1f | n&0x60
		if i := Decode(raw); i.Op != ILLEGAL || i.Len != 4 || i.Raw != raw {
			t.Fatalf("%#x: %+v", raw, i)
		}
	}
}

func tool(t *testing.T, name, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is missing (Debian package %s)", name, pkg)
	}
	return path
}

// object makes an object file whose .text is the words, marked as made for the extensions of arch.
func object(t *testing.T, arch string, words []uint32, size int) string {
	t.Helper()
	const pkg = "binutils-riscv64-linux-gnu"
	as, objcopy := tool(t, "riscv64-linux-gnu-as", pkg), tool(t, "riscv64-linux-gnu-objcopy", pkg)
	dir := t.TempDir()
	raw := make([]byte, 0, len(words)*size)
	for _, w := range words {
		if size == 2 {
			raw = binary.LittleEndian.AppendUint16(raw, uint16(w))
		} else {
			raw = binary.LittleEndian.AppendUint32(raw, w)
		}
	}
	src, bin, obj := filepath.Join(dir, "a.s"), filepath.Join(dir, "a.bin"), filepath.Join(dir, "a.o")
	if err := os.WriteFile(src, []byte("nop\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(bin, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*exec.Cmd{
		exec.Command(as, "-march="+arch, "-o", obj, src),
		exec.Command(objcopy, "--update-section", ".text="+bin, "--strip-all", obj),
	} {
		if msg, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", c, err, msg)
		}
	}
	return obj
}

// disassembleWith runs a disassembler and hands each instruction's bytes and text on, in order.
func disassembleWith(t *testing.T, each func(n int, text string), name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	n := 0
	for lines.Scan() {
		// "   4:\t00c58533          \tadd\ta0,a1,a2"
		address, rest, ok := strings.Cut(lines.Text(), ":")
		if !ok || strings.Trim(address, " 0123456789abcdef") != "" || strings.TrimSpace(address) == "" {
			continue
		}
		each(n, rest)
		n++
	}
	_, _ = io.Copy(io.Discard, out)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, stderr.String())
	}
}
