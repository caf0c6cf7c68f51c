package guest

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"doppel/internal/image"
	"doppel/internal/image/apt"
	"doppel/internal/image/deb"
	"doppel/internal/image/fetch"
	"doppel/internal/image/kmod"
)

// maxFile bounds one file of a package; the kernel has about 30 MiB.
const maxFile = 256 << 20

// modules are what tests may load; what each needs comes with it.
var modules = []string{"virtio_mmio", "virtio_blk", "ext4", "virtio_net", "af_packet", "virtio_rng", "virtio_balloon"}

// fetchAll fills dir with the files and their list.
func fetchAll(ctx context.Context, dir string) error {
	archive, err := OpenArchive(ctx, "riscv64")
	if err != nil {
		return err
	}
	kernel, err := kernelName(archive.Index)
	if err != nil {
		return err
	}
	x := &extractor{dir: dir}
	f := &Files{}
	sbi, uboot := "usr/lib/riscv64-linux-gnu/opensbi/generic/", "usr/lib/u-boot/"
	for _, p := range []struct {
		name  string
		files map[string]*string
	}{
		{"busybox-static", map[string]*string{"usr/bin/busybox": &f.Busybox}},
		{"opensbi", map[string]*string{sbi + "fw_dynamic.bin": &f.DynamicBin, sbi + "fw_dynamic.elf": &f.DynamicELF,
			sbi + "fw_jump.bin": &f.JumpBin, sbi + "fw_jump.elf": &f.JumpELF}},
		{"u-boot-qemu", map[string]*string{uboot + "qemu-riscv64/u-boot.bin": &f.UBootM, uboot + "qemu-riscv64/uboot.elf": &f.UBootMELF,
			uboot + "qemu-riscv64_smode/u-boot.bin": &f.UBootS, uboot + "qemu-riscv64_smode/uboot.elf": &f.UBootSELF}},
		{kernel, nil},
	} {
		entries, err := Unpack(ctx, archive, p.name)
		if err != nil {
			return err
		}
		if p.name == kernel {
			err = x.kernel(entries, f)
		} else {
			err = x.files(p.name, entries, p.files)
		}
		if err != nil {
			return err
		}
	}
	data, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, listFile), append(data, '\n'), 0o644)
}

// OpenArchive opens the suite on the host's own mirror, for one architecture.
func OpenArchive(ctx context.Context, arch string) (*apt.Archive, error) {
	src, err := apt.HostMirror("/")
	if err != nil {
		return nil, err
	}
	keys, err := apt.LoadKeyrings(append(slices.Clone(src.SignedBy), apt.HostKeyrings("/")...))
	if err != nil {
		return nil, err
	}
	mirror, err := apt.CheckMirror(src.URI)
	if err != nil {
		return nil, err
	}
	dir, err := image.CacheDir()
	if err != nil {
		return nil, err
	}
	cache, err := fetch.Open(dir, fetch.NewClient(apt.HostProxy()))
	if err != nil {
		return nil, err
	}
	return apt.Open(ctx, cache, mirror, Suite, arch, keys, func(int64) {})
}

// kernelName finds the package that the kernel's metapackage stands for.
func kernelName(x *apt.Index) (string, error) {
	meta := x.Lookup("linux-image-riscv64")
	if meta == nil {
		return "", fmt.Errorf("suite %s has no package linux-image-riscv64", Suite)
	}
	groups, err := deb.ParseRelations(meta.Depends)
	if err != nil {
		return "", err
	}
	for _, g := range groups {
		if strings.HasPrefix(g[0].Name, "linux-image-") {
			return g[0].Name, nil
		}
	}
	return "", fmt.Errorf("package linux-image-riscv64 depends on no kernel: %s", meta.Depends)
}

// Unpack gives the regular files of a package by their names, without a leading
// slash.
func Unpack(ctx context.Context, archive *apt.Archive, name string) (map[string][]byte, error) {
	entries, err := unpack(ctx, archive, name)
	if err != nil {
		return nil, fmt.Errorf("package %s: %w", name, err)
	}
	return entries, nil
}

func unpack(ctx context.Context, archive *apt.Archive, name string) (map[string][]byte, error) {
	p := archive.Index.Lookup(name)
	if p == nil {
		return nil, fmt.Errorf("suite %s has no such package", archive.Suite)
	}
	file, err := archive.Fetch(ctx, p, func(int64) {})
	if err != nil {
		return nil, err
	}
	r, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	d, err := deb.Open(r)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	entries := map[string][]byte{}
	for t := tar.NewReader(d.Data()); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return entries, nil
		}
		if err != nil {
			return nil, err
		}
		if h.Typeflag != tar.TypeReg || h.Size > maxFile {
			continue
		}
		data, err := io.ReadAll(t)
		if err != nil {
			return nil, err
		}
		entries[strings.TrimPrefix(path.Clean("/"+h.Name), "/")] = data
	}
}

// extractor writes files of packages to a folder.
type extractor struct{ dir string }

// files writes some files of a package and notes where each is.
func (x *extractor) files(pkg string, entries map[string][]byte, want map[string]*string) error {
	for name, to := range want {
		data, ok := entries[name]
		if !ok {
			return fmt.Errorf("package %s has no file %s", pkg, name)
		}
		*to = pkg + "-" + strings.ReplaceAll(strings.TrimPrefix(name, "usr/lib/"), "/", "-")
		if err := os.WriteFile(filepath.Join(x.dir, *to), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// kernel writes the kernel and its modules in the order of loading.
func (x *extractor) kernel(entries map[string][]byte, f *Files) error {
	byName := map[string]string{}
	for name := range entries {
		if version, ok := strings.CutPrefix(name, "boot/vmlinux-"); ok {
			f.Version = version
			if err := x.files("linux", entries, map[string]*string{name: &f.Kernel}); err != nil {
				return err
			}
		}
		if kmod.IsModule(name) {
			byName[kmod.NameOf(name)] = name
		}
	}
	if f.Kernel == "" {
		return fmt.Errorf("the kernel's package holds no boot/vmlinux-VERSION")
	}
	bodies := map[string][]byte{}
	order, err := kmod.Order(modules, func(name string) (*kmod.Module, error) {
		file, ok := byName[name]
		if !ok {
			return nil, kmod.ErrMissing
		}
		data, err := kmod.Read(bytes.NewReader(entries[file]))
		if err != nil {
			return nil, err
		}
		bodies[name] = data
		return kmod.Parse(file, data)
	})
	if err != nil {
		return err
	}
	for _, m := range order {
		name := m.Name + ".ko"
		if err := os.WriteFile(filepath.Join(x.dir, name), bodies[m.Name], 0o644); err != nil {
			return err
		}
		f.Modules = append(f.Modules, name)
	}
	return nil
}
