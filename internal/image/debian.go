package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"doppel/internal/image/apt"
	"doppel/internal/image/deb"
	"doppel/internal/image/ext4"
	"doppel/internal/image/fetch"
	"doppel/internal/image/progress"
	"doppel/internal/image/store"
	"doppel/internal/image/tree"
)

// BuildOptions say what Debian image to build. The zero value of each means its default.
type BuildOptions struct {
	Name     string   // of the image; default "debian:SUITE", with "-ARCH" added unless riscv64
	Suite    string   // default "trixie"
	Arch     string   // default "riscv64"
	Packages []string // beyond the minimal system
	Size     int64    // of the disk in bytes; default 4 GiB
	Mirror   string   // default: the host's apt configuration
	Keyrings []string // default: those of the host
	Store    *store.Store
	CacheDir string // default: CacheDir()
	Progress progress.Progress
	// Configure boots a machine on the staging disk, passes its console to Staging.Console, and returns when the machine
	// has powered off. Nil leaves the packages unpacked.
	Configure func(ctx context.Context, s *Staging) error
}

const (
	defaultSuite = "trixie"
	defaultArch  = "riscv64"
	defaultSize  = 4 << 30
	kernelAppend = "root=/dev/vda rw console=ttyS0"
	hostRoot     = "/"
)

// basePackages make a system that boots to a login on the console with a network, beyond what Debian marks essential.
var basePackages = []string{"apt", "systemd-sysv", "udev", "dbus", "iproute2", "iputils-ping", "kmod", "login", "passwd", "mount"}

// ErrNoEngine says that a build wants its packages configured for an architecture that no engine runs.
var ErrNoEngine = errors.New("no engine for this architecture yet")

// setCommon sets what every source of packages needs.
func (o *BuildOptions) setCommon() error {
	if o.Suite == "" {
		o.Suite = defaultSuite
	}
	if o.Arch == "" {
		o.Arch = defaultArch
	}
	if o.Progress == nil {
		o.Progress = progress.None{}
	}
	var err error
	if o.CacheDir == "" {
		o.CacheDir, err = CacheDir()
	}
	return err
}

func (o *BuildOptions) setDefaults() error {
	if err := o.setCommon(); err != nil {
		return err
	}
	if o.Name == "" {
		o.Name = "debian:" + o.Suite
		if o.Arch != defaultArch {
			o.Name += "-" + o.Arch
		}
	}
	if o.Size == 0 {
		o.Size = defaultSize
	}
	if o.Store == nil {
		return errors.New("no store is given for the image")
	}
	return nil
}

// BuildDebian makes an image from Debian's packages. Downloads stay in the cache, so that a build which was interrupted
// goes on from there; the image appears in the store complete or not at all.
func BuildDebian(ctx context.Context, o BuildOptions) (*store.Image, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	if o.Configure != nil && o.Arch != "riscv64" {
		return nil, fmt.Errorf("%w: %s packages can be unpacked but not configured; leave --arch out", ErrNoEngine, o.Arch)
	}
	if o.Size < ext4.MinSize || o.Size > ext4.MaxSize {
		return nil, fmt.Errorf("--size %d is outside %d MiB to %d GiB", o.Size, ext4.MinSize>>20, int64(ext4.MaxSize)>>30)
	}
	draft, err := o.Store.Create(ctx, o.Name)
	if err != nil {
		return nil, err
	}
	defer draft.Discard()
	b := &builder{o: o, draft: draft}
	if b.spool, err = tree.NewSpool(draft.Dir, max(4*o.Size, 8<<30)); err != nil {
		return nil, err
	}
	defer b.spool.Close()
	if err := b.build(ctx); err != nil {
		return nil, fmt.Errorf("building %s: %w", o.Name, err)
	}
	return draft.Commit(b.config)
}

type builder struct {
	o       BuildOptions
	draft   *store.Draft
	spool   *tree.Spool
	archive *apt.Archive
	config  store.Config
}

