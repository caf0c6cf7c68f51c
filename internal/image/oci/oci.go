// Package oci reads container images: from a registry, from an OCI layout in a folder or tar file, from what `docker save`
// writes. It checks every hash, merges the layers into a file tree and reads the process's configuration.
//
// It runs nothing and writes nothing but downloaded layers into the cache.
//
// The functions may be called from any goroutine. There are no locks.
package oci

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"doppel/internal/image/tree"
)

// ErrNoPlatform says that there is an image, but for other processors.
var ErrNoPlatform = errors.New("the image is not made for this architecture")

const (
	maxLayers   = 512
	maxManifest = 16 << 20
)

// Pull gives the image of a reference for linux on arch, signed in as the user's Docker or Podman configuration says.
func Pull(ctx context.Context, ref, arch string, transport http.RoundTripper) (v1.Image, string, error) {
	r, err := name.ParseReference(ref)
	if err != nil {
		return nil, "", fmt.Errorf("%q is not an image reference such as REGISTRY/NAME:TAG: %w", ref, err)
	}
	desc, err := remote.Get(r, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain),
		remote.WithTransport(transport), remote.WithPlatform(v1.Platform{OS: "linux", Architecture: arch}))
	if err != nil {
		return nil, "", fmt.Errorf("cannot pull %s: %w; check the name and the network", r, err)
	}
	if desc.MediaType.IsIndex() {
		idx, err := desc.ImageIndex()
		if err != nil {
			return nil, "", fmt.Errorf("cannot pull %s: %w", r, err)
		}
		img, err := choose(idx, arch, 0)
		if err != nil {
			return nil, "", fmt.Errorf("%s: %w", r, err)
		}
		return img, r.Name(), nil
	}
	img, err := desc.Image()
	if err != nil {
		return nil, "", fmt.Errorf("cannot pull %s: %w", r, err)
	}
	return img, r.Name(), nil
}

// choose gives the image of an index for linux on arch. Indices within indices are followed a little.
func choose(idx v1.ImageIndex, arch string, depth int) (v1.Image, error) {
	m, err := idx.IndexManifest()
	if err != nil {
		return nil, fmt.Errorf("the index cannot be read: %w", err)
	}
	var have []string
	var plain []v1.Descriptor
	for _, d := range m.Manifests {
		switch {
		case d.MediaType.IsIndex() && depth < 3:
			sub, err := idx.ImageIndex(d.Digest)
			if err != nil {
				return nil, fmt.Errorf("the index cannot be read: %w", err)
			}
			img, err := choose(sub, arch, depth+1)
			if !errors.Is(err, ErrNoPlatform) {
				return img, err
			}
			have = append(have, strings.TrimPrefix(err.Error(), ErrNoPlatform.Error()))
		case !d.MediaType.IsImage():
		case d.Platform == nil:
			plain = append(plain, d)
		case d.Platform.OS == "linux" && d.Platform.Architecture == arch:
			return checked(idx, d.Digest)
		default:
			have = append(have, d.Platform.OS+"/"+d.Platform.Architecture)
		}
	}
	if len(plain) == 1 { // its configuration says what it is for
		return checked(idx, plain[0].Digest)
	}
	return nil, fmt.Errorf("%w (linux/%s), only for: %s; choose another image or --arch", ErrNoPlatform, arch, strings.Join(have, ", "))
}

// checked gives the image of an index whose manifest has this hash; a layout's files are not checked by the library.
func checked(idx v1.ImageIndex, digest v1.Hash) (v1.Image, error) {
	img, err := idx.Image(digest)
	if err != nil {
		return nil, fmt.Errorf("the image's manifest cannot be read: %w", err)
	}
	raw, err := img.RawManifest()
	if err != nil {
		return nil, fmt.Errorf("the image's manifest cannot be read: %w", err)
	}
	sum := sha256.Sum256(raw)
	if digest.Algorithm != "sha256" || digest.Hex != hex.EncodeToString(sum[:]) {
		return nil, fmt.Errorf("the image's manifest is not the one of its index (%s); get the image again", digest)
	}
	return img, nil
}

// IsLayout tells whether a folder is an OCI layout.
func IsLayout(dir string) bool {
	st, err := os.Lstat(filepath.Join(dir, "oci-layout"))
	return err == nil && st.Mode().IsRegular()
}

// FromLayout gives the image of the OCI layout in dir for linux on arch.
func FromLayout(dir, arch string) (v1.Image, error) {
	idx, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, fmt.Errorf("the OCI layout %s cannot be read: %w", dir, err)
	}
	img, err := choose(idx, arch, 0)
	if err != nil {
		return nil, fmt.Errorf("the OCI layout %s: %w", dir, err)
	}
	return img, nil
}

