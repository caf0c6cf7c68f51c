package apt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"

	"doppel/internal/image/compress"
	"doppel/internal/image/fetch"
)

// Archive is one suite of one mirror for one architecture, verified.
type Archive struct {
	Mirror, Suite, Arch string
	Release             *Release
	Index               *Index
	cache               *fetch.Cache
}

const (
	maxInRelease = 8 << 20
	maxIndexSize = 512 << 20
)

// Open fetches and verifies a suite's InRelease and the index of its component main.
func Open(ctx context.Context, c *fetch.Cache, mirror, suite, arch string, keys openpgp.EntityList, progress func(int64)) (*Archive, error) {
	a := &Archive{Mirror: mirror, Suite: suite, Arch: arch, cache: c}
	if !validWord(suite) || !validWord(arch) {
		return nil, fmt.Errorf("suite %q and architecture %q must be plain words, such as trixie and riscv64", suite, arch)
	}
	base := mirror + "/dists/" + suite + "/"
	data, err := c.Small(ctx, base+"InRelease", maxInRelease)
	if err != nil {
		var status *fetch.StatusError
		if errors.As(err, &status) && status.Code == 404 {
			return nil, fmt.Errorf("the mirror %s has no suite %q; check the name or the mirror", mirror, suite)
		}
		return nil, err
	}
	if a.Release, err = VerifyRelease(data, keys, suite, time.Now()); err != nil {
		return nil, fmt.Errorf("%sInRelease: %w", base, err)
	}
	if !slices.Contains(a.Release.Architectures, arch) {
		return nil, fmt.Errorf("suite %s has no architecture %q, only %s", suite, arch, strings.Join(a.Release.Architectures, " "))
	}
	path, err := a.fetchIndex(ctx, base, progress)
	if err != nil {
		return nil, err
	}
	if a.Index, err = readIndex(path); err != nil {
		return nil, fmt.Errorf("the package index of %s %s: %w", mirror, suite, err)
	}
	return a, nil
}

func validWord(s string) bool {
	return s != "" && s[0] != '.' && strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789-.") == ""
}

// fetchIndex gets the best compressed form of the index that the release lists.
func (a *Archive) fetchIndex(ctx context.Context, base string, progress func(int64)) (string, error) {
	for _, suffix := range []string{".xz", ".gz", ""} {
		name := "main/binary-" + a.Arch + "/Packages" + suffix
		f, ok := a.Release.Files[name]
		if !ok {
			continue
		}
		if f.Size > maxIndexSize {
			return "", fmt.Errorf("the package index of %s is larger than %d MiB; choose another mirror", base, maxIndexSize>>20)
		}
		url := base + name
		if a.Release.ByHash {
			// By its hash the file stays to be had while the mirror changes to a new release.
			dir := name[:strings.LastIndexByte(name, '/')+1]
			byHash := base + dir + "by-hash/SHA256/" + f.SHA256
			path, err := a.cache.Get(ctx, fetch.File{URL: byHash, Size: f.Size, SHA256: f.SHA256}, progress)
			var status *fetch.StatusError
			if !errors.As(err, &status) {
				return path, err
			}
		}
		return a.cache.Get(ctx, fetch.File{URL: url, Size: f.Size, SHA256: f.SHA256}, progress)
	}
	return "", fmt.Errorf("the release of %s lists no package index for main and %s; choose another mirror", base, a.Arch)
}

func readIndex(path string) (*Index, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, done, err := compress.Reader(f)
	if err != nil {
		return nil, err
	}
	defer done()
	return ParseIndex(io.LimitReader(r, maxIndexSize))
}

// Fetch gives the path of a package's verified file in the cache.
func (a *Archive) Fetch(ctx context.Context, p *Package, progress func(int64)) (string, error) {
	if p.Filename == "" || strings.Contains(p.Filename, "..") || strings.HasPrefix(p.Filename, "/") {
		return "", fmt.Errorf("package %s has no usable file name in the index; choose another mirror", p.Name)
	}
	return a.cache.Get(ctx, fetch.File{URL: a.Mirror + "/" + p.Filename, Size: p.Size, SHA256: p.SHA256}, progress)
}
