package apt

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"doppel/internal/image/deb"
)

// Source is one archive that the host's apt is set up to use.
type Source struct {
	URI        string
	Suites     []string
	Components []string
	SignedBy   []string // keyring files
	Where      string   // the file that says so
}

// debianSuite matches the names under which Debian publishes its main archive: code names and the aliases of them.
// A suite with a suffix (bookworm-security) may live in another archive and does not count.
var debianSuite = regexp.MustCompile(`^(stable|oldstable|oldoldstable|testing|unstable|sid|` +
	`buster|bullseye|bookworm|trixie|forky|duke)$`)

// ErrNoMirror says that the host's apt configuration names no Debian archive.
var ErrNoMirror = errors.New("no Debian mirror is set up for apt on this host; name one with --mirror URL")

// HostMirror gives the Debian archive of the apt configuration under root (usually "/"): the first entry for binary
// packages over HTTP with the component main and a Debian suite. Its keyrings are best evidence that it is Debian's own,
// so an entry signed by debian-archive-* goes before others.
func HostMirror(root string) (Source, error) {
	var found []Source
	for _, s := range hostSources(root) {
		u, err := url.Parse(s.URI)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			continue
		}
		if slices.Contains(s.Components, "main") && slices.ContainsFunc(s.Suites, debianSuite.MatchString) {
			found = append(found, s)
		}
	}
	for _, s := range found {
		if slices.ContainsFunc(s.SignedBy, func(k string) bool {
			return strings.HasPrefix(filepath.Base(k), "debian-archive")
		}) {
			return s, nil
		}
	}
	if len(found) > 0 {
		return found[0], nil
	}
	return Source{}, ErrNoMirror
}

const maxSourceFile = 1 << 20

// hostSources reads sources.list and sources.list.d; files that do not parse are passed over as apt's business.
func hostSources(root string) []Source {
	dir := filepath.Join(root, "etc/apt")
	paths := []string{filepath.Join(dir, "sources.list")}
	for _, pattern := range []string{"*.list", "*.sources"} {
		more, _ := filepath.Glob(filepath.Join(dir, "sources.list.d", pattern))
		paths = append(paths, more...)
	}
	var out []Source
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			continue
		}
		data, err := io.ReadAll(io.LimitReader(f, maxSourceFile))
		f.Close()
		if err != nil {
			continue
		}
		if strings.HasSuffix(path, ".sources") {
			out = append(out, parseDeb822Sources(data, path)...)
		} else {
			out = append(out, parseListSources(data, path)...)
		}
	}
	return out
}

// parseDeb822Sources reads the format of sources.list(5), "DEB822-STYLE FORMAT".
func parseDeb822Sources(data []byte, where string) []Source {
	var out []Source
	r := deb.NewReader(bytes.NewReader(data))
	for {
		p, err := r.Next()
		if err != nil {
			return out
		}
		if strings.EqualFold(p.Get("Enabled"), "no") || !slices.Contains(strings.Fields(p.Get("Types")), "deb") {
			continue
		}
		var keys []string
		for k := range strings.FieldsSeq(p.Get("Signed-By")) {
			if strings.HasPrefix(k, "/") { // else it is a fingerprint or the key itself
				keys = append(keys, k)
			}
		}
		for uri := range strings.FieldsSeq(p.Get("URIs")) {
			out = append(out, Source{uri, strings.Fields(p.Get("Suites")), strings.Fields(p.Get("Components")), keys, where})
		}
	}
}

// parseListSources reads the one-line format.
func parseListSources(data []byte, where string) []Source {
	var out []Source
	for line := range strings.Lines(string(data)) {
		line, _, _ = strings.Cut(line, "#")
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), "deb")
		if !ok || rest == "" || rest[0] != ' ' && rest[0] != '\t' && rest[0] != '[' {
			continue
		}
		var s Source
		rest = strings.TrimSpace(rest)
		if strings.HasPrefix(rest, "[") {
			options, after, ok := strings.Cut(rest[1:], "]")
			if !ok {
				continue
			}
			for o := range strings.FieldsSeq(options) {
				if k, ok := strings.CutPrefix(o, "signed-by="); ok {
					s.SignedBy = strings.Split(k, ",")
				}
			}
			rest = after
		}
		f := strings.Fields(rest)
		if len(f) < 3 {
			continue
		}
		s.URI, s.Suites, s.Components, s.Where = f[0], f[1:2], f[2:], where
		out = append(out, s)
	}
	return out
}

// HostProxy gives the proxy of the host's apt configuration for HTTP and HTTPS, or nil when it has none or there is no
// apt; net/http's environment variables then decide.
func HostProxy() func(*http.Request) (*url.URL, error) {
	out, err := exec.Command("apt-config", "dump").Output()
	if err != nil {
		return nil
	}
	return parseProxy(out)
}

func parseProxy(dump []byte) func(*http.Request) (*url.URL, error) {
	proxies := map[string]*url.URL{}
	direct := map[string]bool{}
	sc := bufio.NewScanner(bytes.NewReader(dump))
	for sc.Scan() {
		key, value, ok := strings.Cut(strings.TrimSuffix(strings.TrimSpace(sc.Text()), ";"), " ")
		if !ok {
			continue
		}
		value = strings.Trim(value, `"`)
		for _, scheme := range []string{"http", "https"} {
			prefix := "acquire::" + scheme + "::proxy"
			name := strings.ToLower(key)
			host, isHost := strings.CutPrefix(name, prefix+"::")
			if name != prefix && !isHost || value == "" {
				continue
			}
			if strings.EqualFold(value, "DIRECT") {
				direct[scheme+" "+host] = true
			} else if u, err := url.Parse(value); err == nil && u.Host != "" {
				proxies[scheme+" "+host] = u
			}
		}
	}
	if len(proxies) == 0 && len(direct) == 0 {
		return nil
	}
	return func(r *http.Request) (*url.URL, error) {
		for _, key := range []string{r.URL.Scheme + " " + strings.ToLower(r.URL.Hostname()), r.URL.Scheme + " "} {
			if direct[key] {
				return nil, nil
			}
			if u := proxies[key]; u != nil {
				return u, nil
			}
		}
		return http.ProxyFromEnvironment(r)
	}
}

// CheckMirror makes sure that a mirror's address from the user is one.
func CheckMirror(mirror string) (string, error) {
	u, err := url.Parse(mirror)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", fmt.Errorf("--mirror %q is not an http or https address, such as http://HOST/debian", mirror)
	}
	return strings.TrimRight(mirror, "/"), nil
}
