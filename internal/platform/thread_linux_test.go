package platform

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestThread(t *testing.T) {
	runtime.LockOSThread() // and it ends with the goroutine
	if !MeasuresThreads() {
		t.Skip("the host does not measure threads exactly")
	}
	self := CurrentThread()
	if self.Waits() {
		t.Error("the thread that asks waits")
	}
	before := self.Executed()
	for n := 0; self.Executed() < before+int64(time.Millisecond); n++ {
		if n == 1<<30 {
			t.Fatal("it executes, but nothing is counted")
		}
	}
	if own, _ := Own(); own < before-int64(time.Microsecond) || own > self.Executed()+int64(time.Microsecond) {
		t.Errorf("it has executed %d ns, between %d and %d", own, before, self.Executed())
	}
	if ns, ok := Delayed(); !ok {
		t.Log("the host does not tell how long threads wait for processors")
	} else if again, _ := Delayed(); ns < 0 || again < ns {
		t.Errorf("it has waited for a processor for %d ns, and then for %d", ns, again)
	}

	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(p[0])
	other, ended := make(chan Thread), make(chan int64)
	go func() {
		runtime.LockOSThread()
		_, before := Own()
		other <- CurrentThread()
		unix.Read(p[0], make([]byte, 1))
		_, after := Own()
		ended <- after - before
	}()
	sleeper := <-other
	for deadline := time.Now().Add(time.Minute); !sleeper.Waits(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("a thread that waits does not show it")
		}
	}
	if at := sleeper.Executed(); at <= 0 || at > int64(time.Minute) {
		t.Errorf("another thread has executed %d ns", at)
	}
	unix.Close(p[1])
	if n := <-ended; n < 1 {
		t.Errorf("it has waited %d times", n)
	}
	for deadline := time.Now().Add(time.Minute); sleeper.Executed() != 0 || !sleeper.Waits(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a thread that has ended executes")
		}
	}
}
