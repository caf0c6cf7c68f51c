package fp

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The differential test runs every instruction that the emulator knows on random
// operands: testdata/execute.c, around instructions generated from the table.

var (
	compilers = []string{"riscv64-linux-gnu-gcc", "riscv64-unknown-linux-gnu-gcc"}
	emulators = []string{"qemu-riscv64-static", "qemu-riscv64"}
)

func find(t *testing.T, names []string) string {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skipf("none of %v is installed", names)
	return ""
}

// moves bring raw bits from an integer register to a floating-point one.
var moves = map[operand]string{double: "fmv.d.x", single: "fmv.w.x", half: "fmv.h.x"}

// assembly is the body of the inline assembly that executes o.
func (o op) assembly() string {
	var b strings.Builder
	args := []string{}
	for i, in := range o.in {
		reg := fmt.Sprintf("%%%d", 2+i)
		if move, ok := moves[in]; ok {
			fmt.Fprintf(&b, "%s ft%d, %s\\n", move, i, reg)
			reg = fmt.Sprintf("ft%d", i)
		}
		args = append(args, reg)
	}
	_, float := o.out.format()
	dest := "%0"
	if float {
		dest = "ft3"
	}
	b.WriteString("fscsr x0, %5\\n")
	mode := ", dyn"
	// The assembler takes no mode where conversions are always exact.
	if exact := map[string]bool{"fcvt.d.s": true, "fcvt.d.w": true, "fcvt.d.wu": true, "fcvt.s.h": true, "fcvt.d.h": true}; !o.rm || exact[o.name] {
		mode = ""
	}
	fmt.Fprintf(&b, "%s %s, %s%s\\n", o.name, dest, strings.Join(args, ", "), mode)
	if float {
		b.WriteString("fmv.x.d %0, ft3\\n")
	}
	b.WriteString("frflags %1\\n")
	return b.String()
}

// request and response are the records that execute.c reads and writes.
type request struct {
	Op, RM uint32
	V      [3]uint64
}

type response struct{ Result, Flags uint64 }

func buildExecutor(t *testing.T, table []op) string {
	compiler := find(t, compilers)
	dir := t.TempDir()
	var cases strings.Builder
	for i, o := range table {
		fmt.Fprintf(&cases, "INSTRUCTION(%d, \"%s\")\n", i, o.assembly())
	}
	if err := os.WriteFile(filepath.Join(dir, "instructions.inc"), []byte(cases.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "execute")
	cmd := exec.Command(compiler, "-O1", "-static", "-march=rv64gc_zfhmin", "-mabi=lp64d", "-I", dir, "-o", out, "testdata/execute.c")
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, msg)
	}
	return out
}

func TestAgainstQEMU(t *testing.T) {
	emulator := find(t, emulators)
	var table []op
	for _, o := range ops {
		if !o.zfa { // newer than the emulators of current distributions
			table = append(table, o)
		}
	}
	executor := buildExecutor(t, table)
	g := newGenerator(seed(t))
	var requests []request
	for i, o := range table {
		for range *countFlag {
			for _, rm := range o.modes() {
				requests = append(requests, request{uint32(i), uint32(rm), g.operands(o)})
			}
		}
	}
	var in, out, msg bytes.Buffer
	if err := binary.Write(&in, binary.LittleEndian, requests); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, emulator, "-cpu", "rv64,Zfhmin=true", executor)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = &in, &out, &msg
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, msg.Bytes())
	}
	responses := make([]response, len(requests))
	if err := binary.Read(&out, binary.LittleEndian, responses); err != nil {
		t.Fatal(err)
	}
	failures := map[string]int{}
	for i, q := range requests {
		o := table[q.Op]
		r, flags := o.impl(q.V[0], q.V[1], q.V[2], RM(q.RM))
		switch o.out {
		case single:
			r = Box32(uint32(r))
		case half:
			r = Box16(uint16(r))
		}
		if want := responses[i]; r != want.Result || uint64(flags) != want.Flags {
			if failures[o.name]++; failures[o.name] <= 3 {
				t.Errorf("%s %#x %v: got %#x flags %#x, QEMU %#x flags %#x", o.name, q.V, RM(q.RM), r, flags, want.Result, want.Flags)
			}
		}
	}
	for name, n := range failures {
		t.Errorf("%s: %d differ", name, n)
	}
	t.Logf("%d executions agree or are listed", len(requests))
}
