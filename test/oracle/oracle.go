// Package oracle finds the QEMU that differential tests and benchmarks compare
// with. It starts nothing by itself and fetches nothing: `go run
// ./tools/oracle` does that, into the folder that Dir names.
//
// Any goroutine may call it; there are no locks.
package oracle

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
)

// Environment variables that name a QEMU to use in place of all others.
const (
	UserEnv   = "DOPPEL_QEMU_USER"   // a qemu-riscv64
	SystemEnv = "DOPPEL_QEMU_SYSTEM" // a qemu-system-riscv64
	ARM64Env  = "DOPPEL_QEMU_ARM64"  // a qemu-aarch64
)

// DirEnv is an environment variable that names the folder in place of Dir's
// own choice, for a second QEMU beside the tests'.
const DirEnv = "DOPPEL_ORACLE"

// QEMU is a program to compare with.
type QEMU struct {
	argv         []string // program and leading arguments
	env          []string // beside the caller's environment
	Major, Minor int
}

// Dir is the folder that tools/oracle unpacks QEMU into.
func Dir() (string, error) {
	if dir := os.Getenv(DirEnv); dir != "" {
		return dir, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, "doppel", "oracle"), nil
}

// Complete tells whether dir holds what User and System look for.
func Complete(dir string) bool {
	l, ok := layouts[runtime.GOARCH]
	if !ok {
		return false
	}
	for _, f := range []string{"usr/bin/qemu-riscv64", "usr/bin/qemu-aarch64", "usr/bin/qemu-system-riscv64", l.loader, "usr/share/qemu"} {
		if _, err := os.Stat(filepath.Join(dir, f)); err != nil {
			return false
		}
	}
	return true
}

// layouts tells, by the host's architecture, where the fetched
// qemu-system-riscv64 has its dynamic loader and libraries, which are not the
// host's.
var layouts = map[string]struct{ loader, libraries string }{
	"amd64": {"lib64/ld-linux-x86-64.so.2", "usr/lib/x86_64-linux-gnu"},
	"arm64": {"lib/ld-linux-aarch64.so.1", "usr/lib/aarch64-linux-gnu"},
}

// User finds user-mode QEMU: the one in the environment, else the fetched one,
// else the host's.
func User() (*QEMU, error) {
	dir, err := Dir()
	if err != nil {
		return nil, err
	}
	return find(UserEnv, []string{filepath.Join(dir, "usr/bin/qemu-riscv64")}, "qemu-riscv64", "qemu-riscv64-static")
}

// ARM64 finds user-mode QEMU that runs programs for arm64, in the same order.
func ARM64() (*QEMU, error) {
	dir, err := Dir()
	if err != nil {
		return nil, err
	}
	return find(ARM64Env, []string{filepath.Join(dir, "usr/bin/qemu-aarch64")}, "qemu-aarch64", "qemu-aarch64-static")
}

// System finds full-system QEMU, in the same order.
func System() (*QEMU, error) {
	dir, err := Dir()
	if err != nil {
		return nil, err
	}
	l := layouts[runtime.GOARCH]
	libs := filepath.Join(dir, l.libraries)
	fetched := []string{filepath.Join(dir, l.loader), "--library-path", libs,
		filepath.Join(dir, "usr/bin/qemu-system-riscv64"), "-L", filepath.Join(dir, "usr/share/qemu")}
	q, err := find(SystemEnv, fetched, "qemu-system-riscv64")
	if err == nil && q.argv[0] == fetched[0] {
		// Its modules belong to its build; the host's own QEMU has others.
		q.env = []string{"QEMU_MODULE_DIR=" + filepath.Join(libs, "qemu")}
	}
	return q, err
}

func find(env string, fetched []string, names ...string) (*QEMU, error) {
	if p := os.Getenv(env); p != "" {
		return probe([]string{p})
	}
	if s, err := os.Stat(fetched[0]); err == nil && s.Mode().IsRegular() {
		return probe(fetched)
	}
	for _, name := range names {
		if p, err := exec.LookPath(name); err == nil {
			return probe([]string{p})
		}
	}
	return nil, fmt.Errorf("no %s here: run `go run ./tools/oracle`, or set %s", names[0], env)
}

var versionText = regexp.MustCompile(`version (\d+)\.(\d+)`)

func probe(argv []string) (*QEMU, error) {
	q := &QEMU{argv: argv}
	out, err := q.Command("--version").Output()
	if err != nil {
		return nil, fmt.Errorf("%s --version: %w", argv[0], err)
	}
	m := versionText.FindSubmatch(out)
	if m == nil {
		return nil, fmt.Errorf("%s --version: no version in %q", argv[0], out)
	}
	q.Major, _ = strconv.Atoi(string(m[1]))
	q.Minor, _ = strconv.Atoi(string(m[2]))
	return q, nil
}

// Command is the program with arguments, not started.
func (q *QEMU) Command(args ...string) *exec.Cmd {
	all := append(append([]string(nil), q.argv[1:]...), args...)
	cmd := exec.Command(q.argv[0], all...)
	cmd.Env = append(os.Environ(), q.env...)
	return cmd
}

// AtLeast tells whether this QEMU is of a version or later.
func (q *QEMU) AtLeast(major, minor int) bool {
	return q.Major > major || q.Major == major && q.Minor >= minor
}

func (q *QEMU) String() string { return fmt.Sprintf("QEMU %d.%d", q.Major, q.Minor) }
