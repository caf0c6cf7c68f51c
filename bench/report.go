package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// Report is all that one run of the benchmarks found.
type Report struct {
	Command   string
	Date      string
	Host      []string
	Load      float64 // of the host before the run
	Rounds    int
	Emulators []string // Doppel's engines, then QEMU
	Rows      []Row    // cells: the host, then the emulators
	Whole     []Whole
	Notes     []string
}

// table is text in cells; the first row is the heading.
type table [][]string

const whatColumn = "what"

// qemu is the index of QEMU among a row's cells.
func (r *Report) qemu() int { return len(r.Emulators) }

// engines are the indexes of Doppel's engines among a row's cells.
func (r *Report) engines() []int {
	var out []int
	for i := 1; i < r.qemu(); i++ {
		out = append(out, i)
	}
	return out
}

func (r Row) time(i int) float64 { return median(r.Cells[i].Samples) }

// speedup is how many times faster target i is than target other.
func (r Row) speedup(i, other int) float64 { return r.time(other) / r.time(i) }

// mips is millions of guest instructions a second.
func (r Row) mips(i int) float64 { return r.Instructions / r.time(i) * 1e3 }

func (r *Report) heading() []string {
	h := []string{"program", "native", "QEMU"}
	for _, i := range r.engines() {
		name := r.Emulators[i-1]
		h = append(h, name, "speed / QEMU's", "time / native", "MIPS")
	}
	return append(h, whatColumn)
}

// programTable has a row for each program and, after each group, its mean.
func (r *Report) programTable() table {
	t := table{r.heading()}
	for g := range groups {
		rows := r.rowsOf(func(x Group) bool { return x == g })
		for _, row := range rows {
			line := []string{row.Name, r.timeCell(row, 0), r.timeCell(row, r.qemu())}
			for _, i := range r.engines() {
				mips := ""
				if row.Instructions > 0 {
					mips = number(row.mips(i))
				}
				line = append(line, r.timeCell(row, i), number(row.speedup(i, r.qemu())), number(row.speedup(0, i)), mips)
			}
			t = append(t, append(line, row.What))
		}
		if len(rows) > 0 {
			t = append(t, r.meanLine(g.String(), rows))
		}
	}
	for _, m := range []struct {
		name string
		in   func(Group) bool
	}{{"CPU-bound", Group.cpuBound}, {"all", Group.counted}} {
		if rows := r.rowsOf(m.in); len(rows) > 0 {
			t = append(t, r.meanLine(m.name, rows))
		}
	}
	return t
}

func (r *Report) rowsOf(in func(Group) bool) []Row {
	var rows []Row
	for _, row := range r.Rows {
		if in(row.Group) {
			rows = append(rows, row)
		}
	}
	return rows
}

// meanLine sums rows up; what it holds in bold is no time.
func (r *Report) meanLine(name string, rows []Row) []string {
	line := []string{"**" + name + ", geometric mean**", "", ""}
	var worst []string
	for _, i := range r.engines() {
		var qemu, native, mips []float64
		for _, row := range rows {
			qemu = append(qemu, row.speedup(i, r.qemu()))
			native = append(native, row.speedup(0, i))
			if row.Instructions > 0 {
				mips = append(mips, row.mips(i))
			}
		}
		line = append(line, "", bold(geomean(qemu)), bold(geomean(native)), bold(geomean(mips)))
		worst = append(worst, number(least(qemu)))
	}
	return append(line, "least speed / QEMU's: "+strings.Join(worst, "; "))
}

func bold(x float64) string {
	if s := number(x); s != "" {
		return "**" + s + "**"
	}
	return ""
}

// timeCell gives a time with its spread if that is not small.
func (r *Report) timeCell(row Row, i int) string {
	const small = 0.05
	text := duration(row.time(i))
	if s := spread(row.Cells[i].Samples); s >= small {
		text += fmt.Sprintf(" ±%.0f%%", 100*s)
	}
	return text
}

