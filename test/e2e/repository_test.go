package e2e

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"testing"
)

// flatRepository makes an unsigned repository of one package.
func flatRepository(t testing.TB, dir string) {
	t.Helper()
	deb := debPackage(t, "doppel-hello", "1.2", map[string]string{"./usr/share/doppel-hello": "hello from the host\n"})
	writeFile(t, filepath.Join(dir, "doppel-hello.deb"), deb)
	index := fmt.Sprintf("Package: doppel-hello\nVersion: 1.2\nArchitecture: all\nMaintainer: nobody\nDescription: a test\n"+
		"Filename: ./doppel-hello.deb\nSize: %d\nSHA256: %x\n\n", len(deb), sha256.Sum256(deb))
	writeFile(t, filepath.Join(dir, "Packages"), []byte(index))
	writeFile(t, filepath.Join(dir, "Packages.gz"), compressGzip(t, []byte(index)))
}

// debPackage makes a binary package, deb(5).
func debPackage(t testing.TB, name, version string, files map[string]string) []byte {
	t.Helper()
	control := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: nobody\nDescription: a test\n", name, version)
	var b bytes.Buffer
	b.WriteString("!<arch>\n")
	for _, m := range []struct {
		name string
		data []byte
	}{
		{"debian-binary", []byte("2.0\n")},
		{"control.tar.gz", compressGzip(t, tarFile(t, map[string]string{"./control": control}))},
		{"data.tar.gz", compressGzip(t, tarFile(t, files))},
	} {
		fmt.Fprintf(&b, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", m.name, 0, 0, 0, "100644", len(m.data))
		b.Write(m.data)
		if len(m.data)%2 == 1 {
			b.WriteByte('\n')
		}
	}
	return b.Bytes()
}

func tarFile(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, data := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(data)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
