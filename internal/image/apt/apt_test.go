package apt_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"doppel/internal/image/apt"
	"doppel/internal/image/aptest"
	"doppel/internal/image/fetch"
)

func open(t *testing.T, r *aptest.Repo, keyring string) (*apt.Archive, error) {
	t.Helper()
	c, err := fetch.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := apt.LoadKeyrings([]string{keyring})
	if err != nil {
		t.Fatal(err)
	}
	return apt.Open(context.Background(), c, r.URL, "trixie", "riscv64", keys, nil)
}

func wantError(t *testing.T, err error, part string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v, want one sentence with %q", err, part)
	}
}

func TestSignature(t *testing.T) {
	r := aptest.New(t, aptest.Package{Name: "a", Version: "1"})
	a, err := open(t, r, r.Keyring)
	if err != nil {
		t.Fatal(err)
	}
	if p := a.Index.Lookup("a"); p == nil || p.Version != "1" {
		t.Errorf("package is %v", p)
	}
	_, err = open(t, r, aptest.WriteKeyring(t, aptest.NewKey(t)))
	wantError(t, err, "--keyring")

	good := r.File("/dists/trixie/InRelease")
	r.Set("/dists/trixie/InRelease", []byte(strings.Replace(string(good), "stable", "stablf", 1)))
	_, err = open(t, r, r.Keyring)
	wantError(t, err, "bad signature")
	r.Set("/dists/trixie/InRelease", append(append([]byte{}, good...), "Package: x\n"...))
	_, err = open(t, r, r.Keyring)
	wantError(t, err, "not one clear-signed message")
	r.Set("/dists/trixie/InRelease", []byte("Suite: stable\n"))
	_, err = open(t, r, r.Keyring)
	wantError(t, err, "not one clear-signed message")
}

func TestRelease(t *testing.T) {
	r := aptest.New(t, aptest.Package{Name: "a", Version: "1"})
	for _, c := range []struct {
		field, value, want string
	}{
		{"Valid-Until", "Sat, 01 Jan 2000 00:00:00 UTC", "expired"},
		{"Valid-Until", "soon", "cannot be read"},
		{"Date", time.Now().Add(72 * time.Hour).UTC().Format("Mon, 02 Jan 2006 15:04:05 UTC"), "from the future"},
		{"Codename", "forky", "not for \"trixie\""},
		{"Architectures", "amd64", "no architecture \"riscv64\""},
		{"SHA256", "\n zz 1 main/binary-riscv64/Packages.gz", "not hash, size and name"},
		{"SHA256", "", "lists no SHA-256"},
	} {
		r.Sign(map[string]string{c.field: c.value})
		_, err := open(t, r, r.Keyring)
		wantError(t, err, c.want)
	}
	r.Sign(nil)
	r.Set("/dists/trixie/main/binary-riscv64/Packages.gz", []byte("something else"))
	_, err := open(t, r, r.Keyring)
	wantError(t, err, "main/binary-riscv64/Packages.gz")
}

func TestNoSuite(t *testing.T) {
	r := aptest.New(t)
	r.Serve = func(w http.ResponseWriter, _ *http.Request) bool { http.NotFound(w, nil); return true }
	_, err := open(t, r, r.Keyring)
	wantError(t, err, "no suite \"trixie\"")
}

func TestKeyrings(t *testing.T) {
	if _, err := apt.LoadKeyrings(nil); !errors.Is(err, apt.ErrNoKeyring) {
		t.Errorf("got %v", err)
	}
	path := filepath.Join(t.TempDir(), "k.gpg")
	os.WriteFile(path, []byte("no key"), 0o600)
	_, err := apt.LoadKeyrings([]string{path})
	wantError(t, err, "--keyring FILE")
}

func TestHostMirror(t *testing.T) {
	const deb822 = "Types: deb\nURIs: %\nSuites: trixie trixie-updates\nComponents: main\n"
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"none", nil, ""},
		{"deb822", map[string]string{"sources.list.d/debian.sources": strings.Replace(deb822, "%", "http://m/debian", 1)}, "http://m/debian"},
		{"list", map[string]string{"sources.list": "# c\ndeb [arch=amd64 signed-by=/k.gpg] https://m/debian bookworm main contrib\n"}, "https://m/debian"},
		{"foreign first", map[string]string{
			"sources.list.d/a.list":         "deb https://node/x nodistro main\ndeb http://s/debian-security trixie-security main\n",
			"sources.list.d/debian.sources": strings.Replace(deb822, "%", "http://m/debian", 1)}, "http://m/debian"},
		{"own key wins", map[string]string{
			"sources.list":                  "deb [signed-by=/x/vendor.gpg] http://v/x stable main\n",
			"sources.list.d/debian.sources": strings.Replace(deb822, "%", "http://m/debian", 1) + "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"}, "http://m/debian"},
		{"disabled", map[string]string{"sources.list.d/d.sources": strings.Replace(deb822, "%", "http://m/debian", 1) + "Enabled: no\n"}, ""},
		{"source only", map[string]string{"sources.list": "deb-src http://m/debian trixie main\n"}, ""},
		{"not http", map[string]string{"sources.list": "deb cdrom:[x]/ trixie main\ndeb file:/m trixie main\n"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			for name, data := range c.files {
				path := filepath.Join(root, "etc/apt", name)
				os.MkdirAll(filepath.Dir(path), 0o755)
				os.WriteFile(path, []byte(data), 0o600)
			}
			s, err := apt.HostMirror(root)
			if c.want == "" {
				wantError(t, err, "--mirror")
			} else if err != nil || s.URI != c.want {
				t.Errorf("got %v %v", s, err)
			}
		})
	}
}

func TestResolve(t *testing.T) {
	const index = `Package: base
Version: 1
Essential: yes
Pre-Depends: libc (>= 2)

Package: libc
Version: 2.1

Package: libc
Version: 1.9

Package: app
Version: 1
Depends: absent | mail-agent, feature (>= 3), loop

Package: loop
Version: 1
Depends: app:any

Package: exim
Version: 1
Priority: optional
Provides: mail-agent

Package: postfix
Version: 1
Priority: important
Provides: mail-agent

Package: old-feature
Version: 9
Provides: feature, other (= 1)

Package: new-feature
Version: 1
Provides: feature (= 3.5)

Package: broken
Version: 1
Depends: nowhere (>= 1)

Package: enemy
Version: 1
Conflicts: base (<< 2)
`
	x, err := apt.ParseIndex(strings.NewReader(index))
	if err != nil {
		t.Fatal(err)
	}
	got, err := x.Resolve([]string{"app"}, true)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range got {
		names = append(names, p.Name+"="+p.Version)
	}
	if s := strings.Join(names, " "); s != "app=1 base=1 libc=2.1 loop=1 new-feature=1 postfix=1" {
		t.Errorf("got %s", s)
	}
	for want, part := range map[string]string{"broken": "needs nowhere (>= 1)", "enemy": "exclude one another", "missing": "\"missing\"", "(": "cannot be read"} {
		_, err := x.Resolve([]string{want}, true)
		wantError(t, err, part)
	}
}

func FuzzIndex(f *testing.F) {
	f.Add("Package: a\nVersion: 1\nDepends: b | c (>= 1)\nProvides: d (= 2)\nSize: 10\n\nPackage: b\nVersion: 1\nEssential: yes\n")
	f.Fuzz(func(t *testing.T, s string) {
		x, err := apt.ParseIndex(strings.NewReader(s))
		if err != nil {
			return
		}
		x.Resolve([]string{"a"}, true)
	})
}
