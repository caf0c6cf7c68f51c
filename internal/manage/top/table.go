package top

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// column is one of the table's.
type column struct {
	title  string
	width  int
	left   bool // aligned; numbers are to the right
	rank   int  // the lowest go last where there is no room
	text   func(*Row) string
	sort   func(a, b *Row) int
	rate   bool // not known at first
	noVCPU bool // the machine's alone
}

func byNumber(f func(*Row) float64) func(a, b *Row) int {
	return func(a, b *Row) int { return cmp.Compare(f(b), f(a)) } // the most first
}

func number(title string, width, rank int, f func(*Row) float64, text func(float64) string) column {
	return column{title: title, width: width, rank: rank, text: func(r *Row) string { return text(f(r)) }, sort: byNumber(f), rate: true}
}

func exits(title string, rank int, name string) column {
	return number(title, 7, rank, func(r *Row) float64 { return r.Exits[name] }, short)
}

// machineOnly is a column that vCPUs have nothing in.
func machineOnly(c column) column {
	c.noVCPU = true
	return c
}

func known(c column) column {
	c.rate = false
	return c
}

// nameWidth is the least that a name gets; what is left over is added to it.
const nameWidth = 12

// columns are in the order in which they are shown.
var columns = []column{
	{title: "NAME", width: nameWidth, left: true, rank: 100, text: func(r *Row) string {
		if r.VCPU {
			return "  " + r.Name
		}
		return plain(r.Name)
	}, sort: func(a, b *Row) int { return strings.Compare(a.Name, b.Name) }},
	machineOnly(known(number("PID", 7, 60, func(r *Row) float64 { return float64(-r.PID) }, func(v float64) string { return strconv.Itoa(int(-v)) }))),
	machineOnly(column{title: "STATUS", width: 8, left: true, rank: 90, text: func(r *Row) string { return plain(r.Status) },
		sort: func(a, b *Row) int { return strings.Compare(a.Status, b.Status) }}),
	machineOnly(known(number("CPUS", 4, 70, func(r *Row) float64 { return float64(r.CPUs) }, short))),
	number("%CPU", 5, 99, func(r *Row) float64 { return r.Busy }, percent),
	number("%STEAL", 6, 88, func(r *Row) float64 { return r.Steal }, percent),
	machineOnly(known(number("SHARE", 5, 86, func(r *Row) float64 { return float64(r.Weight) }, short))),
	machineOnly(column{title: "CAP", width: 5, rank: 84, text: func(r *Row) string {
		if r.Cap == "" {
			return "-"
		}
		return plain(r.Cap)
	}, sort: func(a, b *Row) int { return strings.Compare(b.Cap, a.Cap) }}),
	number("INSN/s", 6, 80, func(r *Row) float64 { return r.Insns }, short),
	exits("MMIO/s", 78, "mmio"),
	exits("CALL/s", 77, "call"),
	exits("HALT/s", 76, "halt"),
	exits("KICK/s", 50, "kicked"),
	exits("BUDG/s", 45, "budget"),
	known(number("CODE", 6, 55, func(r *Row) float64 { return float64(r.Code) }, size)),
	number("CODE/s", 6, 40, func(r *Row) float64 { return r.CodeRate }, quiet),
	machineOnly(known(number("MEM", 6, 95, func(r *Row) float64 { return float64(r.Resident) }, size))),
	machineOnly(known(number("OF", 5, 65, func(r *Row) float64 { return float64(r.Memory) }, size))),
	machineOnly(number("DISK-R", 6, 75, func(r *Row) float64 { return r.DiskRead }, quiet)),
	machineOnly(number("DISK-W", 6, 74, func(r *Row) float64 { return r.DiskWrite }, quiet)),
	machineOnly(number("NET-R", 6, 73, func(r *Row) float64 { return r.NetReceive }, quiet)),
	machineOnly(number("NET-S", 6, 72, func(r *Row) float64 { return r.NetSend }, quiet)),
}

// fit chooses the columns for which there is room, and gives the name what is
// left over.
func fit(width int) []column {
	order := make([]int, len(columns))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return columns[b].rank - columns[a].rank })
	var chosen []int
	left := width
	for _, i := range order {
		need := columns[i].width
		if len(chosen) > 0 {
			need++ // the space between
		}
		if need > left && len(chosen) > 0 {
			break // not a less important one in its place
		}
		left -= need
		chosen = append(chosen, i)
	}
	slices.Sort(chosen)
	var all []column
	for _, i := range chosen {
		all = append(all, columns[i])
	}
	all[0].width = max(all[0].width+min(left, 20), 1)
	return all
}

// cell is a column's text in its width.
func (c *column) cell(r *Row) string {
	text := ""
	switch {
	case r.VCPU && c.noVCPU:
	case c.rate && r.fresh:
		text = "."
	default:
		text = c.text(r)
	}
	return c.pad(text)
}

// pad cuts a text to the column's width, or fills it up.
func (c *column) pad(text string) string {
	for uniseg.StringWidth(text) > c.width {
		_, n := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-n]
	}
	fill := strings.Repeat(" ", c.width-uniseg.StringWidth(text))
	if c.left {
		return text + fill
	}
	return fill + text
}

// sortRows puts machines in the order of a column, each with its vCPUs.
func sortRows(rows []Row, title string, reverse bool) {
	by := columns[0].sort
	for _, c := range columns {
		if c.title == title {
			by = c.sort
		}
	}
	type machine struct{ rows []Row }
	var all []machine
	for _, r := range rows {
		if !r.VCPU || len(all) == 0 {
			all = append(all, machine{})
		}
		m := &all[len(all)-1]
		m.rows = append(m.rows, r)
	}
	slices.SortStableFunc(all, func(a, b machine) int {
		n := by(&a.rows[0], &b.rows[0])
		if reverse {
			n = -n
		}
		if n == 0 {
			n = cmp.Or(strings.Compare(a.rows[0].Name, b.rows[0].Name), cmp.Compare(a.rows[0].PID, b.rows[0].PID))
		}
		return n
	})
	rows = rows[:0]
	for _, m := range all {
		rows = append(rows, m.rows...)
	}
}

// printable replaces what is not.
func printable(r rune) rune {
	if !unicode.IsPrint(r) {
		return '?'
	}
	return r
}
