package kmod

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
)

// The binary index that libkmod reads is a trie in big-endian: magic, version, offset of the root; a node is its prefix
// (if any), the range and offsets of its children (if any), its values (if any). Which parts a node has is said in the
// top bits of the offset that leads to it. Described in libkmod's libkmod-index.h.
const (
	indexMagic   = 0xb007f457
	indexVersion = 0x00020001

	nodePrefix = 0x80000000
	nodeValues = 0x40000000
	nodeChilds = 0x20000000

	// Keys hold ASCII only: a child is found by its character.
	childMax = 128
)

type indexEntry struct {
	key, value string
	priority   uint32
}

// buildIndex writes the entries as a trie. Keys with other than ASCII characters are left out, as nothing can ask for
// them.
func buildIndex(entries []indexEntry) []byte {
	entries = slices.DeleteFunc(slices.Clone(entries), func(e indexEntry) bool {
		return bytes.ContainsFunc([]byte(e.key), func(r rune) bool { return r <= 0 || r >= childMax })
	})
	slices.SortStableFunc(entries, func(a, b indexEntry) int {
		return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.priority, b.priority))
	})
	b := make([]byte, 12)
	be := binary.BigEndian
	be.PutUint32(b[0:], indexMagic)
	be.PutUint32(b[4:], indexVersion)
	root := writeNode(&b, entries, 0)
	be.PutUint32(b[8:], root)
	return b
}

// writeNode appends the node of entries that share their first depth characters, its children before it, and gives its
// offset with flags.
func writeNode(b *[]byte, entries []indexEntry, depth int) uint32 {
	prefix := ""
	if len(entries) > 0 {
		first, last := entries[0].key[depth:], entries[len(entries)-1].key[depth:] // sorted: these differ most
		n := 0
		for n < len(first) && n < len(last) && first[n] == last[n] {
			n++
		}
		prefix = first[:n]
		depth += n
	}
	values := 0
	for values < len(entries) && len(entries[values].key) == depth {
		values++
	}
	rest := entries[values:]
	var childs []uint32
	var low, high byte
	if len(rest) > 0 {
		low, high = rest[0].key[depth], rest[len(rest)-1].key[depth]
		childs = make([]uint32, int(high-low)+1)
		for len(rest) > 0 {
			c := rest[0].key[depth]
			n := 0
			for n < len(rest) && rest[n].key[depth] == c {
				n++
			}
			childs[c-low] = writeNode(b, rest[:n], depth+1)
			rest = rest[n:]
		}
	}
	at := uint32(len(*b))
	be := binary.BigEndian
	if prefix != "" {
		at |= nodePrefix
		*b = append(append(*b, prefix...), 0)
	}
	if len(childs) > 0 {
		at |= nodeChilds
		*b = append(*b, low, high)
		for _, c := range childs {
			*b = be.AppendUint32(*b, c)
		}
	}
	if values > 0 {
		at |= nodeValues
		*b = be.AppendUint32(*b, uint32(values))
		for _, e := range entries[:values] {
			*b = be.AppendUint32(*b, e.priority)
			*b = append(append(*b, e.value...), 0)
		}
	}
	return at
}
