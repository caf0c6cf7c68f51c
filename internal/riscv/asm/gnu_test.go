package asm

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"doppel/internal/riscv"
)

const gnuAs, gnuObjcopy, gnuLd = "riscv64-linux-gnu-as", "riscv64-linux-gnu-objcopy", "riscv64-linux-gnu-ld"

// gnuArch is what binutils 2.40, the version of Debian 12, knows of the extensions of the table.
const gnuArch = "rv64imafdc_zicsr_zifencei_zba_zbb_zbc_zbs_zbkb_zicbom_zicbop_zicboz_zihintpause_zfhmin_svinval_zawrs"

// gnuMissing are the extensions that gnuArch cannot name. Their encodings are compared with other tools by the sweep of
// package riscv and with literal bytes in TestBytes.
var gnuMissing = map[riscv.Extension]bool{
	riscv.ExtZfa: true, riscv.ExtZacas: true, riscv.ExtZicond: true, riscv.ExtZimop: true, riscv.ExtZcmop: true,
	riscv.ExtZcb: true,
}

// gnuAssemble returns the bytes that GNU as and ld make of the source at the origin.
func gnuAssemble(t *testing.T, src string, origin uint64) []byte {
	t.Helper()
	for _, tool := range []string{gnuAs, gnuObjcopy, gnuLd} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is missing (Debian package binutils-riscv64-linux-gnu)", tool)
		}
	}
	dir := t.TempDir()
	in, obj, linked, out := filepath.Join(dir, "a.s"), filepath.Join(dir, "a.o"), filepath.Join(dir, "a.elf"), filepath.Join(dir, "a.bin")
	if err := os.WriteFile(in, []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{gnuAs, "-march=" + gnuArch, "-mno-relax", "-o", obj, in},
		{gnuLd, "--no-relax", "-e", "0", "-Ttext", fmt.Sprintf("%#x", origin), "-o", linked, obj},
		{gnuObjcopy, "-O", "binary", "-j", ".text", linked, out},
	} {
		if msg, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			if len(msg) > 3000 {
				msg = msg[:3000]
			}
			t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, msg)
		}
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sameAsGNU assembles the statements with both and names the first that differ.
func sameAsGNU(t *testing.T, statements []string, head string, opts Options) {
	t.Helper()
	src := head + strings.Join(statements, "\n") + "\n"
	want := gnuAssemble(t, src, opts.Origin)
	p, err := Assemble(src, opts)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(p.Code, want) {
		return
	}
	n := 0
	for n < len(want) && n < len(p.Code) && p.Code[n] == want[n] {
		n++
	}
	n &^= 1
	window := func(b []byte) []byte { return b[min(n, len(b)):min(n+12, len(b))] }
	t.Errorf("differs at offset %#x: %x, GNU %x\n%s", n, window(p.Code), window(want), statementAt(statements, head, opts, n))
}

// statementAt finds the statement that makes the byte at an offset.
func statementAt(statements []string, head string, opts Options, offset int) string {
	n := sort.Search(len(statements), func(n int) bool {
		p, err := Assemble(head+strings.Join(statements[:n+1], "\n"), opts)
		return err == nil && len(p.Code) > offset
	})
	if n == len(statements) {
		return "past the end"
	}
	return statements[n]
}

// randomStatement makes one valid instruction of a form.
func randomStatement(r *rand.Rand, f riscv.Form) string {
	var args []string
	x := func() string { return riscv.XName(uint8(r.IntN(32))) }
	fp := func() string { return riscv.FName(uint8(r.IntN(32))) }
	signed12 := func() string { return fmt.Sprint(r.IntN(4096) - 2048) }
	for _, o := range f.Operands {
		s := ""
		switch o {
		case riscv.OperandRd, riscv.OperandRs1, riscv.OperandRs2:
			s = x()
		case riscv.OperandFd, riscv.OperandFs1, riscv.OperandFs2, riscv.OperandFs3:
			s = fp()
		case riscv.OperandRM:
			// Binutils 2.40 takes no rounding mode where the conversion is exact.
			if f.Op.DefaultRM() == riscv.RNE || r.IntN(2) == 0 {
				continue
			}
			s = []string{"rne", "rtz", "rdn", "rup", "rmm", "dyn"}[r.IntN(6)]
		case riscv.OperandRTZ:
			s = "rtz"
		case riscv.OperandImm:
			s = signed12()
		case riscv.OperandIOff, riscv.OperandSOff:
			s = signed12() + "(" + x() + ")"
		case riscv.OperandPOff:
			s = fmt.Sprintf("%d(%s)", r.IntN(128)*32-2048, x())
		case riscv.OperandMem:
			s = "(" + x() + ")"
		case riscv.OperandBOff:
			s = fmt.Sprintf(".%+d", r.IntN(4096)*2-4096)
		case riscv.OperandJOff:
			s = fmt.Sprintf(".%+d", r.IntN(1<<20)*2-1<<20)
		case riscv.OperandUImm:
			s = fmt.Sprintf("%#x", r.IntN(1<<20))
		case riscv.OperandShamt6:
			s = fmt.Sprint(r.IntN(64))
		case riscv.OperandShamt5, riscv.OperandZimm:
			s = fmt.Sprint(r.IntN(32))
		case riscv.OperandCSR:
			s = fmt.Sprintf("%#x", r.IntN(4096))
		case riscv.OperandPred, riscv.OperandSucc:
			s = riscv.FenceSet(uint8(1 + r.IntN(15)))
		case riscv.OperandFli:
			s = riscv.FliName(uint8(r.IntN(32)))
		}
		args = append(args, s)
	}
	return f.Name + " " + strings.Join(args, ",")
}

