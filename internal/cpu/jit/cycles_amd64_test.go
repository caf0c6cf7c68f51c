package jit

import (
	"bufio"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func init() { checkCycles = hostCycles }

// An instruction in a dump: where it is, its bytes, its text.
var dumped = regexp.MustCompile(`^  \+([0-9a-f]{4,})  ((?:[0-9a-f]{2} )*[0-9a-f]{2}) +(.*)$`)

var (
	local     = regexp.MustCompile(`^(j[a-z]+|call) \+([0-9a-f]+)$`)
	takesOff  = regexp.MustCompile(`^(sub r14, |test r14, r14$)`)
	tableAt   = regexp.MustCompile(`^lea rcx, .*rip([+-]0x[0-9a-f]+)`)
	tableSize = regexp.MustCompile(`^cmp rdx, (0x[0-9a-f]+)$`)
)

// host is the code of a region.
type host struct {
	bytes []byte
	at    []int // of each instruction
	text  []string
	index map[int]int
}

// hostCycles looks at the host code of all regions in a dump: each way back to where
// it came from passes a look at the budget, or an exchange, which fails only if
// another hart gets on.
func hostCycles(t *testing.T, path string) (regions, looks, tables int) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var h *host
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	region := false
	for lines.Scan() {
		line := lines.Text()
		switch m := dumped.FindStringSubmatch(line); {
		case strings.HasPrefix(line, "== "):
			region = strings.Contains(line, " region ")
		case region && strings.HasPrefix(line, "host, "):
			h = &host{index: map[int]int{}}
		case h != nil && m != nil:
			off, _ := strconv.ParseInt(m[1], 16, 64)
			h.index[int(off)] = len(h.at)
			h.at, h.text = append(h.at, int(off)), append(h.text, m[3])
			for b := range strings.FieldsSeq(m[2]) {
				n, _ := strconv.ParseUint(b, 16, 8)
				h.bytes = append(h.bytes, byte(n))
			}
		case h != nil && line == "":
			regions++
			l, n := h.check(t)
			looks, tables = looks+l, tables+n
			h = nil
		}
	}
	return regions, looks, tables
}

// check counts the jumps that look at the budget, and the tables.
func (h *host) check(t *testing.T) (looks, tables int) {
	t.Helper()
	const white, grey, black = 0, 1, 2
	color := make([]int, len(h.at))
	var walk func(i int) bool
	walk = func(i int) bool {
		color[i] = grey
		next, look := h.next(i)
		if look {
			looks++
		}
		if len(next) > 2 {
			tables++
		}
		for _, j := range next {
			switch {
			case look || j >= len(h.at): // what follows has a walk of its own
			case color[j] == grey:
				t.Errorf("a way from +%04x to +%04x and back has no look at the budget:\n%s", h.at[j], h.at[i], strings.Join(h.text[min(i, j):max(i, j)+1], "\n"))
				return false
			case color[j] == white && !walk(j):
				return false
			}
		}
		color[i] = black
		return true
	}
	walk(0) // tables lie behind the code
	return looks, tables
}

// next is what can follow an instruction, and whether that is a look at the
// budget, or an exchange.
func (h *host) next(i int) (to []int, look bool) {
	text := h.text[i]
	if m := local.FindStringSubmatch(text); m != nil {
		off, _ := strconv.ParseInt(m[2], 16, 64)
		to = append(to, h.index[int(off)])
	}
	switch {
	case text == "jmp rdx":
		return h.table(i), false
	case strings.HasPrefix(text, "jmp"), text == "ret", text == "int3", strings.HasPrefix(text, "ud2"):
	default:
		to = append(to, i+1)
	}
	look = strings.HasPrefix(text, "js ") && i > 0 && takesOff.MatchString(h.text[i-1]) || strings.HasPrefix(text, "lock cmpxchg")
	return to, look
}

// table is where the jump i through a table of the region can lead.
func (h *host) table(i int) (to []int) {
	start, size := 0, 0
	for k := i - 1; k >= 0 && k > i-8; k-- {
		if m := tableAt.FindStringSubmatch(h.text[k]); m != nil {
			n, _ := strconv.ParseInt(m[1], 0, 64)
			start = h.at[k+1] + int(n)
		}
		if m := tableSize.FindStringSubmatch(h.text[k]); m != nil {
			n, _ := strconv.ParseInt(m[1], 0, 64)
			size = int(n)
		}
	}
	if start == 0 || size == 0 {
		return nil // to any block, by the table of its page
	}
	for off := start; off <= start+2*size; off += 4 {
		b := h.bytes[off:]
		to = append(to, h.index[start+int(int32(uint32(b[0])|uint32(b[1])<<8|uint32(b[2])<<16|uint32(b[3])<<24))])
	}
	return to
}
