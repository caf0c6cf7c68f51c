package sevensteps

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"doppel/internal/machine"
	"doppel/internal/riscv/asm"
)

// play runs a step and returns what the reader sees.
func play(t *testing.T, number int, o Options) string {
	t.Helper()
	s, err := Find(number)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	o.Out = &b
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := s.Run(ctx, o); err != nil {
		t.Fatalf("%v\n%s", err, b.String())
	}
	return b.String()
}

// engines runs a test with each engine.
func engines(t *testing.T, do func(t *testing.T, engine string)) {
	for _, e := range []string{"interp", "auto"} {
		t.Run(e, func(t *testing.T) { do(t, e) })
	}
}

var (
	exitLine = regexp.MustCompile(`(?m)^ *[0-9]+\.[0-9]{6} +(.*)$`)
	printed  = regexp.MustCompile(`(?m)^(?:[^ ]+ )?guest prints: "(.*)"$`)
	took     = regexp.MustCompile(` \([0-9.]+(ns|µs|ms|s)\)$`)
	when     = regexp.MustCompile(`stime_value [^)]*\): stimecmp = (now \+ [0-9.]+[µmn]?s|at once)`)
	late     = regexp.MustCompile(`, due [0-9.]+[µmn]?s ago`)
	spaces   = regexp.MustCompile(` +`)
)

// exits are the lines of the trace without what differs from run to run.
func exits(text string) (all []string) {
	for _, m := range exitLine.FindAllStringSubmatch(text, -1) {
		if strings.Contains(m[1], "(VMM)") { // the host's doing
			continue
		}
		l := took.ReplaceAllString(m[1], "")
		l = when.ReplaceAllString(l, "T)")
		l = late.ReplaceAllString(l, "")
		all = append(all, strings.TrimSpace(spaces.ReplaceAllString(l, " ")))
	}
	return all
}

// prints are the lines that guests have printed.
func prints(text string) (all []string) {
	for _, m := range printed.FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return all
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Errorf("%s %d: missing: %s", what, i, want[i])
		case i >= len(want):
			t.Errorf("%s %d: too many: %s", what, i, got[i])
		case got[i] != want[i]:
			t.Errorf("%s %d:\n got %s\nwant %s", what, i, got[i], want[i])
		}
	}
}

func lines(text string) []string { return strings.Split(strings.TrimSpace(text), "\n") }

// TestKernel: step 1 is exact, to the number of instructions.
func TestKernel(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		out := play(t, 1, Options{Engine: engine, Trace: true})
		same(t, "line", prints(out), []string{"500000500000"})
		var want []string
		for _, c := range "500000500000\n" {
			want = append(want, fmt.Sprintf("0 S 8020008c MMIO store of 1 at 0x10000000 sb t2,0(t1) uart0.THR <- %#x %q", c, c))
		}
		want = append(want, "0 S 802000a4 MMIO store of 4 at 0x100000 sw t1,0(t0) finisher.FINISH <- 0x5555")
		same(t, "exit", exits(out), want)
		if !strings.Contains(out, "; 14 exits to the VMM (14 MMIO and calls, 0 waits), one in 214295 instructions") {
			t.Errorf("no summary:\n%s", out)
		}
	})
}

// TestTimer: each interrupt of step 2 is waited for, injected, printed and
// asked for again. A host that is late may inject one before the guest waits.
func TestTimer(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		out := play(t, 2, Options{Engine: engine, Trace: true, Set: map[string]string{"ticks": "4", "period": "20ms"}})
		same(t, "line", prints(out), []string{"tick", "tick", "tick", "tick"})
		var got []string
		for _, l := range exits(out) {
			if !strings.Contains(l, "wfi") { // a wait, its end, or an interrupt before it
				got = append(got, l)
			} else if strings.Contains(l, "injected") {
				got = append(got, injected)
			}
		}
		set := "0 S 802000a8 environment call from S-mode ecall SBI TIME.set_timer(T)"
		print := "0 S 802000d0 environment call from S-mode ecall SBI DBCN.console_write(num_bytes 5, base_addr_lo 0x802000f0, base_addr_hi 0) = 5"
		same(t, "exit", got, []string{set, injected, print, set, injected, print, set, injected, print, set, injected, print,
			"0 S 80200088 environment call from S-mode ecall SBI SRST.system_reset(reset_type 0, reset_reason 0): the machine ends or restarts"})
	})
}

