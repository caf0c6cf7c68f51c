package image

import (
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"doppel/internal/image/apt"
	"doppel/internal/image/deb"
	"doppel/internal/image/initramfs"
	"doppel/internal/image/kmod"
	"doppel/internal/image/tree"
)

// rootModules are what a guest needs before its root is mounted, and what its first script may ask for: a wanted module
// that the kernel has built in is passed over.
var rootModules = []string{"crc32c_generic", "virtio_mmio", "virtio_pci", "virtio_blk", "ext4", "virtio_net", "af_packet", "virtio_rng"}

// kernelPackage gives the package that holds the kernel which Debian's metapackage stands for.
func kernelPackage(x *apt.Index, arch string) (*apt.Package, error) {
	meta := "linux-image-" + arch
	m := x.Lookup(meta)
	if m == nil {
		return nil, fmt.Errorf("the archive has no package %s; choose another suite or architecture", meta)
	}
	groups, err := deb.ParseRelations(m.Depends)
	if err != nil {
		return nil, fmt.Errorf("package %s: %w", meta, err)
	}
	for _, g := range groups {
		if p := x.Lookup(g[0].Name); p != nil && strings.HasPrefix(p.Name, "linux-image-") {
			return p, nil
		}
	}
	return nil, fmt.Errorf("package %s names no kernel that the archive has; choose another mirror", meta)
}

// kernel is a kernel package taken apart.
type kernel struct {
	version string
	image   tree.Content
	modules []tree.Entry // below /usr/lib/modules, folders included
	spool   *tree.Spool
}

func newKernel(u *unpacked, sp *tree.Spool) (*kernel, error) {
	k := &kernel{spool: sp}
	for _, e := range u.entries {
		name := cleanName(e.Name)
		switch {
		case strings.HasPrefix(name, "boot/vmlinu") && e.Size() > 0:
			_, k.version, _ = strings.Cut(path.Base(name), "-")
			k.image = e.Node.Data
		case strings.HasPrefix(name, "usr/lib/modules/"), strings.HasPrefix(name, "lib/modules/"):
			k.modules = append(k.modules, e)
		}
	}
	if k.version == "" || k.image.Size == 0 {
		return nil, fmt.Errorf("package %s holds no kernel; choose another suite", u.name())
	}
	return k, nil
}

// load reads and parses one module by name.
func (k *kernel) load(name string) (*kmod.Module, []byte, error) {
	i := slices.IndexFunc(k.modules, func(e tree.Entry) bool {
		return kmod.IsModule(e.Name) && kmod.NameOf(e.Name) == name
	})
	if i < 0 {
		return nil, nil, kmod.ErrMissing
	}
	data, err := kmod.Read(k.spool.Reader(k.modules[i].Node.Data))
	if err != nil {
		return nil, nil, err
	}
	m, err := kmod.Parse(k.modules[i].Name, data)
	return m, data, err
}

// initrd makes the initrd that mounts the root.
func (k *kernel) initrd(busybox []byte) ([]byte, error) {
	bodies := map[string][]byte{}
	order, err := kmod.Order(rootModules, func(name string) (*kmod.Module, error) {
		m, data, err := k.load(name)
		bodies[name] = data
		return m, err
	})
	if err != nil {
		return nil, fmt.Errorf("kernel %s: %w", k.version, err)
	}
	var mods []initramfs.Module
	for _, m := range order {
		mods = append(mods, initramfs.Module{Name: m.Name, Data: bodies[m.Name]})
	}
	return initramfs.Build(busybox, mods), nil
}

// writeTo stores the kernel's image in a file.
func (k *kernel) writeTo(file string) error {
	f, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("cannot write the kernel: %w; free space", err)
	}
	_, err = io.Copy(f, k.spool.Reader(k.image))
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("cannot write the kernel: %w; free space", err)
	}
	return nil
}

// findFile gives the contents of a package's regular file.
func findFile(u *unpacked, sp *tree.Spool, names ...string) ([]byte, error) {
	for _, e := range u.entries {
		if slices.Contains(names, cleanName(e.Name)) && e.Size() > 0 {
			data := make([]byte, e.Size())
			_, err := io.ReadFull(sp.Reader(e.Node.Data), data)
			return data, err
		}
	}
	return nil, fmt.Errorf("package %s holds no %s; choose another suite", u.name(), names[0])
}
