package platform

import (
	"bytes"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Thread is a thread of this process.
type Thread int

// CurrentThread is the one that the calling goroutine is on just now.
func CurrentThread() Thread { return Thread(unix.Gettid()) }

// Executed is how long the thread has executed, in nanoseconds; 0 if it is gone.
func (t Thread) Executed() int64 {
	// As the C library's pthread_getcpuclockid makes it: the complement of the
	// number, of a thread (4), the scheduler's clock (2).
	clock := ^int32(t)<<3 | 4 | 2
	var ts unix.Timespec
	if unix.ClockGettime(clock, &ts) != nil {
		return 0
	}
	return ts.Nano()
}

// Waits tells whether the thread waits for something else than a processor.
func (t Thread) Waits() bool {
	var buf [128]byte
	fd, err := unix.Open("/proc/self/task/"+strconv.Itoa(int(t))+"/stat", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return true // it is gone
	}
	defer unix.Close(fd)
	n, err := unix.Read(fd, buf[:])
	if err != nil {
		return true
	}
	// Its state is behind its name, which is in brackets.
	at := bytes.LastIndexByte(buf[:n], ')') + 2
	return at >= n || buf[at] != 'R'
}

// Delayed is how long the calling thread has waited for a processor, in
// nanoseconds; false if the host does not tell. It takes some microseconds.
func Delayed() (ns int64, ok bool) {
	var buf [128]byte
	fd, err := unix.Open("/proc/thread-self/schedstat", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, false
	}
	defer unix.Close(fd)
	n, err := unix.Read(fd, buf[:])
	if err != nil {
		return 0, false
	}
	_, rest, _ := bytes.Cut(buf[:n], []byte(" "))
	delay, _, _ := bytes.Cut(rest, []byte(" "))
	ns, err = strconv.ParseInt(string(delay), 10, 64)
	return ns, err == nil
}

// Own is how long the calling thread has executed, to a microsecond, and how
// often it has waited for something else than a processor.
func Own() (executed, waits int64) {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_THREAD, &u) != nil {
		return 0, 0
	}
	return u.Utime.Nano() + u.Stime.Nano(), int64(u.Nvcsw)
}

// MeasuresThreads tells whether Executed is exact enough to look at often, as
// it is not where the host only counts ticks.
var MeasuresThreads = sync.OnceValue(func() bool {
	const (
		tries = 20 // of which the host may interrupt some
		long  = 50 * time.Microsecond
	)
	for range tries {
		t := CurrentThread()
		start, before := time.Now(), t.Executed()
		for time.Since(start) < long {
		}
		if executed := time.Duration(t.Executed() - before); executed > long/2 && executed < 2*long {
			return true
		}
	}
	return false
})

// ProcessExecuted is how long all threads of the process have executed, in
// nanoseconds.
func ProcessExecuted() int64 {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts) != nil {
		return 0
	}
	return ts.Nano()
}
