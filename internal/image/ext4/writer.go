package ext4

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"doppel/internal/image/tree"
)

// Options say what the tree does not.
type Options struct {
	Size  int64    // of the disk, in bytes
	Label string   // at most 16 bytes
	UUID  [16]byte // zero: a random one
	Time  time.Time
	// Progress, when set, is called with the number of content bytes written since the last call.
	Progress func(n int64)
}

// File is what a disk is written to; *os.File is one.
type File interface {
	io.WriterAt
	Truncate(size int64) error
}

var le = binary.LittleEndian

type writer struct {
	f     File
	ctx   context.Context
	t     *tree.Tree
	o     Options
	l     layout
	alloc *allocator

	ino      map[*tree.Node]uint32
	next     uint32 // inode number to give out
	usedDirs []uint32
	table    []byte // inodes of one group at a time
	tableOf  uint32
	dirty    uint32 // inodes of table used so far, as a high-water mark
	copyBuf  []byte
	journal  []byte // i_block of the journal, for the superblock's copy
}

// Write makes a file system of o.Size bytes that holds the tree. The file must be empty.
func Write(ctx context.Context, f File, t *tree.Tree, o Options) error {
	w := &writer{f: f, ctx: ctx, t: t, o: o, ino: map[*tree.Node]uint32{}, next: firstInode, copyBuf: make([]byte, 1<<20)}
	if w.o.Time.IsZero() {
		w.o.Time = time.Now()
	}
	if w.o.UUID == [16]byte{} {
		rand.Read(w.o.UUID[:])
		w.o.UUID[6] = w.o.UUID[6]&0x0f | 0x40 // RFC 9562 version 4
		w.o.UUID[8] = w.o.UUID[8]&0x3f | 0x80
	}
	if err := w.number(); err != nil {
		return err
	}
	var err error
	if w.l, err = plan(o.Size, int(w.next)); err != nil {
		return err
	}
	w.next = firstInode // from here on: the lowest number not yet written
	w.alloc = newAllocator(&w.l)
	w.usedDirs = make([]uint32, w.l.groups)
	w.table = make([]byte, w.l.inodesPerGroup*inodeSize)
	if err := f.Truncate(o.Size); err != nil {
		return fmt.Errorf("cannot set the size of the disk image: %w; free space on the host", err)
	}
	// Inodes are written in rising order of their number: the reserved ones first.
	if err := w.writeDir(w.t.Root, rootInode, rootInode); err != nil {
		return err
	}
	if err := w.writeJournal(); err != nil {
		return err
	}
	if err := w.writeLostFound(); err != nil {
		return err
	}
	if err := w.writeTree(w.t.Root, rootInode); err != nil {
		return err
	}
	if err := w.flushTable(); err != nil {
		return err
	}
	return w.writeGroups()
}

// children gives a folder's entries; the tree's own lost+found gives way to ours.
func children(n *tree.Node, isRoot bool) []string {
	names := n.Names()
	if isRoot {
		for i, name := range names {
			if name == "lost+found" {
				return append(names[:i:i], names[i+1:]...)
			}
		}
	}
	return names
}

// number gives each node its inode number, in the order in which writeTree will come by.
func (w *writer) number() error {
	w.ino[w.t.Root] = rootInode
	return w.numberDir(w.t.Root)
}