func (b *builder) build(ctx context.Context) error {
	var err error
	if b.archive, err = openArchive(ctx, b.o.CacheDir, &b.o.Mirror, b.o.Suite, b.o.Arch, b.o.Keyrings, b.o.Progress); err != nil {
		return err
	}
	packages, err := b.archive.Index.Resolve(append(slices.Clone(basePackages), b.o.Packages...), true)
	if err != nil {
		return err
	}
	boot, err := bootPackages(b.archive.Index, b.o.Arch)
	if err != nil {
		return err
	}
	all := slices.Concat(packages, boot)
	paths, err := download(ctx, b.archive, all, b.o.Progress)
	if err != nil {
		return err
	}
	opened, err := unpack(ctx, paths, b.spool, b.o.Progress)
	if err != nil {
		return err
	}
	n := len(packages)
	k, err := newKernel(opened[n], b.spool)
	if err != nil {
		return err
	}
	index, err := k.index(ctx, b.o.CacheDir, boot[0].SHA256, b.o.Progress)
	if err != nil {
		return err
	}
	t, err := b.assemble(opened[:n], k, index)
	if err != nil {
		return err
	}
	if err := writeDisk(ctx, t, b.draft.Path(store.DiskFile), b.o.Size, b.o.Progress); err != nil {
		return err
	}
	if err := writeBoot(k, opened[n+1], b.spool, b.draft.Path(store.KernelFile), b.draft.Path(store.InitrdFile)); err != nil {
		return err
	}
	b.config = store.Config{Arch: b.o.Arch, Source: b.o.Mirror + " " + b.o.Suite, Created: time.Now().UTC().Truncate(time.Second),
		DiskSize: b.o.Size, Append: kernelAppend, Packages: n, PackagesHash: hashPackages(packages), Kernel: k.version}
	return b.configure(ctx, n)
}

func (b *builder) configure(ctx context.Context, packages int) error {
	if b.o.Configure == nil {
		return nil
	}
	task := b.o.Progress.Start("Configuring packages", int64(packages), progress.Items)
	s := &Staging{Dir: b.draft.Dir, Disk: b.draft.Path(store.DiskFile), Kernel: b.draft.Path(store.KernelFile),
		Initrd: b.draft.Path(store.InitrdFile), Append: kernelAppend + " init=" + configurePath, Arch: b.o.Arch,
		Console: &ConfigureConsole{task: task}}
	err := b.o.Configure(ctx, s)
	if err == nil {
		err = s.Console.Err()
	}
	task.Finish(err)
	b.config.Configured = err == nil
	return err
}

// openArchive finds the mirror and the keys and opens the archive; mirror is set when it was empty.
func openArchive(ctx context.Context, cacheDir string, mirror *string, suite, arch string, keyrings []string, p progress.Progress) (*apt.Archive, error) {
	var signedBy []string
	var err error
	if *mirror == "" {
		src, err := apt.HostMirror(hostRoot)
		if err != nil {
			return nil, err
		}
		*mirror = src.URI
		signedBy = src.SignedBy
	}
	if *mirror, err = apt.CheckMirror(*mirror); err != nil {
		return nil, err
	}
	// Keyrings that the user names take the place of the host's, and each must be one.
	for _, k := range keyrings {
		if _, err := apt.LoadKeyrings([]string{k}); err != nil {
			return nil, err
		}
	}
	if len(keyrings) == 0 {
		keyrings = append(slices.Clone(signedBy), apt.HostKeyrings(hostRoot)...)
	}
	keys, err := apt.LoadKeyrings(keyrings)
	if err != nil {
		return nil, err
	}
	cache, err := fetch.Open(cacheDir, fetch.NewClient(apt.HostProxy()))
	if err != nil {
		return nil, err
	}
	task := p.Start("Reading the package index", 0, progress.Bytes)
	a, err := apt.Open(ctx, cache, *mirror, suite, arch, keys, task.Advance)
	task.Finish(err)
	return a, err
}

