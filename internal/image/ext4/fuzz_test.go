package ext4

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"doppel/internal/image/tree"
)

// discard is a disk that keeps nothing but checks that writes stay within it.
type discard struct {
	t    testing.TB
	size int64
}

func (d *discard) Truncate(size int64) error { d.size = size; return nil }
func (d *discard) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 || off+int64(len(p)) > d.size {
		d.t.Fatalf("write of %d bytes at %d of %d", len(p), off, d.size)
	}
	return len(p), nil
}

// FuzzWrite writes trees that a script describes: one node a line, its kind, name and value.
func FuzzWrite(f *testing.F) {
	f.Add("f a 100\nd b 0\nl b/c 70\nh b/d a\nx a 2000\nb dev 300000\nm many 500", int64(20<<20), uint32(0o104755), int64(-1))
	f.Fuzz(func(t *testing.T, script string, size int64, mode uint32, uid int64) {
		sp, err := tree.NewSpool(t.TempDir(), 64<<20)
		if err != nil {
			t.Fatal(err)
		}
		defer sp.Close()
		tr := tree.New(sp)
		lines := 0
		for line := range strings.Lines(script) {
			var kind, name string
			var n int
			if fmt.Sscan(line, &kind, &name, &n); lines > 200 || n < 0 {
				break
			}
			lines++
			node := &tree.Node{Mode: mode&0o7777 | tree.TypeRegular, UID: uint32(uid), GID: uint32(uid >> 32)}
			switch kind {
			case "f":
				if node.Data, err = sp.AppendFrom(zeros{}, int64(n)); err != nil {
					continue
				}
			case "d":
				node.Mode = mode&0o7777 | tree.TypeDir
			case "l":
				node.Mode, node.Target = tree.TypeSymlink|0o777, strings.Repeat("t", 1+n%tree.MaxPath)
			case "b":
				node.Mode, node.Major, node.Minor = mode&0o7777|tree.TypeBlock, uint32(n)&0xfff, uint32(n)>>12
			case "x":
				node.Xattrs = map[string][]byte{"user." + name: make([]byte, n%5000), "security.capability": make([]byte, n%100)}
			case "h":
				tr.Link(name, "a")
				continue
			case "m":
				for i := range n % 2000 {
					tr.WriteFile(fmt.Sprint(name, "/", i), 0o600, nil)
				}
				continue
			case "o": // a file type that does not exist
				node.Mode = mode
			}
			tr.Put(name, node)
		}
		err = Write(context.Background(), &discard{t: t}, tr, Options{Size: MinSize + size&(64<<20-1)})
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Fatalf("not one sentence: %v", err)
		}
	})
}

var _ io.Reader = zeros{}
