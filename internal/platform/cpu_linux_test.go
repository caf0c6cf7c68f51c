package platform

import (
	"reflect"
	"runtime"
	"testing"
)

// TestBindThread: a thread that is bound may use what it is bound to, and no
// other thread is.
func TestBindThread(t *testing.T) {
	all := CPUs()
	if len(all) == 0 {
		t.Fatal("no processors")
	}
	last := all[len(all)-1:]
	bound := make(chan []int)
	go func() {
		runtime.LockOSThread() // and never unlock: the thread ends
		if err := BindThread(last); err != nil {
			t.Error(err)
		}
		bound <- CPUs()
	}()
	if got := <-bound; !reflect.DeepEqual(got, last) {
		t.Errorf("bound to %v, may use %v", last, got)
	}
	if got := CPUs(); !reflect.DeepEqual(got, all) {
		t.Errorf("another thread may use %v, before %v", got, all)
	}
}
