package vswitch

import "doppel/internal/backend"

// What a queue holds at most: bytes, each frame counted with what the host
// keeps beside it.
const (
	maxQueued    = 2 << 20
	frameCost    = 128
	leastQueued  = 160 << 10 // two of the longest frames and some
	queuedPerSec = 10        // with a rate: a tenth of a second
)

// packet is a frame on its way, as its receiver is to have it.
type packet struct {
	bytes   []byte
	offload backend.Offload
}

// queue holds packets up to a number of bytes.
type queue struct {
	list  []packet
	bytes int
	limit int
}

func (q *queue) push(p packet) bool {
	if q.bytes+len(p.bytes)+frameCost > q.limit {
		return false
	}
	q.list = append(q.list, p)
	q.bytes += len(p.bytes) + frameCost
	return true
}

func (q *queue) pop() (packet, bool) {
	if len(q.list) == 0 {
		q.list = nil // what was taken is free to go
		return packet{}, false
	}
	p := q.list[0]
	q.list[0] = packet{}
	q.list = q.list[1:]
	q.bytes -= len(p.bytes) + frameCost
	return p, true
}

func (q *queue) drop() { q.list, q.bytes = nil, 0 }

// queueLimit is how much may wait before a rate in bytes a second, 0 for none.
func queueLimit(rate uint64) int {
	if rate == 0 {
		return maxQueued
	}
	return int(min(max(rate/queuedPerSec, leastQueued), maxQueued))
}
