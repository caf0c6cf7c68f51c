package main

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"doppel/internal/image"
	"doppel/internal/image/initramfs"
	"doppel/test/guest"
)

// The applications are programs that people run, not ones that were written to
// be measured: GCC's C compiler and Python, out of the Debian suite that the
// guest's kernel is from. The host runs its own build of the same versions,
// from the same suite: its compiler makes code for the guest's processor too,
// so that the two must agree in every byte they write.
//
// They lie in one folder, on the host and in the guest in the same form, and
// are started through the dynamic linker there (programs/applications.c): the
// host's own libraries are older or newer.
const (
	compilerPackage = "cpp-14-riscv64-linux-gnu" // has the compiler proper, cc1
	pythonPackage   = "python3.13-minimal"
	pythonLibrary   = "libpython3.13-minimal"
	pythonFolder    = "usr/lib/python3.13/" // in pythonLibrary
)

// Where programs/applications.c looks for them: the environment variable, or
// the guest's folder if there is none.
const (
	applicationsEnv   = "BENCH_APPLICATIONS"
	guestApplications = "applications"
)

// The names in the applications' folder; programs/applications.c has them too.
const (
	linkerFile   = "ld.so"
	libraryDir   = "lib"
	compilerFile = "cc1"
	pythonFile   = "python3"
	pythonDir    = "lib/python3.13"
	sourceFile   = "source.i"
	scriptFile   = "script.py"
)

// prepareApplications makes the folder for the host, and gives the part of the
// initial RAM disk for the guest.
func prepareApplications(ctx context.Context, folder string) ([]byte, error) {
	inputs := folder + "-inputs"
	for _, d := range []string{folder, inputs} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return nil, err
		}
	}
	if err := writeInputs(ctx, inputs); err != nil {
		return nil, err
	}
	host, err := applications(ctx, hostArchitecture())
	if err != nil {
		return nil, err
	}
	for _, from := range []string{host, inputs} {
		entries, err := os.ReadDir(from)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if err := os.Symlink(filepath.Join(from, e.Name()), filepath.Join(folder, e.Name())); err != nil {
				return nil, err
			}
		}
	}
	riscv, err := applications(ctx, "riscv64")
	if err != nil {
		return nil, err
	}
	return applicationArchive(riscv, inputs)
}

// applications gives an architecture's applications as a folder, out of the
// cache or the packages.
func applications(ctx context.Context, arch string) (string, error) {
	cache, err := image.CacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "bench", guest.Suite+"-"+arch)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	progress("unpacking %s and %s for %s", compilerPackage, pythonPackage, arch)
	files, err := applicationFiles(ctx, arch)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), ".unpack-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	for name, data := range files {
		to := filepath.Join(work, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(to, data, 0o755); err != nil {
			return "", err
		}
	}
	// The folder appears whole, so that an interrupted run leaves no part of it.
	return dir, os.Rename(work, dir)
}

// applicationFiles takes out of packages what the folder holds.
func applicationFiles(ctx context.Context, arch string) (map[string][]byte, error) {
	archive, err := guest.OpenArchive(ctx, arch)
	if err != nil {
		return nil, err
	}
	all, err := archive.Index.Resolve([]string{compilerPackage, pythonPackage}, false)
	if err != nil {
		return nil, err
	}
	files, libraries := map[string][]byte{}, map[string][]byte{}
	for _, p := range all {
		entries, err := guest.Unpack(ctx, archive, p.Name)
		if err != nil {
			return nil, err
		}
		for name, data := range entries {
			place(files, libraries, p.Name, name, data)
		}
	}
	for _, name := range []string{linkerFile, compilerFile, pythonFile, pythonDir + "/encodings/__init__.py"} {
		if files[name] == nil {
			return nil, fmt.Errorf("the packages of suite %s hold no %s where it was looked for", guest.Suite, name)
		}
	}
	return files, errors.Join(addLibraries(files, libraries, files[compilerFile]), addLibraries(files, libraries, files[pythonFile]))
}

