package main

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed programs
var sources embed.FS

// Group is a kind of program; ratios are summed up by group.
type Group int

// The groups, in the order of the table.
const (
	Integer Group = iota
	Control
	Float
	Memory
	System
	Application
	Cold
	groups
)

func (g Group) String() string {
	switch g {
	case Integer:
		return "integer"
	case Control:
		return "control flow"
	case Float:
		return "floating point"
	case Memory:
		return "memory"
	case System:
		return "system"
	case Application:
		return "applications"
	case Cold:
		return "cold code"
	}
	return fmt.Sprintf("Group(%d)", int(g))
}

// cpuBound tells whether a group's time is spent in the program itself.
func (g Group) cpuBound() bool { return g < System }

// counted tells whether a group is part of the mean over all. Cold code is
// there to judge translation, not to raise the mean with.
func (g Group) counted() bool { return g != Cold }

// Program is one benchmark program.
type Program struct {
	Name  string
	Group Group
	What  string
}

// programs is the list; programs/bench.h has the same names.
var programs = []Program{
	{"sort", Integer, "quicksort of 16384 words"},
	{"hash", Integer, "hash table of strings"},
	{"sieve", Integer, "primes below 2^18"},
	{"format", Integer, "1000 lines by snprintf, strtol"},
	{"compress", Integer, "LZ77 of 64 KiB, and back"},
	{"interpreter", Integer, "byte code loop"},
	{"list", Integer, "linked list: reverse, search, sort"},
	{"matrix", Integer, "16-bit matrix product"},
	{"state", Integer, "state machine over text"},
	{"calls", Control, "40000 indirect calls"},
	{"recursion", Control, "Takeuchi and Fibonacci"},
	{"deep", Control, "20000 frames deep and back"},
	{"nbody", Float, "five bodies, 1000 steps"},
	{"matmul", Float, "80 x 80 doubles"},
	{"fft", Float, "2048 points, forth and back"},
	{"mandelbrot", Float, "48 x 48 points"},
	{"sqrtdiv", Float, "20000 roots and divisions"},
	{"sequential", Memory, "32 MiB in order, read and write"},
	{"strided", Memory, "32 MiB by pages"},
	{"chase", Memory, "32 MiB in random order"},
	{"memcpy", Memory, "9 MiB in pieces of 16 bytes to 1 MiB"},
	{"syscall", System, "1000 getppid"},
	{"fault", System, "256 pages touched first"},
	{"fork", System, "fork and wait"},
	{"exec", System, "fork, exec and wait"},
	{"pipe", System, "64 KiB through a pipe"},
	{"switch", System, "100 bytes to another process and back"},
	{"compiler", Application, "GCC's cc1 -O2, 120 lines"},
	{"python", Application, "Python 3, a program of 70 lines"},
	{"once", Cold, "20000 new basic blocks, run once"},
	{"few", Cold, "20000 new basic blocks, run 8 times"},
	{"many", Cold, "20000 new basic blocks, run 64 times"},
}

// groupOf gives the group of a program on the list.
func groupOf(name string) Group {
	return programs[slices.IndexFunc(programs, func(p Program) bool { return p.Name == name })].Group
}

// compilers make the program for a guest and for the host.
var compilers = struct{ guest, host string }{"riscv64-linux-gnu-gcc", "gcc"}

// cflags are the same for both. No multiplication is fused with an addition on
// one side only: the results would differ in the last bit.
var cflags = []string{"-std=gnu11", "-O2", "-static", "-ffp-contract=off", "-Wall", "-Wextra"}

// compile builds all programs into one executable.
func compile(ctx context.Context, compiler, dir string) (string, error) {
	cc, err := exec.LookPath(compiler)
	if err != nil {
		return "", fmt.Errorf("no %s here: run scripts/deps test, or install it", compiler)
	}
	src := filepath.Join(dir, compiler+".src")
	if err := os.CopyFS(src, sources); err != nil {
		return "", fmt.Errorf("write the programs' sources: %w", err)
	}
	if err := os.WriteFile(filepath.Join(src, "programs", generatedFile), generate(), 0o644); err != nil {
		return "", err
	}
	files, err := fs.Glob(os.DirFS(src), "programs/*.c")
	if err != nil {
		return "", err
	}
	out := filepath.Join(dir, "bench-"+compiler)
	args := slices.Concat(cflags, []string{"-o", out}, files, []string{"-lm", "-pthread"})
	cmd := exec.CommandContext(ctx, cc, args...)
	cmd.Dir = src
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", compiler, strings.Join(args, " "), err, text)
	}
	return out, nil
}

// compilerVersion gives a compiler's version as it tells it.
func compilerVersion(compiler string) string {
	out, err := exec.Command(compiler, "-dumpfullversion").Output()
	if err != nil {
		return "of unknown version"
	}
	return strings.TrimSpace(string(out))
}
