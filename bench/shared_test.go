package main

import (
	"os"
	"testing"
	"time"
)

func TestDemand(t *testing.T) {
	before := map[string]demand{"1": {100, 50}, "gone": {5, 5}}
	after := map[string]demand{"1": {150, 100}, "new": {100, 0}}
	if d := between(before, after); d != (demand{150, 50}) || d.met() != 0.75 {
		t.Errorf("got %v, met %v", d, d.met())
	}
	for d, want := range map[demand]float64{{}: 1, {0, 10}: 1, {10, -5}: 1, {10, 0}: 1, {10, 30}: 0.25} {
		if d.met() != want {
			t.Errorf("%v: %v is met, want %v", d, d.met(), want)
		}
	}
	if d := sharedDemand(3*time.Second, 4*time.Second); d.met() != 0.75 {
		t.Errorf("got %v", d)
	}
	if scale(100, 0.25) != 25 || scale(1, 0.1) != 1 {
		t.Error("scale is wrong")
	}
}

func TestSchedstat(t *testing.T) {
	if d, err := parseSchedstat("162512 1055119 2\n"); err != nil || d != (demand{162512, 1055119}) {
		t.Errorf("got %v, %v", d, err)
	}
	for _, bad := range []string{"", "1", "a b c"} {
		if d, err := parseSchedstat(bad); err == nil {
			t.Errorf("%q was taken for %v", bad, d)
		}
	}
	if _, err := os.Stat("/proc/self/schedstat"); err != nil {
		t.Skip("no /proc/self/schedstat here")
	}
	if all, err := threadDemands(os.Getpid()); err != nil || len(all) == 0 {
		t.Errorf("got %v, %v", all, err)
	}
	if _, err := threadDemands(1 << 30); err == nil {
		t.Error("a process that does not exist has demands")
	}
}
