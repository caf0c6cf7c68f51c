package ext4

import "doppel/internal/image/tree"

// File types in directory entries (the filetype feature).
const (
	typeRegular = 1
	typeDir     = 2
	typeChar    = 3
	typeBlock   = 4
	typeFIFO    = 5
	typeSocket  = 6
	typeSymlink = 7
)

func direntType(n *tree.Node) byte {
	switch n.Type() {
	case tree.TypeDir:
		return typeDir
	case tree.TypeChar:
		return typeChar
	case tree.TypeBlock:
		return typeBlock
	case tree.TypeFIFO:
		return typeFIFO
	case tree.TypeSocket:
		return typeSocket
	case tree.TypeSymlink:
		return typeSymlink
	}
	return typeRegular
}

// dirBuilder lays directory entries out in blocks. An entry does not cross a block; the last of a block reaches its end.
type dirBuilder struct {
	buf  []byte
	last int // offset of the last entry of the current block
}

func (d *dirBuilder) add(ino uint32, name string, typ byte) {
	need := (8 + len(name) + 3) &^ 3
	if used := len(d.buf) % blockSize; used+need > blockSize {
		d.finish()
	}
	d.last = len(d.buf)
	e := make([]byte, need)
	le.PutUint32(e[0:], ino)
	le.PutUint16(e[4:], uint16(need))
	e[6], e[7] = byte(len(name)), typ
	copy(e[8:], name)
	d.buf = append(d.buf, e...)
}

// finish stretches the last entry to the end of its block.
func (d *dirBuilder) finish() {
	used := len(d.buf) % blockSize
	if used == 0 {
		return
	}
	pad := blockSize - used
	d.buf = append(d.buf, make([]byte, pad)...)
	le.PutUint16(d.buf[d.last+4:], uint16(len(d.buf)-d.last))
}

// maxSubdirs is the link count beyond which a folder's is kept at 1 (the dir_nlink feature).
const maxSubdirs = 64998

func (w *writer) writeDir(n *tree.Node, ino, parent uint32) error {
	var d dirBuilder
	d.add(ino, ".", typeDir)
	d.add(parent, "..", typeDir)
	subdirs := 0
	if ino == rootInode {
		d.add(lostInode, "lost+found", typeDir)
		subdirs++
	}
	for _, name := range children(n, ino == rootInode) {
		c := n.Child(name)
		d.add(w.ino[c], name, direntType(c))
		if c.IsDir() {
			subdirs++
		}
	}
	d.finish()
	in := newInode(n)
	in.links = uint16(2 + subdirs)
	if subdirs > maxSubdirs {
		in.links = 1
	}
	if err := w.writeBytes(in, d.buf); err != nil {
		return err
	}
	w.usedDirs[(ino-1)/w.l.inodesPerGroup]++
	return w.putInode(ino, in, n)
}
