package density

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"doppel"
)

// processorLine is the line of /proc/stat for all processors, in ticks.
type processorLine struct{ user, nice, system, idle, iowait, irq, softirq, steal float64 }

func (v *vm) processors() (p processorLine) {
	v.t.Helper()
	v.sh("head -n1 /proc/stat")
	out := v.out.String()
	line := out[strings.LastIndex(out, "\ncpu ")+1:]
	if _, err := fmt.Sscanf(line, "cpu %f %f %f %f %f %f %f %f", &p.user, &p.nice, &p.system, &p.idle, &p.iowait, &p.irq, &p.softirq, &p.steal); err != nil {
		v.t.Fatalf("%v in %q", err, line)
	}
	return p
}

func (p processorLine) sum() float64 {
	return p.user + p.nice + p.system + p.idle + p.iowait + p.irq + p.softirq + p.steal
}

// Two Linux machines that work on one processor are told that about half of the
// time was stolen, and one alone that next to none was.
func TestLinuxStealTime(t *testing.T) {
	h := newHost(t, doppel.HostConfig{})
	cfg := doppel.Config{Memory: 160 * mib, CPUAffinity: fmt.Sprint(doppel.Processors()[0])}
	a := boot(t, h, cfg)
	a.sh("dmesg | grep -i sta.extension")
	if !strings.Contains(a.out.String(), "STA extension detected") {
		t.Skip("the guest's kernel is built without CONFIG_PARAVIRT; internal/machine tests the interface with a guest of its own")
	}
	// part is what was stolen, as the guest says and as the scheduler does.
	part := func(v *vm, d time.Duration) (told, was float64) {
		start, waited, before := time.Now(), v.Stats().CPUs[0].Waiting, v.processors()
		time.Sleep(d)
		was = float64(v.Stats().CPUs[0].Waiting-waited) / float64(time.Since(start))
		after := v.processors()
		return (after.steal - before.steal) / (after.sum() - before.sum()), was
	}
	const work = "(while :; do :; done) & true"
	a.sh(work)
	if got, _ := part(a, time.Second); got > .02 {
		t.Errorf("a machine alone: %.3f of its time was stolen", got)
	}
	b := boot(t, h, cfg)
	b.sh(work)
	// On a host that is busy otherwise a short time may not be enough.
	for round := 1; ; round++ {
		told, was := part(a, time.Duration(round)*time.Second)
		t.Logf("stolen: %.3f; %.3f, says the guest", was, told)
		if math.Abs(told-was) < .05 && math.Abs(was-.5) < .2 {
			break
		}
		if round == 6 {
			t.Errorf("with another machine on its processor, %.3f of its time was stolen; it is told %.3f", was, told)
			break
		}
	}
}
