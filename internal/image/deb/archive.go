// Package deb reads Debian binary packages and the control data, versions and dependencies that they and their indices
// are written in. Nothing is extracted to the host: members are handed on as streams.
//
// It does not verify packages (their index holds the hash) and does not run maintainer scripts.
//
// The functions may be called from any goroutine; a Reader belongs to one. There are no locks.
package deb

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"doppel/internal/image/compress"
)

// Package is a binary package of which the control part has been read.
type Package struct {
	Control *Paragraph
	// Scripts holds the control files beside "control": maintainer scripts, conffiles, md5sums, triggers, templates.
	Scripts map[string]Script
	data    io.Reader
	close   func()
}

// Script is one file of the control part.
type Script struct {
	Mode uint32
	Data []byte
}

const (
	arMagic        = "!<arch>\n"
	arHeaderSize   = 60
	maxControlTar  = 64 << 20
	maxControlFile = 16 << 20
	maxScripts     = 256
)

// Open reads the control part of a package from r and leaves r at the data part, which Data then gives. The order of the
// members is fixed (deb(5)): debian-binary, control.tar, data.tar; members whose name begins with "_" are skipped.
func Open(r io.Reader) (*Package, error) {
	magic := make([]byte, len(arMagic))
	if _, err := io.ReadFull(r, magic); err != nil || string(magic) != arMagic {
		return nil, errors.New("it is not a Debian package (no ar header)")
	}
	version, err := arMember(r, "debian-binary")
	if err != nil {
		return nil, err
	}
	v, err := io.ReadAll(io.LimitReader(version, 64))
	if err != nil || !bytes.HasPrefix(v, []byte("2.")) {
		return nil, fmt.Errorf("package format %q is not 2.x", bytes.TrimSpace(v))
	}
	if err := version.skip(); err != nil {
		return nil, err
	}
	control, err := arMember(r, "control.tar")
	if err != nil {
		return nil, err
	}
	p := &Package{Scripts: map[string]Script{}}
	if err := p.readControl(control); err != nil {
		return nil, err
	}
	if err := control.skip(); err != nil {
		return nil, err
	}
	data, err := arMember(r, "data.tar")
	if err != nil {
		return nil, err
	}
	if p.data, p.close, err = compress.Reader(data); err != nil {
		return nil, fmt.Errorf("member %s: %w", data.name, err)
	}
	return p, nil
}

// Data gives the package's files as a tar stream.
func (p *Package) Data() io.Reader { return p.data }

// Close frees the decompressor.
func (p *Package) Close() { p.close() }

func (p *Package) readControl(r io.Reader) error {
	dr, done, err := compress.Reader(r)
	if err != nil {
		return fmt.Errorf("member control.tar: %w", err)
	}
	defer done()
	tr := tar.NewReader(io.LimitReader(dr, maxControlTar))
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("member control.tar is damaged: %w", err)
		}
		name := strings.TrimPrefix(h.Name, "./")
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if name == "" || strings.Contains(name, "/") || h.Size > maxControlFile || len(p.Scripts) >= maxScripts {
			return fmt.Errorf("control file %q is not one that a package has", h.Name)
		}
		data, err := io.ReadAll(tr)
		if err != nil {
			return fmt.Errorf("control file %q is damaged: %w", h.Name, err)
		}
		if name == "control" {
			if p.Control, err = NewReader(bytes.NewReader(data)).Next(); err != nil {
				return fmt.Errorf("control file: %w", err)
			}
			continue
		}
		p.Scripts[name] = Script{uint32(h.Mode) & 0o777, data}
	}
	if p.Control == nil || p.Control.Get("Package") == "" {
		return errors.New("the package has no control file with a name")
	}
	return nil
}

// member is one member of an ar archive, ended by its size.
type member struct {
	name string
	r    io.Reader
	left int64
	pad  int64
}

func (m *member) Read(p []byte) (int, error) {
	if m.left == 0 {
		return 0, io.EOF
	}
	n, err := m.r.Read(p[:min(int64(len(p)), m.left)])
	m.left -= int64(n)
	if err == io.EOF && m.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// skip reads what is left and the padding to an even offset.
func (m *member) skip() error {
	n := m.left + m.pad
	m.left, m.pad = 0, 0
	if _, err := io.CopyN(io.Discard, m.r, n); err != nil {
		return fmt.Errorf("member %s is cut short", m.name)
	}
	return nil
}

// arMember gives the next member whose name is want, or begins with want and a dot.
func arMember(r io.Reader, want string) (*member, error) {
	for {
		h := make([]byte, arHeaderSize)
		if _, err := io.ReadFull(r, h); err != nil {
			return nil, fmt.Errorf("the package has no member %s", want)
		}
		size, err := strconv.ParseInt(strings.TrimSpace(string(h[48:58])), 10, 64)
		if err != nil || size < 0 || string(h[58:60]) != "`\n" {
			return nil, errors.New("an ar member's header is damaged")
		}
		name := strings.TrimSuffix(strings.TrimSpace(string(h[:16])), "/")
		m := &member{name: name, r: r, left: size, pad: size & 1}
		if name == want || strings.HasPrefix(name, want+".") {
			return m, nil
		}
		if !strings.HasPrefix(name, "_") {
			return nil, fmt.Errorf("member %q stands where %s should", name, want)
		}
		if err := m.skip(); err != nil {
			return nil, err
		}
	}
}
