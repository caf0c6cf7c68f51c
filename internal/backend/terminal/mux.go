package terminal

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"time"
)

const (
	// settle is how long a line without an end waits for the rest of it before
	// it is shown: a prompt is such a line.
	settle = 60 * time.Millisecond
	// lineBytes is the longest line that is kept together.
	lineBytes = 4096
)

// Mux shares one terminal among several machines: each line of output begins
// with the name of its machine, and input goes to one of them or to all.
type Mux struct {
	far Console
	tty bool // with colors, and in raw mode

	mu     sync.Mutex
	parts  []*part
	chosen int   // of parts; len(parts): all
	open   *part // whose line has no end yet, nil for none
}

// part is a machine's end of a Mux.
type part struct {
	*Hub   // of its input
	m      *Mux
	index  int
	name   string
	line   []byte // output that is not shown yet
	timer  *time.Timer
	over   bool // takes no more input
	escape escape
}

// colors are those of the names, in turn (SGR parameters, ECMA-48 §8.3.117).
var colors = [...]int{36, 33, 32, 35, 34, 31}

// NewMux makes an end for each name. On a terminal names have colors, and input
// goes to the first machine; otherwise to all.
func NewMux(far Console, names []string, tty bool) *Mux {
	m := &Mux{far: far, tty: tty}
	width := 0
	for _, n := range names {
		width = max(width, len(n))
	}
	for i, n := range names {
		p := &part{Hub: newHub(0), m: m, index: i, name: n + strings.Repeat(" ", width-len(n)) + " | "}
		p.Hub.taken = far.InputReady
		p.timer = time.AfterFunc(time.Hour, p.show)
		p.timer.Stop()
		m.parts = append(m.parts, p)
	}
	if !tty {
		m.chosen = len(names)
	}
	far.SetInput(m.input)
	return m
}

// Console is a machine's end. To close it ends the machine's input.
func (m *Mux) Console(i int) Console { return m.parts[i] }

// Choose changes where input goes to.
func (m *Mux) Choose(c Choice) {
	m.mu.Lock()
	n := len(m.parts)
	switch {
	case c == All:
		m.chosen = n
	case m.chosen == n && c == Next:
		m.chosen = 0
	case c == Next:
		m.chosen = (m.chosen + 1) % n
	default:
		m.chosen = (m.chosen%n + n - 1) % n
	}
	to := "all machines"
	if m.chosen < n {
		to = strings.TrimSuffix(strings.TrimRight(m.parts[m.chosen].name, "| "), " ")
	}
	text := m.endLine() + "[input goes to " + to + "]\r\n"
	m.far.Write([]byte(text))
	m.mu.Unlock()
	m.far.InputReady() // what the one before did not take may be for another now
}

// endLine ends the line that is open; the lock is held.
func (m *Mux) endLine() string {
	if m.open == nil {
		return ""
	}
	m.open = nil
	if m.tty {
		return "\r\n"
	}
	return "\n"
}

// input takes what is typed, as far as those it is for have room.
func (m *Mux) input(b []byte) int {
	m.mu.Lock()
	to := m.parts
	if m.chosen < len(m.parts) {
		to = to[m.chosen : m.chosen+1]
	}
	to = append([]*part(nil), to...)
	m.mu.Unlock()
	n := len(b)
	for _, p := range to {
		n = min(n, p.room())
	}
	for _, p := range to {
		p.feed(b[:n]) // does not wait: there is room, and nobody else feeds
	}
	return n
}

// room is how much input the hub takes; it takes what nobody wants, too.
func (p *part) room() int {
	p.m.mu.Lock()
	over := p.over
	p.m.mu.Unlock()
	p.Hub.mu.Lock()
	defer p.Hub.mu.Unlock()
	if over || p.closed {
		p.in = nil
		return inputBytes
	}
	return inputBytes - len(p.in)
}

