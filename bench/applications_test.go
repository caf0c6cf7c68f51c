package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A package's files go where programs/applications.c looks for them.
func TestPlace(t *testing.T) {
	files, libraries := map[string][]byte{}, map[string][]byte{}
	for name, pkg := range map[string]string{
		"usr/libexec/gcc-cross/riscv64-linux-gnu/14/cc1":  compilerPackage,
		"usr/bin/python3.13":                              pythonPackage,
		"usr/lib/python3.13/encodings/utf_8.py":           pythonLibrary,
		"usr/lib/riscv64-linux-gnu/ld-linux-riscv64-x.so": "libc6",
		"usr/lib/riscv64-linux-gnu/libno.so.1":            "libno", // not an ELF file
		"usr/share/doc/cc1":                               "other",
	} {
		place(files, libraries, pkg, name, []byte(name))
	}
	for name, want := range map[string]string{
		compilerFile:                      "usr/libexec/gcc-cross/riscv64-linux-gnu/14/cc1",
		pythonFile:                        "usr/bin/python3.13",
		linkerFile:                        "usr/lib/riscv64-linux-gnu/ld-linux-riscv64-x.so",
		pythonDir + "/encodings/utf_8.py": "usr/lib/python3.13/encodings/utf_8.py",
	} {
		if string(files[name]) != want {
			t.Errorf("%s is %q, want %q", name, files[name], want)
		}
	}
	if len(files) != 4 || len(libraries) != 0 {
		t.Errorf("%d files and %d libraries", len(files), len(libraries))
	}
	if err := addLibraries(files, libraries, files[compilerFile]); err == nil {
		t.Error("the libraries of what is no program were found")
	}
}

// The names that the programs use are those of the folder.
func TestApplicationNames(t *testing.T) {
	source, err := sources.ReadFile("programs/applications.c")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"./" + linkerFile, libraryDir, "./" + compilerFile, "./" + pythonFile, sourceFile, scriptFile,
		applicationsEnv, "/" + guestApplications} {
		if !bytes.Contains(source, []byte(`"`+name+`"`)) {
			t.Errorf("programs/applications.c does not know %q", name)
		}
	}
}

// A folder comes before what it holds, and nothing is lost.
func TestApplicationArchive(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	if err := os.MkdirAll(filepath.Join(a, "lib", "deep"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{filepath.Join(a, "lib", "deep", "x"), filepath.Join(b, "input")} {
		if err := os.WriteFile(name, []byte("contents"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := applicationArchive(a, b)
	if err != nil {
		t.Fatal(err)
	}
	last := 0
	for _, name := range []string{"applications", "applications/lib", "applications/lib/deep", "applications/input", "applications/lib/deep/x"} {
		at := bytes.Index(data, []byte(name+"\x00"))
		if at <= last {
			t.Errorf("%s is at %d, what is before it at %d", name, at, last)
		}
		last = at
	}
	if n := bytes.Count(data, []byte("contents")); n != 2 {
		t.Errorf("%d files' contents", n)
	}
}

// The applications and the cold code run on the host.
func TestApplications(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: no packages are unpacked")
	}
	for _, cc := range []string{compilers.guest, compilers.host} {
		if _, err := exec.LookPath(cc); err != nil {
			t.Skipf("no %s here", cc)
		}
	}
	ctx, dir := context.Background(), t.TempDir()
	host, err := compile(ctx, compilers.host, dir)
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(dir, "applications")
	if _, err := prepareApplications(ctx, folder); err != nil {
		t.Skipf("the applications cannot be had: %v", err)
	}
	for _, name := range []string{"compiler", "python", "once", "few"} {
		if r, err := (native{path: host, applications: folder}).Run(ctx, name, 1); err != nil || strings.Trim(r.Checksum, "0") == "" {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	if _, err := (native{path: host, applications: dir}).Run(ctx, "python", 1); err == nil {
		t.Error("an application ran that is not there")
	}
}

// Every block of the generated code is its own, and there are as many as told.
func TestGenerate(t *testing.T) {
	code := string(generate())
	if code != string(generate()) {
		t.Error("two generations differ")
	}
	if n := 3 * strings.Count(code, "if (x >>"); n < 20000 || n > 21000 {
		t.Errorf("%d basic blocks", n)
	}
}
