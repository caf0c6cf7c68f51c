package rtc

import (
	"testing"

	"doppel/internal/device"
	"doppel/internal/device/devicetest"
)

func suite() devicetest.Suite {
	return devicetest.Suite{New: func(e *devicetest.Env) device.Device { return New(e.Clock, e.Line) }, KeepsOverReset: true}
}

func TestContract(t *testing.T) { suite().Run(t) }

func FuzzRTC(f *testing.F) { suite().Fuzz(f) }

func (r *RTC) time() uint64 {
	low, _ := r.Read(regTimeLow, 4)
	high, _ := r.Read(regTimeHigh, 4)
	return high<<32 | low
}

func set(r *RTC, low, high, v uint64) {
	r.Write(high, 4, v>>32)
	r.Write(low, 4, v&0xffff_ffff)
}

func TestTime(t *testing.T) {
	env := devicetest.NewEnv()
	r := New(env.Clock, env.Line)
	if got, want := r.time(), uint64(env.Clock.Wall().UnixNano()); got != want {
		t.Errorf("time is %d, want %d", got, want)
	}
	set(r, regTimeLow, regTimeHigh, 1_000_000_000_123)
	env.Clock.Advance(5)
	if got := r.time(); got != 1_000_000_000_128 {
		t.Errorf("time is %d after it was set to 1000000000123 and 5 ns", got)
	}
	r.Reset()
	if got := r.time(); got != 1_000_000_000_128 {
		t.Errorf("time is %d after a reset: a battery keeps it", got)
	}
}

// TestTimeLatch: the high half belongs to the low half that was read before.
func TestTimeLatch(t *testing.T) {
	env := devicetest.NewEnv()
	r := New(env.Clock, env.Line)
	set(r, regTimeLow, regTimeHigh, 0x1_ffff_ffff)
	r.Read(regTimeLow, 4)
	env.Clock.Advance(1)
	if high, _ := r.Read(regTimeHigh, 4); high != 1 {
		t.Errorf("high half is %d, want that of the time when the low half was read", high)
	}
}

func TestAlarm(t *testing.T) {
	env := devicetest.NewEnv()
	r := New(env.Clock, env.Line)
	status := func() uint64 { v, _ := r.Read(regAlarmStatus, 4); return v }
	set(r, regAlarmLow, regAlarmHigh, r.time()+1000)
	r.Write(regIRQEnabled, 4, 1)
	env.Clock.Advance(999)
	if env.Line.Level || status() != 1 {
		t.Fatalf("before the alarm: line %t, armed %d", env.Line.Level, status())
	}
	env.Clock.Advance(1)
	if !env.Line.Level || status() != 0 {
		t.Fatalf("at the alarm: line %t, armed %d", env.Line.Level, status())
	}
	r.Write(regClearInterrupt, 4, 1)
	if env.Line.Level {
		t.Error("line still asserted after CLEAR_INTERRUPT")
	}
	// Without IRQ_ENABLED the interrupt is kept back.
	r.Write(regIRQEnabled, 4, 0)
	set(r, regAlarmLow, regAlarmHigh, r.time()+10)
	env.Clock.Advance(20)
	if env.Line.Level {
		t.Error("line asserted while IRQ_ENABLED is 0")
	}
	r.Write(regIRQEnabled, 4, 1)
	if !env.Line.Level {
		t.Error("line not asserted when IRQ_ENABLED is set later")
	}
	// A cleared alarm does not come; one in the past comes at once.
	r.Write(regClearInterrupt, 4, 1)
	set(r, regAlarmLow, regAlarmHigh, r.time()+10)
	r.Write(regClearAlarm, 4, 1)
	env.Clock.Advance(20)
	if env.Line.Level {
		t.Error("a cleared alarm came")
	}
	set(r, regAlarmLow, regAlarmHigh, 1)
	if !env.Line.Level {
		t.Error("an alarm in the past did not come at once")
	}
}

// TestFarAlarm: an alarm centuries away neither overflows nor spins.
func TestFarAlarm(t *testing.T) {
	env := devicetest.NewEnv()
	r := New(env.Clock, env.Line)
	r.Write(regIRQEnabled, 4, 1)
	set(r, regAlarmLow, regAlarmHigh, ^uint64(0))
	env.Clock.Advance(3 * maxWait)
	if env.Line.Level {
		t.Error("the alarm at the end of time came")
	}
}
