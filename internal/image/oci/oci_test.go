package oci

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"doppel/internal/image/fetch"
	"doppel/internal/image/progress"
	"doppel/internal/image/tree"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// file is one member of a layer; a name that ends in a slash is a folder, data that begins with "->" a link.
type file struct{ name, data string }

func layerOf(t testing.TB, files ...file) v1.Layer {
	t.Helper()
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Mode: 0o755, Size: int64(len(f.data))}
		if target, ok := strings.CutPrefix(f.data, "->"); ok {
			h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, target, 0
			f.data = ""
		}
		if strings.HasSuffix(f.name, "/") {
			h.Typeflag = tar.TypeDir
		}
		must(t, tw.WriteHeader(h))
		io.WriteString(tw, f.data)
	}
	must(t, tw.Close())
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	must(t, err)
	return l
}

func imageOf(t testing.TB, arch string, layers ...v1.Layer) v1.Image {
	t.Helper()
	img, err := mutate.AppendLayers(empty.Image, layers...)
	must(t, err)
	c, err := img.ConfigFile()
	must(t, err)
	c = c.DeepCopy()
	c.Architecture, c.OS = arch, "linux"
	c.Config.Entrypoint = []string{"/bin/app"}
	img, err = mutate.ConfigFile(img, c)
	must(t, err)
	return img
}

func unpackImage(t testing.TB, img v1.Image) (*tree.Tree, error) {
	t.Helper()
	sp, err := tree.NewSpool(t.TempDir(), 1<<20)
	must(t, err)
	t.Cleanup(func() { sp.Close() })
	c, err := fetch.Open(t.TempDir(), nil)
	must(t, err)
	tr := tree.New(sp)
	return tr, Unpack(context.Background(), img, tr, c, progress.None{})
}

func list(t testing.TB, tr *tree.Tree) string {
	var out []string
	must(t, tr.Walk(func(path string, n *tree.Node) error {
		if !n.IsDir() {
			out = append(out, path)
		}
		return nil
	}))
	return strings.Join(out, " ")
}

func TestWhiteouts(t *testing.T) {
	base := layerOf(t, file{"d/a", "1"}, file{"d/b", "2"}, file{"e/c", "3"}, file{"e/sub/x", "4"}, file{"f", "5"}, file{"l", "->d"})
	for _, c := range []struct {
		name  string
		layer []file
		want  string
	}{
		{"one file", []file{{"d/.wh.a", ""}}, "d/b e/c e/sub/x f l"},
		{"a folder", []file{{".wh.e", ""}}, "d/a d/b f l"},
		{"opaque", []file{{"e/new", "n"}, {"e/.wh..wh..opq", ""}}, "d/a d/b e/new f l"}, // its own file stays, though it comes first
		{"opaque root", []file{{".wh..wh..opq", ""}, {"z", "z"}}, "z"},
		{"replaced by its own", []file{{".wh.f", ""}, {"f", "new"}}, "d/a d/b e/c e/sub/x f l"},
		{"absent", []file{{"no/.wh.thing", ""}}, "d/a d/b e/c e/sub/x f l"},
		{"of union file systems", []file{{".wh..wh.plnk", ""}}, "d/a d/b e/c e/sub/x f l"},
		{"folder over link", []file{{"l/", ""}, {"l/y", "y"}}, "d/a d/b e/c e/sub/x f l/y"},
		{"through a link", []file{{"l/.wh.a", ""}}, "d/b e/c e/sub/x f l"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr, err := unpackImage(t, imageOf(t, "riscv64", base, layerOf(t, c.layer...)))
			must(t, err)
			if got := list(t, tr); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	for _, bad := range []string{".wh.", "d/.wh...", "../.wh.x", ".wh...."} {
		if _, err := unpackImage(t, imageOf(t, "riscv64", base, layerOf(t, file{bad, ""}))); err == nil && bad != ".wh...." {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestConfigChecks(t *testing.T) {
	img := imageOf(t, "riscv64", layerOf(t, file{"a", "1"}))
	c, err := Config(img, "riscv64")
	if err != nil || c.Config.Entrypoint[0] != "/bin/app" {
		t.Errorf("%v %v", c, err)
	}
	if _, err := Config(img, "arm64"); !errors.Is(err, ErrNoPlatform) {
		t.Errorf("got %v", err)
	}
}

// TestLayout also breaks each blob in turn: nothing that is not what its hash says is taken.
func TestLayout(t *testing.T) {
	img := imageOf(t, "riscv64", layerOf(t, file{"a", "1"}))
	idx := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: imageOf(t, "amd64", layerOf(t, file{"b", "2"})), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}},
		mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "riscv64"}}})
	dir := t.TempDir()
	_, err := layout.Write(dir, idx)
	must(t, err)
	get := func() error {
		img, err := FromLayout(dir, "riscv64")
		if err != nil {
			return err
		}
		if _, err := Config(img, "riscv64"); err != nil {
			return err
		}
		tr, err := unpackImage(t, img)
		if err == nil && list(t, tr) != "a" {
			t.Errorf("got %s", list(t, tr))
		}
		return err
	}
	must(t, get())
	if _, err := FromLayout(dir, "s390x"); !errors.Is(err, ErrNoPlatform) || !strings.Contains(err.Error(), "linux/amd64") {
		t.Errorf("got %v", err)
	}
	m, err := img.Manifest()
	must(t, err)
	digest, err := img.Digest()
	must(t, err)
	for _, h := range []v1.Hash{m.Config.Digest, m.Layers[0].Digest, digest} {
		path := filepath.Join(dir, "blobs", "sha256", h.Hex)
		good, err := os.ReadFile(path)
		must(t, err)
		bad := append(bytes.Clone(good), ' ') // still valid JSON
		must(t, os.WriteFile(path, bad, 0o600))
		if err := get(); err == nil {
			t.Errorf("a damaged blob was taken: %s", h)
		}
		must(t, os.WriteFile(path, good, 0o600))
	}
}

