package main

import (
	"os"
	"runtime"
	"runtime/debug"
)

// startHeap is how large the heap is, in percent of Go's 4 MiB, when it is first
// searched for garbage. A guest's start leaves hardly any, and would be held up
// at 4, 8, 16 and 32 MiB.
const startHeap = 1200

// startWithoutGC has garbage collection begin late, and go on as always. A user
// who has set GOGC knows better.
func startWithoutGC() {
	if os.Getenv("GOGC") != "" {
		return
	}
	usual := debug.SetGCPercent(startHeap)
	first := new([64]*byte) // gone with the first collection
	runtime.AddCleanup(first, func(percent int) { debug.SetGCPercent(percent) }, usual)
}
