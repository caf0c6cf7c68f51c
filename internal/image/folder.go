package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"doppel/internal/image/progress"
	"doppel/internal/image/tree"
)

// folder imports a folder of the host. All is opened below the folder (os.Root), so that a link or a folder exchanged
// meanwhile leads nowhere else.
func (i *importer) folder(ctx context.Context, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("cannot import: %w", err)
	}
	defer root.Close()
	task := i.o.Progress.Start("Reading the folder", 0, progress.Bytes)
	r := folderReader{t: i.t, root: root, links: map[[2]uint64]string{}}
	err = fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("cannot read the folder: %w; make it readable", err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := r.add(path)
		task.Advance(n)
		if err != nil {
			return fmt.Errorf("%s: %w", filepath.Join(dir, path), err)
		}
		return nil
	})
	task.Finish(err)
	if err != nil {
		return err
	}
	return i.finish(ctx)
}

type folderReader struct {
	t     *tree.Tree
	root  *os.Root
	links map[[2]uint64]string // device and inode of files with several names
}

// add takes one file over and gives the size of its contents.
func (r *folderReader) add(path string) (int64, error) {
	info, err := r.root.Lstat(path)
	if err != nil {
		return 0, err
	}
	st, ok := info.Sys().(*unixStat)
	if !ok {
		return 0, errors.New("the host tells nothing of its owner")
	}
	n := &tree.Node{Mode: st.Mode, UID: owner(st.Uid, os.Geteuid()), GID: owner(st.Gid, os.Getegid()), ModTime: info.ModTime()}
	key := [2]uint64{uint64(st.Dev), st.Ino}
	if first, ok := r.links[key]; ok && !info.IsDir() {
		return 0, r.t.Link(path, first)
	}
	if st.Nlink > 1 && !info.IsDir() {
		r.links[key] = path
	}
	switch n.Type() {
	case tree.TypeSymlink:
		if n.Target, err = r.root.Readlink(path); err != nil {
			return 0, err
		}
	case tree.TypeRegular:
		if err := r.contents(path, n); err != nil {
			return 0, err
		}
	case tree.TypeChar, tree.TypeBlock:
		n.Major, n.Minor = unix.Major(uint64(st.Rdev)), unix.Minor(uint64(st.Rdev))
	case tree.TypeSocket:
		return 0, nil // means nothing without the process behind it
	}
	return n.Data.Size, r.t.Put(path, n)
}

// owner makes files of the user who imports root's: without privileges nobody could have made them so.
func owner(id uint32, me int) uint32 {
	if me != 0 && id == uint32(me) {
		return 0
	}
	return id
}

func (r *folderReader) contents(path string, n *tree.Node) error {
	// Non-blocking: a fifo put in the file's place must not hold us up.
	f, err := r.root.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it changed while it was read")
	}
	if n.Data, err = r.t.Spool.AppendFrom(f, info.Size()); err != nil {
		return err
	}
	buf := make([]byte, 256)
	const capability = "security.capability"
	if size, err := unix.Fgetxattr(int(f.Fd()), capability, buf); err == nil {
		n.Xattrs = map[string][]byte{capability: buf[:size]}
	}
	return nil
}
