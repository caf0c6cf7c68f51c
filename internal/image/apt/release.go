// Package apt reads Debian archives as apt does: it finds the host's mirror and keys, verifies a suite's InRelease file,
// reads its index of packages and resolves dependencies.
//
// It installs nothing and knows nothing of images. Trust runs from a keyring on the host to the clear-signed InRelease,
// from there by SHA-256 to the index, and from there by SHA-256 to each package.
//
// The functions may be called from any goroutine. There are no locks.
package apt

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"doppel/internal/image/deb"
)

// ErrNoKeyring says that the host has no keys for Debian's archive.
var ErrNoKeyring = errors.New("no keyring of the Debian archive is on this host; " +
	"install one with `apt-get install debian-archive-keyring` or name one with --keyring FILE")

const maxKeyring = 16 << 20

// HostKeyrings gives the keyring files under root (usually "/") that may hold Debian's archive keys.
func HostKeyrings(root string) []string {
	var out []string
	for _, pattern := range []string{
		"usr/share/keyrings/debian-archive-*.gpg", "usr/share/keyrings/debian-archive-*.pgp",
		"usr/share/keyrings/debian-archive-*.asc",
		"etc/apt/trusted.gpg.d/debian-archive-*.gpg", "etc/apt/trusted.gpg.d/debian-archive-*.asc",
	} {
		m, _ := filepath.Glob(filepath.Join(root, pattern))
		for _, path := range m {
			if !strings.Contains(filepath.Base(path), "removed-keys") { // keys that are no longer trusted
				out = append(out, path)
			}
		}
	}
	return out
}

// LoadKeyrings reads keys from files, binary or armoured. Files that hold no OpenPGP keys are passed over unless none do.
func LoadKeyrings(paths []string) (openpgp.EntityList, error) {
	if len(paths) == 0 {
		return nil, ErrNoKeyring
	}
	var keys openpgp.EntityList
	var last error
	for _, path := range paths {
		k, err := loadKeyring(path)
		if err != nil {
			last = fmt.Errorf("cannot read the keyring %s: %w; name another with --keyring FILE", path, err)
			continue
		}
		keys = append(keys, k...)
	}
	if len(keys) == 0 {
		return nil, last
	}
	return keys, nil
}

func loadKeyring(path string) (openpgp.EntityList, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxKeyring))
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(bytes.TrimSpace(data), []byte("-----BEGIN")) {
		return openpgp.ReadKeyRing(bytes.NewReader(data))
	}
	// A file may hold several armoured blocks, of which ReadArmoredKeyRing would read the first.
	var keys openpgp.EntityList
	r := bytes.NewReader(data)
	for {
		block, err := armor.Decode(r)
		if err == io.EOF && len(keys) > 0 {
			return keys, nil
		}
		if err != nil {
			return nil, err
		}
		k, err := openpgp.ReadKeyRing(block.Body)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k...)
	}
}

// IndexFile is one file that a Release lists.
type IndexFile struct {
	Size   int64
	SHA256 string
}

// Release is a verified InRelease file.
type Release struct {
	Suite, Codename string
	Architectures   []string
	ByHash          bool
	Files           map[string]IndexFile
}

// VerifyRelease checks the signature, the dates and the name of an InRelease file, and reads it. One good signature by a
// known key is enough, as for apt: a suite is signed by the keys of two releases.
func VerifyRelease(data []byte, keys openpgp.EntityList, suite string, now time.Time) (*Release, error) {
	block, rest := clearsign.Decode(data)
	if block == nil || len(bytes.TrimSpace(rest)) != 0 {
		return nil, errors.New("the InRelease file is not one clear-signed message; choose another mirror")
	}
	config := &packet.Config{Time: func() time.Time { return now }}
	signer, err := block.VerifySignature(keys, config)
	if err != nil || signer == nil {
		if errors.Is(err, pgperrors.ErrUnknownIssuer) {
			return nil, errors.New("the InRelease file is signed by no key on this host; " +
				"update debian-archive-keyring or name a keyring with --keyring FILE")
		}
		return nil, fmt.Errorf("the InRelease file has a bad signature (%v); do not use this mirror", err)
	}
	p, err := deb.NewReader(bytes.NewReader(block.Plaintext)).Next()
	if err != nil {
		return nil, fmt.Errorf("the InRelease file cannot be read: %w; choose another mirror", err)
	}
	return parseRelease(p, suite, now)
}

const releaseTime = "Mon, 2 Jan 2006 15:04:05 MST"

func parseRelease(p *deb.Paragraph, suite string, now time.Time) (*Release, error) {
	r := &Release{
		Suite: p.Get("Suite"), Codename: p.Get("Codename"),
		Architectures: strings.Fields(p.Get("Architectures")),
		ByHash:        strings.EqualFold(p.Get("Acquire-By-Hash"), "yes"),
		Files:         map[string]IndexFile{},
	}
	if suite != r.Suite && suite != r.Codename {
		return nil, fmt.Errorf("the InRelease file is for suite %q (%s), not for %q; choose another mirror",
			r.Suite, r.Codename, suite)
	}
	if until := p.Get("Valid-Until"); until != "" {
		t, err := time.Parse(releaseTime, until)
		if err != nil {
			return nil, fmt.Errorf("the InRelease file has a date %q that cannot be read; choose another mirror", until)
		}
		if now.After(t) {
			return nil, fmt.Errorf("the InRelease file expired on %s; check the host's clock or choose a mirror that is up to date", until)
		}
	}
	if date, err := time.Parse(releaseTime, p.Get("Date")); err == nil && date.After(now.Add(24*time.Hour)) {
		return nil, fmt.Errorf("the InRelease file is from the future (%s); set the host's clock", p.Get("Date"))
	}
	for line := range strings.Lines(p.Get("SHA256")) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if len(f) != 3 {
			return nil, fmt.Errorf("the InRelease file has a line %q that is not hash, size and name", strings.TrimSpace(line))
		}
		size, err := strconv.ParseInt(f[1], 10, 64)
		if _, herr := hex.DecodeString(f[0]); err != nil || herr != nil || len(f[0]) != 64 || size < 0 {
			return nil, fmt.Errorf("the InRelease file has a line %q that is not hash, size and name", strings.TrimSpace(line))
		}
		r.Files[f[2]] = IndexFile{size, strings.ToLower(f[0])}
	}
	if len(r.Files) == 0 {
		return nil, errors.New("the InRelease file lists no SHA-256 hashes; choose another mirror")
	}
	return r, nil
}
