package blk_test

import (
	"runtime"
	"testing"

	"doppel/internal/device/virtio/blk"
	"doppel/internal/device/virtio/mmio"
	"doppel/internal/device/virtio/virtiotest"
)

// C9: whatever a request says, it is answered or the device asks to be reset,
// and only sectors that the disk has are touched (memDisk panics on others).
func FuzzRequest(f *testing.F) {
	for _, op := range []uint32{opIn, opOut, opFlush, opGetID, opDiscard, opZeroes, 99} {
		f.Add(header(op, 7), extent(3, 2, 0), uint16(513), true)
		f.Add(header(op, ^uint64(0)), extent(^uint64(0), ^uint32(0), 1), uint16(1), false)
	}
	f.Fuzz(func(t *testing.T, head, body []byte, in uint16, split bool) {
		if len(head)+len(body) > 1<<16 {
			return
		}
		mem, line := virtiotest.NewSpace(t), virtiotest.NewLine()
		disk := &memDisk{data: make([]byte, 64*512)}
		dev := mmio.New("blk0", mem, line, blk.New(blk.Config{Disk: disk, ID: "serial"}))
		defer dev.Close()
		d := virtiotest.NewDriver(t, mem, line, dev)
		d.Negotiate(features)
		q := d.AddQueue(0, 16)
		d.Start()

		var bufs []virtiotest.Buffer
		if split {
			bufs = append(bufs, d.Out(head), d.Out(body))
		} else {
			bufs = append(bufs, d.Out(append(head, body...)))
		}
		for i := range bufs {
			if bufs[i].Len == 0 { // not a descriptor that a driver may make
				return
			}
		}
		if in > 0 {
			bufs = append(bufs, d.In(int(in)))
		}
		req := q.Add(bufs...)
		for q.Collect() == nil {
			if d.Reg(virtiotest.Status)&virtiotest.NeedsReset != 0 {
				return
			}
			runtime.Gosched()
		}
		got := req.Data()
		if len(got) == 0 || got[len(got)-1] > 2 {
			t.Errorf("answered with % x, want a status of 0 to 2 at the end", got)
		}
	})
}
