// Package tree holds a Unix file tree in memory: names, modes, owners, links, devices and extended attributes, with the
// contents of regular files in one spool file. Package archives, tar files, container layers and host folders are merged
// here, and a file-system writer turns the result into a disk.
//
// Nothing in a tree exists on the host: a path is only ever a walk from the tree's own root, symbolic links are followed
// inside the tree with a bound on their number, and ".." never leaves it. That is what makes hostile archives harmless.
//
// It does not know archive formats other than tar, nor any file system.
//
// A Tree belongs to one goroutine. A Spool may be filled by many. There is no lock that a caller can see.
package tree

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Unix file types and permission bits, as in inode(7).
const (
	TypeMask    = 0o170000
	TypeSocket  = 0o140000
	TypeSymlink = 0o120000
	TypeRegular = 0o100000
	TypeBlock   = 0o060000
	TypeDir     = 0o040000
	TypeChar    = 0o020000
	TypeFIFO    = 0o010000
)

// Bounds that Linux itself has on a path, and bounds on what a hostile archive may make us hold.
const (
	MaxName     = 255
	MaxPath     = 4095
	MaxDepth    = 1024
	maxSymlinks = 40
	// MaxNodes bounds memory: some hundred bytes a node and as much as MaxPath for its name.
	MaxNodes = 1 << 20
)

// Reasons for which a path is refused.
var (
	ErrNotExist   = errors.New("no such file")
	ErrNotDir     = errors.New("a component of the path is not a folder")
	ErrLoop       = errors.New("too many levels of symbolic links")
	ErrName       = errors.New("the name is empty, too long or holds a zero byte")
	ErrTooDeep    = errors.New("the path is too deep")
	ErrTooMany    = errors.New("too many files")
	ErrEscape     = errors.New("the path leaves the archive")
	ErrIsDir      = errors.New("the target is a folder")
	ErrTooManyRef = errors.New("too many hard links to one file")
)

// maxLinks is ext4's bound on hard links to one file (EXT4_LINK_MAX).
const maxLinks = 65000

// Node is one inode: a file, folder, link or device, under one or several names.
type Node struct {
	Mode     uint32 // type and permissions, as st_mode
	UID, GID uint32
	ModTime  time.Time
	Xattrs   map[string][]byte // full names, "security.capability"

	Target       string  // of a symbolic link
	Major, Minor uint32  // of a device
	Data         Content // of a regular file

	links    int
	children map[string]*Node // of a folder
}

// Type gives the file type bits of the mode.
func (n *Node) Type() uint32 { return n.Mode & TypeMask }

// IsDir tells whether the node is a folder.
func (n *Node) IsDir() bool { return n.Type() == TypeDir }

// Links gives the number of names of a node that is not a folder.
func (n *Node) Links() int { return n.links }

// Child gives the entry of a folder with this name, or nil.
func (n *Node) Child(name string) *Node { return n.children[name] }

// Names gives the entries of a folder, sorted.
func (n *Node) Names() []string { return slices.Sorted(maps.Keys(n.children)) }

// Tree is a file tree with its spool.
type Tree struct {
	Root  *Node
	Spool *Spool
	nodes int
}

// New gives an empty tree whose file contents go to the spool.
func New(sp *Spool) *Tree {
	return &Tree{Root: &Node{Mode: TypeDir | 0o755, links: 1, children: map[string]*Node{}}, Spool: sp, nodes: 1}
}

// Nodes gives the number of inodes made so far; those removed since are counted too.
func (t *Tree) Nodes() int { return t.nodes }

// Split cleans a path into its components. Leading slashes and "." are dropped; ".." is refused, since no well-formed
// archive holds one and its meaning after a symbolic link differs between tools.
func Split(path string) ([]string, error) {
	if len(path) > MaxPath {
		return nil, ErrTooDeep
	}
	var parts []string
	for p := range strings.SplitSeq(path, "/") {
		switch {
		case p == "" || p == ".":
			continue
		case p == "..":
			return nil, ErrEscape
		case len(p) > MaxName || strings.IndexByte(p, 0) >= 0:
			return nil, ErrName
		}
		parts = append(parts, p)
	}
	if len(parts) > MaxDepth {
		return nil, ErrTooDeep
	}
	return parts, nil
}

