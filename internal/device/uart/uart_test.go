package uart

import (
	"bytes"
	"strings"
	"testing"

	"doppel/internal/device"
	"doppel/internal/device/devicetest"
)

// far is a Backend with settable room.
type far struct {
	in, out []byte
	room    int
}

func (f *far) Output(p []byte) int {
	n := min(len(p), f.room)
	f.out = append(f.out, p[:n]...)
	f.room -= n
	return n
}

func (f *far) Input(p []byte) int {
	n := copy(p, f.in)
	f.in = f.in[n:]
	return n
}

func build(e *devicetest.Env) (*UART, *far) {
	f := &far{room: 1 << 20}
	return New(Config{Name: "uart0", Clock: e.Clock, Line: e.Line, Backend: f}), f
}

// suite has a far end that is busy, so that the transmit FIFO fills.
func suite() devicetest.Suite {
	return devicetest.Suite{New: func(e *devicetest.Env) device.Device { u, f := build(e); f.room = 0; return u }}
}

func TestContract(t *testing.T) { suite().Run(t) }

func FuzzUART(f *testing.F) { suite().Fuzz(f) }

func rd(u *UART, off uint64) uint8 { v, _ := u.Read(off, 1); return uint8(v) }
func wr(u *UART, off uint64, v uint8) {
	u.Write(off, 1, uint64(v))
}

func TestReset(t *testing.T) {
	u, _ := build(devicetest.NewEnv())
	for off, want := range map[uint64]uint8{regIER: 0, regIIR: iirNone, regLCR: 0, regLSR: lsrTHRE | lsrTEMT,
		regMSR: msrCTS | msrDSR | msrDCD, regSCR: 0, 8: 0, 0xff: 0} {
		if got := rd(u, off); got != want {
			t.Errorf("register %d is %#x after reset, want %#x", off, got, want)
		}
	}
}

// A break is a zero byte with its bit set, and what is behind it has none.
func TestBreak(t *testing.T) {
	e := devicetest.NewEnv()
	u, f := build(e)
	if u.Break('s') {
		t.Error("a break arrives although nobody listens")
	}
	wr(u, regFCR, fcrEnable)
	wr(u, regIER, ierReceive|ierLineStatus)
	if !u.Break('s') || u.Break('u') {
		t.Error("one break arrives, and no second one before it was read")
	}
	f.in = []byte("x")
	u.Poke()
	if id := rd(u, regIIR) &^ iirFIFOs; id != iirLineStatus {
		t.Errorf("interrupt %#x", id)
	}
	for i, want := range []struct{ lsr, data uint8 }{{lsrDR | lsrBI, 0}, {lsrDR, 's'}, {lsrDR, 'x'}} {
		if lsr := rd(u, regLSR) &^ (lsrTHRE | lsrTEMT); lsr != want.lsr {
			t.Errorf("byte %d: LSR %#x, want %#x", i, lsr, want.lsr)
		}
		if data := rd(u, regRBR); data != want.data {
			t.Errorf("byte %d: %q, want %q", i, data, want.data)
		}
	}
	if !u.Break('o') {
		t.Error("no break arrives any more")
	}
}

// TestReadBack writes every value to every register that can be read back.
func TestReadBack(t *testing.T) {
	u, _ := build(devicetest.NewEnv())
	for v := range 256 {
		for off, mask := range map[uint64]uint8{regIER: 0x0f, regLCR: 0xff &^ lcrDLAB, regMCR: mcrMask, regSCR: 0xff} {
			wr(u, off, uint8(v)&^uint8(boolBit(off == regLCR)*lcrDLAB))
			if got, want := rd(u, off), uint8(v)&mask; got != want {
				t.Errorf("register %d reads %#x after a write of %#x, want %#x", off, got, v, want)
			}
		}
		wr(u, regLCR, lcrDLAB)
		wr(u, regDLL, uint8(v))
		wr(u, regDLM, ^uint8(v))
		if dll, dlm := rd(u, regDLL), rd(u, regDLM); dll != uint8(v) || dlm != ^uint8(v) {
			t.Errorf("divisor reads %#x %#x", dll, dlm)
		}
		wr(u, regLCR, 0)
	}
}

