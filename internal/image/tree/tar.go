package tree

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
)

// Entry is one member of a tar stream, its contents already in the spool.
type Entry struct {
	Name string
	Hard string // target of a hard link; Node is then nil
	Node *Node
}

// Size gives the size of a regular file with contents, and 0 for all else.
func (e Entry) Size() int64 {
	if e.Node == nil {
		return 0
	}
	return e.Node.Data.Size
}

// maxXattrs bounds what one file may carry: ext4 keeps at most one block of them.
const maxXattrs = 4096

// ReadTar reads a tar stream to its end, spools the contents and hands each member to fn in order. It checks what does not
// depend on a tree, so that several streams may be read at once and applied in order later.
func ReadTar(ctx context.Context, r io.Reader, sp *Spool, fn func(Entry) error) error {
	tr := tar.NewReader(r)
	for count := 0; ; count++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if count >= MaxNodes {
			return ErrTooMany
		}
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the tar stream is damaged: %w", err)
		}
		e, err := readEntry(h, tr, sp)
		if err != nil {
			return fmt.Errorf("archive member %.200q: %w", h.Name, err)
		}
		if err := fn(e); err != nil {
			return err
		}
	}
}

// readEntry turns a member into a node. The header itself is dropped: it may be large.
func readEntry(h *tar.Header, r io.Reader, sp *Spool) (Entry, error) {
	if len(h.Name) > MaxPath {
		return Entry{}, ErrTooDeep
	}
	e := Entry{Name: h.Name}
	n, err := nodeOf(h)
	if err != nil {
		return e, err
	}
	e.Node = n
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse:
		n.Mode |= TypeRegular
		if n.Data, err = sp.AppendFrom(r, h.Size); errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("the archive ends in the middle of it; get the archive again")
		}
		return e, err
	case tar.TypeDir:
		n.Mode |= TypeDir
	case tar.TypeSymlink:
		if len(h.Linkname) == 0 || len(h.Linkname) > MaxPath || strings.IndexByte(h.Linkname, 0) >= 0 {
			return e, ErrName
		}
		n.Mode = TypeSymlink | 0o777
		n.Target = h.Linkname
	case tar.TypeLink:
		if len(h.Linkname) == 0 || len(h.Linkname) > MaxPath {
			return e, ErrName
		}
		e.Hard, e.Node = h.Linkname, nil
	case tar.TypeChar, tar.TypeBlock:
		n.Mode |= TypeChar
		if h.Typeflag == tar.TypeBlock {
			n.Mode = n.Mode&^TypeMask | TypeBlock
		}
		// Linux device numbers: 12 bits of major, 20 of minor.
		if h.Devmajor < 0 || h.Devmajor >= 1<<12 || h.Devminor < 0 || h.Devminor >= 1<<20 {
			return e, fmt.Errorf("device number %d:%d is out of range", h.Devmajor, h.Devminor)
		}
		n.Major, n.Minor = uint32(h.Devmajor), uint32(h.Devminor)
	case tar.TypeFifo:
		n.Mode |= TypeFIFO
	default:
		return e, fmt.Errorf("member type %q is not one that a file system holds", h.Typeflag)
	}
	return e, nil
}

// ApplyOptions say how a member meets what the tree already holds.
type ApplyOptions struct {
	// KeepDirLinks: a folder member over a symbolic link to a folder leaves the link, as dpkg does. Without it the
	// folder takes the link's place, as the OCI layer rules want.
	KeepDirLinks bool
}

// Apply puts one member into the tree.
func (t *Tree) Apply(e Entry, o ApplyOptions) error {
	if err := t.apply(e, o); err != nil {
		return fmt.Errorf("archive member %.200q: %w", e.Name, err)
	}
	return nil
}

func (t *Tree) apply(e Entry, o ApplyOptions) error {
	if e.Node == nil {
		return t.Link(e.Name, e.Hard)
	}
	if e.Node.IsDir() && o.KeepDirLinks {
		if old, err := t.Lookup(e.Name); err == nil && old.Type() == TypeSymlink {
			if to, err := t.Resolve(e.Name); err == nil && to.IsDir() {
				return nil
			}
		}
	}
	return t.Put(e.Name, e.Node)
}

// nodeOf takes what all types of member share.
func nodeOf(h *tar.Header) (*Node, error) {
	if h.Uid < 0 || h.Uid > math.MaxUint32-1 || h.Gid < 0 || h.Gid > math.MaxUint32-1 {
		return nil, fmt.Errorf("owner %d:%d is out of range", h.Uid, h.Gid)
	}
	n := &Node{Mode: uint32(h.Mode) & 0o7777, UID: uint32(h.Uid), GID: uint32(h.Gid), ModTime: h.ModTime}
	total := 0
	for key, val := range h.PAXRecords {
		name, ok := strings.CutPrefix(key, "SCHILY.xattr.")
		if !ok || !keepXattr(name) {
			continue
		}
		if total += len(name) + len(val) + 32; total > maxXattrs {
			return nil, fmt.Errorf("more than %d bytes of extended attributes", maxXattrs)
		}
		if n.Xattrs == nil {
			n.Xattrs = map[string][]byte{}
		}
		n.Xattrs[name] = []byte(val)
	}
	return n, nil
}

// keepXattr drops the name spaces that mean something only on the system that made the archive.
func keepXattr(name string) bool {
	if len(name) > MaxName {
		return false
	}
	return name == "security.capability" || strings.HasPrefix(name, "user.") && name != "user."
}
