package machine

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// holdAt is where waiter has its word.
const holdAt = 0x80100000

// waiter is a kernel that echoes what is typed, on hart HART, and waits for it
// as WAIT says. When it has claimed the UART's interrupt and the word at holdAt
// is not 0, it says so and waits until it is.
const waiter = `
	li   t0, HART
	beq  a0, t0, mine
	mv   a0, t0
	la   a1, mine
	li   a2, 0
	li   a7, 0x48534d
	li   a6, 0		# sbi_hart_start
	ecall
1:	wfi			# nothing is enabled
	j    1b
mine:	li   s3, 0x80100000
	la   t0, trap
	csrw stvec, t0
	li   s0, 0x10000000	# the UART
	li   t0, 0x0c000000	# the PLIC
	li   t1, 1
	sw   t1, 4*10(t0)
	li   t0, 0x0c002080 + HART * 0x100
	li   t1, 1 << 10
	sw   t1, 0(t0)
	li   s1, 0x0c201000 + HART * 0x2000
	sw   zero, 0(s1)
	li   t0, 0x81
	sb   t0, 2(s0)
	li   t0, 1
	sb   t0, 1(s0)
	csrwi sie, 0
	li   t0, 'R'
	sb   t0, 0(s0)
	WAIT
	.align 2
trap:	csrr t0, scause
	slli t0, t0, 1
	li   t1, 5 << 1
	beq  t0, t1, tick
	call serve
	sret
tick:	call echo
	rdtime t0
	li   t1, 2000
	add  t0, t0, t1
	csrw stimecmp, t0
	sret
serve:	lw   s2, 4(s1)		# claim
	mv   s4, ra
	lw   t0, 0(s3)
	beqz t0, 2f
	li   t0, 'C'
	sb   t0, 0(s0)
1:	lw   t0, 0(s3)
	bnez t0, 1b
2:
	call echo
	sw   s2, 4(s1)		# complete
	jr   s4
echo:	lbu  t0, 5(s0)
	andi t0, t0, 1
	beqz t0, 1f
	lbu  t0, 0(s0)
	sb   t0, 0(s0)
	j    echo
1:	ret
`

// waits are the ways to wait for the UART's interrupt, or for a timer.
var waits = map[string]string{
	"wfi": `
	li   t0, 1 << 9
	csrw sie, t0
	csrsi sstatus, 2
1:	wfi
	j    1b`,
	"wfi, SIE 0": `
	li   s5, 1 << 9
	csrw sie, s5
1:	wfi
	csrr t0, sip
	and  t0, t0, s5
	beqz t0, 1b
	call serve
	j    1b`,
	"suspended": `
	li   s5, 1 << 9
	csrw sie, s5
1:	li   a0, 0		# retentive
	li   a7, 0x48534d
	li   a6, 3
	ecall
	csrr t0, sip
	and  t0, t0, s5
	beqz t0, 1b
	call serve
	j    1b`,
	"timer": `
	sb   zero, 1(s0)
	li   t0, 1 << 5
	csrw sie, t0
	csrw stimecmp, zero
	csrsi sstatus, 2
1:	wfi
	j    1b`,
	"spinning": `
	li   t0, 1 << 9
	csrw sie, t0
	csrsi sstatus, 2
1:	j    1b`,
}

// moment is when something is typed at a machine that is restored.
type moment uint8

const (
	beforeRestore moment = iota
	beforeRun
	atRun
	afterRun
	beforeSave // and read by nobody until the machine is restored
	moments
)

func (m moment) String() string {
	names := [...]string{"before Restore", "before Run", "at Run", "after Run", "before Save"}
	if int(m) < len(names) {
		return names[m]
	}
	return fmt.Sprintf("moment(%d)", uint8(m))
}

// TestWakes: however a hart waits when its machine is saved, what is typed at
// any moment from then on wakes it in the machine that is restored. It may hold
// the UART's interrupt claimed meanwhile; then the next comes after completion.
func TestWakes(t *testing.T) {
	for name, wait := range waits {
		for _, hart := range []int{0, 1} {
			for _, hold := range []bool{false, true} {
				if hold && name == "timer" {
					continue // it claims nothing
				}
				src := strings.NewReplacer("WAIT", wait, "HART", fmt.Sprint(hart)).Replace(waiter)
				t.Run(fmt.Sprintf("%s, hart %d, claimed %v", name, hart, hold), func(t *testing.T) {
					engines(t, func(t *testing.T, engine string) {
						cfg := kernel(t, src)
						cfg.Memory, cfg.CPUs, cfg.Engine = 6<<20, 1+hart, engine
						for when := range moments {
							wakes(t, cfg, hold, when)
						}
					})
				})
			}
		}
	}
}

// wakes saves a machine that waits, and restores it.
func wakes(t *testing.T, cfg Config, hold bool, when moment) {
	t.Helper()
	first, second := &terminal{}, &terminal{}
	cfg.Console = first
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	word := func(m *Machine, v uint8) {
		if err := m.Memory().WriteAt([]byte{v}, holdAt); err != nil {
			t.Fatal(err)
		}
	}
	var want string
	if hold {
		word(m, 1)
	}
	begin(m)
	eventually(t, "the guest", func() bool { return first.String() == "R" })
	if hold {
		first.enter("1")
		want = "1"
		eventually(t, "the claim", func() bool { return first.String() == "RC" })
	}
	if when == beforeSave {
		first.enter("root\n")
	}
	if err := m.Pause(); err != nil {
		t.Fatal(err)
	}
	var saved bytes.Buffer
	if err := m.Save(&saved); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil { // and what it has printed is out
		t.Fatal(err)
	}
	cfg.Console = second
	if m, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	enter := func(now moment) {
		if when == now {
			second.enter("root\n")
		}
	}
	enter(beforeRestore)
	if err := m.Restore(&saved); err != nil {
		t.Fatal(err)
	}
	word(m, 0)
	enter(beforeRun)
	go m.Run(context.Background())
	enter(atRun)
	if when == afterRun {
		for m.Status() == Created {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(2 * time.Millisecond) // it may wait again, or not yet
		enter(afterRun)
	}
	want += "root\n"
	got := func() string { return strings.TrimLeft(first.String(), "RC") + second.String() }
	eventually(t, fmt.Sprintf("%q, typed %v", want, when), func() bool { return len(got()) >= len(want) })
	if s := got(); s != want {
		t.Errorf("typed %v: echoed %q, want %q", when, s, want)
	}
}
