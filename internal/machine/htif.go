package machine

import (
	"sync"

	"doppel/internal/memory"
)

// htif is the host-target interface of RISC-V test programs: a program that
// has the symbol tohost ends the machine, or prints, by a write to it. It is
// polled, so that it costs other programs nothing.
type htif struct {
	mem              *memory.Space
	tohost, fromhost memory.GPA
	console          *console
	finish           func(code int)
	mu               sync.Mutex
}

const (
	htifSysWrite = 64 // of the proxied system calls, the one that is served
	htifMaxWrite = 64 << 10
	maxCode      = 0xffff
	htifAck      = 1
)

// poll looks for a command: bits 63:56 device, 55:48 command, 47:0 payload.
func (h *htif) poll() {
	if v, err := h.mem.LoadU64(h.tohost); err != nil || v == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	v, err := h.mem.LoadU64(h.tohost)
	if err != nil || v == 0 {
		return
	}
	payload := v & (1<<48 - 1)
	switch device, command := v>>56, v>>48&0xff; {
	case device == 0 && command == 0 && payload&1 != 0:
		h.finish(int(min(payload>>1, maxCode))) // a large code must not become a pass
		return
	case device == 0 && command == 0:
		h.systemCall(memory.GPA(payload))
	case device == 1 && command == 1:
		h.console.Output([]byte{byte(payload)})
	}
	// The acknowledgement. A guest that writes again meanwhile loses that.
	h.mem.CompareAndSwapU64(h.tohost, v, 0)
	if h.fromhost != 0 {
		h.mem.CompareAndSwapU64(h.fromhost, 0, htifAck)
	}
}

// systemCall serves write(fd, buffer, length) and fails the others. The block
// at gpa holds number and arguments; the result replaces the number.
func (h *htif) systemCall(gpa memory.GPA) {
	var args [4]uint64
	for i := range args {
		var err error
		if args[i], err = h.mem.LoadU64(gpa + memory.GPA(8*i)); err != nil {
			return
		}
	}
	result := ^uint64(37) // -ENOSYS
	if args[0] == htifSysWrite {
		buf := make([]byte, min(args[3], htifMaxWrite))
		if h.mem.ReadAt(buf, memory.GPA(args[2])) == nil {
			result = uint64(h.console.Output(buf))
		}
	}
	h.mem.CompareAndSwapU64(gpa, args[0], result)
}
