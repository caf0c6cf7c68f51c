package tree

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

func newTree(t testing.TB) *Tree {
	t.Helper()
	sp, err := NewSpool(t.TempDir(), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sp.Close() })
	return New(sp)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestPathsStayInside(t *testing.T) {
	tr := newTree(t)
	must(t, tr.WriteFile("etc/passwd", 0o644, []byte("inside")))
	must(t, tr.Symlink("abs", "/etc"))
	must(t, tr.Symlink("up", "../../../../etc"))
	must(t, tr.Symlink("loop", "loop"))
	must(t, tr.Symlink("file", "etc/./passwd"))
	must(t, tr.Symlink("deep/link", "../up/../etc/passwd"))
	must(t, tr.Symlink("root", "/"))
	must(t, tr.Symlink("dots", "deep/.."))
	must(t, tr.Symlink("a", "b"))
	must(t, tr.Symlink("b", "a/x"))
	for _, path := range []string{"abs/passwd", "up/passwd", "/etc/passwd", "./etc//passwd", "file", "deep/link", "root/etc/passwd", "dots/file"} {
		data, err := tr.ReadFile(path, 100)
		if err != nil || string(data) != "inside" {
			t.Errorf("%s: %q %v", path, data, err)
		}
	}
	for path, want := range map[string]error{
		"../x": ErrEscape, "etc/../../x": ErrEscape, "loop/x": ErrLoop, "a/x": ErrLoop, "etc/passwd/x": ErrNotDir, "none": ErrNotExist,
		strings.Repeat("n", 256): ErrName, "x\x00y": ErrName, strings.Repeat("d/", 1025): ErrTooDeep, strings.Repeat("d", 5000): ErrTooDeep,
	} {
		if _, err := tr.Resolve(path); !errors.Is(err, want) {
			t.Errorf("%.20q: %v, not %v", path, err, want)
		}
	}
	for _, path := range []string{"abs/", "root", "dots", "up", "/"} { // a slash behind a link changes nothing
		if n, err := tr.Resolve(path); err != nil || !n.IsDir() {
			t.Errorf("%s: %v", path, err)
		}
	}
	must(t, tr.WriteFile("up/new", 0o600, nil)) // lands in our own /etc
	if _, err := tr.Lookup("etc/new"); err != nil {
		t.Error(err)
	}
}

func TestLinksAndRemoval(t *testing.T) {
	tr := newTree(t)
	must(t, tr.WriteFile("a", 0o644, []byte("1")))
	must(t, tr.Link("d/b", "a"))
	n, _ := tr.Lookup("a")
	if n.Links() != 2 {
		t.Errorf("%d links", n.Links())
	}
	must(t, tr.Remove("d"))
	if n.Links() != 1 {
		t.Errorf("%d links after removal", n.Links())
	}
	must(t, tr.Mkdir("dir", 0o700))
	if err := tr.Link("x", "dir"); !errors.Is(err, ErrIsDir) {
		t.Errorf("got %v", err)
	}
	must(t, tr.Remove("not/there"))
	must(t, tr.WriteFile("dir/f", 0o600, nil))
	must(t, tr.Mkdir("dir", 0o755)) // keeps what it holds
	if d, _ := tr.Lookup("dir"); d.Mode != TypeDir|0o755 || d.Child("f") == nil {
		t.Errorf("folder is %#o with %v", d.Mode, d.Names())
	}
}

func TestSpoolLimit(t *testing.T) {
	tr := newTree(t)
	if _, err := tr.Spool.AppendFrom(zeros{}, 1<<20+1); err == nil {
		t.Error("more than the limit was taken")
	}
	if _, err := tr.Spool.AppendFrom(strings.NewReader("short"), 10); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
	c, err := tr.Spool.AppendFrom(zeros{}, 1<<19) // a hole at the end of the file
	must(t, err)
	data, err := io.ReadAll(tr.Spool.Reader(c))
	if err != nil || len(data) != 1<<19 || !IsZero(data) {
		t.Errorf("%d bytes, %v", len(data), err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func tarOf(headers ...tar.Header) []byte {
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	for _, h := range headers {
		tw.WriteHeader(&h)
		tw.Write(bytes.Repeat([]byte("x"), int(h.Size)))
	}
	tw.Close()
	return b.Bytes()
}

func read(t testing.TB, tr *Tree, data []byte) error {
	return ReadTar(context.Background(), bytes.NewReader(data), tr.Spool, func(e Entry) error {
		return tr.Apply(e, ApplyOptions{})
	})
}

func TestHostileTar(t *testing.T) {
	for name, h := range map[string]tar.Header{
		"parent":    {Name: "../evil", Typeflag: tar.TypeReg},
		"inner":     {Name: "a/../../evil", Typeflag: tar.TypeReg},
		"link out":  {Name: "a", Typeflag: tar.TypeLink, Linkname: "../../etc/passwd"},
		"link none": {Name: "a", Typeflag: tar.TypeLink, Linkname: "absent"},
		"huge":      {Name: "a", Typeflag: tar.TypeReg, Size: 2 << 20},
		"device":    {Name: "a", Typeflag: tar.TypeChar, Devmajor: 1 << 20},
		"xattrs":    {Name: "a", PAXRecords: map[string]string{"SCHILY.xattr.user.a": strings.Repeat("x", 5000)}},
	} {
		t.Run(name, func(t *testing.T) {
			if err := read(t, newTree(t), tarOf(h)); err == nil {
				t.Error("was taken")
			} else if strings.Count(err.Error(), "\n") > 0 {
				t.Errorf("not one sentence: %q", err)
			}
		})
	}
	tr := newTree(t)
	must(t, read(t, tr, tarOf(tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "/"}, tar.Header{Name: "l/evil", Typeflag: tar.TypeReg, Size: 3})))
	if n, err := tr.Lookup("evil"); err != nil || n.Data.Size != 3 {
		t.Errorf("%v %v", n, err)
	}
}

func TestTarAttributes(t *testing.T) {
	tr := newTree(t)
	must(t, read(t, tr, tarOf(tar.Header{Name: "f", Mode: 0o6755, Uid: 1, Gid: 100000, Size: 5, Format: tar.FormatPAX,
		PAXRecords: map[string]string{"SCHILY.xattr.security.capability": "cap", "SCHILY.xattr.trusted.overlay.opaque": "y"}})))
	n, _ := tr.Lookup("f")
	if n.Mode != TypeRegular|0o6755 || n.UID != 1 || n.GID != 100000 || fmt.Sprint(n.Xattrs) != "map[security.capability:[99 97 112]]" {
		t.Errorf("%+v", n)
	}
}

func FuzzTar(f *testing.F) {
	f.Add(tarOf(tar.Header{Name: "d/", Typeflag: tar.TypeDir}, tar.Header{Name: "d/f", Typeflag: tar.TypeReg, Size: 9},
		tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "d"}, tar.Header{Name: "h", Typeflag: tar.TypeLink, Linkname: "l/f"}))
	f.Fuzz(func(t *testing.T, data []byte) {
		tr := newTree(t)
		read(t, tr, data)
		tr.Walk(func(path string, n *Node) error {
			if strings.Contains("/"+path+"/", "/../") {
				t.Fatalf("path %q", path)
			}
			return nil
		})
	})
}
