package image

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"doppel/internal/image/apt"
	"doppel/internal/image/compress"
	"doppel/internal/image/ext4"
	"doppel/internal/image/fetch"
	"doppel/internal/image/oci"
	"doppel/internal/image/progress"
	"doppel/internal/image/store"
	"doppel/internal/image/tree"
)

// ImportOptions say how to make an image of what is there already. The zero value of each means its default.
type ImportOptions struct {
	Name     string // of the image; default: from the file's name or the reference
	Arch     string // default "riscv64"
	Size     int64  // of the disk in bytes; default 4 GiB, or twice the contents
	Suite    string // of Debian that the default kernel comes from; default "trixie"
	Mirror   string
	Keyrings []string
	Store    *store.Store
	CacheDir string
	Progress progress.Progress
	// Transport reaches registries; nil is HTTP with the proxy of the environment.
	Transport http.RoundTripper
}

// maxImport bounds the contents of an import whose size is not given.
const maxImport = 256 << 30

type importer struct {
	o     ImportOptions
	draft *store.Draft
	t     *tree.Tree
	conf  store.Config
}

// ErrUnknownFormat says that a file is none of what can be imported.
var ErrUnknownFormat = errors.New("not a raw disk, a folder, a tar file or an OCI layout")

// Import makes an image of a raw disk, a folder, a tar file (plain or compressed) or an OCI layout (folder or tar file).
// What the file is, is told by its contents, once: the disk of an image is always raw afterwards.
func Import(ctx context.Context, path string, o ImportOptions) (*store.Image, error) {
	if o.Name == "" {
		o.Name = nameOf(path)
	}
	return makeImage(ctx, o, func(i *importer) error {
		abs, err := filepath.Abs(path)
		if err != nil {
			return err
		}
		i.conf.Source = abs
		st, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("cannot import: %w; give a file or folder that is there", err)
		}
		switch {
		case st.IsDir() && oci.IsLayout(path):
			img, err := oci.FromLayout(path, i.o.Arch)
			if err != nil {
				return err
			}
			return i.container(ctx, img)
		case st.IsDir():
			return i.folder(ctx, path)
		case st.Mode().IsRegular():
			return i.file(ctx, path)
		}
		return fmt.Errorf("%s is %w", path, ErrUnknownFormat)
	})
}

// Pull makes an image of one in a container registry.
func Pull(ctx context.Context, ref string, o ImportOptions) (*store.Image, error) {
	if o.Name == "" {
		o.Name = ref
	}
	return makeImage(ctx, o, func(i *importer) error {
		transport := i.o.Transport
		if transport == nil {
			transport = fetch.NewClient(nil).Transport
		}
		img, source, err := oci.Pull(ctx, ref, i.o.Arch, transport)
		if err != nil {
			return err
		}
		i.conf.Source = source
		return i.container(ctx, img)
	})
}

var notName = regexp.MustCompile(`[^A-Za-z0-9._+@:-]+`)

// nameOf makes an image's name of a path: its last part without what says the format.
func nameOf(path string) string {
	base := filepath.Base(path)
	if base == "." || base == "/" {
		if abs, err := filepath.Abs(path); err == nil {
			base = filepath.Base(abs)
		}
	}
	for _, suffix := range []string{".gz", ".xz", ".zst", ".bz2", ".tgz", ".txz", ".tar", ".raw", ".img"} {
		base = strings.TrimSuffix(base, suffix)
	}
	return strings.TrimLeft(notName.ReplaceAllString(base, "-"), ".-")
}

