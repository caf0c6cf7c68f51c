// Package fdt builds flattened device trees (Devicetree Specification 0.4,
// chapter 5). It is plain data in and bytes out.
package fdt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
)

// Node is a device-tree node. Name includes the unit address.
type Node struct {
	Name     string
	Props    []Prop
	Children []*Node
}

// Prop is a property with its encoded value.
type Prop struct {
	Name  string
	Value []byte
}

// Add appends a child and returns it; a nil child is left out.
func (n *Node) Add(child *Node) *Node {
	if child != nil {
		n.Children = append(n.Children, child)
	}
	return child
}

// Child adds a new empty child.
func (n *Node) Child(format string, args ...any) *Node {
	return n.Add(&Node{Name: fmt.Sprintf(format, args...)})
}

func (n *Node) set(name string, v []byte) *Node {
	n.Props = append(n.Props, Prop{name, v})
	return n
}

// Flag sets an empty property.
func (n *Node) Flag(name string) *Node { return n.set(name, nil) }

// U32 sets a property of 32-bit cells.
func (n *Node) U32(name string, v ...uint32) *Node {
	var b []byte
	for _, x := range v {
		b = binary.BigEndian.AppendUint32(b, x)
	}
	return n.set(name, b)
}

// U64 sets a property of 64-bit values (two cells each), such as reg with two
// address and two size cells.
func (n *Node) U64(name string, v ...uint64) *Node {
	var b []byte
	for _, x := range v {
		b = binary.BigEndian.AppendUint64(b, x)
	}
	return n.set(name, b)
}

// Str sets a property that is a list of strings.
func (n *Node) Str(name string, v ...string) *Node {
	return n.set(name, []byte(strings.Join(v, "\x00")+"\x00"))
}

// Bytes sets a property of raw bytes.
func (n *Node) Bytes(name string, v []byte) *Node { return n.set(name, v) }

const (
	magic       = 0xd00dfeed
	version     = 17
	compVersion = 16
	headerSize  = 40

	tokenBeginNode = 1
	tokenEndNode   = 2
	tokenProp      = 3
	tokenEnd       = 9
)

// Encode writes the tree whose root is n.
func Encode(n *Node) []byte {
	w := writer{offsets: map[string]uint32{}}
	w.node(n)
	w.u32(tokenEnd)
	reserve := make([]byte, 16) // one empty entry ends the reservation block
	structOff := headerSize + len(reserve)
	stringsOff := structOff + w.tree.Len()
	total := stringsOff + w.strings.Len()

	var out []byte
	for _, v := range []int{magic, total, structOff, stringsOff, headerSize, version, compVersion, 0, w.strings.Len(), w.tree.Len()} {
		out = binary.BigEndian.AppendUint32(out, uint32(v))
	}
	out = append(out, reserve...)
	out = append(out, w.tree.Bytes()...)
	return append(out, w.strings.Bytes()...)
}

type writer struct {
	tree, strings bytes.Buffer
	offsets       map[string]uint32
}

func (w *writer) u32(v uint32) { w.tree.Write(binary.BigEndian.AppendUint32(nil, v)) }

func (w *writer) padded(p []byte) {
	w.tree.Write(p)
	for w.tree.Len()%4 != 0 {
		w.tree.WriteByte(0)
	}
}

func (w *writer) node(n *Node) {
	w.u32(tokenBeginNode)
	w.padded(append([]byte(n.Name), 0))
	for _, p := range n.Props {
		w.u32(tokenProp)
		w.u32(uint32(len(p.Value)))
		w.u32(w.name(p.Name))
		w.padded(p.Value)
	}
	for _, c := range n.Children {
		w.node(c)
	}
	w.u32(tokenEndNode)
}

func (w *writer) name(s string) uint32 {
	if off, ok := w.offsets[s]; ok {
		return off
	}
	off := uint32(w.strings.Len())
	w.strings.WriteString(s + "\x00")
	w.offsets[s] = off
	return off
}
