package ext4

import (
	"errors"
	"time"

	"doppel/internal/image/tree"
)

const (
	extentsFlag  = 0x80000
	extentMagic  = 0xf30a
	extraSize    = 32 // i_extra_isize: the fields up to i_projid
	inodeXattrAt = 128 + extraSize
	entrySize    = 12
)

// inode is what goes into one on-disk inode.
type inode struct {
	mode     uint32
	uid, gid uint32
	links    uint16
	size     int64
	blocks   uint32 // file-system blocks held: contents, extent tree, attributes
	flags    uint32
	time     time.Time
	block    [60]byte
	xattrs   []byte // kept in the inode
	acl      uint32 // block of attributes that did not fit
}

func newInode(n *tree.Node) *inode {
	return &inode{mode: n.Mode, uid: n.UID, gid: n.GID, links: uint16(n.Links()), time: n.ModTime}
}

// device stores the number as the kernel does: the old 16-bit form where it fits, else the new one.
func (in *inode) device(major, minor uint32) {
	if major < 256 && minor < 256 {
		le.PutUint32(in.block[0:], major<<8|minor)
		return
	}
	le.PutUint32(in.block[4:], minor&0xff|major<<8|(minor&^0xff)<<12)
}

// timestamp splits a time in the 32-bit seconds field and the extra field: two bits of epoch, thirty of nanoseconds.
func timestamp(t time.Time) (sec, extra uint32) {
	s := t.Unix()
	const lowest, highest = -1 << 31, 3<<32 + 1<<31 - 1
	if s < lowest {
		return 1 << 31, 0
	}
	if s > highest {
		return 1<<31 - 1, 3
	}
	return uint32(s), uint32((s-int64(int32(s)))>>32)&3 | uint32(t.Nanosecond())<<2
}

func (in *inode) encode(b []byte) {
	clear(b)
	sec, extra := timestamp(in.time)
	le.PutUint16(b[0:], uint16(in.mode))
	le.PutUint16(b[2:], uint16(in.uid))
	le.PutUint32(b[4:], uint32(in.size))
	for _, at := range []int{8, 12, 16, 144} { // access, change, modification, creation
		le.PutUint32(b[at:], sec)
	}
	le.PutUint16(b[24:], uint16(in.gid))
	le.PutUint16(b[26:], in.links)
	sectors := uint64(in.blocks) * (blockSize / 512)
	le.PutUint32(b[28:], uint32(sectors)) // below 2^31: a file is no larger than MaxSize
	le.PutUint32(b[32:], in.flags)
	copy(b[40:], in.block[:])
	le.PutUint32(b[104:], in.acl)
	le.PutUint32(b[108:], uint32(in.size>>32))
	le.PutUint16(b[120:], uint16(in.uid>>16))
	le.PutUint16(b[122:], uint16(in.gid>>16))
	le.PutUint16(b[128:], extraSize)
	for _, at := range []int{132, 136, 140, 148} {
		le.PutUint32(b[at:], extra)
	}
	copy(b[inodeXattrAt:], in.xattrs)
}

// putInode stores an inode in its group's table, which is written out when the next group begins.
func (w *writer) putInode(ino uint32, in *inode, n *tree.Node) error {
	if n != nil && len(n.Xattrs) > 0 {
		if err := w.writeXattrs(in, n.Xattrs); err != nil {
			return err
		}
	}
	g, i := (ino-1)/w.l.inodesPerGroup, (ino-1)%w.l.inodesPerGroup
	if g != w.tableOf {
		if err := w.flushTable(); err != nil {
			return err
		}
		w.tableOf = g
	}
	w.dirty = max(w.dirty, i+1)
	if in.time.IsZero() {
		in.time = w.o.Time
	}
	in.encode(w.table[i*inodeSize : (i+1)*inodeSize])
	return nil
}

func (w *writer) flushTable() error {
	used := w.table[:w.dirty*inodeSize]
	err := w.writeAt(used, w.l.inodeTable(w.tableOf))
	clear(used)
	w.dirty = 0
	return err
}

var errExtents = errors.New("the file is in too many pieces")

// mapRuns stores a file's runs as an extent tree in i_block, with blocks of its own when four extents are not enough.
func (w *writer) mapRuns(in *inode, runs []extent) error {
	in.flags |= extentsFlag
	entries := make([]byte, 0, len(runs)*entrySize)
	starts := make([]uint32, 0, len(runs))
	logical := uint32(0)
	for _, run := range runs {
		var e [entrySize]byte
		le.PutUint32(e[0:], logical)
		le.PutUint16(e[4:], uint16(run.count))
		le.PutUint32(e[8:], run.start)
		entries = append(entries, e[:]...)
		starts = append(starts, logical)
		logical += run.count
		in.blocks += run.count
	}
	const perRoot, perBlock = 4, (blockSize - entrySize) / entrySize
	depth := uint16(0)
	for ; len(starts) > perRoot; depth++ {
		if depth == 5 {
			return errExtents
		}
		var up []byte
		var upStarts []uint32
		for len(starts) > 0 {
			n := min(len(starts), perBlock)
			at, err := w.alloc.alloc(1)
			if err != nil {
				return err
			}
			in.blocks++
			b := make([]byte, blockSize)
			extentHeader(b, n, perBlock, depth)
			copy(b[entrySize:], entries[:n*entrySize])
			if err := w.writeAt(b, at[0].start); err != nil {
				return err
			}
			var e [entrySize]byte
			le.PutUint32(e[0:], starts[0])
			le.PutUint32(e[4:], at[0].start)
			up, upStarts = append(up, e[:]...), append(upStarts, starts[0])
			entries, starts = entries[n*entrySize:], starts[n:]
		}
		entries, starts = up, upStarts
	}
	extentHeader(in.block[:], len(starts), perRoot, depth)
	copy(in.block[entrySize:], entries)
	return nil
}

func extentHeader(b []byte, count, limit int, depth uint16) {
	le.PutUint16(b[0:], extentMagic)
	le.PutUint16(b[2:], uint16(count))
	le.PutUint16(b[4:], uint16(limit))
	le.PutUint16(b[6:], depth)
}