const injected = "0 S 80200070 supervisor timer interrupt bltu s0,s1,0x8020006c injected: S handler at 0x802000b0"

// TestUser: system calls and the fault of step 3's thread go to its kernel.
func TestUser(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		out := play(t, 3, Options{Engine: engine, Trace: true})
		same(t, "line", prints(out), lines(`
hello from user mode
hello from user mode
kernel: the thread has touched what is not its own; it is ended`))
		same(t, "exit", exits(out), lines(`
0 U 400018 environment call from U-mode ecall delivered: S handler at 0x80200080
0 S 80200128 environment call from S-mode ecall SBI DBCN.console_write(num_bytes 21, base_addr_lo 0x80204040, base_addr_hi 0) = 21
0 U 400018 environment call from U-mode ecall delivered: S handler at 0x80200080
0 S 80200128 environment call from S-mode ecall SBI DBCN.console_write(num_bytes 21, base_addr_lo 0x80204040, base_addr_hi 0) = 21
0 U 400034 load page fault ld t0,0(t0) delivered: S handler at 0x80200080, tval 0x80200000
0 S 80200128 environment call from S-mode ecall SBI DBCN.console_write(num_bytes 64, base_addr_lo 0x80200130, base_addr_hi 0) = 64
0 S 8020010c environment call from S-mode ecall SBI SRST.system_reset(reset_type 0, reset_reason 0): the machine ends or restarts`))

		// Without the forbidden access the thread ends by itself.
		out = play(t, 3, Options{Engine: engine, Trace: true, Set: map[string]string{"peek": "0", "hellos": "0"}})
		if got := exits(out); len(got) != 2 || !strings.HasPrefix(got[0], "0 U 40003c environment call from U-mode") {
			t.Errorf("%q", got)
		}
	})
}

// TestThreads: step 4's kernel goes around, one switch for each interrupt.
func TestThreads(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		out := play(t, 4, Options{Engine: engine, Trace: true, Set: map[string]string{"threads": "4", "rounds": "2", "slice": "2ms"}})
		text := strings.Join(prints(out), "\n")
		want := "thread B runs\nthread C runs\nthread D runs\nthread A runs\n"
		if !strings.HasPrefix(text, want+want) {
			t.Errorf("%s", text)
		}
		for _, name := range []string{"A", "B", "C", "D"} {
			if strings.Count(text, "thread "+name+" has counted to ") != 1 {
				t.Errorf("nothing of thread %s:\n%s", name, text)
			}
		}
		calls, interrupts := 0, 0
		for _, l := range exits(out) {
			switch {
			case strings.Contains(l, "environment call from U-mode ecall delivered"):
				calls++
			case strings.HasPrefix(l, "0 U") && strings.Contains(l, "supervisor timer interrupt"):
				interrupts++
			}
		}
		if calls != 3 || interrupts != 8 {
			t.Errorf("%d system calls, want 3; %d timer interrupts, want 8:\n%s", calls, interrupts, out)
		}
	})
}

// TestSMP: step 7 loses no addition under the lock, and harts start, stop and
// wake each other.
func TestSMP(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		out := play(t, 7, Options{Engine: engine, Trace: true, Set: map[string]string{"harts": "3"}})
		same(t, "line", prints(out), []string{"3000 increments"})
		text := strings.Join(exits(out), "\n")
		for _, want := range []string{
			"0 S 80200068 environment call from S-mode ecall SBI HSM.hart_start(hartid 1, start_addr 0x80200084, opaque 0) = 0",
			"0 S 80200068 environment call from S-mode ecall SBI HSM.hart_start(hartid 2, start_addr 0x80200084, opaque 0) = 0",
			"1 the vCPU may run: another hart has started it",
			"2 the vCPU may run: another hart has started it",
			"SBI IPI.send_ipi(hart_mask 1, hart_mask_base 0) = 0",
			"0 S 80200190 environment call from S-mode ecall SBI SRST.system_reset",
		} {
			if strings.Count(text, want) != 1 {
				t.Errorf("not once: %s\n%s", want, out)
			}
		}
		// Without the lock, at least all that one hart adds is there.
		out = play(t, 7, Options{Engine: engine, Set: map[string]string{"lock": "0", "harts": "2"}})
		var n int
		if _, err := fmt.Sscanf(strings.Join(prints(out), "\n"), "%d increments", &n); err != nil || n < 2 || n > 2000 {
			t.Errorf("%v: %s", err, out)
		}
	})
}