func makeImage(ctx context.Context, o ImportOptions, fill func(*importer) error) (*store.Image, error) {
	b := BuildOptions{Suite: o.Suite, Arch: o.Arch, CacheDir: o.CacheDir, Progress: o.Progress}
	if err := b.setCommon(); err != nil {
		return nil, err
	}
	o.Suite, o.Arch, o.CacheDir, o.Progress = b.Suite, b.Arch, b.CacheDir, b.Progress
	if o.Store == nil {
		return nil, errors.New("no store is given for the image")
	}
	if o.Size != 0 && (o.Size < ext4.MinSize || o.Size > ext4.MaxSize) {
		return nil, fmt.Errorf("--size %d is outside %d MiB to %d GiB", o.Size, ext4.MinSize>>20, int64(ext4.MaxSize)>>30)
	}
	draft, err := o.Store.Create(ctx, o.Name)
	if err != nil {
		return nil, err
	}
	defer draft.Discard()
	limit := int64(maxImport)
	if o.Size != 0 {
		limit = 4 * o.Size // files of lower layers that upper ones replace need not fit on the disk
	}
	sp, err := tree.NewSpool(draft.Dir, limit)
	if err != nil {
		return nil, err
	}
	defer sp.Close()
	i := &importer{o: o, draft: draft, t: tree.New(sp)}
	i.conf = store.Config{Arch: o.Arch, Created: time.Now().UTC().Truncate(time.Second), Configured: true}
	if err := fill(i); err != nil {
		return nil, fmt.Errorf("making image %s: %w", o.Name, err)
	}
	return draft.Commit(i.conf)
}

// container merges an OCI image's layers and makes its process the init.
func (i *importer) container(ctx context.Context, img v1.Image) error {
	c, err := oci.Config(img, i.o.Arch)
	if err != nil {
		return err
	}
	digest, err := img.Digest()
	if err != nil {
		return fmt.Errorf("the image's manifest cannot be read: %w", err)
	}
	if i.conf.Container, err = containerOf(c.Config, digest.String()); err != nil {
		return err
	}
	cache, err := fetch.Open(i.o.CacheDir, fetch.NewClient(apt.HostProxy()))
	if err != nil {
		return err
	}
	if err := oci.Unpack(ctx, img, i.t, cache, i.o.Progress); err != nil {
		return err
	}
	return i.finish(ctx)
}

// Magic numbers of disk formats that are not raw, with the program that makes them raw.
var foreignDisks = []struct {
	offset      int
	magic, name string
}{
	{0, "QFI\xfb", "qcow2"}, {0, "KDMV", "VMDK"}, {0, "# Disk Descr", "VMDK"}, {0, "vhdxfile", "VHDX"}, {0, "conectix", "VHD"},
	{0x40, "\x7f\x10\xda\xbe", "VDI"}, {0, "QED\x00", "QED"},
}

const probeSize = 40 << 10 // an ISO 9660 volume descriptor lies at 32 KiB