// place puts a package's file where the applications' folder has it, and a
// shared library under the name by which others ask for it.
func place(files, libraries map[string][]byte, pkg, name string, data []byte) {
	base := path.Base(name)
	switch {
	case pkg == compilerPackage && base == "cc1":
		files[compilerFile] = data
	case pkg == pythonPackage && strings.HasPrefix(name, "usr/bin/python3"):
		files[pythonFile] = data
	case pkg == pythonLibrary && strings.HasPrefix(name, pythonFolder):
		files[pythonDir+"/"+strings.TrimPrefix(name, pythonFolder)] = data
	case strings.HasPrefix(base, "ld-linux"):
		files[linkerFile] = data
	case strings.Contains(base, ".so"):
		if f, err := elf.NewFile(bytes.NewReader(data)); err == nil {
			if names, err := f.DynString(elf.DT_SONAME); err == nil && len(names) == 1 {
				libraries[names[0]] = data
			}
		}
	}
}

// addLibraries adds the libraries that a program needs, and those that they do.
func addLibraries(files, libraries map[string][]byte, program []byte) error {
	f, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		return err
	}
	names, err := f.ImportedLibraries()
	if err != nil {
		return err
	}
	for _, name := range names {
		to := libraryDir + "/" + name
		if strings.HasPrefix(name, "ld-linux") || files[to] != nil {
			continue
		}
		if libraries[name] == nil {
			return fmt.Errorf("the packages of suite %s hold no library %s", guest.Suite, name)
		}
		files[to] = libraries[name]
		if err := addLibraries(files, libraries, libraries[name]); err != nil {
			return err
		}
	}
	return nil
}

// hostArchitecture is Debian's name for the architecture this program is for.
func hostArchitecture() string {
	switch runtime.GOARCH {
	case "386":
		return "i386"
	case "arm":
		return "armhf"
	case "ppc64le":
		return "ppc64el"
	}
	return runtime.GOARCH
}

// applicationSource is what the compiler compiles: programs of this benchmark,
// preprocessed, so that no headers are needed.
func applicationSource(ctx context.Context, compiler string) ([]byte, error) {
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, compiler, "-std=gnu11", "-E", "-P", "-x", "c", "-")
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	var in bytes.Buffer
	header, err := sources.ReadFile("programs/bench.h")
	if err != nil {
		return nil, err
	}
	in.Write(header)
	for _, name := range compiled {
		data, err := sources.ReadFile("programs/" + name)
		if err != nil {
			return nil, err
		}
		in.Write(bytes.ReplaceAll(data, []byte(`#include "bench.h"`), nil))
	}
	cmd.Stdin = &in
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("preprocess the source to compile: %w", err)
	}
	return out.Bytes(), nil
}

// compiled are the programs in that source.
var compiled = []string{"compress.c"}

// writeInputs writes what the applications work on to a folder.
func writeInputs(ctx context.Context, dir string) error {
	source, err := applicationSource(ctx, compilers.guest)
	if err != nil {
		return err
	}
	script, err := sources.ReadFile("programs/" + scriptFile)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(filepath.Join(dir, sourceFile), source, 0o644),
		os.WriteFile(filepath.Join(dir, scriptFile), script, 0o644))
}

// applicationArchive makes the part of the initial RAM disk that holds the
// applications of a folder and their inputs, under guestApplications.
func applicationArchive(dirs ...string) ([]byte, error) {
	folders, regular := map[string]bool{guestApplications: true}, map[string][]byte{}
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(dir, p)
			if err != nil {
				return err
			}
			name := path.Join(guestApplications, filepath.ToSlash(rel))
			if d.IsDir() {
				folders[name] = true
				return nil
			}
			regular[name], err = os.ReadFile(p)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	var files []initramfs.File
	// Sorted, a folder comes before what it holds.
	for _, name := range slices.Sorted(maps.Keys(folders)) {
		files = append(files, initramfs.File{Name: name, Mode: initramfs.Dir | 0o755})
	}
	for _, name := range slices.Sorted(maps.Keys(regular)) {
		files = append(files, initramfs.File{Name: name, Mode: initramfs.Regular | 0o755, Data: regular[name]})
	}
	return initramfs.Archive(files), nil
}