// compete runs step 5 or 6 and returns the rounds, and what the reader sees.
func compete(t *testing.T, number int, set map[string]string) (rounds [][]outcome, text string) {
	t.Helper()
	s, err := Find(number)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	n, err := s.newSession(context.Background(), Options{Set: set, Trace: true, Out: &b})
	if err != nil {
		t.Fatal(err)
	}
	n.finished = func(all []outcome) { rounds = append(rounds, all) }
	if err := s.run(n); err != nil {
		t.Fatal(err)
	}
	return rounds, b.String()
}

// had is the part of the processor time that each machine has had, and the sum.
func had(all []outcome) (parts []float64, sum float64) {
	for _, r := range all {
		sum += r.Had.Seconds()
	}
	for _, r := range all {
		parts = append(parts, r.Had.Seconds()/sum)
	}
	return parts, sum
}

// TestMachines: step 5's machines have the processor in proportion to their
// weights, and lose it at the ends of slices without an exit of their own.
func TestMachines(t *testing.T) {
	rounds, text := compete(t, 5, map[string]string{"time": "1s"})
	parts, _ := had(rounds[0])
	// How close they are to 1/7, 2/7 and 4/7 is for the scheduler's own tests:
	// a busy host may take a whole machine's slices away.
	if parts[2] < 1.5*parts[0] || parts[0] < 0.04 || parts[1] < 0.08 {
		t.Errorf("of the processor they had %.3f, want about 1/7, 2/7, 4/7\n%+v", parts, rounds[0])
	}
	for i := range parts {
		name := fmt.Sprintf("machine-%d ", i+1)
		for _, want := range []string{`guest prints: "running"`, "(VMM) end of slice", "(VMM) its turn"} {
			if !regexp.MustCompile("(?m)^" + name + ".*" + regexp.QuoteMeta(want)).MatchString(text) {
				t.Errorf("no line %q of %s", want, name)
			}
		}
	}
	if n := strings.Count(text, "SBI DBCN.console_write"); n != 3 {
		t.Errorf("%d calls, want 3: one of each machine", n)
	}
}

// TestProcessors: step 6's machines have more together on all processors than
// on one, and all have their part.
func TestProcessors(t *testing.T) {
	cpus := len(machine.Processors())
	rounds, text := compete(t, 6, map[string]string{"machines": "3", "time": "800ms"})
	one, sum1 := had(rounds[0])
	all, sum2 := had(rounds[1])
	for i := range one {
		if one[i] < 0.08 || all[i] < 0.08 {
			t.Errorf("machine %d had %.3f of one processor, %.3f of %d; want about a third", i, one[i], all[i], cpus)
		}
	}
	if want := float64(min(cpus, 3)); sum2/sum1 < 0.75*want || sum2/sum1 > 1.25*want {
		t.Errorf("%.2f times as much on %d processors as on one", sum2/sum1, cpus)
	}
	for _, p := range machine.Processors()[:min(cpus, 3)] {
		if want := fmt.Sprintf("is put on processor %d", p); !strings.Contains(text, want) {
			t.Errorf("no line %q", want)
		}
	}
}

