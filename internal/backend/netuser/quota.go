package netuser

import (
	"net/netip"
	"sync"
)

// quota counts what stations hold of something: so much each, and so much all
// together.
type quota struct {
	each, all int

	mu   sync.Mutex
	held map[netip.Addr]int
	sum  int
}

func newQuota(each, all int) *quota {
	return &quota{each: each, all: all, held: map[netip.Addr]int{}}
}

func (q *quota) take(who netip.Addr) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.sum >= q.all || q.held[who] >= q.each {
		return false
	}
	q.sum++
	q.held[who]++
	return true
}

func (q *quota) give(who netip.Addr) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sum--
	if q.held[who]--; q.held[who] == 0 {
		delete(q.held, who)
	}
}
