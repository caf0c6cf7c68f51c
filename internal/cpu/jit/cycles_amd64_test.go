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

// An instruction in a dump: where it is, and its text.
var dumped = regexp.MustCompile(`^  \+([0-9a-f]{4,})  (?:[0-9a-f]{2} )*[0-9a-f]{2} +(.*)$`)

var (
	local    = regexp.MustCompile(`^(j[a-z]+|call) \+([0-9a-f]+)$`)
	takesOff = regexp.MustCompile(`^(sub r14, |test r14, r14$)`)
)

// host is the code of a region.
type host struct {
	at    []int // of each instruction
	text  []string
	index map[int]int
}

// hostCycles looks at the host code of all regions in a dump: each way back to where
// it came from passes a look at the budget, or an exchange, which fails only if
// another hart gets on.
func hostCycles(t *testing.T, path string) (regions, looks int) {
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
			h.at, h.text = append(h.at, int(off)), append(h.text, m[2])
		case h != nil && line == "":
			regions++
			looks += h.check(t)
			h = nil
		}
	}
	return regions, looks
}

// check counts the jumps that look at the budget.
func (h *host) check(t *testing.T) (looks int) {
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
	walk(0)
	return looks
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
	case strings.HasPrefix(text, "jmp"), text == "ret", text == "int3", strings.HasPrefix(text, "ud2"):
	default:
		to = append(to, i+1)
	}
	look = strings.HasPrefix(text, "js ") && i > 0 && takesOff.MatchString(h.text[i-1]) || strings.HasPrefix(text, "lock cmpxchg")
	return to, look
}