// slower tells, for each engine that translates, which programs it ran slower
// than the interpreter did in the same run: none should be.
func (r *Report) slower() []string {
	interp := slices.Index(r.Emulators, "Doppel "+countEngine) + 1
	if interp == 0 || len(r.Rows) == 0 {
		return nil
	}
	var lines []string
	for _, i := range r.engines() {
		if i == interp {
			continue
		}
		var names []string
		for _, row := range r.Rows {
			if s := row.speedup(i, interp); s < 1 {
				names = append(names, fmt.Sprintf("%s (speed %s)", row.Name, number(s)))
			}
		}
		if names == nil {
			names = []string{"none"}
		}
		lines = append(lines, fmt.Sprintf("Programs slower on %s than interpreted: %s.", r.Emulators[i-1], strings.Join(names, ", ")))
	}
	return lines
}

// wholeTable has what was measured of machines as a whole.
func (r *Report) wholeTable() table {
	t := table{{"machine", "QEMU"}}
	for _, i := range r.engines() {
		t[0] = append(t[0], r.Emulators[i-1], "time / QEMU's")
	}
	for _, w := range r.Whole {
		qemu := w.Values[r.qemu()-1]
		line := []string{w.What, fmt.Sprintf("%.2f %s", qemu, w.Unit)}
		for _, i := range r.engines() {
			v, ratio := w.Values[i-1], ""
			if w.Ratio {
				ratio = number(v / qemu)
			}
			line = append(line, fmt.Sprintf("%.2f %s", v, w.Unit), ratio)
		}
		t = append(t, line)
	}
	return t
}

// number has three digits that count; "" for none.
func number(x float64) string {
	switch {
	case math.IsNaN(x):
		return ""
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2f", x)
}

// duration takes nanoseconds.
func duration(ns float64) string {
	switch {
	case math.IsNaN(ns):
		return ""
	case ns >= 1e9:
		return number(ns/1e9) + " s"
	case ns >= 1e6:
		return number(ns/1e6) + " ms"
	case ns >= 1e3:
		return number(ns/1e3) + " µs"
	}
	return number(ns) + " ns"
}

// markdown writes the report as bench/RESULTS.md holds it.
func (r *Report) markdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Benchmarks\n\nMade by `%s` on %s; do not edit.\n\n", r.Command, r.Date)
	for _, h := range r.Host {
		fmt.Fprintf(&b, "- %s\n", h)
	}
	fmt.Fprintf(&b, "- Load of the host before the run: %.1f; %d rounds, alternating; medians; ± is half the distance of the quartiles, where at least 5%%\n\n", r.Load, r.Rounds)
	b.WriteString("Times are of one iteration, by the clock where the program ran. MIPS are millions of guest instructions a second,\nthe kernel's included. Checksums agreed everywhere.\n\n")
	for _, t := range []table{r.programTable(), r.wholeTable()} {
		if len(t) > 1 {
			t.markdown(&b)
			b.WriteByte('\n')
		}
	}
	for _, n := range append(r.slower(), r.Notes...) {
		fmt.Fprintf(&b, "- %s\n", n)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (t table) markdown(b *strings.Builder) {
	widths := t.widths()
	for n, row := range t {
		for i, cell := range row {
			fmt.Fprintf(b, "| %s ", pad(cell, widths[i], t.isText(i)))
		}
		b.WriteString("|\n")
		if n == 0 {
			for i, w := range widths {
				right := ":"
				if t.isText(i) {
					right = "-"
				}
				fmt.Fprintf(b, "|%s%s", strings.Repeat("-", w+1), right)
			}
			b.WriteString("|\n")
		}
	}
}

// isText tells whether a column holds text and not numbers.
func (t table) isText(i int) bool { return i == 0 || t[0][i] == whatColumn }

func (t table) widths() []int {
	w := make([]int, len(t[0]))
	for _, row := range t {
		for i, cell := range row {
			w[i] = max(w[i], utf8.RuneCountInString(cell))
		}
	}
	return w
}

// plain writes a table for a terminal.
func (t table) plain(w io.Writer) {
	clean := slices.Clone(t)
	for i, row := range clean {
		clean[i] = slices.Clone(row)
		for j, cell := range row {
			clean[i][j] = strings.ReplaceAll(cell, "**", "")
		}
	}
	widths := clean.widths()
	for _, row := range clean {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(pad(cell, widths[i], t.isText(i)) + "  ")
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
	fmt.Fprintln(w)
}

func pad(s string, width int, left bool) string {
	fill := strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
	if left {
		return s + fill
	}
	return fill + s
}
