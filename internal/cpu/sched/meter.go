package sched

// Meter tells what a vCPU's thread has had of the host, so that the vCPU is
// charged for what it executes: neither for what the host gave to others while
// it had a processor here, nor less than it used without one.
type Meter interface {
	// Start begins to measure the calling thread, which is the vCPU's.
	Start()
	// Executed is how long that thread has executed since, in nanoseconds. Any
	// goroutine may call it.
	Executed() int64
	// Waits tells whether the thread waits for something else than a processor
	// just now. Any goroutine may call it.
	Waits() bool
	// Waited tells whether the thread has waited for something else since
	// Start, or is another by now; and for how long it has waited for a
	// processor, as far as the host tells. It is the vCPU's own to call.
	Waited() (waited bool, delayed int64)
	// Moved tells whether the calling thread is another than at Start.
	Moved() bool
}

// SetMeter gives a vCPU a meter before it is Ready for the first time. One
// without is charged for all the time that it has a processor.
func (v *VCPU) SetMeter(m Meter) { v.meter = m }

// Begin says, on the vCPU's thread, that it runs after it was Granted a
// processor.
func (v *VCPU) Begin() {
	if v.meter == nil {
		return
	}
	alone := v.group.Alone() // nobody asks then
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	v.begun = true
	if !alone {
		v.measure()
	}
}

// measure is on the vCPU's thread.
func (v *VCPU) measure() {
	v.meter.Start()
	v.measured.Store(true)
	v.executed = 0
}

// Settle charges, on the same thread, what the vCPU has executed since it
// called Block.
func (v *VCPU) Settle() {
	if v.meter == nil || !v.measured.Load() {
		return
	}
	moved := v.meter.Moved()
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	if v.state == blocked && !moved {
		now := v.s.time.Now()
		v.s.chargeGroup(v.group, now) // as it was until now
		v.s.billMore(v, now)
	}
	v.measured.Store(false)
}

// billMore is for what a vCPU has executed without a processor.
func (s *Scheduler) billMore(v *VCPU, now int64) {
	t := v.fresh()
	v.group.tokens.spend(t, now)
	s.overhead.paid += t
	s.bill(v, t)
}

// Beside charges the group for what a goroutine that has no place has executed
// for it, in nanoseconds.
func (g *Group) Beside(executed int64) {
	s := g.s
	s.mu.Lock()
	defer s.mu.Unlock()
	g.changes++
	g.paid += executed
	s.overhead.paid += executed
	s.burden(g, executed)
}

// Executed is how long a vCPU has executed, in nanoseconds; the same as the
// time that it has had a processor if that is not measured.
func (v *VCPU) Executed() int64 {
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	return v.used(v.s.time.Now())
}

func (v *VCPU) used(now int64) int64 {
	if v.state == running {
		v.s.charge(v, now)
	}
	return v.paid.Load()
}

// fresh is what the thread has executed since the last look.
func (v *VCPU) fresh() int64 {
	if !v.measured.Load() {
		return 0
	}
	at := v.meter.Executed()
	t := max(at-v.executed, 0)
	v.executed += t
	return t
}

// part is what a vCPU that has a processor pays for at once of t, the time
// since the last look. Of the rest it is not known yet where it went.
func (v *VCPU) part(t int64) int64 {
	if v.meter == nil || v.begun && !v.measured.Load() {
		return t
	}
	v.gap += t
	t = min(v.fresh(), v.gap)
	v.gap -= t
	return t
}

// rest is where the time went that a vCPU had its processor and did not
// execute.
type rest struct {
	waited  bool  // some of it for something else: the vCPU pays for that
	delayed int64 // what the host gave to others, as far as it tells
}

// own finds out about the rest on the vCPU's goroutine. The lock is not held.
func (v *VCPU) own() (r rest) {
	if v.measured.Load() {
		r.waited, r.delayed = v.meter.Waited()
	}
	return r
}

// settle charges for the rest, a slice at most: what the thread waited for may
// have had to wait for the host too.
func (s *Scheduler) settle(v *VCPU, r rest) {
	t := v.gap
	v.gap = 0
	if r.waited {
		t = min(max(t-r.delayed, 0), slice)
		v.group.idled += t
		s.bill(v, t)
	}
}