func (w *writer) numberDir(dir *tree.Node) error {
	for _, name := range children(dir, dir == w.t.Root) {
		n := dir.Child(name)
		if _, ok := w.ino[n]; ok {
			continue
		}
		if w.next == ^uint32(0)>>1 {
			return ErrNoSpace
		}
		w.ino[n] = w.next
		w.next++
		if n.IsDir() {
			if err := w.numberDir(n); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *writer) writeTree(dir *tree.Node, dirIno uint32) error {
	for _, name := range children(dir, dir == w.t.Root) {
		n := dir.Child(name)
		ino := w.ino[n]
		if ino < w.next { // a further name of a file already written; see below
			continue
		}
		if err := w.ctx.Err(); err != nil {
			return err
		}
		w.next = ino + 1
		if err := w.writeNode(n, ino, dirIno); err != nil {
			return fmt.Errorf("cannot write %q: %w", name, err)
		}
		if n.IsDir() {
			if err := w.writeTree(n, ino); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *writer) writeNode(n *tree.Node, ino, parent uint32) error {
	switch n.Type() {
	case tree.TypeDir:
		return w.writeDir(n, ino, parent)
	case tree.TypeRegular:
		return w.writeFile(n, ino)
	case tree.TypeSymlink:
		return w.writeSymlink(n, ino)
	case tree.TypeChar, tree.TypeBlock:
		in := newInode(n)
		in.device(n.Major, n.Minor)
		return w.putInode(ino, in, n)
	case tree.TypeFIFO, tree.TypeSocket:
		return w.putInode(ino, newInode(n), n)
	}
	return fmt.Errorf("file type %#o is unknown", n.Type())
}

func (w *writer) writeAt(p []byte, block uint32) error {
	if tree.IsZero(p) {
		return nil
	}
	if _, err := w.f.WriteAt(p, int64(block)*blockSize); err != nil {
		return fmt.Errorf("cannot write the disk image: %w; free space on the host", err)
	}
	return nil
}

func blocksFor(size int64) int64 { return (size + blockSize - 1) / blockSize }

// allocFor gives the runs for size bytes.
func (w *writer) allocFor(size int64) ([]extent, error) {
	n := blocksFor(size)
	if n > int64(w.l.blocks) {
		return nil, ErrNoSpace
	}
	return w.alloc.alloc(uint32(n))
}

func (w *writer) writeFile(n *tree.Node, ino uint32) error {
	runs, err := w.allocFor(n.Data.Size)
	if err != nil {
		return err
	}
	if err := w.copyRuns(runs, w.t.Spool.Reader(n.Data)); err != nil {
		return err
	}
	in := newInode(n)
	in.size = n.Data.Size
	if err := w.mapRuns(in, runs); err != nil {
		return err
	}
	return w.putInode(ino, in, n)
}

// copyRuns fills the runs from r; a short last block stays zero behind the contents.
func (w *writer) copyRuns(runs []extent, r *io.SectionReader) error {
	var pos int64
	for _, run := range runs {
		at, left := int64(run.start)*blockSize, int64(run.count)*blockSize
		for left > 0 && pos < r.Size() {
			b := w.copyBuf[:min(int64(len(w.copyBuf)), left, r.Size()-pos)]
			if _, err := r.ReadAt(b, pos); err != nil {
				return fmt.Errorf("cannot read the temporary file: %w", err)
			}
			if !tree.IsZero(b) {
				if _, err := w.f.WriteAt(b, at); err != nil {
					return fmt.Errorf("cannot write the disk image: %w; free space on the host", err)
				}
			}
			n := int64(len(b))
			pos, at, left = pos+n, at+n, left-n
			if w.o.Progress != nil {
				w.o.Progress(n)
			}
			if err := w.ctx.Err(); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeBytes stores data in fresh blocks.
func (w *writer) writeBytes(in *inode, data []byte) error {
	runs, err := w.allocFor(int64(len(data)))
	if err != nil {
		return err
	}
	in.size = int64(len(data))
	for _, run := range runs {
		b := data[:min(len(data), int(run.count)*blockSize)]
		if err := w.writeAt(b, run.start); err != nil {
			return err
		}
		data = data[len(b):]
	}
	return w.mapRuns(in, runs)
}

func (w *writer) writeSymlink(n *tree.Node, ino uint32) error {
	in := newInode(n)
	in.size = int64(len(n.Target))
	if len(n.Target) < len(in.block) { // a fast link lives in i_block
		copy(in.block[:], n.Target)
	} else if err := w.writeBytes(in, []byte(n.Target)); err != nil {
		return err
	}
	return w.putInode(ino, in, n)
}

// writeJournal makes an empty internal journal: a superblock, then zeros, which are holes.
func (w *writer) writeJournal() error {
	runs, err := w.alloc.alloc(w.l.journalBlocks)
	if err != nil {
		return err
	}
	be := binary.BigEndian // jbd2 is big-endian whatever the host
	sb := make([]byte, 1024)
	be.PutUint32(sb[0:], 0xc03b3998)
	be.PutUint32(sb[4:], 4) // superblock, version 2
	be.PutUint32(sb[12:], blockSize)
	be.PutUint32(sb[16:], w.l.journalBlocks)
	be.PutUint32(sb[20:], 1) // first log block
	be.PutUint32(sb[24:], 1) // first commit expected; s_start stays 0: nothing to replay
	copy(sb[48:], w.o.UUID[:])
	be.PutUint32(sb[64:], 1) // users
	if err := w.writeAt(sb, runs[0].start); err != nil {
		return err
	}
	in := &inode{mode: tree.TypeRegular | 0o600, links: 1, size: int64(w.l.journalBlocks) * blockSize, time: w.o.Time}
	if err := w.mapRuns(in, runs); err != nil {
		return err
	}
	w.journal = append([]byte(nil), in.block[:]...)
	return w.putInode(journalInode, in, nil)
}

// writeLostFound makes the folder that e2fsck fills, with blocks ready since a full disk may be why it is needed.
func (w *writer) writeLostFound() error {
	const blocks = 4
	data := make([]byte, blocks*blockSize)
	d := dirBuilder{buf: data[:0]}
	d.add(lostInode, ".", typeDir)
	d.add(rootInode, "..", typeDir)
	d.finish()
	for i := 1; i < blocks; i++ { // an unused entry over the whole block
		le.PutUint16(data[i*blockSize+4:], blockSize)
	}
	copy(data, d.buf)
	in := &inode{mode: tree.TypeDir | 0o700, links: 2, time: w.o.Time}
	if err := w.writeBytes(in, data); err != nil {
		return err
	}
	w.usedDirs[0]++
	return w.putInode(lostInode, in, nil)
}