// TestLines: a long trace is cut, and says so; the guest goes on.
func TestLines(t *testing.T) {
	out := play(t, 3, Options{Trace: true, Lines: 5, Set: map[string]string{"hellos": "100", "peek": "0"}})
	if got := len(exitLine.FindAllString(out, -1)); got != 5 {
		t.Errorf("%d exits are listed, want 5", got)
	}
	if got := len(prints(out)); got != 100 {
		t.Errorf("%d lines are printed, want 100", got)
	}
	if !strings.Contains(out, " more exits; --lines 0 shows all") {
		t.Errorf("no count of the rest:\n%s", out)
	}
}

// TestMistakes: one sentence with the name, the value and what is allowed.
func TestMistakes(t *testing.T) {
	for _, c := range []struct {
		step int
		o    Options
		want string
	}{
		{1, Options{Set: map[string]string{"limit": "0"}}, "limit=0: want a number from 1 to 2147483648"},
		{1, Options{Set: map[string]string{"limit": "x"}}, "limit=x: want a number"},
		{2, Options{Set: map[string]string{"period": "5"}}, "period=5: want a duration from 10µs to 1s, such as 5ms"},
		{2, Options{Set: map[string]string{"speed": "5"}}, "speed: step 2 has no such parameter; it has period, ticks"},
		{5, Options{Set: map[string]string{"weights": "1,,2"}}, "weights=1,,2: want up to 16 numbers"},
		{5, Options{Set: map[string]string{"weights": "0"}}, "weights=0: want"},
		{1, Options{Source: "start: ad a0, a1\n"}, "the guest's source: "},
		{1, Options{Source: "j nowhere\n"}, "the guest's source: "},
	} {
		s, err := Find(c.step)
		if err != nil {
			t.Fatal(err)
		}
		err = s.Run(context.Background(), c.o)
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("step %d: %v, want %q", c.step, err, c.want)
		}
	}
	if _, err := Find(8); err == nil {
		t.Error("there is a step 8")
	}
}

// TestSource: a changed copy runs in place of the step's guest.
func TestSource(t *testing.T) {
	s, err := Find(2)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(s.Source(), `"tick\n"`, `"tock\n"`, 1)
	out := play(t, 2, Options{Source: changed, Set: map[string]string{"ticks": "1"}})
	same(t, "line", prints(out), []string{"tock"})
}

// TestBomb: the machine of the bomb takes no more than its own, the VMM stays
// as small as it was, and the neighbour has about what it has beside a machine
// that only computes.
func TestBomb(t *testing.T) {
	s, err := Find(4)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Bomb(context.Background(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%v", r)
	if r.Resident > r.Size {
		t.Errorf("the guest has %d bytes of %d", r.Resident, r.Size)
	}
	if r.After > r.Before+8<<20 {
		t.Errorf("the VMM's memory goes from %d to %d", r.Before, r.After)
	}
	if r.Bomb.Share < r.Quiet.Share*3/4 {
		t.Errorf("the neighbour has %.3f of the processor beside the bomb, %.3f beside a machine that computes", r.Bomb.Share, r.Quiet.Share)
	}
}

// TestTexts: each step has a page with its questions, and the guests' sources
// are all that is embedded.
func TestTexts(t *testing.T) {
	for _, s := range Steps() {
		text := s.Text()
		if !strings.HasPrefix(text, fmt.Sprintf("# Step %d: ", s.Number)) || !strings.Contains(text, "\n## Questions\n") ||
			!strings.Contains(text, "\n## What the VMM had to add\n") {
			t.Errorf("step %d: %.40q...", s.Number, text)
		}
		if n := strings.Count(text, "\n"); n > 60 {
			t.Errorf("step %d: %d lines are more than two screens", s.Number, n)
		}
		if !strings.Contains(Lesson(), "("+s.folder+"/README.md)") {
			t.Errorf("step %d is not in the lesson", s.Number)
		}
		v, err := s.parse(nil)
		if err != nil {
			t.Fatal(err)
		}
		symbols := s.symbols(v)
		if s.Number == 4 {
			symbols["BOMB"], symbols["MOST"] = 0, mostThreads
		}
		if _, err := asm.Assemble(s.Source(), asm.Options{Origin: origin, Symbols: symbols}); err != nil {
			t.Errorf("step %d: %v", s.Number, err)
		}
	}
}
