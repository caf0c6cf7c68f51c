package aclint

// Read implements device.Device. msip is 32 bits wide; mtime and mtimecmp are
// read whole or in halves.
func (a *ACLINT) Read(off uint64, size int) (uint64, bool) {
	if size != 4 && size != 8 {
		return 0, false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if off < mtimecmpBase {
		if size != 4 {
			return 0, false
		}
		if i := int(off / 4); i < len(a.msip) && a.msip[i] {
			return 1, true
		}
		return 0, true
	}
	var v uint64
	switch i := int(off-mtimecmpBase) / 8; {
	case off&^7 == mtimeOff:
		v = a.mtime()
	case i < len(a.mtimecmp):
		v = a.mtimecmp[i]
	}
	if size == 4 {
		v = v >> (8 * (off & 4)) & 0xffff_ffff
	}
	return v, true
}

// Write implements device.Device.
func (a *ACLINT) Write(off uint64, size int, v uint64) bool {
	if size != 4 && size != 8 {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if off < mtimecmpBase {
		if size != 4 {
			return false
		}
		if i := int(off / 4); i < len(a.msip) {
			a.msip[i] = v&1 != 0 // aclint: the other bits are hardwired to zero
			a.update(i)
		}
		return true
	}
	switch i := int(off-mtimecmpBase) / 8; {
	case off&^7 == mtimeOff:
		a.offset = merge(a.mtime(), off, size, v) - a.ticks()
		for i := range a.mtimecmp {
			a.update(i)
		}
	case i < len(a.mtimecmp):
		a.mtimecmp[i] = merge(a.mtimecmp[i], off, size, v)
		a.update(i)
	}
	return true
}

// merge writes the half of old that off selects, or all of it.
func merge(old, off uint64, size int, v uint64) uint64 {
	if size == 8 {
		return v
	}
	shift := 8 * (off & 4)
	return old&^(0xffff_ffff<<shift) | v&0xffff_ffff<<shift
}
