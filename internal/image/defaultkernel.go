package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"doppel/internal/image/apt"
	"doppel/internal/image/lock"
	"doppel/internal/image/progress"
	"doppel/internal/image/tree"
)

// KernelOptions say where the default kernel comes from. The zero value of each means its default, as in BuildOptions.
type KernelOptions struct {
	Suite, Arch, Mirror string
	Keyrings            []string
	CacheDir            string
	Progress            progress.Progress
}

// Kernel is a kernel with the initrd that mounts a virtio disk as root.
type Kernel struct {
	Version string
	Image   string // path
	Initrd  string // path
}

// maxPackageData bounds what the kernel's and busybox's packages may unpack to.
const maxPackageData = 4 << 30

// DefaultKernel gives Debian's kernel from the cache, where the first call puts it.
func DefaultKernel(ctx context.Context, o KernelOptions) (*Kernel, error) {
	b := BuildOptions{Suite: o.Suite, Arch: o.Arch, CacheDir: o.CacheDir, Progress: o.Progress}
	if err := b.setCommon(); err != nil {
		return nil, err
	}
	o.Suite, o.Arch, o.CacheDir, o.Progress = b.Suite, b.Arch, b.CacheDir, b.Progress
	parent := filepath.Join(o.CacheDir, "kernel")
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return nil, fmt.Errorf("cannot make the cache folder: %w; set XDG_CACHE_HOME to a folder you may write", err)
	}
	dir := filepath.Join(parent, o.Suite+"-"+o.Arch)
	l, err := lock.Wait(ctx, dir+".lock")
	if err != nil {
		return nil, err
	}
	defer l.Unlock()
	if k := openKernel(dir); k != nil {
		return k, nil
	}
	tmp, err := os.MkdirTemp(parent, ".new-*")
	if err != nil {
		return nil, fmt.Errorf("cannot make a folder in the cache: %w; free space or set XDG_CACHE_HOME", err)
	}
	defer os.RemoveAll(tmp)
	if err := fetchKernel(ctx, o, tmp); err != nil {
		return nil, fmt.Errorf("getting the default kernel: %w", err)
	}
	os.RemoveAll(dir) // what openKernel did not take for complete
	if err := os.Rename(tmp, dir); err != nil {
		return nil, fmt.Errorf("cannot put the kernel in its place: %w", err)
	}
	if k := openKernel(dir); k != nil {
		return k, nil
	}
	return nil, fmt.Errorf("the kernel in %s is not complete; remove that folder and try again", dir)
}

// initrdFormat is part of the name of the version file: a cached initrd of another build of Doppel is made again.
const initrdFormat = "version-4"

func openKernel(dir string) *Kernel {
	version, err := os.ReadFile(filepath.Join(dir, initrdFormat))
	if err != nil {
		return nil
	}
	return &Kernel{strings.TrimSpace(string(version)), filepath.Join(dir, "kernel"), filepath.Join(dir, "initrd")}
}

func fetchKernel(ctx context.Context, o KernelOptions, dir string) error {
	a, err := openArchive(ctx, o.CacheDir, &o.Mirror, o.Suite, o.Arch, o.Keyrings, o.Progress)
	if err != nil {
		return err
	}
	list, err := bootPackages(a.Index, o.Arch)
	if err != nil {
		return err
	}
	paths, err := download(ctx, a, list, o.Progress)
	if err != nil {
		return err
	}
	sp, err := tree.NewSpool(dir, maxPackageData)
	if err != nil {
		return err
	}
	defer sp.Close()
	opened, err := unpack(ctx, paths, sp, o.Progress)
	if err != nil {
		return err
	}
	k, err := newKernel(opened[0], sp)
	if err != nil {
		return err
	}
	if err := writeBoot(k, opened[1], sp, filepath.Join(dir, "kernel"), filepath.Join(dir, "initrd")); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, initrdFormat), []byte(k.version+"\n"), 0o644)
}

// bootPackages gives the kernel's package and busybox's.
func bootPackages(x *apt.Index, arch string) ([]*apt.Package, error) {
	k, err := kernelPackage(x, arch)
	if err != nil {
		return nil, err
	}
	busybox := x.Lookup("busybox-static")
	if busybox == nil {
		return nil, errors.New("the archive has no package busybox-static; choose another suite")
	}
	return []*apt.Package{k, busybox}, nil
}

// writeBoot writes the kernel and its initrd.
func writeBoot(k *kernel, busyboxPackage *unpacked, sp *tree.Spool, kernelPath, initrdPath string) error {
	busybox, err := findFile(busyboxPackage, sp, "usr/bin/busybox", "bin/busybox")
	if err != nil {
		return err
	}
	if err := k.writeTo(kernelPath); err != nil {
		return err
	}
	initrd, err := k.initrd(busybox)
	if err != nil {
		return err
	}
	if err := os.WriteFile(initrdPath, initrd, 0o644); err != nil {
		return fmt.Errorf("cannot write the initrd: %w; free space", err)
	}
	return nil
}
