package flash

import "encoding/binary"

// Commands (Intel StrataFlash data sheet, "command set").
const (
	cmdReadArray     = 0xff
	cmdReadArrayAMD  = 0xf0 // drivers that probe try this reset as well
	cmdReadID        = 0x90
	cmdQuery         = 0x98
	cmdReadStatus    = 0x70
	cmdClearStatus   = 0x50
	cmdProgram       = 0x40
	cmdProgramAlt    = 0x10
	cmdErase         = 0x20
	cmdBuffer        = 0xe8
	cmdLock          = 0x60
	cmdLockSet       = 0x01
	cmdLockDown      = 0x2f // as Set: there is no pin that would tell them apart
	cmdConfirm       = 0xd0
	statusReady      = 0x80
	statusEraseFail  = 0x20
	statusProgFail   = 0x10
	statusLockedFail = 0x02
)

const (
	bankWidth   = 4 // bytes: two chips of 16 bits
	bufferBytes = 2048
	bufferWords = bufferBytes / bankWidth
)

// Read implements device.Device.
func (f *Flash) Read(off uint64, size int) (uint64, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mode == modeArray {
		var b [8]byte
		copy(b[:size], f.cfg.Region.Bytes()[off:])
		return binary.LittleEndian.Uint64(b[:]), true
	}
	var v uint64
	for i := range uint64(size) {
		v |= uint64(f.commandByte(off+i)) << (8 * i)
	}
	return v, true
}

// commandByte is the byte at off outside array mode: each chip answers in the
// low byte of its 16-bit word.
func (f *Flash) commandByte(off uint64) uint8 {
	if off%2 != 0 {
		return 0
	}
	switch word := off / bankWidth; f.mode {
	case modeStatus:
		return f.status
	case modeQuery:
		return queryByte(word, f.size)
	default:
		return f.idByte(word, off)
	}
}

// idByte answers Read Identifier: maker, device and, in each block, its lock.
func (f *Flash) idByte(word, off uint64) uint8 {
	const maker, device = 0x89, 0x18 // Intel, 128 Mbit
	switch word % (BlockSize / bankWidth) {
	case 0:
		return maker
	case 1:
		return device
	case 2:
		if f.isLocked(off) {
			return 1
		}
	}
	return 0
}

func (f *Flash) isLocked(off uint64) bool {
	n := off / BlockSize
	return f.locked[n/8]>>(n%8)&1 != 0
}

func (f *Flash) setLocked(off uint64, on bool) {
	n := off / BlockSize
	f.locked[n/8] &^= 1 << (n % 8)
	if on {
		f.locked[n/8] |= 1 << (n % 8)
	}
}

// Write implements device.Device.
func (f *Flash) Write(off uint64, size int, v uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	step := f.step
	f.step = stepCommand
	switch step {
	case stepCommand:
		f.command(off, uint8(v))
	case stepProgram:
		f.program([]chunk{{off, uint8(size), v}})
	case stepErase:
		f.confirmErase(off, uint8(v))
	case stepLock:
		f.lock(off, uint8(v))
	case stepCount:
		f.beginBuffer(off, uint32(v&0xffff))
	case stepBuffer:
		f.fillBuffer(off, size, v)
	case stepConfirm:
		f.confirmBuffer(uint8(v))
	}
	return true
}

func (f *Flash) command(off uint64, c uint8) {
	switch c {
	case cmdReadStatus:
		f.setMode(modeStatus)
	case cmdReadID:
		f.setMode(modeID)
	case cmdQuery:
		f.setMode(modeQuery)
	case cmdClearStatus:
		f.status = statusReady
	case cmdProgram, cmdProgramAlt:
		f.begin(stepProgram)
	case cmdErase:
		f.begin(stepErase)
	case cmdLock:
		f.begin(stepLock)
	case cmdBuffer:
		f.begin(stepCount)
	case cmdReadArray, cmdReadArrayAMD:
		f.setMode(modeArray)
	}
}

// begin starts a command of several writes, during which reads return status.
func (f *Flash) begin(s step) {
	f.step = s
	f.setMode(modeStatus)
}

func (f *Flash) confirmErase(off uint64, c uint8) {
	if c != cmdConfirm {
		f.status |= statusEraseFail | statusProgFail // "command sequence error"
		return
	}
	if f.isLocked(off) {
		f.status |= statusEraseFail | statusLockedFail
		return
	}
	start := off &^ (BlockSize - 1)
	block := f.cfg.Region.Bytes()[start:][:BlockSize]
	f.cfg.Region.MarkDirtyRange(start, BlockSize)
	for i := range block {
		block[i] = 0xff
	}
	if !f.store(start, BlockSize) {
		f.status |= statusEraseFail
	}
}

func (f *Flash) lock(off uint64, c uint8) {
	switch c {
	case cmdLockSet, cmdLockDown:
		f.setLocked(off, true)
	case cmdConfirm:
		f.setLocked(off, false)
	default:
		f.status |= statusEraseFail | statusProgFail
	}
}

// beginBuffer takes the number of words less one.
func (f *Flash) beginBuffer(off uint64, n uint32) {
	if n >= bufferWords {
		f.status |= statusEraseFail | statusProgFail
		return
	}
	f.words, f.start, f.buffer = n+1, off&^(BlockSize-1), nil
	f.begin(stepBuffer)
}

func (f *Flash) fillBuffer(off uint64, size int, v uint64) {
	f.buffer = append(f.buffer, chunk{off, uint8(size), v})
	if f.words--; f.words > 0 {
		f.begin(stepBuffer)
	} else {
		f.begin(stepConfirm)
	}
}

func (f *Flash) confirmBuffer(c uint8) {
	buffer := f.buffer
	f.buffer = nil
	for _, w := range buffer {
		if w.off&^(BlockSize-1) != f.start { // the data must stay in the block
			c = 0
		}
	}
	if c != cmdConfirm {
		f.status |= statusEraseFail | statusProgFail
		return
	}
	f.program(buffer)
}

// program clears bits: only an erase sets them.
func (f *Flash) program(chunks []chunk) {
	f.setMode(modeStatus)
	all := f.cfg.Region.Bytes()
	for _, c := range chunks {
		if f.isLocked(c.off) {
			f.status |= statusProgFail | statusLockedFail
			return
		}
		f.cfg.Region.MarkDirtyRange(c.off, uint64(c.size))
		for i := range uint64(c.size) {
			all[c.off+i] &= uint8(c.v >> (8 * i))
		}
		if !f.store(c.off, uint64(c.size)) {
			f.status |= statusProgFail
			return
		}
	}
}

// store writes a change through to the backing.
func (f *Flash) store(off, n uint64) bool {
	if f.cfg.Backing == nil {
		return true
	}
	_, err := f.cfg.Backing.WriteAt(f.cfg.Region.Bytes()[off:off+n], int64(off))
	return err == nil
}