func TestArchives(t *testing.T) {
	img := imageOf(t, "riscv64", layerOf(t, file{"a", "1"}))
	dir := t.TempDir()
	_, err := layout.Write(dir, mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: img}))
	must(t, err)
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	must(t, tw.AddFS(os.DirFS(dir)))
	// Neither a name that leaves the scratch folder nor any other file is to be written.
	must(t, tw.WriteHeader(&tar.Header{Name: "blobs/sha256/../../../evil", Size: 1, Mode: 0o600}))
	tw.Write([]byte("x"))
	must(t, tw.WriteHeader(&tar.Header{Name: "blobs/sha256/readme", Size: 1, Mode: 0o600}))
	tw.Write([]byte("x"))
	must(t, tw.Close())

	var saved bytes.Buffer
	ref, err := name.NewTag("test:1")
	must(t, err)
	must(t, tarball.Write(ref, img, &saved))

	for what, data := range map[string][]byte{"layout": b.Bytes(), "docker save": saved.Bytes()} {
		t.Run(what, func(t *testing.T) {
			sp, err := tree.NewSpool(t.TempDir(), 1<<20)
			must(t, err)
			defer sp.Close()
			var entries []tree.Entry
			must(t, tree.ReadTar(context.Background(), bytes.NewReader(data), sp, func(e tree.Entry) error { entries = append(entries, e); return nil }))
			if !IsArchive(entries) {
				t.Fatal("not known as container images")
			}
			parent := t.TempDir()
			img, err := FromArchive(entries, sp, filepath.Join(parent, "scratch"), "riscv64")
			must(t, err)
			_, err = Config(img, "riscv64")
			must(t, err)
			tr, err := unpackImage(t, img)
			must(t, err)
			if list(t, tr) != "a" {
				t.Errorf("got %s", list(t, tr))
			}
			filepath.WalkDir(parent, func(path string, _ os.DirEntry, _ error) error {
				if base := filepath.Base(path); base == "evil" || base == "readme" {
					t.Errorf("%s was written", path)
				}
				return nil
			})
		})
	}
}

func TestPull(t *testing.T) {
	srv := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer srv.Close()
	host := strings.TrimPrefix(srv.URL, "http://")
	ref, err := name.ParseReference(host + "/test/app:1")
	must(t, err)
	idx := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: imageOf(t, "riscv64", layerOf(t, file{"a", "1"})), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "riscv64"}}})
	must(t, remote.WriteIndex(ref, idx))
	img, source, err := Pull(context.Background(), ref.String(), "riscv64", http.DefaultTransport)
	must(t, err)
	if !strings.HasSuffix(source, "/test/app:1") {
		t.Errorf("source is %s", source)
	}
	tr, err := unpackImage(t, img)
	must(t, err)
	if list(t, tr) != "a" {
		t.Errorf("got %s", list(t, tr))
	}
	for ref, want := range map[string]string{host + "/test/none:1": "cannot pull", "UPPER/case": "not an image reference", host + "/test/app:1": "not made for this architecture"} {
		if _, _, err := Pull(context.Background(), ref, "arm64", http.DefaultTransport); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", ref, err)
		}
	}
}

// FuzzLayer merges hostile layers: names end up inside the tree or nowhere.
func FuzzLayer(f *testing.F) {
	f.Add([]byte("d/a|1\nd/.wh.a|\nd/.wh..wh..opq|\nl|->../..\nl/x|y"))
	f.Fuzz(func(t *testing.T, script []byte) {
		sp, err := tree.NewSpool(t.TempDir(), 1<<16)
		must(t, err)
		defer sp.Close()
		tr := tree.New(sp)
		var entries []tree.Entry
		for line := range strings.Lines(string(script)) {
			name, data, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "|")
			n := &tree.Node{Mode: tree.TypeRegular | 0o644}
			if target, ok := strings.CutPrefix(data, "->"); ok && target != "" {
				n = &tree.Node{Mode: tree.TypeSymlink | 0o777, Target: target}
			} else if strings.HasSuffix(name, "/") {
				n = &tree.Node{Mode: tree.TypeDir | 0o755}
			}
			e := tree.Entry{Name: name, Node: n}
			if data == "hard" {
				e = tree.Entry{Name: name, Hard: "d/a"}
			}
			entries = append(entries, e)
		}
		apply(tr, entries)
	})
}