// IsArchive tells from its members whether a tar file holds container images and not a file tree.
func IsArchive(entries []tree.Entry) bool {
	return find(entries, "oci-layout") != nil && find(entries, "index.json") != nil || find(entries, "manifest.json") != nil
}

func find(entries []tree.Entry, name string) *tree.Entry {
	for i := range entries {
		if e := &entries[i]; e.Size() > 0 && strings.TrimPrefix(e.Name, "./") == name {
			return e
		}
	}
	return nil
}

var blobName = regexp.MustCompile(`^blobs/sha256/[0-9a-f]{64}$`)

// FromArchive gives the image of a tar file whose members are read. Those of an OCI layout are copied to scratch, an empty
// folder that must last as long as the image; nothing else of the archive is written anywhere.
func FromArchive(entries []tree.Entry, sp *tree.Spool, scratch, arch string) (v1.Image, error) {
	if find(entries, "oci-layout") == nil || find(entries, "index.json") == nil {
		return fromSaved(entries, sp)
	}
	if err := os.MkdirAll(filepath.Join(scratch, "blobs", "sha256"), 0o700); err != nil {
		return nil, fmt.Errorf("cannot unpack the OCI layout: %w; free space", err)
	}
	for _, e := range entries {
		name := strings.TrimPrefix(e.Name, "./")
		if e.Size() == 0 || name != "oci-layout" && name != "index.json" && !blobName.MatchString(name) {
			continue
		}
		if err := copyOut(filepath.Join(scratch, name), sp.Reader(e.Node.Data)); err != nil {
			return nil, fmt.Errorf("cannot unpack the OCI layout: %w; free space", err)
		}
	}
	return FromLayout(scratch, arch)
}

func copyOut(path string, r io.Reader) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// fromSaved reads the older format of `docker save`, whose manifest.json names the files. The members are written out as
// a tar again, without links: the library opens it once for each file.
func fromSaved(entries []tree.Entry, sp *tree.Spool) (v1.Image, error) {
	opener := func() (io.ReadCloser, error) {
		pr, pw := io.Pipe()
		go func() {
			tw := tar.NewWriter(pw)
			for _, e := range entries {
				if e.Size() == 0 {
					continue
				}
				h := &tar.Header{Name: strings.TrimPrefix(e.Name, "./"), Size: e.Size(), Mode: 0o600, Typeflag: tar.TypeReg}
				if err := tw.WriteHeader(h); err != nil {
					pw.CloseWithError(err)
					return
				}
				if _, err := io.Copy(tw, sp.Reader(e.Node.Data)); err != nil {
					pw.CloseWithError(err)
					return
				}
			}
			pw.CloseWithError(tw.Close())
		}()
		return pr, nil
	}
	img, err := tarball.Image(opener, nil)
	if err != nil {
		return nil, fmt.Errorf("the archive of container images cannot be read: %w; save one image in it", err)
	}
	return img, nil
}

// Config checks the hashes of manifest and configuration and gives the latter. The image must be for linux on arch.
func Config(img v1.Image, arch string) (*v1.ConfigFile, error) {
	m, err := img.Manifest()
	if err != nil {
		return nil, fmt.Errorf("the image's manifest cannot be read: %w", err)
	}
	if len(m.Layers) > maxLayers {
		return nil, fmt.Errorf("the image has %d layers, more than %d", len(m.Layers), maxLayers)
	}
	raw, err := img.RawConfigFile()
	if err != nil {
		return nil, fmt.Errorf("the image's configuration cannot be read: %w", err)
	}
	if len(raw) > maxManifest {
		return nil, fmt.Errorf("the image's configuration is larger than %d MiB", maxManifest>>20)
	}
	sum := sha256.Sum256(raw)
	if m.Config.Digest.Algorithm != "sha256" || m.Config.Digest.Hex != hex.EncodeToString(sum[:]) {
		return nil, fmt.Errorf("the image's configuration is not the one of its manifest (%s); get the image again", m.Config.Digest)
	}
	c, err := v1.ParseConfigFile(strings.NewReader(string(raw)))
	if err != nil {
		return nil, fmt.Errorf("the image's configuration cannot be read: %w", err)
	}
	if c.OS != "linux" && c.OS != "" || c.Architecture != arch {
		return nil, fmt.Errorf("%w (linux/%s) but for %s/%s; choose another image or --arch", ErrNoPlatform, arch, c.OS, c.Architecture)
	}
	if len(c.RootFS.DiffIDs) != len(m.Layers) {
		return nil, fmt.Errorf("the image's configuration names %d layers, its manifest %d", len(c.RootFS.DiffIDs), len(m.Layers))
	}
	return c, nil
}

// layerType tells whether a layer's media type is one of a file tree that is part of the image.
func layerType(t types.MediaType) bool { return t.IsLayer() && t.IsDistributable() }
