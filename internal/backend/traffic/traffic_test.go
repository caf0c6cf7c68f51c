package traffic

import (
	"errors"
	"testing"

	"doppel/internal/backend"
)

type fakeDisk struct {
	backend.Disk
	err error
}

func (f fakeDisk) ReadV([][]byte, int64) error  { return f.err }
func (f fakeDisk) WriteV([][]byte, int64) error { return f.err }

type fakeNetwork struct {
	backend.Network
	frames [][]byte
}

func (f *fakeNetwork) Send([]byte, backend.Offload) {}
func (f *fakeNetwork) Receive() (p []byte, o backend.Offload, ok bool) {
	if len(f.frames) == 0 {
		return nil, o, false
	}
	p, f.frames = f.frames[0], f.frames[1:]
	return p, o, true
}

func check(t *testing.T, what string, c *Counter, times, bytes uint64) {
	t.Helper()
	if n, b := c.Load(); n != times || b != bytes {
		t.Errorf("%s: %d times, %d bytes; want %d, %d", what, n, b, times, bytes)
	}
}

func TestDisk(t *testing.T) {
	bufs := [][]byte{make([]byte, 512), nil, make([]byte, 1024)}
	d := Disk{Disk: fakeDisk{}}
	if err := errors.Join(d.ReadV(bufs, 0), d.ReadV(bufs[:1], 512), d.WriteV(bufs, 0)); err != nil {
		t.Fatal(err)
	}
	d.Disk = fakeDisk{err: errors.New("full")}
	if d.WriteV(bufs, 0) == nil || d.ReadV(bufs, 0) == nil {
		t.Error("an error is lost")
	}
	check(t, "reads", &d.Reads, 2, 2048)
	check(t, "writes", &d.Writes, 1, 1536)
}

func TestNetwork(t *testing.T) {
	n := Network{Network: &fakeNetwork{frames: [][]byte{make([]byte, 60), make([]byte, 1500)}}}
	for range 5 {
		n.Receive()
	}
	n.Send(make([]byte, 99), backend.Offload{})
	check(t, "received", &n.Received, 2, 1560)
	check(t, "sent", &n.Sent, 1, 99)
}