// walker resolves paths with symbolic links inside the tree.
type walker struct {
	t      *Tree
	links  int
	create bool  // make missing folders
	like   *Node // folders made take owner and time from here
}

// walk follows parts from the chain of folders `at` (the root first) and gives the new chain.
func (w *walker) walk(at []*Node, parts []string) ([]*Node, error) {
	for _, name := range parts {
		if name == ".." {
			if len(at) > 1 {
				at = at[:len(at)-1]
			}
			continue
		}
		var err error
		if at, err = w.step(at, name); err != nil {
			return nil, err
		}
	}
	return at, nil
}

func (w *walker) step(at []*Node, name string) ([]*Node, error) {
	dir := at[len(at)-1]
	next := dir.children[name]
	if next == nil {
		if !w.create {
			return nil, ErrNotExist
		}
		var err error
		if next, err = w.t.newNode(&Node{Mode: TypeDir | 0o755}); err != nil {
			return nil, err
		}
		if w.like != nil {
			next.ModTime = w.like.ModTime
		}
		next.links = 1
		dir.children[name] = next
	}
	switch next.Type() {
	case TypeDir:
		if len(at) > MaxDepth {
			return nil, ErrTooDeep
		}
		return append(at[:len(at):len(at)], next), nil
	case TypeSymlink:
		if w.links++; w.links > maxSymlinks {
			return nil, ErrLoop
		}
		if strings.HasPrefix(next.Target, "/") {
			at = at[:1]
		}
		return w.walk(at, linkParts(next.Target))
	}
	return nil, ErrNotDir
}

// linkParts splits a link's target; here ".." is legal and stops at the root.
func linkParts(target string) []string {
	var parts []string
	for p := range strings.SplitSeq(target, "/") {
		if p != "" && p != "." {
			parts = append(parts, p)
		}
	}
	return parts
}

func (t *Tree) newNode(n *Node) (*Node, error) {
	if t.nodes >= MaxNodes {
		return nil, ErrTooMany
	}
	t.nodes++
	if n.IsDir() && n.children == nil {
		n.children = map[string]*Node{}
	}
	return n, nil
}

// parent resolves the folder that holds the last component of path. The root has no parent: name is then "".
func (t *Tree) parent(path string, create bool, like *Node) (dir *Node, name string, err error) {
	parts, err := Split(path)
	if err != nil {
		return nil, "", err
	}
	if len(parts) == 0 {
		return t.Root, "", nil
	}
	w := walker{t: t, create: create, like: like}
	at, err := w.walk([]*Node{t.Root}, parts[:len(parts)-1])
	if err != nil {
		return nil, "", err
	}
	return at[len(at)-1], parts[len(parts)-1], nil
}

// Lookup gives the node at path. Links in the middle are followed; a link at the end is given itself.
func (t *Tree) Lookup(path string) (*Node, error) {
	dir, name, err := t.parent(path, false, nil)
	if err != nil {
		return nil, err
	}
	if name == "" {
		return dir, nil
	}
	if n := dir.children[name]; n != nil {
		return n, nil
	}
	return nil, ErrNotExist
}

// Resolve gives the node at path with a link at the end followed too.
func (t *Tree) Resolve(path string) (*Node, error) {
	parts, err := Split(path)
	if err != nil {
		return nil, err
	}
	w := walker{t: t}
	at := []*Node{t.Root}
	for len(parts) > 0 {
		last := len(parts) - 1
		if at, err = w.walk(at, parts[:last]); err != nil {
			return nil, err
		}
		if parts[last] == ".." {
			at, err = w.walk(at, parts[last:])
			return at[len(at)-1], err
		}
		n := at[len(at)-1].children[parts[last]]
		if n == nil {
			return nil, ErrNotExist
		}
		if n.Type() != TypeSymlink {
			return n, nil
		}
		if w.links++; w.links > maxSymlinks {
			return nil, ErrLoop
		}
		if strings.HasPrefix(n.Target, "/") {
			at = at[:1]
		}
		parts = linkParts(n.Target)
	}
	return at[len(at)-1], nil
}

