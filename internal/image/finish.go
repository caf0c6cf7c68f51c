package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"

	"doppel/internal/image/deb"
	"doppel/internal/image/ext4"
	"doppel/internal/image/initramfs"
	"doppel/internal/image/store"
	"doppel/internal/image/tree"
)

// finish makes disk, kernel and initrd of a complete tree.
func (i *importer) finish(ctx context.Context) error {
	if len(i.t.Root.Names()) == 0 {
		return errors.New("it holds no files; import something with at least one program")
	}
	i.conf.DiskSize = i.o.Size
	if i.conf.DiskSize == 0 {
		// Room to work in: twice the contents and what file-system blocks add, in whole GiB.
		const gib = 1 << 30
		need := 2 * (i.t.Spool.Used() + int64(i.t.Nodes())*4096)
		i.conf.DiskSize = min(max(defaultSize, (need+gib-1)/gib*gib), ext4.MaxSize)
	}
	entry, err := i.entry()
	if err != nil {
		return err
	}
	if err := writeDisk(ctx, i.t, i.draft.Path(store.DiskFile), i.conf.DiskSize, i.o.Progress); err != nil {
		return err
	}
	if entry == nil {
		if own := findKernel(i.t); own != nil {
			return i.ownKernel(own)
		}
	}
	return i.defaultKernel(ctx, "/dev/vda", entry)
}

// entry gives the archive that starts a container's process; nil when the tree has an init of its own. A tree without
// either gets a shell.
func (i *importer) entry() ([]byte, error) {
	c := i.conf.Container
	if c == nil {
		for _, path := range []string{"sbin/init", "usr/sbin/init", "init"} {
			if n, err := i.t.Resolve(path); err == nil && n.Type() == tree.TypeRegular {
				return nil, nil
			}
		}
		if _, err := i.t.Resolve("bin/sh"); err != nil {
			return nil, errors.New("it has neither /sbin/init nor /bin/sh to start; import the root folder of a system")
		}
		c = &store.Container{}
	}
	e, err := entryOf(c, i.t, "doppel")
	if err != nil {
		return nil, err
	}
	return initramfs.EntryArchive(e), nil
}

// treeKernel is a kernel that an imported tree brings along.
type treeKernel struct {
	version       string
	image, initrd *tree.Node
}

var kernelFile = regexp.MustCompile(`^vmlinu[xz]-(.+)$`)

// findKernel gives the newest kernel in /boot for which there is an initrd too: without one it could not be told whether
// the kernel can mount the disk.
func findKernel(t *tree.Tree) *treeKernel {
	boot, err := t.Resolve("boot")
	if err != nil || !boot.IsDir() {
		return nil
	}
	var best *treeKernel
	for _, name := range boot.Names() {
		m := kernelFile.FindStringSubmatch(name)
		if m == nil || boot.Child(name).Type() != tree.TypeRegular {
			continue
		}
		for _, initrd := range []string{"initrd.img-" + m[1], "initramfs-" + m[1] + ".img", "initramfs-" + m[1]} {
			n := boot.Child(initrd)
			if n == nil || n.Type() != tree.TypeRegular || n.Data.Size == 0 {
				continue
			}
			if best == nil || deb.CompareVersions(best.version, m[1]) < 0 {
				best = &treeKernel{m[1], boot.Child(name), n}
			}
		}
	}
	return best
}

// ownKernel uses the tree's kernel and initrd.
func (i *importer) ownKernel(k *treeKernel) error {
	i.conf.Kernel = k.version
	i.conf.Append = kernelAppend
	for file, n := range map[string]*tree.Node{store.KernelFile: k.image, store.InitrdFile: k.initrd} {
		if err := copyOut(i.draft.Path(file), i.t.Spool.Reader(n.Data)); err != nil {
			return err
		}
	}
	return nil
}

func copyOut(path string, r io.Reader) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("cannot write the image: %w; free space", err)
	}
	_, err = io.Copy(f, r)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("cannot write the image: %w; free space", err)
	}
	return nil
}
