package vswitch

import "time"

// bucket is a token bucket that may go into debt: what passes when there are
// tokens passes whole, and is paid for afterwards. A nil bucket has no limit.
type bucket struct {
	rate   float64 // tokens a second
	burst  float64
	tokens float64
	filled time.Time
}

func newBucket(rate, burst float64, now time.Time) *bucket {
	return &bucket{rate: rate, burst: burst, tokens: burst, filled: now}
}

func (b *bucket) fill(now time.Time) {
	if d := now.Sub(b.filled); d > 0 {
		b.tokens = min(b.burst, b.tokens+d.Seconds()*b.rate)
		b.filled = now
	}
}

// wait is how long nothing may pass, 0 if something may now.
func (b *bucket) wait(now time.Time) time.Duration {
	if b == nil {
		return 0
	}
	b.fill(now)
	if b.tokens > 0 {
		return 0
	}
	return time.Duration((1-b.tokens)/b.rate*float64(time.Second)) + 1
}

// take pays for what passes.
func (b *bucket) take(n int) {
	if b != nil {
		b.tokens -= float64(n)
	}
}