// file tells what a regular file is and imports it.
func (i *importer) file(ctx context.Context, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("cannot import: %w", err)
	}
	defer f.Close()
	br := bufio.NewReaderSize(f, probeSize)
	head, err := br.Peek(probeSize)
	if err != nil && err != io.EOF {
		return fmt.Errorf("cannot read %s: %w", path, err)
	}
	for _, d := range foreignDisks {
		if len(head) >= d.offset+len(d.magic) && string(head[d.offset:d.offset+len(d.magic)]) == d.magic {
			return fmt.Errorf("%s is a %s disk; make it raw first: qemu-img convert -O raw %s disk.raw", path, d.name, path)
		}
	}
	if len(head) >= 0x8006 && string(head[0x8001:0x8006]) == "CD001" {
		return fmt.Errorf("%s is a CD image; attach it to a machine with --disk instead of importing it", path)
	}
	r, done, err := compress.Reader(br)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer done()
	inner := bufio.NewReaderSize(r, probeSize)
	head, err = inner.Peek(probeSize)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%s is truncated: its compressed data ends early; get it again", path)
	}
	if err != nil && err != io.EOF {
		return fmt.Errorf("%s is damaged: %w; get it again", path, err)
	}
	switch {
	case isTar(head):
		err = i.tar(ctx, inner)
	case isDisk(head):
		err = i.disk(ctx, inner)
	default:
		err = ErrUnknownFormat
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// isTar knows the magic of POSIX and GNU tar.
func isTar(head []byte) bool { return len(head) >= 512 && string(head[257:262]) == "ustar" }

// isDisk knows a partition table, or an ext file system without one.
func isDisk(head []byte) bool {
	return len(head) >= 2048 && (head[510] == 0x55 && head[511] == 0xaa || isExt(head))
}

func isExt(head []byte) bool { return head[0x438] == 0x53 && head[0x439] == 0xef }

// tar imports a file tree or container images.
func (i *importer) tar(ctx context.Context, r io.Reader) error {
	var entries []tree.Entry
	task := i.o.Progress.Start("Reading the archive", 0, progress.Bytes)
	err := tree.ReadTar(ctx, r, i.t.Spool, func(e tree.Entry) error {
		entries = append(entries, e)
		task.Advance(e.Size())
		return nil
	})
	task.Finish(err)
	if err != nil {
		return err
	}
	if oci.IsArchive(entries) {
		scratch := i.draft.Path(".layout")
		defer os.RemoveAll(scratch)
		img, err := oci.FromArchive(entries, i.t.Spool, scratch, i.o.Arch)
		if err != nil {
			return err
		}
		return i.container(ctx, img)
	}
	for _, e := range entries {
		if err := i.t.Apply(e, tree.ApplyOptions{KeepDirLinks: true}); err != nil {
			return err
		}
	}
	return i.finish(ctx)
}

// disk copies a raw disk; zeros become holes.
func (i *importer) disk(ctx context.Context, r io.Reader) (err error) {
	f, err := os.OpenFile(i.draft.Path(store.DiskFile), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o644)
	if err != nil {
		return fmt.Errorf("cannot make the disk: %w; free space", err)
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}()
	task := i.o.Progress.Start("Copying the disk", 0, progress.Bytes)
	defer func() { task.Finish(err) }()
	limit := int64(ext4.MaxSize)
	if i.o.Size != 0 {
		limit = i.o.Size
	}
	var size int64
	buf := make([]byte, 1<<20)
	for {
		n, rerr := io.ReadFull(r, buf)
		if size+int64(n) > limit {
			return fmt.Errorf("the disk is larger than %d MiB; give a larger --size", limit>>20)
		}
		if !tree.IsZero(buf[:n]) {
			if _, err := f.WriteAt(buf[:n], size); err != nil {
				return fmt.Errorf("cannot write the disk: %w; free space", err)
			}
		}
		size += int64(n)
		task.Advance(int64(n))
		if rerr == io.EOF || rerr == io.ErrUnexpectedEOF {
			break
		}
		if rerr != nil {
			return fmt.Errorf("the file is damaged: %w", rerr)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	const sector = 512
	size = max((size+sector-1)/sector*sector, i.o.Size)
	if err := f.Truncate(size); err != nil {
		return fmt.Errorf("cannot write the disk: %w; free space", err)
	}
	i.conf.DiskSize = size
	root, err := rootDevice(f, size)
	if err != nil {
		return err
	}
	return i.defaultKernel(ctx, root, nil)
}

// defaultKernel gives the image Debian's kernel and an initrd with more behind it.
func (i *importer) defaultKernel(ctx context.Context, root string, more []byte) error {
	k, err := DefaultKernel(ctx, KernelOptions{Suite: i.o.Suite, Arch: i.o.Arch, Mirror: i.o.Mirror, Keyrings: i.o.Keyrings,
		CacheDir: i.o.CacheDir, Progress: i.o.Progress})
	if err != nil {
		return err
	}
	i.conf.Kernel = k.Version
	i.conf.Append = "root=" + root + " rw console=ttyS0"
	if err := copyFile(i.draft.Path(store.KernelFile), k.Image, nil); err != nil {
		return err
	}
	return copyFile(i.draft.Path(store.InitrdFile), k.Initrd, more)
}

// copyFile copies a file and puts more behind it.
func copyFile(dst, src string, more []byte) error {
	in, err := os.Open(src)
	if err != nil {
		return fmt.Errorf("cannot read the cache: %w", err)
	}
	defer in.Close()
	out, err := os.OpenFile(dst, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("cannot write the image: %w; free space", err)
	}
	_, err = io.Copy(out, io.MultiReader(in, bytes.NewReader(more)))
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("cannot write the image: %w; free space", err)
	}
	return nil
}
