package sbi

import "testing"

func TestDescribe(t *testing.T) {
	for _, c := range []struct {
		a    [8]uint64
		want string
	}{
		{[8]uint64{0: 1234, 7: extTIME}, "TIME.set_timer(stime_value 1234)"},
		{[8]uint64{0: 'x', 7: extPutchar}, "legacy.console_putchar(ch 120)"},
		{[8]uint64{7: extShutdown}, "legacy.shutdown()"},
		{[8]uint64{0: 5, 1: 0x80200000, 6: 0, 7: extDBCN}, "DBCN.console_write(num_bytes 5, base_addr_lo 0x80200000, base_addr_hi 0)"},
		{[8]uint64{6: 3, 7: extTIME}, "TIME, function 3"},
		{[8]uint64{6: ^uint64(0), 7: extHSM}, "HSM, function 18446744073709551615"},
		{[8]uint64{6: 2, 7: 9}, "extension 0x9, function 2"},
	} {
		if got := Describe(c.a); got != c.want {
			t.Errorf("%v: %q, want %q", c.a, got, c.want)
		}
	}
}
