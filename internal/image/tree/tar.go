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
	Header *tar.Header
	Data   Content
}

// maxXattrs bounds what one file may carry: ext4 keeps at most one block of them.
const maxXattrs = 4096

// ReadTar reads a tar stream to its end, spools the contents and hands each member to fn in order. It checks only what
// does not depend on a tree, so that several streams may be read at once and applied in order later.
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
		e := Entry{Header: h}
		if h.Typeflag == tar.TypeReg || h.Typeflag == tar.TypeGNUSparse {
			if e.Data, err = sp.AppendFrom(tr, h.Size); err != nil {
				return fmt.Errorf("cannot read %q: %w", h.Name, err)
			}
		}
		if err := fn(e); err != nil {
			return err
		}
	}
}

// ApplyOptions say how a member meets what the tree already holds.
type ApplyOptions struct {
	// KeepDirLinks: a folder member over a symbolic link to a folder leaves the link, as dpkg does. Without it the
	// folder takes the link's place, as the OCI layer rules want.
	KeepDirLinks bool
	// NoDevices drops block and character devices.
	NoDevices bool
}

// Apply puts one member into the tree.
func (t *Tree) Apply(e Entry, o ApplyOptions) error {
	if err := t.apply(e, o); err != nil {
		return fmt.Errorf("archive member %q: %w", e.Header.Name, err)
	}
	return nil
}

func (t *Tree) apply(e Entry, o ApplyOptions) error {
	h := e.Header
	n, err := nodeOf(h)
	if err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse:
		n.Mode |= TypeRegular
		n.Data = e.Data
	case tar.TypeDir:
		n.Mode |= TypeDir
		if o.KeepDirLinks {
			if old, err := t.Lookup(h.Name); err == nil && old.Type() == TypeSymlink {
				if to, err := t.Resolve(h.Name); err == nil && to.IsDir() {
					return nil
				}
			}
		}
	case tar.TypeSymlink:
		if len(h.Linkname) == 0 || len(h.Linkname) > MaxPath || strings.IndexByte(h.Linkname, 0) >= 0 {
			return ErrName
		}
		n.Mode = n.Mode&^0o7777 | TypeSymlink | 0o777
		n.Target = h.Linkname
	case tar.TypeLink:
		return t.Link(h.Name, h.Linkname)
	case tar.TypeChar, tar.TypeBlock:
		if o.NoDevices {
			return nil
		}
		n.Mode |= TypeChar
		if h.Typeflag == tar.TypeBlock {
			n.Mode = n.Mode&^TypeMask | TypeBlock
		}
		// Linux device numbers: 12 bits of major, 20 of minor.
		if h.Devmajor < 0 || h.Devmajor >= 1<<12 || h.Devminor < 0 || h.Devminor >= 1<<20 {
			return fmt.Errorf("device number %d:%d is out of range", h.Devmajor, h.Devminor)
		}
		n.Major, n.Minor = uint32(h.Devmajor), uint32(h.Devminor)
	case tar.TypeFifo:
		n.Mode |= TypeFIFO
	default:
		return fmt.Errorf("member type %q is not one that a file system holds", h.Typeflag)
	}
	return t.Put(h.Name, n)
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
