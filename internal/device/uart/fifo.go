package uart

import "doppel/internal/state"

// fifo is a ring of at most fifoSize bytes. Its callers check for room.
type fifo struct {
	b       [fifoSize]byte
	head, n int
}

func (f *fifo) push(v byte) {
	if f.n == fifoSize {
		return
	}
	f.b[(f.head+f.n)%fifoSize] = v
	f.n++
}

// pop returns 0 from an empty FIFO.
func (f *fifo) pop() byte {
	if f.n == 0 {
		return 0
	}
	v := f.b[f.head]
	f.drop(1)
	return v
}

// drop removes the k oldest bytes, k <= n.
func (f *fifo) drop(k int) {
	f.head = (f.head + k) % fifoSize
	f.n -= k
}

// copy returns the oldest bytes without removing them.
func (f *fifo) copy(p []byte) int {
	n := min(len(p), f.n)
	for i := range p[:n] {
		p[i] = f.b[(f.head+i)%fifoSize]
	}
	return n
}

func (f *fifo) save(e *state.Encoder) {
	var buf [fifoSize]byte
	e.Bytes(buf[:f.copy(buf[:])])
}

func (f *fifo) restore(d *state.Decoder) {
	*f = fifo{}
	for _, v := range d.Bytes(fifoSize) {
		f.push(v)
	}
}
