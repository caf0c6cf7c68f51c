// Package system compares random privileged programs on every engine with
// full-system QEMU: CSRs, traps, address translation, PMP, interrupts. QEMU is
// held and looked at through its gdb port.
package system

import (
	"bufio"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// gdb is a client of the gdb remote protocol, as far as these tests need it.
// One goroutine uses it.
type gdb struct {
	c    net.Conn
	r    *bufio.Reader
	regs map[string]int // register numbers
	wait time.Duration
}

// dial connects to a stub that listens on a Unix socket.
func dial(path string) (*gdb, error) {
	c, err := net.Dial("unix", path)
	if err != nil {
		return nil, err
	}
	g := &gdb{c: c, r: bufio.NewReaderSize(c, 64<<10), regs: map[string]int{}, wait: 20 * time.Second}
	if _, err = g.ask("qSupported:xmlRegisters=riscv"); err == nil {
		err = g.describe()
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return g, nil
}

// ask sends a packet and returns the answer.
func (g *gdb) ask(packet string) (string, error) {
	sum := byte(0)
	for i := range len(packet) {
		sum += packet[i]
	}
	if err := g.c.SetDeadline(time.Now().Add(g.wait)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(g.c, "$%s#%02x", packet, sum); err != nil {
		return "", err
	}
	if _, err := g.r.ReadString('$'); err != nil { // acknowledgements come before it
		return "", err
	}
	body, err := g.r.ReadString('#')
	if err != nil {
		return "", err
	}
	if _, err := g.r.Discard(2); err != nil { // a local socket loses nothing: the checksum says nothing new
		return "", err
	}
	if _, err := g.c.Write([]byte("+")); err != nil {
		return "", err
	}
	body = strings.TrimSuffix(body, "#")
	if len(body) == 3 && body[0] == 'E' {
		return "", fmt.Errorf("gdb %.40s: error %s", packet, body[1:])
	}
	return body, nil
}

// do sends a packet whose answer is OK.
func (g *gdb) do(packet string) error {
	a, err := g.ask(packet)
	if err == nil && a != "OK" {
		err = fmt.Errorf("gdb %.40s: answer %q", packet, a)
	}
	return err
}

// file reads one of the stub's documents.
func (g *gdb) file(name string) (string, error) {
	var text strings.Builder
	for {
		a, err := g.ask(fmt.Sprintf("qXfer:features:read:%s:%x,ffb", name, text.Len()))
		if err != nil {
			return "", err
		}
		if a == "" {
			return "", errors.New("gdb: no description of the target")
		}
		text.WriteString(a[1:])
		if a[0] == 'l' {
			return text.String(), nil
		}
	}
}

// describe reads the numbers of the registers: they count up from document to
// document, unless one gives its own.
func (g *gdb) describe() error {
	text, err := g.file("target.xml")
	if err != nil {
		return err
	}
	var target struct {
		Include []struct {
			Href string `xml:"href,attr"`
		} `xml:"include"`
	}
	if err := xml.Unmarshal([]byte(text), &target); err != nil {
		return err
	}
	next := 0
	for _, i := range target.Include {
		text, err := g.file(i.Href)
		if err != nil {
			return err
		}
		var feature struct {
			Reg []struct {
				Name string `xml:"name,attr"`
				Num  string `xml:"regnum,attr"`
			} `xml:"reg"`
		}
		if err := xml.Unmarshal([]byte(text), &feature); err != nil {
			return err
		}
		for _, r := range feature.Reg {
			if r.Num != "" {
				if next, err = strconv.Atoi(r.Num); err != nil {
					return err
				}
			}
			g.regs[r.Name] = next
			next++
		}
	}
	return nil
}

// csr returns the number of a CSR's register, listed or not: the stub counts
// them by their own numbers.
func (g *gdb) csr(n int) int { return g.regs["fflags"] - 1 + n }

func (g *gdb) read(reg int) (uint64, error) {
	a, err := g.ask(fmt.Sprintf("p%x", reg))
	if err != nil {
		return 0, err
	}
	return little(a)
}

func (g *gdb) write(reg int, v uint64) error {
	var b [8]byte
	for i := range b {
		b[i] = byte(v >> (8 * i))
	}
	return g.do(fmt.Sprintf("P%x=%x", reg, b))
}

// general reads x0 to x31 and pc.
func (g *gdb) general() (v [33]uint64, err error) {
	a, err := g.ask("g")
	if err != nil {
		return v, err
	}
	for i := range v {
		if len(a) < 16*(i+1) {
			return v, fmt.Errorf("gdb g: %d digits", len(a))
		}
		if v[i], err = little(a[16*i:][:16]); err != nil {
			return v, err
		}
	}
	return v, nil
}

// store writes memory; the stub drops what it translated of it.
func (g *gdb) store(addr uint64, data []byte) error {
	for len(data) > 0 {
		n := min(len(data), 1024)
		if err := g.do(fmt.Sprintf("M%x,%x:%x", addr, n, data[:n])); err != nil {
			return err
		}
		addr, data = addr+uint64(n), data[n:]
	}
	return nil
}

// run continues until a breakpoint.
func (g *gdb) run() error {
	a, err := g.ask("c")
	if err == nil && !strings.HasPrefix(a, "T05") && !strings.HasPrefix(a, "S05") {
		err = fmt.Errorf("gdb c: answer %q", a)
	}
	return err
}

// little decodes a register's value.
func little(digits string) (v uint64, err error) {
	b, err := hex.DecodeString(digits)
	if err != nil || len(b) > 8 {
		return 0, fmt.Errorf("gdb: register value %q", digits)
	}
	for i, x := range b {
		v |= uint64(x) << (8 * i)
	}
	return v, nil
}
