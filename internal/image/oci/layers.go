package oci

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"doppel/internal/image/compress"
	"doppel/internal/image/fetch"
	"doppel/internal/image/progress"
	"doppel/internal/image/tree"
)

// Names by which a layer takes files of lower layers away (OCI image-spec, layer.md, "Whiteouts").
const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
	reserved = ".wh..wh." // of union file systems themselves
)

// Unpack merges the layers, lowest first, into the tree. Layers go through the cache, where they are kept by their hash.
func Unpack(ctx context.Context, img v1.Image, t *tree.Tree, cache *fetch.Cache, p progress.Progress) error {
	layers, err := img.Layers()
	if err != nil {
		return fmt.Errorf("the image's layers cannot be read: %w", err)
	}
	c, err := img.ConfigFile()
	if err != nil {
		return fmt.Errorf("the image's configuration cannot be read: %w", err)
	}
	var total int64
	for _, l := range layers {
		size, err := l.Size()
		if err != nil {
			return fmt.Errorf("the image's layers cannot be read: %w", err)
		}
		total += size
	}
	task := p.Start("Getting layers", total, progress.Bytes)
	for i, l := range layers {
		if err = layer(ctx, l, c.RootFS.DiffIDs[i], t, cache, task.Advance); err != nil {
			err = fmt.Errorf("layer %d of %d: %w", i+1, len(layers), err)
			break
		}
	}
	task.Finish(err)
	return err
}

func layer(ctx context.Context, l v1.Layer, diffID v1.Hash, t *tree.Tree, cache *fetch.Cache, advance func(int64)) error {
	mt, err := l.MediaType()
	if err != nil {
		return err
	}
	if !layerType(mt) {
		return fmt.Errorf("its type %q is not a file tree", mt)
	}
	digest, err := l.Digest()
	if err != nil {
		return err
	}
	size, err := l.Size()
	if err != nil {
		return err
	}
	if digest.Algorithm != "sha256" || diffID.Algorithm != "sha256" || size < 0 {
		return fmt.Errorf("its hash %s is not SHA-256", digest)
	}
	file, err := cache.Put(ctx, digest.Hex, size, l.Compressed, advance)
	if err != nil {
		return err
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	r, done, err := compress.Reader(f)
	if err != nil {
		return err
	}
	defer done()
	h := sha256.New()
	body := io.TeeReader(r, h)
	var entries []tree.Entry
	if err := tree.ReadTar(ctx, body, t.Spool, func(e tree.Entry) error { entries = append(entries, e); return nil }); err != nil {
		return err
	}
	// The hash is over the whole stream, padding behind the tar's end included. What a bomb could hide there is bounded.
	const maxPadding = 1 << 30
	if n, err := io.Copy(io.Discard, io.LimitReader(body, maxPadding)); err != nil || n == maxPadding {
		return fmt.Errorf("it does not end where it should (%v)", err)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != diffID.Hex {
		return fmt.Errorf("its contents have SHA-256 %s, not %s as the configuration says; get the image again", got, diffID.Hex)
	}
	return apply(t, entries)
}

// apply merges one layer. What it takes away of lower layers goes first: it never takes its own files away.
func apply(t *tree.Tree, entries []tree.Entry) error {
	for _, e := range entries {
		dir, base := path.Split(strings.TrimRight(e.Name, "/"))
		if !strings.HasPrefix(base, whiteout) {
			continue
		}
		var err error
		switch gone := strings.TrimPrefix(base, whiteout); {
		case base == opaque:
			err = t.Clear(dir)
		case strings.HasPrefix(base, reserved):
		case gone == "" || gone == "." || gone == "..":
			err = fmt.Errorf("archive member %.200q names nothing to take away", e.Name)
		default:
			err = t.Remove(dir + gone)
		}
		if err != nil {
			return fmt.Errorf("archive member %.200q: %w", e.Name, err)
		}
	}
	for _, e := range entries {
		if strings.HasPrefix(path.Base(e.Name), whiteout) {
			continue
		}
		if err := t.Apply(e, tree.ApplyOptions{}); err != nil {
			return err
		}
	}
	return nil
}
