package platform

import (
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Timer calls a function on a goroutine of its own after a time, as one of
// time.AfterFunc does. That is up to a millisecond late, since an idle Go process
// waits for whole ones; this one, by a timer of the host, some ten microseconds.
type Timer struct {
	fn    func()
	at    time.Duration // in the alarm's time
	index int           // in its heap, -1 if it does not wait
	plain *time.Timer   // in place of all that, on a host without such timers
}

// NewTimer returns a timer that is stopped.
func NewTimer(fn func()) *Timer { return &Timer{fn: fn, index: -1} }

// Reset makes the timer call its function after d, and not when it was to do so
// before. It may do so for a Reset before if that is due already.
func (t *Timer) Reset(d time.Duration) {
	a := theAlarm()
	a.mu.Lock()
	defer a.mu.Unlock()
	if t.plain == nil && !a.start() {
		t.plain = time.AfterFunc(time.Hour, t.fn)
	}
	if t.plain != nil {
		t.plain.Reset(d)
		return
	}
	now := a.now()
	t.at = now + max(d, 0)
	if t.at < now {
		t.at = never
	}
	a.heap.remove(t)
	a.heap.push(t)
	if t.at < a.armed {
		a.arm(t.at, now)
	}
}

// Stop makes the timer not call its function, unless that is due already.
func (t *Timer) Stop() {
	a := theAlarm()
	a.mu.Lock()
	defer a.mu.Unlock()
	if t.plain != nil {
		t.plain.Stop()
		return
	}
	if t.index >= 0 {
		a.heap.remove(t)
		a.linger()
	}
}

const (
	never = time.Duration(1<<63 - 1)
	// lingering is how long the alarm stays when there are no timers left.
	lingering = 50 * time.Millisecond
)

// alarm is a timer of the host, for that of a heap which is due first. It is
// there, with a goroutine and a descriptor, as long as timers wait.
type alarm struct {
	epoch time.Time

	mu    sync.Mutex
	heap  timers
	fd    int // -1: not started
	file  *os.File
	armed time.Duration // when the host's timer expires, perhaps for nothing
}

var theAlarm = sync.OnceValue(func() *alarm { return &alarm{epoch: time.Now(), fd: -1, armed: never} })

func (a *alarm) now() time.Duration { return time.Since(a.epoch) }

// start tells whether the alarm is there. The lock is held.
func (a *alarm) start() bool {
	if a.fd >= 0 {
		return true
	}
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return false
	}
	a.fd, a.file, a.armed = fd, os.NewFile(uintptr(fd), "timerfd"), never
	go a.run(a.file)
	return true
}

// arm sets the host's timer. The lock is held.
func (a *alarm) arm(at, now time.Duration) {
	a.armed = at
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(max(at-now, 1)))} // 0 would stop it
	if err := unix.TimerfdSettime(a.fd, 0, &spec, nil); err != nil {
		panic("BUG: timerfd_settime: " + err.Error()) // of a descriptor and a time that are ours
	}
}

// linger sees to it that the alarm looks whether it is still needed.
func (a *alarm) linger() {
	if now := a.now(); len(a.heap) == 0 && a.armed > now+lingering {
		a.arm(now+lingering, now)
	}
}

// run calls functions that are due until there are no timers any more.
func (a *alarm) run(f *os.File) {
	defer f.Close()
	var count [8]byte
	var due []*Timer
	idle := false
	for {
		if _, err := f.Read(count[:]); err != nil {
			time.Sleep(time.Millisecond) // and look nevertheless
		}
		due = due[:0]
		a.mu.Lock()
		a.armed = never
		now := a.now()
		for len(a.heap) > 0 && a.heap[0].at <= now {
			due = append(due, a.heap[0])
			a.heap.remove(a.heap[0])
		}
		switch {
		case len(a.heap) > 0:
			idle = false
			a.arm(a.heap[0].at, now)
		case idle && len(due) == 0:
			a.fd, a.file = -1, nil
			a.mu.Unlock()
			return
		default:
			idle = true
			a.linger()
		}
		a.mu.Unlock()
		for i, t := range due {
			go t.fn()
			due[i] = nil
		}
	}
}

// timers is a heap, the one that is due first in front.
type timers []*Timer

func (h *timers) push(t *Timer) {
	t.index = len(*h)
	*h = append(*h, t)
	h.up(t.index)
}

func (h *timers) remove(t *Timer) {
	i, last := t.index, len(*h)-1
	if i < 0 {
		return
	}
	h.swap(i, last)
	(*h)[last] = nil
	*h = (*h)[:last]
	t.index = -1
	if i < last {
		h.down(i)
		h.up(i)
	}
}

func (h timers) swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h timers) up(i int) {
	for i > 0 && h[i].at < h[(i-1)/2].at {
		h.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
}

func (h timers) down(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(h); child++ {
			if h[child].at < h[least].at {
				least = child
			}
		}
		if least == i {
			return
		}
		h.swap(i, least)
		i = least
	}
}
