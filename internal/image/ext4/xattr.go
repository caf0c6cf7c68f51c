package ext4

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

const (
	xattrMagic     = 0xea020000
	xattrEntrySize = 16
)

// xattrPrefixes are the name spaces that the format stores as a number.
var xattrPrefixes = []struct {
	prefix string
	index  byte
}{{"user.", 1}, {"trusted.", 4}, {"security.", 6}, {"system.", 7}}

type xattr struct {
	index byte
	name  string
	value []byte
}

// sortXattrs splits the names and puts them in the order that an attribute block must have.
func sortXattrs(m map[string][]byte) ([]xattr, error) {
	var out []xattr
	for name, value := range m {
		x := xattr{value: value}
		for _, p := range xattrPrefixes {
			if rest, ok := strings.CutPrefix(name, p.prefix); ok {
				x.index, x.name = p.index, rest
			}
		}
		if x.index == 0 || x.name == "" || len(x.name) > 255 {
			return nil, fmt.Errorf("extended attribute %q has a name that ext4 does not keep", name)
		}
		out = append(out, x)
	}
	slices.SortFunc(out, func(a, b xattr) int {
		return cmp.Or(cmp.Compare(a.index, b.index), cmp.Compare(len(a.name), len(b.name)), strings.Compare(a.name, b.name))
	})
	return out, nil
}

func round4(n int) int { return (n + 3) &^ 3 }

// packXattrs lays entries out from the front of b at off and values from its end. Value offsets count from base.
// It gives false when they do not fit with the four zero bytes that end the entries.
func packXattrs(b []byte, off, base int, xs []xattr, hash bool) bool {
	end := len(b)
	for _, x := range xs {
		size := xattrEntrySize + round4(len(x.name))
		end -= round4(len(x.value))
		if off+size+4 > end {
			return false
		}
		e := b[off:]
		e[0], e[1] = byte(len(x.name)), x.index
		if len(x.value) > 0 {
			le.PutUint16(e[2:], uint16(end-base))
		}
		le.PutUint32(e[8:], uint32(len(x.value)))
		copy(e[xattrEntrySize:], x.name)
		copy(b[end:], x.value)
		if hash {
			le.PutUint32(e[12:], entryHash(x.name, b[end:end+round4(len(x.value))]))
		}
		off += size
	}
	return true
}

// entryHash is the hash that lets the kernel share attribute blocks, over the name and the padded value.
func entryHash(name string, padded []byte) uint32 {
	var h uint32
	for i := range len(name) {
		h = h<<5 ^ h>>27 ^ uint32(name[i])
	}
	for ; len(padded) >= 4; padded = padded[4:] {
		h = h<<16 ^ h>>16 ^ le.Uint32(padded)
	}
	return h
}

// writeXattrs keeps attributes behind the inode when they fit there, else in a block.
func (w *writer) writeXattrs(in *inode, m map[string][]byte) error {
	xs, err := sortXattrs(m)
	if err != nil {
		return err
	}
	b := make([]byte, inodeSize-inodeXattrAt)
	le.PutUint32(b, xattrMagic)
	if packXattrs(b, 4, 4, xs, false) {
		in.xattrs = b
		return nil
	}
	const header = 32
	b = make([]byte, blockSize)
	le.PutUint32(b[0:], xattrMagic)
	le.PutUint32(b[4:], 1) // references
	le.PutUint32(b[8:], 1) // blocks
	if !packXattrs(b, header, 0, xs, true) {
		return fmt.Errorf("the extended attributes exceed %d bytes", blockSize)
	}
	var h uint32
	off := header
	for _, x := range xs {
		h = h<<16 ^ h>>16 ^ le.Uint32(b[off+12:])
		off += xattrEntrySize + round4(len(x.name))
	}
	le.PutUint32(b[12:], h)
	at, err := w.alloc.alloc(1)
	if err != nil {
		return err
	}
	in.acl = at[0].start
	in.blocks++
	return w.writeAt(b, in.acl)
}
