package check

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"doppel/internal/cpu"
	"doppel/internal/memory"
	"doppel/internal/riscv"
)

// Difference is the error with which a VCPU stops.
type Difference struct {
	Hart            int
	PC, Instret     uint64 // at the start of the period
	Subject, Oracle cpu.Exit
	Fields          []Field
	Memory          []Word
	Words           int // doublewords of memory that differ; Memory lists the first

	// Repeated says that the period, run again, differed again. Then After is
	// the first number of its instructions after which it does, and Trace the
	// last of them.
	Repeated bool
	After    uint64
	Trace    []Step
}

// Field is a part of the hart's state that differs.
type Field struct{ Name, Subject, Oracle string }

// Word is a doubleword of memory that differs.
type Word struct {
	GPA             memory.GPA
	Subject, Oracle uint64
}

// Step is an instruction; it is illegal if it cannot be fetched.
type Step struct {
	PC   uint64
	GPA  memory.GPA
	Inst riscv.Inst
}

func (s Step) String() string {
	if s.Inst.Len == 0 {
		return fmt.Sprintf("%#016x  cannot be fetched", s.PC)
	}
	return fmt.Sprintf("%#016x [gpa %#x]  %s", s.PC, uint64(s.GPA), s.Inst.Disassemble(s.PC))
}

// compare adds the fields in which two values of one type differ.
func (d *Difference) compare(name string, a, b reflect.Value) {
	switch a.Kind() {
	case reflect.Struct:
		for i := range a.NumField() {
			d.compare(strings.ToLower(a.Type().Field(i).Name), a.Field(i), b.Field(i))
		}
	case reflect.Array:
		for i := range a.Len() {
			d.compare(fmt.Sprintf("%s%d", name, i), a.Index(i), b.Index(i))
		}
	default:
		if !a.Equal(b) {
			if n, err := strconv.ParseUint(strings.TrimPrefix(name, "x"), 10, 8); err == nil && name[0] == 'x' {
				name += " " + riscv.XName(uint8(n))
			}
			d.Fields = append(d.Fields, Field{name, show(a), show(b)})
		}
	}
}

func show(v reflect.Value) string {
	if v.CanUint() && v.Type().PkgPath() == "" {
		return fmt.Sprintf("%#x", v.Uint())
	}
	return fmt.Sprint(v.Interface())
}

func exitText(e cpu.Exit) string {
	switch {
	case e.Reason == cpu.ExitMMIO && e.MMIO.Write:
		return fmt.Sprintf("mmio, %d bytes %#x to %#x", e.MMIO.Size, e.MMIO.Data, uint64(e.MMIO.Addr))
	case e.Reason == cpu.ExitMMIO:
		return fmt.Sprintf("mmio, %d bytes from %#x", e.MMIO.Size, uint64(e.MMIO.Addr))
	case e.Err != nil:
		return fmt.Sprintf("%v: %v", e.Reason, e.Err)
	}
	return e.Reason.String()
}

func (d *Difference) Error() string {
	var sb strings.Builder
	at := d.PC
	if n := len(d.Trace); n > 0 {
		at = d.Trace[n-1].PC
	}
	fmt.Fprintf(&sb, "the translator differs from the interpreter on hart %d, at pc %#x\n", d.Hart, at)
	fmt.Fprintf(&sb, "  the comparison began at pc %#x, after %d instructions\n", d.PC, d.Instret)
	if d.Repeated {
		fmt.Fprintf(&sb, "  the two agree after %d more and differ after %d; code in which that instruction is the last, or near the end, is to blame\n", d.After-1, d.After)
	} else {
		sb.WriteString("  run again from there they agree: it depends on what the engines had cached (translations of addresses, code)\n")
	}
	fmt.Fprintf(&sb, "  %-14s %-20s %s\n", "", "interpreter", "translator")
	if a, b := exitText(d.Oracle), exitText(d.Subject); a != b {
		fmt.Fprintf(&sb, "  %-14s %-20s %s\n", "exit", a, b)
	}
	for _, f := range d.Fields {
		fmt.Fprintf(&sb, "  %-14s %-20s %s\n", f.Name, f.Oracle, f.Subject)
	}
	for _, w := range d.Memory {
		fmt.Fprintf(&sb, "  %-14s %-20s %#x\n", fmt.Sprintf("[%#x]", uint64(w.GPA)), fmt.Sprintf("%#x", w.Oracle), w.Subject)
	}
	if more := d.Words - len(d.Memory); more > 0 {
		fmt.Fprintf(&sb, "  and %d more doublewords of memory\n", more)
	}
	if len(d.Trace) > 0 {
		sb.WriteString("  the last instructions, as the interpreter executes them (--jit-dump shows their code):\n")
		for _, s := range d.Trace {
			fmt.Fprintf(&sb, "    %v\n", s)
		}
	}
	return strings.TrimSuffix(sb.String(), "\n")
}