// Write shows whole lines, and the rest after a moment.
func (p *part) Write(b []byte) (int, error) {
	m := p.m
	m.mu.Lock()
	defer m.mu.Unlock()
	p.line = append(p.line, p.escape.filter(b)...)
	var out bytes.Buffer
	for {
		i := bytes.IndexByte(p.line, '\n')
		if i < 0 && len(p.line) < lineBytes {
			break
		}
		end := i + 1
		if i < 0 {
			end = len(p.line)
		}
		p.emit(&out, p.line[:end])
		p.line = p.line[end:]
	}
	if out.Len() > 0 {
		m.far.Write(out.Bytes())
	}
	if len(p.line) > 0 {
		p.timer.Reset(settle)
	}
	return len(b), nil
}

// show shows a line that has no end.
func (p *part) show() {
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	var out bytes.Buffer
	if len(p.line) > 0 {
		p.emit(&out, p.line)
		p.line = nil
		p.m.far.Write(out.Bytes())
	}
}

// emit writes part of a line, behind the machine's name if the terminal is not
// in this very line; the lock is held.
func (p *part) emit(out *bytes.Buffer, b []byte) {
	m := p.m
	if m.open != p {
		out.WriteString(m.endLine())
		m.prefix(out, p)
	}
	text := bytes.TrimRight(b, "\r\n")
	// A carriage return alone begins the line again: behind the name.
	for i, piece := range bytes.Split(text, []byte("\r")) {
		if i > 0 {
			out.WriteByte('\r')
			m.prefix(out, p)
		}
		out.Write(piece)
	}
	m.open = p
	if len(b) > 0 && b[len(b)-1] == '\n' {
		if m.tty {
			out.WriteString("\x1b[0m\r\n")
		} else {
			out.WriteByte('\n')
		}
		m.open = nil
	}
}

func (m *Mux) prefix(out *bytes.Buffer, p *part) {
	if !m.tty {
		out.WriteString(p.name)
		return
	}
	fmt.Fprintf(out, "\x1b[0;%dm%s\x1b[0m", colors[p.index%len(colors)], p.name)
}

func (p *part) Size() (columns, rows uint16) {
	columns, rows = p.m.far.Size()
	return columns - min(columns, uint16(min(len(p.name), 1<<15))), rows
}

func (p *part) SetResize(func()) {} // the far end has one place for it

// Close shows what is left and ends the machine's input.
func (p *part) Close() error {
	p.show()
	p.timer.Stop()
	p.m.mu.Lock()
	was := p.over
	p.over = true
	p.m.mu.Unlock()
	if !was {
		p.Hub.close()
		p.m.far.InputReady()
	}
	return nil
}

// escape leaves colors in a machine's output and takes out what would write
// into the lines of others: it has the states of a control sequence's end.
type escape struct {
	state byte   // 0 text, 1 after ESC, 2 in a CSI sequence, 3 in a string
	seq   []byte // the sequence so far
	held  bool   // 0xc2, which begins a control character of two bytes in UTF-8
}

// maxSequence bounds a control sequence.
const maxSequence = 32

func (e *escape) filter(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for _, c := range b {
		if e.held {
			e.held = false
			if c >= 0x80 && c < 0xa0 { // C1: ECMA-48 §5.3
				continue
			}
			out = append(out, 0xc2)
		}
		switch {
		case c == 0xc2 && e.state == 0:
			e.held = true
		case c == 0x1b:
			e.state, e.seq = 1, append(e.seq[:0], c)
		case e.state == 1 && c == '[':
			e.state, e.seq = 2, append(e.seq, c)
		case e.state == 1 && strings.IndexByte("]PX^_", c) >= 0:
			e.state = 3
		case e.state == 1:
			e.state = 0
		case e.state == 2 && c >= 0x40 && c < 0x7f: // ECMA-48 §5.4: the final byte
			if c == 'm' {
				out = append(append(out, e.seq...), c)
			}
			e.state = 0
		case e.state == 2 && len(e.seq) < maxSequence && c >= 0x20:
			e.seq = append(e.seq, c)
		case e.state == 2:
			e.state = 0
		case e.state == 3:
			if c == 0x07 { // BEL ends what xterm calls an operating system command
				e.state = 0
			}
		case c >= 0x20 || c == '\n' || c == '\r' || c == '\t':
			out = append(out, c)
		}
	}
	return out
}
