package image

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"doppel/internal/image/deb"
	"doppel/internal/image/tree"
)

// unpacked is one package whose files are in the spool.
type unpacked struct {
	control *deb.Paragraph
	scripts map[string]deb.Script
	entries []tree.Entry
}

func (u *unpacked) name() string { return u.control.Get("Package") }

// infoName is the stem of the package's files in dpkg's database: those that may be installed for several architectures
// side by side carry theirs.
func (u *unpacked) infoName() string {
	if u.control.Get("Multi-Arch") == "same" {
		return u.name() + ":" + u.control.Get("Architecture")
	}
	return u.name()
}

// dpkgDatabase writes what dpkg would have written had it unpacked the packages itself, so that `dpkg --configure -a`
// in the guest completes the installation. Formats: dpkg(1) FILES and deb-triggers(5).
type dpkgDatabase struct {
	t        *tree.Tree
	status   bytes.Buffer
	fileTrig bytes.Buffer
	triggers map[string]*bytes.Buffer
	err      error
}

const dpkgDir = "var/lib/dpkg/"

func newDatabase(t *tree.Tree) *dpkgDatabase {
	return &dpkgDatabase{t: t, triggers: map[string]*bytes.Buffer{}}
}

func (d *dpkgDatabase) write(path string, mode uint32, data []byte) {
	if d.err == nil {
		d.err = d.t.WriteFile(dpkgDir+path, mode, data)
	}
}

// add enters one package in the state "unpacked".
func (d *dpkgDatabase) add(u *unpacked) error {
	if strings.ContainsAny(u.infoName(), "/\x00\n") {
		return fmt.Errorf("package name %q cannot be that of a file", u.infoName())
	}
	stem := "info/" + u.infoName() + "."
	var list strings.Builder
	list.WriteString("/.\n")
	for _, e := range u.entries {
		name := cleanName(e.Name)
		if name != "" {
			list.WriteString("/" + name + "\n")
		}
	}
	d.write(stem+"list", 0o644, []byte(list.String()))
	for name, s := range u.scripts {
		mode := uint32(0o644)
		if s.Mode&0o111 != 0 {
			mode = 0o755
		}
		d.write(stem+name, mode, s.Data)
	}
	d.addTriggers(u)
	return d.addStatus(u)
}

// addStatus writes the package's paragraph of the status file. Configuration files are in place already, so their
// present hashes are what dpkg would have noted on configuring them.
func (d *dpkgDatabase) addStatus(u *unpacked) error {
	conffiles, err := d.conffiles(u)
	if err != nil {
		return err
	}
	for _, f := range u.control.Fields {
		fmt.Fprintf(&d.status, "%s", (&deb.Paragraph{Fields: []deb.Field{f}}).String())
		if f.Name == "Package" {
			d.status.WriteString("Status: install ok unpacked\n")
		}
	}
	if conffiles != "" {
		d.status.WriteString("Conffiles:\n" + conffiles)
	}
	d.status.WriteByte('\n')
	return nil
}

func (d *dpkgDatabase) conffiles(u *unpacked) (string, error) {
	var out strings.Builder
	for line := range strings.Lines(string(u.scripts["conffiles"].Data)) {
		path := strings.TrimSpace(line)
		if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, " \t") {
			continue // flags such as "remove-on-upgrade /path" install nothing
		}
		n, err := d.t.Resolve(path)
		if err != nil || n.Type() != tree.TypeRegular {
			return "", fmt.Errorf("package %s lacks its configuration file %s", u.name(), path)
		}
		sum := md5.New() // dpkg's own format; nothing is trusted for it
		if _, err := io.Copy(sum, d.t.Spool.Reader(n.Data)); err != nil {
			return "", err
		}
		fmt.Fprintf(&out, " %s %s\n", path, hex.EncodeToString(sum.Sum(nil)))
	}
	return out.String(), nil
}

// addTriggers notes which files and events a package waits for.
func (d *dpkgDatabase) addTriggers(u *unpacked) {
	for line := range strings.Lines(string(u.scripts["triggers"].Data)) {
		line, _, _ = strings.Cut(line, "#")
		f := strings.Fields(line)
		if len(f) != 2 {
			continue
		}
		who := u.infoName()
		switch f[0] {
		case "interest", "interest-await":
		case "interest-noawait":
			who += "/noawait"
		default:
			continue
		}
		if strings.HasPrefix(f[1], "/") {
			fmt.Fprintf(&d.fileTrig, "%s %s\n", f[1], who)
			continue
		}
		if strings.ContainsAny(f[1], "/\x00") || len(f[1]) > tree.MaxName {
			continue
		}
		if d.triggers[f[1]] == nil {
			d.triggers[f[1]] = &bytes.Buffer{}
		}
		fmt.Fprintln(d.triggers[f[1]], who)
	}
}

// finish writes the files that span packages.
func (d *dpkgDatabase) finish() error {
	d.write("status", 0o644, d.status.Bytes())
	d.write("info/format", 0o644, []byte("1\n"))
	for _, empty := range []string{"available", "diversions", "statoverride", "lock", "lock-frontend", "triggers/Lock", "triggers/Unincorp"} {
		d.write(empty, 0o644, nil)
	}
	d.write("triggers/File", 0o644, d.fileTrig.Bytes())
	for name, b := range d.triggers {
		d.write("triggers/"+name, 0o644, b.Bytes())
	}
	for _, dir := range []string{"updates", "alternatives", "parts"} {
		if d.err == nil {
			d.err = d.t.Mkdir(dpkgDir+dir, 0o755)
		}
	}
	return d.err
}