func boolBit(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestTransmit(t *testing.T) {
	u, f := build(devicetest.NewEnv())
	wr(u, regFCR, fcrEnable)
	f.room = 3
	for _, b := range []byte("abcdefg") {
		wr(u, regTHR, b)
	}
	if string(f.out) != "abc" || rd(u, regLSR)&lsrTHRE != 0 {
		t.Fatalf("busy line: sent %q, LSR %#x", f.out, rd(u, regLSR))
	}
	f.room = 100
	u.Poke()
	if string(f.out) != "abcdefg" || rd(u, regLSR)&(lsrTHRE|lsrTEMT) != lsrTHRE|lsrTEMT {
		t.Errorf("free line: sent %q, LSR %#x", f.out, rd(u, regLSR))
	}
}

func TestTransmitInterrupt(t *testing.T) {
	env := devicetest.NewEnv()
	u, f := build(env)
	wr(u, regIER, ierTransmit)
	if !env.Line.Level || rd(u, regIIR) != iirTransmit {
		t.Fatal("enabling THRE with an empty transmitter does not interrupt")
	}
	if env.Line.Level || rd(u, regIIR) != iirNone {
		t.Error("reading IIR does not acknowledge THRE")
	}
	f.room = 0
	wr(u, regTHR, 'x')
	if env.Line.Level {
		t.Error("THRE interrupt while the byte waits")
	}
	f.room = 1
	u.Poke()
	if !env.Line.Level {
		t.Error("no THRE interrupt when the byte has left")
	}
	f.room = 0
	wr(u, regTHR, 'y')
	if env.Line.Level {
		t.Error("writing THR does not acknowledge THRE")
	}
}

func TestReceiveTriggerAndTimeout(t *testing.T) {
	for fcr, level := range map[uint8]int{fcrEnable: 1, fcrEnable | 1<<6: 4, fcrEnable | 2<<6: 8, fcrEnable | 3<<6: 14} {
		env := devicetest.NewEnv()
		u, f := build(env)
		wr(u, regFCR, fcr)
		wr(u, regIER, ierReceive)
		for i := 1; i < level; i++ {
			f.in = append(f.in, byte(i))
			u.Poke()
			if env.Line.Level {
				t.Errorf("level %d: interrupt after %d bytes", level, i)
			}
		}
		if level > 1 {
			env.Clock.Advance(u.timeoutLength())
			if !env.Line.Level || rd(u, regIIR) != iirTimeout|iirFIFOs {
				t.Errorf("level %d: no timeout interrupt", level)
			}
			if rd(u, regRBR); env.Line.Level {
				t.Errorf("level %d: reading RBR does not clear the timeout", level)
			}
			f.in = append(f.in, 0xfe)
		}
		f.in = append(f.in, 0xff)
		u.Poke()
		if !env.Line.Level || rd(u, regIIR) != iirReceive|iirFIFOs {
			t.Errorf("level %d: no data interrupt at the level", level)
		}
	}
}

// TestPaste: a driver that reads whenever there is data gets every byte of a
// text much longer than the FIFO, with and without FIFOs.
func TestPaste(t *testing.T) {
	text := strings.Repeat("The quick brown fox jumps over the lazy dog. ", 2000)
	for _, fcr := range []uint8{0, fcrEnable} {
		env := devicetest.NewEnv()
		u, f := build(env)
		wr(u, regFCR, fcr)
		f.in = []byte(text)
		u.Poke()
		var got bytes.Buffer
		for rd(u, regLSR)&lsrDR != 0 {
			got.WriteByte(rd(u, regRBR))
		}
		if got.String() != text {
			t.Errorf("FCR %#x: %d bytes arrived of %d", fcr, got.Len(), len(text))
		}
	}
}

func TestPriorities(t *testing.T) {
	env := devicetest.NewEnv()
	u, f := build(env)
	wr(u, regIER, ierMask)
	wr(u, regMCR, mcrLoop|mcrRTS) // modem inputs change
	for range 2 {
		wr(u, regTHR, 'x') // the second overruns: no FIFO
	}
	_ = f
	for i, want := range []uint8{iirLineStatus, iirReceive, iirTransmit, iirModem, iirNone} {
		if got := rd(u, regIIR); got != want {
			t.Fatalf("IIR is %#x at step %d, want %#x", got, i, want)
		}
		switch want {
		case iirLineStatus:
			if got := rd(u, regLSR); got&lsrOE == 0 {
				t.Errorf("LSR is %#x, want an overrun", got)
			}
		case iirReceive:
			rd(u, regRBR)
		case iirModem:
			rd(u, regMSR)
		}
	}
	if env.Line.Level {
		t.Error("line asserted with nothing pending")
	}
}

func TestLoopBack(t *testing.T) {
	u, f := build(devicetest.NewEnv())
	wr(u, regFCR, fcrEnable)
	wr(u, regMCR, mcrLoop)
	f.in = []byte("from outside")
	u.Poke()
	for _, b := range []byte("loop") {
		wr(u, regTHR, b)
	}
	var got []byte
	for rd(u, regLSR)&lsrDR != 0 {
		got = append(got, rd(u, regRBR))
	}
	if string(got) != "loop" || len(f.out) != 0 {
		t.Errorf("looped back %q, sent %q", got, f.out)
	}
	for mcr := range uint8(16) {
		wr(u, regMCR, mcrLoop|mcr)
		want := mcr>>1&1<<4 | mcr&1<<5 | mcr&4<<4 | mcr&8<<4 // CTS, DSR, RI, DCD
		if got := rd(u, regMSR) & 0xf0; got != want {
			t.Errorf("MCR %#x: modem inputs %#x, want %#x", mcr, got, want)
		}
	}
	wr(u, regMCR, 0)
	if rd(u, regLSR)&lsrDR == 0 || rd(u, regRBR) != 'f' {
		t.Error("input does not come after loop-back ends")
	}
}

// TestDivisorZero: the guest's divisor must not divide (CVE-2016-8669).
func TestDivisorZero(t *testing.T) {
	env := devicetest.NewEnv()
	u, f := build(env)
	wr(u, regLCR, lcrDLAB)
	wr(u, regDLL, 0)
	wr(u, regDLM, 0)
	wr(u, regLCR, 0)
	wr(u, regFCR, fcrEnable|3<<6)
	wr(u, regIER, ierReceive)
	f.in = []byte{1}
	u.Poke()
	env.Clock.Advance(1_000_000)
	if !env.Line.Level {
		t.Error("no receive timeout with divisor 0")
	}
}

// TestEarlyInput: what is typed before a driver opens the port is there
// afterwards, although the driver clears the FIFOs.
func TestEarlyInput(t *testing.T) {
	u, f := build(devicetest.NewEnv())
	f.in = []byte("typed before anyone listens")
	u.Poke()
	for range 10 { // the console waits for THRE
		rd(u, regLSR)
	}
	wr(u, regTHR, 'x')
	u.Poke()
	wr(u, regFCR, fcrEnable)
	wr(u, regFCR, fcrEnable|fcrClearRX|fcrClearTX)
	wr(u, regFCR, fcrEnable)
	wr(u, regIER, ierReceive)
	var got []byte
	for rd(u, regLSR)&lsrDR != 0 {
		got = append(got, rd(u, regRBR))
	}
	if string(got) != "typed before anyone listens" {
		t.Errorf("got %q", got)
	}
}

// TestOverfill: bytes beyond the FIFO are lost, nothing else.
func TestOverfill(t *testing.T) {
	u, f := build(devicetest.NewEnv())
	f.room = 0
	wr(u, regFCR, fcrEnable)
	for i := range 100 {
		wr(u, regTHR, byte(i))
	}
	f.room = 1000
	u.Poke()
	if len(f.out) != fifoSize || f.out[fifoSize-1] != fifoSize-1 {
		t.Errorf("sent %v", f.out)
	}
	wr(u, regFCR, fcrEnable|fcrClearTX|fcrClearRX)
	if rd(u, regLSR) != lsrTHRE|lsrTEMT {
		t.Error("LSR after clearing the FIFOs")
	}
}
