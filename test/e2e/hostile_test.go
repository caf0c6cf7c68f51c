package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// A guest must not make the process grow by more than this, nor make it answer
// later than that.
const (
	maxGrowth = 64 << 20
	maxAnswer = time.Second
)

// Guests that flood what they reach: the process stays small and ends when it
// is told to.
func TestFloods(t *testing.T) {
	t.Parallel()
	disk := filepath.Join(t.TempDir(), "disk.raw")
	writeFile(t, disk, make([]byte, 1<<20))
	for _, c := range []struct {
		name, program string
		unread        bool
	}{
		{"console that nobody reads", uartFlood, true},
		{"console that is read", uartFlood, false},
		{"notifications", notifyFlood, false},
		{"registers of all devices", registerFlood, false},
		{"traps", trapFlood, false},
		{"interrupts between harts", ipiFlood, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			firmware := filepath.Join(t.TempDir(), "firmware")
			writeFile(t, firmware, assemble(t, 0x80000000, c.program))
			s := start(t, options{unread: c.unread}, "run", "--firmware", firmware, "--memory", "32M", "--cpus", "2",
				"--disk", disk+",ephemeral", "--net", "user")
			time.Sleep(time.Second) // until all that is allocated once is there
			before := rss(s)
			begin := processorTime(s)
			for deadline := time.Now().Add(3 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
				s.forgetOutput()
				if grown := rss(s) - before; grown > maxGrowth {
					s.fail("the process has grown by %d MiB", grown>>20)
				}
			}
			if !c.unread && processorTime(s) == begin {
				s.fail("the guest does nothing")
			}
			told := time.Now()
			if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			s.wait(0, soon)
			if took := time.Since(told); took > answerLimit() {
				s.fail("took %v to end, over %v", took, answerLimit())
			}
		})
	}
}

// answerLimit is the bar, loosened where the host itself has other work.
func answerLimit() time.Duration {
	text, err := os.ReadFile("/proc/loadavg")
	var load float64
	if err == nil {
		fmt.Sscan(string(text), &load)
	}
	return max(maxAnswer, time.Duration(load*float64(maxAnswer)/2))
}

// forgetOutput keeps a flooded test small.
func (s *session) forgetOutput() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out, s.at = nil, 0
}

var rssLine = regexp.MustCompile(`VmRSS:\s+(\d+) kB`)

// rss is the program's resident memory.
func rss(s *session) int64 {
	s.t.Helper()
	m := rssLine.FindSubmatch(readFile(s.t, fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid)))
	if m == nil {
		s.fail("the program has ended")
	}
	n, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil {
		s.t.Fatal(err)
	}
	return n << 10
}

const (
	uartFlood = `
	li   t0, 0x10000000
	li   t1, 'x'
1:	sb   t1, 0(t0)
	j    1b`

	// QueueNotify of all virtio slots with all queue numbers, with the devices
	// as they are and with a status that claims to be ready.
	notifyFlood = `
	li   t5, 0
1:	li   t0, 0x10001000
	li   t1, 8
2:	sw   t5, 0x50(t0)       # QueueNotify
	sw   t5, 0x30(t0)       # QueueSel
	li   t2, 0x80000000
	sw   t2, 0x80(t0)       # QueueDescLow
	sw   t2, 0x90(t0)       # QueueDriverLow
	sw   t2, 0xa0(t0)       # QueueDeviceLow
	li   t2, 8
	sw   t2, 0x38(t0)       # QueueNum
	li   t2, 1
	sw   t2, 0x44(t0)       # QueueReady
	li   t2, 0xf
	sw   t2, 0x70(t0)       # Status
	sw   t5, 0x50(t0)
	lw   t3, 0x60(t0)       # InterruptStatus
	sw   t3, 0x64(t0)       # InterruptACK
	andi t4, t5, 0xff
	bnez t4, 3f
	sw   zero, 0x70(t0)     # reset
3:	li   t2, 0x1000
	add  t0, t0, t2
	addi t1, t1, -1
	bnez t1, 2b
	addi t5, t5, 1
	j    1b`

	// Stores of a changing word to every register of the board but the
	// finisher, reads included.
	registerFlood = `
	la   t0, skip
	csrw mtvec, t0
	li   s0, 1
1:	la   s1, windows
2:	ld   t0, 0(s1)
	beqz t0, 1b
	ld   t1, 8(s1)
	add  t1, t0, t1
3:	sw   s0, 0(t0)
	lw   t2, 0(t0)
	slli t3, s0, 13         # xorshift
	xor  s0, s0, t3
	srli t3, s0, 7
	xor  s0, s0, t3
	slli t3, s0, 17
	xor  s0, s0, t3
	addi t0, t0, 4
	bltu t0, t1, 3b
	addi s1, s1, 16
	j    2b
	.balign 4
skip:	csrr t6, mepc
	addi t6, t6, 4
	csrw mepc, t6
	mret
	.balign 8
windows:
	.dword 0x101000, 0x1000     # RTC
	.dword 0x2000000, 0x10000   # ACLINT
	.dword 0xc000000, 0x4000    # PLIC
	.dword 0xc200000, 0x4000
	.dword 0x10000000, 0x100    # UART
	.dword 0x10001000, 0x8000   # virtio
	.dword 0, 0`

	trapFlood = `
	la   t0, handler
	csrw mtvec, t0
1:	ecall
	.word 0xffffffff
	j    1b
	.balign 4
handler:	csrr t6, mepc
	addi t6, t6, 4
	csrw mepc, t6
	mret`

	ipiFlood = `
	la   t0, handler
	csrw mtvec, t0
	li   t0, 8
	csrw mie, t0
	csrsi mstatus, 8
	li   t0, 0x2000000
	li   t1, 1
1:	sw   t1, 0(t0)
	sw   t1, 4(t0)
	sw   zero, 0(t0)
	j    1b
	.balign 4
handler:	csrr t5, mhartid
	slli t5, t5, 2
	li   t6, 0x2000000
	add  t5, t5, t6
	sw   zero, 0(t5)
	mret`
)
