package ext4

// Feature bits set here.
const (
	compatJournal  = 0x4
	compatXattr    = 0x8
	compatDirIndex = 0x20

	incompatFileType = 0x2
	incompatExtents  = 0x40

	roSparseSuper = 0x1
	roLargeFile   = 0x2
	roDirNlink    = 0x20
	roExtraIsize  = 0x40
)

// fillBits sets the first n bits.
func fillBits(b []byte, n uint32) {
	for i := uint32(0); i < n/8; i++ {
		b[i] = 0xff
	}
	if n%8 != 0 {
		b[n/8] |= 1<<(n%8) - 1
	}
}

// padBits sets the bits from n to the end of the block: what lies beyond a short group counts as used.
func padBits(b []byte, n uint32) {
	for ; n%8 != 0; n++ {
		b[n/8] |= 1 << (n % 8)
	}
	for i := n / 8; int(i) < len(b); i++ {
		b[i] = 0xff
	}
}

// writeGroups writes what is known only at the end: bitmaps, group descriptors, superblocks.
func (w *writer) writeGroups() error {
	l := &w.l
	gdt := make([]byte, l.gdtBlocks*blockSize)
	usedInodes := max(w.next-1, firstInode-1)
	var freeBlocks, freeInodes uint32
	for g := range l.groups {
		taken := l.overhead(g) + w.alloc.used[g]
		inodes := uint32(0)
		if first := g * l.inodesPerGroup; usedInodes > first {
			inodes = min(usedInodes-first, l.inodesPerGroup)
		}
		bitmap := make([]byte, blockSize)
		fillBits(bitmap, taken)
		padBits(bitmap, l.groupBlocks(g))
		if err := w.writeAt(bitmap, l.blockBitmap(g)); err != nil {
			return err
		}
		clear(bitmap)
		fillBits(bitmap, inodes)
		padBits(bitmap, l.inodesPerGroup)
		if err := w.writeAt(bitmap, l.inodeBitmap(g)); err != nil {
			return err
		}
		d := gdt[g*descSize:]
		le.PutUint32(d[0:], l.blockBitmap(g))
		le.PutUint32(d[4:], l.inodeBitmap(g))
		le.PutUint32(d[8:], l.inodeTable(g))
		le.PutUint16(d[12:], uint16(l.groupBlocks(g)-taken))
		le.PutUint16(d[14:], uint16(l.inodesPerGroup-inodes))
		le.PutUint16(d[16:], uint16(w.usedDirs[g]))
		freeBlocks += l.groupBlocks(g) - taken
		freeInodes += l.inodesPerGroup - inodes
	}
	sb := w.superblock(freeBlocks, freeInodes)
	for g := range l.groups {
		if !hasSuper(g) {
			continue
		}
		le.PutUint16(sb[90:], uint16(g)) // the group this copy is in
		block := make([]byte, blockSize)
		if g == 0 {
			copy(block[1024:], sb) // the first lies behind the boot block
		} else {
			copy(block, sb)
		}
		if err := w.writeAt(block, l.groupStart(g)); err != nil {
			return err
		}
		if err := w.writeAt(gdt, l.groupStart(g)+1); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) superblock(freeBlocks, freeInodes uint32) []byte {
	l := &w.l
	b := make([]byte, 1024)
	now := uint32(w.o.Time.Unix())
	le.PutUint32(b[0:], l.inodesPerGroup*l.groups)
	le.PutUint32(b[4:], l.blocks)
	le.PutUint32(b[12:], freeBlocks)
	le.PutUint32(b[16:], freeInodes)
	le.PutUint32(b[24:], 2) // log2(blockSize) - 10
	le.PutUint32(b[28:], 2) // clusters are blocks
	le.PutUint32(b[32:], blocksPerGroup)
	le.PutUint32(b[36:], blocksPerGroup)
	le.PutUint32(b[40:], l.inodesPerGroup)
	le.PutUint32(b[48:], now)
	le.PutUint16(b[54:], 0xffff) // no check after a number of mounts
	le.PutUint16(b[56:], 0xef53)
	le.PutUint16(b[58:], 1)   // clean
	le.PutUint16(b[60:], 1)   // on errors: continue
	le.PutUint32(b[64:], now) // last checked
	le.PutUint32(b[76:], 1)   // dynamic revision
	le.PutUint32(b[84:], 11)  // first inode not reserved
	le.PutUint16(b[88:], inodeSize)
	le.PutUint32(b[92:], compatJournal|compatXattr|compatDirIndex)
	le.PutUint32(b[96:], incompatFileType|incompatExtents)
	le.PutUint32(b[100:], roSparseSuper|roLargeFile|roDirNlink|roExtraIsize)
	copy(b[104:120], w.o.UUID[:])
	copy(b[120:136], w.o.Label)
	le.PutUint32(b[224:], journalInode)
	copy(b[236:252], w.o.UUID[:]) // hash seed: any value that differs between file systems
	b[252] = 1                    // half MD4 for directories that the guest indexes
	b[253] = 1                    // a copy of the journal's i_block follows
	le.PutUint32(b[256:], 0xc)    // default mount options: user_xattr, acl
	le.PutUint32(b[264:], now)
	copy(b[268:], w.journal)
	size := uint64(l.journalBlocks) * blockSize
	le.PutUint32(b[268+60:], uint32(size>>32))
	le.PutUint32(b[268+64:], uint32(size))
	le.PutUint16(b[348:], extraSize)
	le.PutUint16(b[350:], extraSize)
	le.PutUint32(b[352:], 1) // directory hashes take bytes as signed
	return b
}
