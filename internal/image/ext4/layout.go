// Package ext4 writes a file tree as a new ext4 file system: journal, extents, extended attributes, directory index
// allowed, backup superblocks, free space for the guest to write into. The output is sparse: what is zero is a hole.
//
// It does not read, change or check a file system, and it does not write metadata checksums, 64-bit block numbers or
// flexible block groups; a guest's e2fsprogs can add those later.
//
// The layout is the plain one of the kernel's Documentation/filesystems/ext4: block groups of 128 MiB, each with its
// bitmaps and inode table in front. Blocks and inodes are handed out in rising order, so that every bitmap is a run of
// ones followed by zeros.
//
// One goroutine writes one file system. There are no locks.
package ext4

import (
	"errors"
	"fmt"
)

const (
	blockSize      = 4096
	blocksPerGroup = 8 * blockSize // one bitmap block's bits
	inodeSize      = 256
	inodesPerBlock = blockSize / inodeSize
	descSize       = 32
	// bytesPerInode is mke2fs's default ratio.
	bytesPerInode = 16384

	// MinSize and MaxSize bound the disk: room for a journal, and group descriptors that stay within one group.
	MinSize = 16 << 20
	MaxSize = 1 << 40
)

// Inode numbers that the format reserves.
const (
	rootInode    = 2
	journalInode = 8
	lostInode    = 11
	firstInode   = 12
)

// ErrNoSpace says that the tree does not fit.
var ErrNoSpace = errors.New("the files do not fit; give a larger --size")

// layout is the geometry of one file system.
type layout struct {
	blocks         uint32
	groups         uint32
	gdtBlocks      uint32
	inodesPerGroup uint32
	tableBlocks    uint32 // of one group's inode table
	journalBlocks  uint32
}

// plan chooses a geometry for a disk of size bytes that holds at least the given number of inodes.
func plan(size int64, inodes int) (layout, error) {
	if size < MinSize || size > MaxSize {
		return layout{}, fmt.Errorf("a disk of %d bytes is outside %d MiB to %d GiB; give another --size",
			size, MinSize>>20, int64(MaxSize)>>30)
	}
	l := layout{blocks: uint32(size / blockSize)}
	l.groups = (l.blocks + blocksPerGroup - 1) / blocksPerGroup
	want := max(size/bytesPerInode, int64(inodes)+int64(inodes)/4+64)
	per := (want + int64(l.groups) - 1) / int64(l.groups)
	per = (per + inodesPerBlock - 1) / inodesPerBlock * inodesPerBlock
	if per > blocksPerGroup {
		return layout{}, fmt.Errorf("%d files are too many for a disk of %d MiB: %w", inodes, size>>20, ErrNoSpace)
	}
	l.inodesPerGroup = uint32(per)
	l.tableBlocks = l.inodesPerGroup / inodesPerBlock
	l.gdtBlocks = (l.groups*descSize + blockSize - 1) / blockSize
	// A last group too short for its own metadata is left out of the file system.
	if tail := l.blocks % blocksPerGroup; tail != 0 && l.groups > 1 && tail < l.overhead(l.groups-1)+64 {
		l.groups--
		l.blocks = l.groups * blocksPerGroup
	}
	// jbd2 wants at least 1024 blocks; more than 64 MiB helps nobody here.
	l.journalBlocks = min(max(l.blocks/64, 1024), 16384)
	if l.overhead(0)+l.journalBlocks+64 > min(l.blocks, blocksPerGroup) {
		return layout{}, fmt.Errorf("%d files are too many for a disk of %d MiB: %w", inodes, size>>20, ErrNoSpace)
	}
	return l, nil
}

// hasSuper tells which groups hold a copy of the superblock (the sparse_super feature): 0, 1 and powers of 3, 5 and 7.
func hasSuper(g uint32) bool {
	if g <= 1 {
		return true
	}
	for _, base := range []uint32{3, 5, 7} {
		n := base
		for n < g {
			n *= base
		}
		if n == g {
			return true
		}
	}
	return false
}

// overhead gives the number of metadata blocks in front of a group's data.
func (l *layout) overhead(g uint32) uint32 {
	n := 2 + l.tableBlocks
	if hasSuper(g) {
		n += 1 + l.gdtBlocks
	}
	return n
}

func (l *layout) groupStart(g uint32) uint32 { return g * blocksPerGroup }

// groupBlocks gives the size of a group; the last may be short.
func (l *layout) groupBlocks(g uint32) uint32 {
	return min(blocksPerGroup, l.blocks-l.groupStart(g))
}

func (l *layout) blockBitmap(g uint32) uint32 {
	return l.groupStart(g) + l.overhead(g) - l.tableBlocks - 2
}
func (l *layout) inodeBitmap(g uint32) uint32 { return l.blockBitmap(g) + 1 }
func (l *layout) inodeTable(g uint32) uint32  { return l.blockBitmap(g) + 2 }

// extent is a run of disk blocks.
type extent struct{ start, count uint32 }

// allocator hands out data blocks in rising order.
type allocator struct {
	l     *layout
	group uint32
	used  []uint32 // data blocks taken, by group
}

func newAllocator(l *layout) *allocator { return &allocator{l: l, used: make([]uint32, l.groups)} }

// maxExtent is the longest initialised extent the format can say.
const maxExtent = 32768

// alloc gives count blocks in as few runs as the groups allow.
func (a *allocator) alloc(count uint32) ([]extent, error) {
	var out []extent
	for count > 0 {
		if a.group >= a.l.groups {
			return nil, ErrNoSpace
		}
		over := a.l.overhead(a.group)
		free := a.l.groupBlocks(a.group) - over - a.used[a.group]
		if free == 0 {
			a.group++
			continue
		}
		n := min(count, free, maxExtent)
		out = append(out, extent{a.l.groupStart(a.group) + over + a.used[a.group], n})
		a.used[a.group] += n
		count -= n
	}
	return out, nil
}