func TestEveryInstructionAgainstGNU(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var statements []string
	for _, name := range riscv.Mnemonics() {
		f, ok := riscv.FormByName(name)
		if !ok {
			t.Fatalf("no form %s", name)
		}
		if gnuMissing[f.Op.Extension()] || f.Size == 2 {
			continue
		}
		for range 20 {
			statements = append(statements, randomStatement(r, f))
		}
	}
	sameAsGNU(t, statements, ".option norvc\n", Options{Origin: 0x1000_0000})
	t.Logf("%d statements", len(statements))
}

func TestCSRNamesAgainstGNU(t *testing.T) {
	// Names that binutils 2.40 does not have yet, or only for other privileged versions.
	var statements []string
	newer := map[riscv.CSR]bool{riscv.CSRScountinhibit: true, riscv.CSRMnscratch: true, riscv.CSRMnepc: true,
		riscv.CSRMncause: true, riscv.CSRMnstatus: true}
	for _, c := range riscv.CSRs() {
		if !newer[c] {
			statements = append(statements, "csrr a0, "+c.String())
		}
	}
	sameAsGNU(t, statements, ".option norvc\n", Options{})
}

func TestLiAgainstGNU(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var statements []string
	for shift := range 64 {
		for _, v := range []int64{1 << shift, -1 << shift, 1<<shift - 1, 1<<shift + 1, 0x7ff << shift, 0x800 << shift, 0xfff << shift,
			int64(r.Uint64() >> shift), -int64(r.Uint64() >> shift), int64(r.Uint64()) &^ (1<<shift - 1)} {
			statements = append(statements, fmt.Sprintf("li a%d, %d", r.IntN(8), v), fmt.Sprintf("li t0, %#x", uint64(v)))
		}
	}
	sameAsGNU(t, statements, ".option norvc\n", Options{})
	sameAsGNU(t, statements, ".option rvc\n", Options{})
}

func TestCompressAgainstGNU(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	var statements []string
	for _, name := range riscv.Mnemonics() {
		f, _ := riscv.FormByName(name)
		// GNU as compresses JALR only when it is written without an offset.
		if gnuMissing[f.Op.Extension()] || f.Size == 2 || f.Op == riscv.JALR || f.Op.Extension() == riscv.ExtZicsr {
			continue
		}
		for range 60 {
			// Few registers and small numbers, so that much can be compressed.
			s := randomStatement(r, f)
			for _, o := range f.Operands {
				if o == riscv.OperandBOff || o == riscv.OperandJOff {
					s = ""
				}
			}
			if s == "" {
				continue
			}
			statements = append(statements, s, narrow(r, f))
		}
	}
	sameAsGNU(t, statements, ".option rvc\n", Options{})
}

// narrow makes a statement with registers that are mostly the same and offsets that mostly fit.
func narrow(r *rand.Rand, f riscv.Form) string {
	var args []string
	reg := func() int { return []int{0, 1, 2, 8, 8, 8, 9}[r.IntN(7)] }
	for _, o := range f.Operands {
		s := ""
		switch o {
		case riscv.OperandRd, riscv.OperandRs1, riscv.OperandRs2:
			s = fmt.Sprintf("x%d", reg())
		case riscv.OperandFd, riscv.OperandFs1, riscv.OperandFs2, riscv.OperandFs3:
			s = fmt.Sprintf("f%d", reg())
		case riscv.OperandImm:
			s = fmt.Sprint([]int{0, -1, 1, 31, -32, 16, -16, -512, 496, 1020, 4, 8, 255}[r.IntN(13)])
		case riscv.OperandIOff, riscv.OperandSOff:
			s = fmt.Sprintf("%d(x%d)", []int{0, 4, 8, 124, 128, 252, 256, 504, 248}[r.IntN(9)], reg())
		case riscv.OperandMem:
			s = fmt.Sprintf("(x%d)", reg())
		case riscv.OperandPOff:
			s = fmt.Sprintf("0(x%d)", reg())
		case riscv.OperandUImm:
			s = []string{"1", "31", "32", "0xfffe0", "0xfffff", "0"}[r.IntN(6)]
		case riscv.OperandShamt6, riscv.OperandShamt5:
			s = fmt.Sprint(r.IntN(4))
		case riscv.OperandPred, riscv.OperandSucc:
			s = "rw"
		case riscv.OperandRM:
			continue
		}
		args = append(args, s)
	}
	return f.Name + " " + strings.Join(args, ",")
}
