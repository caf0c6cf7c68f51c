package ext4

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"doppel/internal/image/tree"
)

// tool finds a program of e2fsprogs, which a user's PATH may leave out.
func tool(t testing.TB, name string) string {
	t.Helper()
	for _, dir := range []string{"", "/usr/sbin/", "/sbin/"} {
		if p, err := exec.LookPath(dir + name); err == nil {
			return p
		}
	}
	t.Skipf("%s is missing: install e2fsprogs", name)
	return ""
}

func newTree(t testing.TB, limit int64) *tree.Tree {
	t.Helper()
	sp, err := tree.NewSpool(t.TempDir(), limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sp.Close() })
	return tree.New(sp)
}

func write(t testing.TB, tr *tree.Tree, o Options) (string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return path, Write(context.Background(), f, tr, o)
}

func fsck(t testing.TB, path string) {
	t.Helper()
	out, err := exec.Command(tool(t, "e2fsck"), "-f", "-n", path).CombinedOutput()
	if err != nil {
		t.Fatalf("e2fsck: %v\n%s", err, out)
	}
}

// debugfs runs one request of debugfs and gives its output.
func debugfs(t testing.TB, path, request string) string {
	t.Helper()
	out, err := exec.Command(tool(t, "debugfs"), "-R", request, path).Output()
	if err != nil {
		t.Fatalf("debugfs %s: %v", request, err)
	}
	return string(out)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func fullTree(t testing.TB) *tree.Tree {
	tr := newTree(t, 1<<30)
	when := time.Unix(1<<33, 123456789)
	must(t, tr.Mkdir("etc", 0o755))
	must(t, tr.WriteFile("etc/passwd", 0o644, []byte("root::0:0::/root:/bin/sh\n")))
	must(t, tr.WriteFile("usr/bin/su", 0o4755, bytes.Repeat([]byte("x"), 70000)))
	must(t, tr.Link("usr/bin/su2", "usr/bin/su"))
	must(t, tr.Symlink("bin", "usr/bin"))
	must(t, tr.Symlink("long", "/"+strings.Repeat("abcdefghi/", 30)))
	must(t, tr.Symlink("l59", strings.Repeat("y", 59)))
	must(t, tr.Symlink("l60", strings.Repeat("y", 60)))
	must(t, tr.Put("dev/console", &tree.Node{Mode: tree.TypeChar | 0o600, Major: 5, Minor: 1}))
	must(t, tr.Put("dev/big", &tree.Node{Mode: tree.TypeBlock | 0o600, Major: 259, Minor: 70000}))
	must(t, tr.Put("fifo", &tree.Node{Mode: tree.TypeFIFO | 0o644}))
	c, err := tr.Spool.Append([]byte("cap"))
	must(t, err)
	must(t, tr.Put("ping", &tree.Node{Mode: tree.TypeRegular | 0o755, UID: 100000, GID: 70000, ModTime: when, Data: c,
		Xattrs: map[string][]byte{"security.capability": []byte("\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")}}))
	must(t, tr.Put("attrs", &tree.Node{Mode: tree.TypeRegular | 0o600, Data: c,
		Xattrs: map[string][]byte{"user.b": bytes.Repeat([]byte("v"), 1000), "user.a": []byte("1"), "user.empty": nil}}))
	for i := range 3000 {
		must(t, tr.WriteFile(fmt.Sprintf("many/file-with-a-longish-name-%d", i), 0o600, []byte{byte(i)}))
	}
	must(t, tr.WriteFile("lost+found/x", 0o600, nil))
	return tr
}

func TestWriteIsClean(t *testing.T) {
	tr := fullTree(t)
	path, err := write(t, tr, Options{Size: 300 << 20, Label: "root"})
	must(t, err)
	fsck(t, path)
	st, err := os.Stat(path)
	must(t, err)
	if st.Size() != 300<<20 {
		t.Errorf("size is %d", st.Size())
	}
	checks := []struct{ request, want string }{
		{"stat /usr/bin/su", "Mode:  04755"},
		{"stat /usr/bin/su", "Links: 2"},
		{"stat /ping", "User: 100000   Group: 70000"},
		{"stat /ping", "security.capability (20)"},
		{"stat /ping", "mtime: 0x00000000:1d6f3456"}, // 2^33 s: epoch bits 2, then nanoseconds
		{"stat /attrs", "user.b (1000)"},
		{"stat /dev/console", "05:01"},
		{"stat /dev/big", "259:70000"},
		{"stat /bin", "usr/bin"},
		{"cat /etc/passwd", "root::0:0::/root:/bin/sh\n"},
		{"stat /fifo", "Type: FIFO"},
		{"stat /many/file-with-a-longish-name-2999", "Type: regular"},
	}
	for _, c := range checks {
		if got := debugfs(t, path, c.request); !strings.Contains(got, c.want) {
			t.Errorf("%s lacks %q:\n%s", c.request, c.want, got)
		}
	}
	if got := debugfs(t, path, "cat /l60"); got != strings.Repeat("y", 60) {
		t.Errorf("slow link: %q", got)
	}
}

func TestSizes(t *testing.T) {
	for _, size := range []int64{MinSize, 64 << 20, 128 << 20, 128<<20 + 4096, 128<<20 + 3<<20, 257 << 20, 4 << 30, 9 << 30} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			tr := newTree(t, 1<<20)
			must(t, tr.WriteFile("a", 0o644, []byte("a")))
			path, err := write(t, tr, Options{Size: size})
			must(t, err)
			fsck(t, path)
		})
	}
}

// TestLargeFile crosses groups and needs blocks for its extents.
func TestLargeFile(t *testing.T) {
	tr := newTree(t, 4<<30)
	c, err := tr.Spool.AppendFrom(zeros{}, 600<<20+5)
	must(t, err)
	must(t, tr.Put("big", &tree.Node{Mode: tree.TypeRegular | 0o644, Data: c}))
	must(t, tr.WriteFile("after", 0o644, []byte("after")))
	path, err := write(t, tr, Options{Size: 1 << 30})
	must(t, err)
	fsck(t, path)
	if got := debugfs(t, path, "cat /after"); got != "after" {
		t.Errorf("got %q", got)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestDoesNotFit(t *testing.T) {
	tr := newTree(t, 1<<30)
	must(t, tr.WriteFile("a", 0o644, bytes.Repeat([]byte("x"), 40<<20)))
	if _, err := write(t, tr, Options{Size: 32 << 20}); !errors.Is(err, ErrNoSpace) {
		t.Errorf("got %v", err)
	}
	for _, size := range []int64{0, -1, MinSize - 1, MaxSize + 1} {
		if _, err := write(t, tr, Options{Size: size}); err == nil {
			t.Errorf("size %d was taken", size)
		}
	}
}

func TestTooManyFiles(t *testing.T) {
	tr := newTree(t, 1<<20)
	for i := range 70000 {
		must(t, tr.WriteFile(fmt.Sprintf("d%d/%d", i/1000, i), 0o600, nil))
	}
	if _, err := write(t, tr, Options{Size: MinSize}); !errors.Is(err, ErrNoSpace) {
		t.Errorf("got %v", err)
	}
	path, err := write(t, tr, Options{Size: 1 << 30})
	must(t, err)
	fsck(t, path)
}
