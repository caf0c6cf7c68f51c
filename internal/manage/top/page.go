package top

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gdamore/tcell/v2"
)

// page is what is on the screen, and what the user has chosen.
type page struct {
	before, now *Sample
	frozen      bool // the user wants to read

	sort    string // a column's title
	reverse bool
	vcpus   bool
	scroll  int

	shown []column // of the last drawing
}

func newPage() *page { return &page{sort: "%CPU"} }

// add takes the next sample.
func (p *page) add(s *Sample) {
	if !p.frozen {
		p.before, p.now = p.now, s
	}
}

// key does what a key asks for, and tells whether the user wants to quit.
func (p *page) key(k tcell.Key, r rune) (quit bool) {
	switch {
	case k == tcell.KeyCtrlC, k == tcell.KeyEscape, k == tcell.KeyRune && r == 'q':
		return true
	case k == tcell.KeyRight, k == tcell.KeyRune && r == '>':
		p.moveSort(1)
	case k == tcell.KeyLeft, k == tcell.KeyRune && r == '<':
		p.moveSort(-1)
	case k == tcell.KeyDown:
		p.scroll++
	case k == tcell.KeyUp:
		p.scroll--
	case k == tcell.KeyPgDn:
		p.scroll += 10
	case k == tcell.KeyPgUp:
		p.scroll -= 10
	case k == tcell.KeyHome:
		p.scroll = 0
	case k == tcell.KeyRune:
		p.letter(r)
	}
	return false
}

func (p *page) letter(r rune) {
	switch r {
	case 'r':
		p.reverse = !p.reverse
	case 'c':
		p.vcpus = !p.vcpus
	case ' ':
		p.frozen = !p.frozen
	case 'P':
		p.sort = "%CPU"
	case 'M':
		p.sort = "MEM"
	case 'N':
		p.sort = "NAME"
	}
}

// moveSort sorts by the next column that is on the screen.
func (p *page) moveSort(by int) {
	if len(p.shown) == 0 {
		return
	}
	at := slices.IndexFunc(p.shown, func(c column) bool { return c.title == p.sort })
	at = (max(at, 0) + by + len(p.shown)) % len(p.shown)
	p.sort = p.shown[at].title
}

const help = "q quit   < > sort by   r reverse   c vCPUs   space freeze   P M N by CPU, memory, name"

var (
	plainStyle  = tcell.StyleDefault
	titleStyle  = tcell.StyleDefault.Reverse(true)
	chosenStyle = tcell.StyleDefault.Reverse(true).Bold(true).Underline(true)
	boldStyle   = tcell.StyleDefault.Bold(true)
	dimStyle    = tcell.StyleDefault.Dim(true)
)

// draw draws all of it; what has no room is left out.
func (p *page) draw(s tcell.Screen) {
	s.Clear()
	defer s.Show()
	width, height := s.Size()
	if p.now == nil || width < 1 || height < 1 {
		return
	}
	rows := Rows(p.before, p.now, p.vcpus)
	sortRows(rows, p.sort, p.reverse)
	s.PutStrStyled(0, 0, p.summary(rows), boldStyle)
	y := 1
	if p.now.Err != nil {
		s.PutStrStyled(0, y, plain(firstLine(p.now.Err.Error())), plainStyle)
		y++
	}
	p.shown = fit(width)
	x := 0
	for i := range p.shown {
		c := &p.shown[i]
		style := titleStyle
		if c.title == p.sort {
			style = chosenStyle
		}
		s.PutStrStyled(x, y, c.pad(c.title), style)
		x += c.width + 1
	}
	y++
	bottom := height - 1 // the help's
	if height < 5 {
		bottom = height
	}
	p.scroll = max(min(p.scroll, len(rows)-max(bottom-y, 0)), 0)
	if len(rows) == 0 {
		s.PutStrStyled(0, y, "No machine is running.", plainStyle)
	}
	for _, r := range rows[p.scroll:] {
		if y >= bottom {
			break
		}
		p.row(s, y, &r)
		y++
		if r.Reason != "" && y < bottom {
			s.PutStrStyled(2, y, plain(r.Reason), boldStyle)
			y++
		}
	}
	if bottom < height {
		s.PutStrStyled(0, bottom, help, dimStyle)
	}
}

func (p *page) row(s tcell.Screen, y int, r *Row) {
	style := plainStyle
	if r.VCPU || r.Status != "running" {
		style = dimStyle
	}
	x := 0
	for i := range p.shown {
		s.PutStrStyled(x, y, p.shown[i].cell(r), style)
		x += p.shown[i].width + 1
	}
}

// summary is the first line.
func (p *page) summary(rows []Row) string {
	var machines, cpus int
	var busy, resident, memory float64
	fresh := true
	for i := range rows {
		if r := &rows[i]; !r.VCPU {
			machines++
			cpus += r.CPUs
			busy += r.Busy
			resident += float64(r.Resident)
			memory += float64(r.Memory)
			fresh = fresh && r.fresh
		}
	}
	text := fmt.Sprintf("%s  doppel: %s, %s", p.now.At.Format("15:04:05"), count(machines, "machine"), count(cpus, "vCPU"))
	if !fresh {
		text += fmt.Sprintf(", %s%% of a processor", percent(busy))
	}
	if machines > 0 {
		text += fmt.Sprintf(", memory %s of %s", size(resident), size(memory))
	}
	if p.frozen {
		text += "  FROZEN"
	}
	return text
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func firstLine(s string) string {
	line, rest, more := strings.Cut(s, "\n")
	if more {
		line += fmt.Sprintf(" (and %s)", count(strings.Count(rest, "\n")+1, "other"))
	}
	return line
}
