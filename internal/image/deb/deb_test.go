package deb

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestCompareVersions(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"1.0", "1.0", 0}, {"1.0", "1.1", -1}, {"1.10", "1.9", 1}, {"1:0", "2", 1}, {"0:1", "1", 0},
		{"1.0~rc1", "1.0", -1}, {"1.0~~", "1.0~", -1}, {"1.0~", "1.0", -1}, {"1.0a", "1.0", 1}, {"1.0a", "1.0+", -1},
		{"1.0-1", "1.0-2", -1}, {"1.0", "1.0-0", 0}, {"1-2-3", "1-2-4", -1}, {"00012", "12", 0},
		{"99999999999999999999999", "99999999999999999999998", 1}, {"2.41-12+deb13u4", "2.41-12", 1}, {"a", "1", 1},
	} {
		for _, s := range []struct {
			a, b string
			want int
		}{{c.a, c.b, c.want}, {c.b, c.a, -c.want}} {
			if got := sign(CompareVersions(s.a, s.b)); got != s.want {
				t.Errorf("%q and %q: %d, not %d", s.a, s.b, got, s.want)
			}
		}
	}
}

func sign(n int) int { return max(-1, min(1, n)) }

func TestRelations(t *testing.T) {
	got, err := ParseRelations("libc6 (>= 2.38), a | b:any (<< 1:2-3) [amd64], c")
	if err != nil {
		t.Fatal(err)
	}
	if s := fmt.Sprint(got); s != "[[libc6 (>= 2.38)] [a b:any (<< 1:2-3)] [c]]" {
		t.Errorf("got %s", s)
	}
	for _, bad := range []string{"a (", "a (1)", "a (>=)", "| a", "a b", "(>= 1)"} {
		if _, err := ParseRelations(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	if !Satisfies("2", ">=", "1") || Satisfies("1", ">>", "1") || Satisfies("1", "~", "1") {
		t.Error("Satisfies is wrong")
	}
}

func TestParagraphs(t *testing.T) {
	r := NewReader(strings.NewReader("# c\n\nA: 1\nB:\n x\n y\n\n\nC: 2"))
	p, err := r.Next()
	if err != nil || p.Get("a") != "1" || p.Get("B") != "\n x\n y" {
		t.Fatalf("%v %v", p, err)
	}
	if s := p.String(); s != "A: 1\nB:\n x\n y\n" {
		t.Errorf("written as %q", s)
	}
	if p, err = r.Next(); err != nil || p.Get("C") != "2" {
		t.Fatalf("%v %v", p, err)
	}
	if _, err = r.Next(); err != io.EOF {
		t.Errorf("got %v", err)
	}
	for _, bad := range []string{" x", "A", ":x", "A B: x", "-----BEGIN: x"} {
		if _, err := NewReader(strings.NewReader(bad)).Next(); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// member is one member of an ar archive.
func arFile(members ...[2]string) []byte {
	b := bytes.NewBufferString(arMagic)
	for _, m := range members {
		fmt.Fprintf(b, "%-16s%-12d%-6d%-6d%-8o%-10d`\n%s", m[0], 0, 0, 0, 0o100644, len(m[1]), m[1])
		if len(m[1])%2 == 1 {
			b.WriteByte('\n')
		}
	}
	return b.Bytes()
}

func tarGz(files map[string]string) string {
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	tw := tar.NewWriter(zw)
	for name, data := range files {
		tw.WriteHeader(&tar.Header{Name: name, Size: int64(len(data)), Mode: 0o755})
		io.WriteString(tw, data)
	}
	tw.Close()
	zw.Close()
	return b.String()
}

func goodPackage() []byte {
	return arFile([2]string{"debian-binary", "2.0\n"}, [2]string{"_skipped", "odd"},
		[2]string{"control.tar.gz", tarGz(map[string]string{"./control": "Package: a\nVersion: 1\n", "./postinst": "#!/bin/sh\n"})},
		[2]string{"data.tar.gz", tarGz(map[string]string{"./usr/bin/a": "hello"})})
}

func TestOpen(t *testing.T) {
	good := goodPackage()
	p, err := Open(bytes.NewReader(good))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if p.Control.Get("Package") != "a" || string(p.Scripts["postinst"].Data) != "#!/bin/sh\n" {
		t.Errorf("control is %v, scripts %v", p.Control, p.Scripts)
	}
	h, err := tar.NewReader(p.Data()).Next()
	if err != nil || h.Name != "./usr/bin/a" {
		t.Errorf("%v %v", h, err)
	}
	for n := range len(good) - 1 { // cut anywhere before the padding: an error here or while the data is read, never a panic
		p, err := Open(bytes.NewReader(good[:n]))
		if err != nil {
			continue
		}
		if _, err := io.Copy(io.Discard, p.Data()); err == nil {
			t.Fatalf("cut after %d of %d bytes is not noticed", n, len(good))
		}
		p.Close()
	}
	for name, bad := range map[string][]byte{
		"magic":    []byte("!<arch>x"),
		"order":    arFile([2]string{"control.tar.gz", "x"}),
		"version":  arFile([2]string{"debian-binary", "3.0\n"}),
		"no name":  arFile([2]string{"debian-binary", "2.0\n"}, [2]string{"control.tar.gz", tarGz(map[string]string{"control": "A: b\n"})}),
		"sub path": arFile([2]string{"debian-binary", "2.0\n"}, [2]string{"control.tar.gz", tarGz(map[string]string{"../x": "A: b\n"})}),
	} {
		if _, err := Open(bytes.NewReader(bad)); err == nil {
			t.Errorf("%s: was taken", name)
		}
	}
}

func FuzzOpen(f *testing.F) {
	good := goodPackage()
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Open(bytes.NewReader(data))
		if err != nil {
			return
		}
		defer p.Close()
		io.Copy(io.Discard, io.LimitReader(p.Data(), 1<<20))
	})
}

func FuzzControl(f *testing.F) {
	f.Add("Package: a\nDepends: b (>= 1) | c, d\n\nPackage: b\n x\n")
	f.Fuzz(func(t *testing.T, s string) {
		r := NewReader(strings.NewReader(s))
		for {
			p, err := r.Next()
			if err != nil {
				return
			}
			for _, field := range p.Fields {
				ParseRelations(field.Value)
			}
			again, err := NewReader(strings.NewReader(p.String())).Next()
			if err != nil || again.String() != p.String() {
				t.Fatalf("%q does not survive writing: %v", p.String(), err)
			}
		}
	})
}

func FuzzCompareVersions(f *testing.F) {
	f.Add("1:1.0~rc1-2", "1.0-2", "0:1.0-2+b1")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		ab, ba := sign(CompareVersions(a, b)), sign(CompareVersions(b, a))
		if ab != -ba {
			t.Fatalf("%q and %q: %d and %d", a, b, ab, ba)
		}
		if CompareVersions(a, a) != 0 {
			t.Fatalf("%q differs from itself", a)
		}
		if bc, ac := sign(CompareVersions(b, c)), sign(CompareVersions(a, c)); ab >= 0 && bc >= 0 && ac < 0 {
			t.Fatalf("not transitive: %q %q %q", a, b, c)
		}
	})
}
