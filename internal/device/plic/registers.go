package plic

// Read implements device.Device. All registers are 32 bits wide (plic §3).
func (p *PLIC) Read(off uint64, size int) (uint64, bool) {
	if size != 4 {
		return 0, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case off >= contextBase:
		return uint64(p.readContext(off - contextBase)), true
	case off >= enableBase:
		if b, w := p.enableWord(off); b != nil {
			return uint64(b[w]), true
		}
	case off >= pendingBase:
		if w := (off - pendingBase) / 4; w < sourceWords {
			return uint64(p.pending[w]), true
		}
	default:
		if i := off / 4; i <= MaxSource {
			return uint64(p.priority[i]), true
		}
	}
	return 0, true // reserved: reads as zero
}

func (p *PLIC) readContext(off uint64) uint32 {
	ctx := int(off / contextStride)
	if ctx >= len(p.context) {
		return 0
	}
	switch off % contextStride {
	case regThreshold:
		return uint32(p.context[ctx].threshold)
	case regClaim:
		return uint32(p.claim(ctx))
	}
	return 0
}

// enableWord finds the enable bits at off, nil if there are none.
func (p *PLIC) enableWord(off uint64) (*bitmap, uint64) {
	ctx, w := (off-enableBase)/enableStride, (off-enableBase)%enableStride/4
	if ctx >= uint64(len(p.context)) || w >= sourceWords {
		return nil, 0
	}
	return &p.context[ctx].enable, w
}

// Write implements device.Device.
func (p *PLIC) Write(off uint64, size int, val uint64) bool {
	if size != 4 {
		return false
	}
	v := uint32(val)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case off >= contextBase:
		p.writeContext(off-contextBase, v)
	case off >= enableBase:
		if b, w := p.enableWord(off); b != nil {
			if w == 0 {
				v &^= 1 // source 0 does not exist
			}
			b[w] = v
			p.update()
		}
	case off >= pendingBase: // read-only
	default:
		if i := off / 4; i > 0 && i <= MaxSource {
			p.priority[i] = uint8(v & MaxPriority)
			p.update()
		}
	}
	return true
}

func (p *PLIC) writeContext(off uint64, v uint32) {
	ctx := int(off / contextStride)
	if ctx >= len(p.context) {
		return
	}
	switch off % contextStride {
	case regThreshold:
		p.context[ctx].threshold = uint8(v & MaxPriority)
		p.update()
	case regClaim:
		p.complete(ctx, v)
	}
}
