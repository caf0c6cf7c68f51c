package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

// TestStartWithoutGC: what is put off is garbage collection's start only.
func TestStartWithoutGC(t *testing.T) {
	t.Setenv("GOGC", "")
	const usual = 90
	defer debug.SetGCPercent(debug.SetGCPercent(usual))
	percent := func() uint64 {
		s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
		metrics.Read(s)
		return s[0].Value.Uint64()
	}
	startWithoutGC()
	if n := percent(); n != startHeap && n != usual { // a collection may have been under way
		t.Errorf("%d percent at first", n)
	}
	for percent() != usual { // go test ends it
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
	t.Setenv("GOGC", "50")
	startWithoutGC()
	if n := percent(); n != usual {
		t.Errorf("%d percent though the user has said what", n)
	}
}
