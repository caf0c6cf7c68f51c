// Package aptest makes small Debian archives for tests: a signing key of their own, packages, index, InRelease, served on
// the loopback interface. What it serves can be broken on purpose.
//
// Only tests import it. A Repo belongs to one test; its server may be asked by many goroutines.
package aptest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
)

// Package is one package to serve.
type Package struct {
	Name, Version string
	Fields        string // further control fields, each ended by a line break
	Files         []tar.Header
	Contents      map[string]string // by the name of a file
	Scripts       map[string]string
}

// Repo is an archive being served.
type Repo struct {
	URL     string
	Keyring string // path

	t     testing.TB
	key   *openpgp.Entity
	mu    sync.Mutex
	files map[string][]byte
	// Serve, when set, sees each request first and answers it by giving true.
	Serve func(w http.ResponseWriter, r *http.Request) bool
	// Asked counts requests by path.
	Asked map[string]int
}

// New makes an archive of suite trixie for riscv64 with these packages.
func New(t testing.TB, packages ...Package) *Repo {
	t.Helper()
	r := &Repo{t: t, files: map[string][]byte{}, Asked: map[string]int{}}
	r.key = NewKey(t)
	r.Keyring = WriteKeyring(t, r.key)
	var index bytes.Buffer
	for _, p := range packages {
		body := Deb(t, p)
		path := "pool/" + p.Name + ".deb"
		r.files["/"+path] = body
		fmt.Fprintf(&index, "Package: %s\nVersion: %s\nArchitecture: riscv64\n%sFilename: %s\nSize: %d\nSHA256: %s\n\n",
			p.Name, p.Version, p.Fields, path, len(body), Sum(body))
	}
	r.files["/dists/trixie/main/binary-riscv64/Packages.gz"] = gz(index.Bytes())
	r.Sign(nil)
	srv := httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(srv.Close)
	r.URL = srv.URL
	return r
}

// NewKey makes a signing key.
func NewKey(t testing.TB) *openpgp.Entity {
	t.Helper()
	key, err := openpgp.NewEntity("test", "", "test@localhost", nil)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// WriteKeyring writes a key's public part to a file.
func WriteKeyring(t testing.TB, key *openpgp.Entity) string {
	t.Helper()
	var b bytes.Buffer
	if err := key.Serialize(&b); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key.gpg")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Sum gives the SHA-256 of data.
func Sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

// Sign makes InRelease anew; fields, where given, replace or add to the usual ones.
func (r *Repo) Sign(fields map[string]string) {
	index := r.files["/dists/trixie/main/binary-riscv64/Packages.gz"]
	f := map[string]string{"Suite": "stable", "Codename": "trixie", "Architectures": "riscv64 amd64",
		"Date": time.Now().UTC().Format("Mon, 02 Jan 2006 15:04:05 UTC"), "Components": "main",
		"SHA256": fmt.Sprintf("\n %s %d main/binary-riscv64/Packages.gz", Sum(index), len(index))}
	for k, v := range fields {
		f[k] = v
	}
	var text, out bytes.Buffer
	for k, v := range f {
		fmt.Fprintf(&text, "%s: %s\n", k, v)
	}
	w, err := clearsign.Encode(&out, r.key.PrivateKey, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	w.Write(text.Bytes())
	w.Close()
	r.Set("/dists/trixie/InRelease", out.Bytes())
}

// Set replaces a file.
func (r *Repo) Set(path string, data []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.files[path] = data
}

// File gives a file.
func (r *Repo) File(path string) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.files[path]
}

func (r *Repo) serve(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	data, ok := r.files[req.URL.Path]
	r.Asked[req.URL.Path]++
	serve := r.Serve
	r.mu.Unlock()
	if serve != nil && serve(w, req) {
		return
	}
	if !ok {
		http.NotFound(w, req)
		return
	}
	http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(data))
}

func gz(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(data)
	w.Close()
	return b.Bytes()
}

// Deb makes a binary package.
func Deb(t testing.TB, p Package) []byte {
	t.Helper()
	control := map[string]string{"control": "Package: " + p.Name + "\nVersion: " + p.Version + "\nArchitecture: riscv64\n" + p.Fields}
	for name, data := range p.Scripts {
		control[name] = data
	}
	var ctl bytes.Buffer
	tw := tar.NewWriter(&ctl)
	for name, data := range control {
		tw.WriteHeader(&tar.Header{Name: "./" + name, Mode: 0o755, Size: int64(len(data))})
		io.WriteString(tw, data)
	}
	tw.Close()
	var dat bytes.Buffer
	tw = tar.NewWriter(&dat)
	for _, h := range p.Files {
		h.Size = int64(len(p.Contents[h.Name]))
		if err := tw.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		io.WriteString(tw, p.Contents[h.Name])
	}
	tw.Close()
	out := bytes.NewBufferString("!<arch>\n")
	for _, m := range []struct {
		name string
		data []byte
	}{{"debian-binary", []byte("2.0\n")}, {"control.tar.gz", gz(ctl.Bytes())}, {"data.tar", dat.Bytes()}} {
		fmt.Fprintf(out, "%-16s%-12d%-6d%-6d%-8o%-10d`\n%s", m.name, 0, 0, 0, 0o100644, len(m.data), m.data)
		if len(m.data)%2 == 1 {
			out.WriteByte('\n')
		}
	}
	return out.Bytes()
}
