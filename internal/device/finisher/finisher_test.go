package finisher

import (
	"testing"

	"doppel/internal/device"
	"doppel/internal/device/devicetest"
)

func suite() devicetest.Suite {
	return devicetest.Suite{New: func(*devicetest.Env) device.Device { return New(1, func(_, _ uint16) {}) }}
}

func TestContract(t *testing.T) { suite().Run(t) }

func FuzzFinisher(f *testing.F) { suite().Fuzz(f) }

func TestFinish(t *testing.T) {
	type call struct{ status, code uint16 }
	for _, c := range []struct {
		off  uint64
		size int
		v    uint64
		want []call
	}{
		{0, 4, 0x5555, []call{{Pass, 0}}},
		{0, 2, 0x5555, []call{{Pass, 0}}},
		{0, 4, 0x00013333, []call{{Fail, 1}}},
		{0, 4, 0xffff3333, []call{{Fail, 0xffff}}},
		{0, 4, 0x7777, []call{{Reset, 0}}},
		{0, 8, 0x7777, []call{{Reset, 0}}},
		{0, 1, 0x55, nil},
		{0, 4, 0, nil},
		{0, 4, 0x5554, nil},
		{4, 4, 0x5555, nil},
	} {
		var got []call
		d := New(1, func(status, code uint16) { got = append(got, call{status, code}) })
		if !d.Write(c.off, c.size, c.v) {
			t.Errorf("write %#x of %d at %d: refused", c.v, c.size, c.off)
		}
		if len(got) != len(c.want) || len(got) == 1 && got[0] != c.want[0] {
			t.Errorf("write %#x of %d at %d: got %v, want %v", c.v, c.size, c.off, got, c.want)
		}
	}
}
