package machine

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"doppel/internal/riscv"
	"doppel/internal/riscv/sbi"
)

// traceHeader names the columns.
const traceHeader = "        time cpu mode           pc cause                          instruction                  what the VMM did (took)\n"

// append adds the note as a line.
func (n *note) append(b []byte) []byte {
	b = fmt.Appendf(b, "%12.6f ", float64(n.time)/1e9)
	switch n.kind {
	case noteReset:
		return append(b, "  *  the machine is reset\n"...)
	case noteStart:
		return fmt.Appendf(b, "%3d the vCPU may run: another hart has started it\n", n.cpu)
	case noteLost:
		return fmt.Appendf(b, "  *  %d exits are not listed: they came faster than they could be written\n", n.set)
	}
	instruction := "-"
	if n.fetched {
		instruction = riscv.Decode(n.raw).Disassemble(n.pc)
	}
	b = fmt.Appendf(b, "%3d %-4s %12x %-30s %-28s %s", n.cpu, n.priv, n.pc, n.cause(), instruction, n.deed())
	if n.took != 0 {
		b = fmt.Appendf(b, " (%s)", short(n.took))
	}
	return append(b, '\n')
}

// cause says why the guest does not run on.
func (n *note) cause() string {
	switch n.kind {
	case noteMMIO:
		kind := "load"
		if n.mmio.Write {
			kind = "store"
		}
		return fmt.Sprintf("MMIO %s of %d at %#x", kind, n.mmio.Size, uint64(n.mmio.Addr))
	case noteCall:
		return riscv.EnvironmentCallFromS.String()
	case noteHalt:
		return "wait for interrupt"
	case noteWake:
		return "wake-up"
	case noteTrap:
		return n.trap.cause.String()
	case noteLeft:
		return "(VMM) " + n.loss.String()
	case noteGot:
		return "(VMM) its turn"
	}
	return "error"
}

// deed says what was done about it.
func (n *note) deed() string {
	switch n.kind {
	case noteMMIO:
		return n.access()
	case noteCall:
		return n.call()
	case noteHalt:
		return "nothing is pending: the vCPU leaves the processor"
	case noteWake:
		return "pending: " + interruptNames(n.set)
	case noteTrap:
		return n.delivery()
	case noteLeft:
		return fmt.Sprintf("the vCPU leaves processor %d and waits for its turn", n.processor)
	case noteGot:
		return fmt.Sprintf("the vCPU is put on processor %d", n.processor)
	}
	return fmt.Sprint(n.err)
}

// access tells an access to a device.
func (n *note) access() string {
	switch {
	case n.trap.taken && n.register == "":
		return "nothing answers there: " + n.trap.String()
	case n.trap.taken:
		return n.register + " has no such access: " + n.trap.String()
	case n.mmio.Write:
		return fmt.Sprintf("%s <- %#x%s", n.register, n.mmio.Data, n.character())
	}
	return fmt.Sprintf("%s = %#x%s", n.register, n.mmio.Data, n.character())
}

// character shows a byte on its way through a serial port as what it stands
// for.
func (n *note) character() string {
	if !strings.HasSuffix(n.register, ".THR") && !strings.HasSuffix(n.register, ".RBR") {
		return ""
	}
	return " " + strconv.QuoteRuneToASCII(rune(n.mmio.Data&0xff))
}

// call tells a call of the SBI.
func (n *note) call() string {
	text := "SBI " + sbi.Describe(n.args)
	if n.trap.taken {
		return text + ": " + n.trap.String()
	}
	switch n.action {
	case sbi.Retry:
		return text + ": waits for the console, comes again"
	case sbi.Halt:
		return text + ": the hart stops"
	case sbi.Stop:
		return text + ": the machine ends or restarts"
	}
	if sbi.Legacy(n.args) {
		return fmt.Sprintf("%s = %d", text, int64(n.ret[0]))
	}
	if e := sbi.Error(n.ret[0]); e != sbi.Success {
		return text + ": error: " + e.String()
	}
	if sbi.IsSetTimer(n.args) {
		return text + ": stimecmp = " + fromNow(n.args[0], n.time)
	}
	return text + " = " + sbi.Number(n.ret[1])
}

// fromNow says when a timer is to expire.
func fromNow(ticks, now uint64) string {
	hi, at := bits.Mul64(ticks, nsPerTick)
	switch {
	case hi != 0 || at > 1<<62:
		return "never"
	case at <= now:
		return "at once"
	}
	return "now + " + short(time.Duration(at-now))
}

// delivery tells a trap that goes to the guest.
func (n *note) delivery() string {
	if !n.trap.cause.Interrupt() {
		return "delivered: " + n.trap.String()
	}
	text := "injected: " + n.trap.String()
	if n.due != 0 && n.due <= n.time {
		text += ", due " + short(time.Duration(n.time-n.due)) + " ago"
	}
	return text
}

// String says where the hart goes on.
func (t trap) String() string {
	s := fmt.Sprintf("%s handler at %#x", t.to, t.handler)
	if t.cause.Interrupt() {
		return s
	}
	if t.tval != 0 {
		s += fmt.Sprintf(", tval %#x", t.tval)
	}
	return s
}

// interruptNames lists the interrupts of a set.
func interruptNames(set uint64) string {
	var all []string
	for ; set != 0; set &= set - 1 {
		all = append(all, (riscv.InterruptBit | riscv.Cause(bits.TrailingZeros64(set))).String())
	}
	return strings.Join(all, ", ")
}

// short is a duration with three digits or so.
func short(d time.Duration) string {
	switch {
	case d < time.Microsecond:
		return d.String()
	case d < 10*time.Microsecond:
		return d.Round(10 * time.Nanosecond).String()
	case d < time.Millisecond:
		return d.Round(100 * time.Nanosecond).String()
	}
	return d.Round(time.Microsecond).String()
}