// Put places a node at path, replacing what is there except that a folder over a folder keeps the entries and takes the
// new attributes. Missing parents are made.
func (t *Tree) Put(path string, n *Node) error {
	dir, name, err := t.parent(path, true, n)
	if err != nil {
		return err
	}
	if name == "" {
		if !n.IsDir() {
			return ErrName
		}
		setAttrs(t.Root, n)
		return nil
	}
	old := dir.children[name]
	if old != nil && old.IsDir() && n.IsDir() {
		setAttrs(old, n)
		return nil
	}
	if n, err = t.newNode(n); err != nil {
		return err
	}
	t.unlink(dir, name)
	n.links = 1
	dir.children[name] = n
	return nil
}

func setAttrs(dst, src *Node) {
	dst.Mode, dst.UID, dst.GID, dst.ModTime, dst.Xattrs = src.Mode, src.UID, src.GID, src.ModTime, src.Xattrs
}

// Link gives the file at target a second name.
func (t *Tree) Link(path, target string) error {
	n, err := t.Lookup(target)
	if err != nil {
		return err
	}
	if n.IsDir() {
		return ErrIsDir
	}
	dir, name, err := t.parent(path, true, n)
	if err != nil {
		return err
	}
	if name == "" {
		return ErrName
	}
	if dir.children[name] == n {
		return nil
	}
	if n.links >= maxLinks {
		return ErrTooManyRef
	}
	t.unlink(dir, name)
	n.links++
	dir.children[name] = n
	return nil
}

func (t *Tree) unlink(dir *Node, name string) {
	old := dir.children[name]
	if old == nil {
		return
	}
	delete(dir.children, name)
	t.drop(old)
}

// drop takes one name away from a node and, with a folder's last, from all below. Depth is bounded by MaxDepth.
func (t *Tree) drop(n *Node) {
	n.links--
	for _, c := range n.children {
		t.drop(c)
	}
}

// Remove takes a name, and all below it, away. What is not there is not an error.
func (t *Tree) Remove(path string) error {
	dir, name, err := t.parent(path, false, nil)
	if errors.Is(err, ErrNotExist) || errors.Is(err, ErrNotDir) {
		return nil
	}
	if err != nil {
		return err
	}
	if name == "" {
		return ErrName
	}
	t.unlink(dir, name)
	return nil
}

// Clear removes every entry of a folder.
func (t *Tree) Clear(path string) error {
	n, err := t.Lookup(path)
	if err != nil || !n.IsDir() {
		return nil
	}
	for name := range n.children {
		t.unlink(n, name)
	}
	return nil
}

// WriteFile puts a small regular file of root's.
func (t *Tree) WriteFile(path string, mode uint32, data []byte) error {
	c, err := t.Spool.Append(data)
	if err != nil {
		return err
	}
	return t.Put(path, &Node{Mode: TypeRegular | mode&0o7777, ModTime: epoch, Data: c})
}

// Symlink puts a symbolic link of root's.
func (t *Tree) Symlink(path, target string) error {
	if len(target) == 0 || len(target) > MaxPath {
		return ErrName
	}
	return t.Put(path, &Node{Mode: TypeSymlink | 0o777, ModTime: epoch, Target: target})
}

// Mkdir puts a folder of root's.
func (t *Tree) Mkdir(path string, mode uint32) error {
	return t.Put(path, &Node{Mode: TypeDir | mode&0o7777, ModTime: epoch})
}

// epoch is the time of files that we make: an image depends on its input only.
var epoch = time.Unix(1_000_000_000, 0).UTC()

// ReadFile gives the contents of a regular file of at most limit bytes, links followed.
func (t *Tree) ReadFile(path string, limit int64) ([]byte, error) {
	n, err := t.Resolve(path)
	if err != nil {
		return nil, err
	}
	if n.Type() != TypeRegular {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	if n.Data.Size > limit {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, limit)
	}
	buf := make([]byte, n.Data.Size)
	if _, err := t.Spool.Reader(n.Data).ReadAt(buf, 0); err != nil && n.Data.Size > 0 {
		return nil, err
	}
	return buf, nil
}

// Walk visits every name in sorted order, folders before what they hold. Paths begin without a slash; the root is "".
func (t *Tree) Walk(fn func(path string, n *Node) error) error { return walk("", t.Root, fn) }

func walk(path string, n *Node, fn func(string, *Node) error) error {
	if err := fn(path, n); err != nil {
		return err
	}
	if path != "" {
		path += "/"
	}
	for _, name := range n.Names() {
		if err := walk(path+name, n.children[name], fn); err != nil {
			return err
		}
	}
	return nil
}