// hashPackages identifies a set of packages.
func hashPackages(list []*apt.Package) string {
	h := sha256.New()
	for _, p := range list {
		fmt.Fprintf(h, "%s %s %s\n", p.Name, p.Version, p.SHA256)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// parallel runs fn for 0 to n-1 on some goroutines and gives the first error, which stops the rest.
func parallel(ctx context.Context, n, workers int, fn func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := range next {
				if err := fn(ctx, i); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
feed:
	for i := range n {
		select {
		case next <- i:
		case <-ctx.Done():
			break feed
		}
	}
	close(next)
	wg.Wait()
	return context.Cause(ctx)
}

const downloads = 4

// download gives the paths of all packages in the cache.
func download(ctx context.Context, a *apt.Archive, list []*apt.Package, p progress.Progress) ([]string, error) {
	var total int64
	for _, pkg := range list {
		total += pkg.Size
	}
	task := p.Start("Downloading packages", total, progress.Bytes)
	paths := make([]string, len(list))
	err := parallel(ctx, len(list), downloads, func(ctx context.Context, i int) error {
		path, err := a.Fetch(ctx, list[i], task.Advance)
		paths[i] = path
		return err
	})
	task.Finish(err)
	return paths, err
}

// unpack reads packages into the spool. Decompression is most of the work, so several are read at once.
func unpack(ctx context.Context, paths []string, sp *tree.Spool, p progress.Progress) ([]*unpacked, error) {
	task := p.Start("Unpacking packages", int64(len(paths)), progress.Items)
	out := make([]*unpacked, len(paths))
	err := parallel(ctx, len(paths), min(runtime.NumCPU(), 4), func(ctx context.Context, i int) error {
		u, err := unpackOne(ctx, paths[i], sp)
		if err != nil {
			return fmt.Errorf("package file %s: %w; remove it and try again", paths[i], err)
		}
		out[i] = u
		task.Advance(1)
		return nil
	})
	task.Finish(err)
	return out, err
}

func unpackOne(ctx context.Context, path string, sp *tree.Spool) (*unpacked, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p, err := deb.Open(f)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	u := &unpacked{control: p.Control, scripts: p.Scripts}
	err = tree.ReadTar(ctx, p.Data(), sp, func(e tree.Entry) error {
		u.entries = append(u.entries, e)
		return nil
	})
	return u, err
}

// assemble merges the packages into one tree.
func (b *builder) assemble(packages []*unpacked, k *kernel, index map[string][]byte) (*tree.Tree, error) {
	t := tree.New(b.spool)
	// The links of the merged /usr come first, so that no package makes a folder in their place.
	for _, name := range []string{"bin", "sbin", "lib"} {
		if err := t.Mkdir("usr/"+name, 0o755); err != nil {
			return nil, err
		}
		if err := t.Symlink(name, "usr/"+name); err != nil {
			return nil, err
		}
	}
	o := tree.ApplyOptions{KeepDirLinks: true}
	// base-files makes the folders that others' files go to, with their right modes.
	ordered := slices.Clone(packages)
	slices.SortStableFunc(ordered, func(x, y *unpacked) int { return rankFirst(x) - rankFirst(y) })
	db := newDatabase(t)
	for _, u := range ordered {
		for _, e := range u.entries {
			if err := t.Apply(e, o); err != nil {
				return nil, fmt.Errorf("package %s: %w", u.name(), err)
			}
		}
	}
	for _, u := range packages {
		if err := db.add(u); err != nil {
			return nil, err
		}
	}
	if err := db.finish(); err != nil {
		return nil, err
	}
	// The kernel's modules belong to no package of the guest: the kernel comes from outside of the disk.
	for _, e := range k.modules {
		if err := t.Apply(e, o); err != nil {
			return nil, fmt.Errorf("kernel %s: %w", k.version, err)
		}
	}
	for name, data := range index {
		if err := t.WriteFile("usr/lib/modules/"+k.version+"/"+name, 0o644, data); err != nil {
			return nil, err
		}
	}
	if err := guestFiles(t, b.o.Mirror, b.o.Suite); err != nil {
		return nil, err
	}
	return t, addConfigure(t, b.o.Arch, packages)
}

func rankFirst(u *unpacked) int {
	if u.name() == "base-files" {
		return 0
	}
	return 1
}

// writeDisk makes the disk of a tree.
func writeDisk(ctx context.Context, t *tree.Tree, path string, size int64, p progress.Progress) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o644)
	if err != nil {
		return fmt.Errorf("cannot make the disk: %w; free space", err)
	}
	var total int64
	if err := t.Walk(func(_ string, n *tree.Node) error { total += n.Data.Size; return nil }); err != nil {
		return err
	}
	task := p.Start("Writing the disk", total, progress.Bytes)
	err = ext4.Write(ctx, f, t, ext4.Options{Size: size, Label: "doppel", Progress: task.Advance})
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	task.Finish(err)
	return err
}
