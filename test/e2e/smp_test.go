package e2e

import (
	"archive/tar"
	"bytes"
	"crypto/md5"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"doppel/test/guest"
)

//go:embed testdata/stress.c
var stressSource []byte

// crossCompiler makes programs for the guest (package gcc-riscv64-linux-gnu).
const crossCompiler = "riscv64-linux-gnu-gcc"

// Debian with more harts than the host has processors: threads that do all to
// each other that threads can, and a compilation in parallel, whose results
// are known.
func TestDebianEightHarts(t *testing.T) {
	t.Parallel()
	store := debianStore(t)
	if _, err := exec.LookPath(crossCompiler); err != nil {
		t.Skipf("no %s on this host (package gcc-riscv64-linux-gnu)", crossCompiler)
	}
	dir := t.TempDir()
	files := map[string][]byte{"stress": stressProgram(t, dir)}
	sums := compilerFiles(t, dir, files)
	disk := filepath.Join(dir, "files.tar")
	writeFile(t, disk, append(tarPrograms(t, files), make([]byte, 1<<20)...))

	s := start(t, options{large: true, env: []string{"XDG_DATA_HOME=" + store}}, "run", debian, "--cpus", "8", "--ephemeral", "--memory", "1G", "--disk", disk+",ro")
	login(s, "ttyS0")
	if got := s.must("nproc", soon); got != "8\n" {
		s.fail("nproc: %q", got)
	}
	s.must("mkdir /run/work && mount -t tmpfs -o size=600m,exec tmpfs /run/work && cd /run/work && tar xf /dev/vdb", kernelUp)
	if got := s.must("./stress 640", systemUp); got != "stress: ok\n" {
		s.fail("threads: %s", got)
	}
	if len(sums) != 0 {
		var names []string
		for name := range sums {
			names = append(names, name)
		}
		s.must("printf '%s\\n' "+strings.Join(names, " ")+" | xargs -P 8 -n 1 sh -c './ld.so --library-path lib ./cc1 -quiet -O2 $0 -o $0.s'", systemUp)
		for name, want := range sums {
			if got := s.must("md5sum < "+name+".s", soon); !strings.HasPrefix(got, want) {
				s.fail("compiled here, %s is %s, on the host %s", name, got, want)
			}
		}
	}
	// Every hart has worked.
	s.must(`awk '/^cpu[0-7] / { n++; if ($2 + $4 == 0) exit 1 } END { exit n != 8 }' /proc/stat`, kernelUp)
	checkDmesg(s, s.must("dmesg", soon))
	s.send("poweroff\n")
	s.wait(0, systemUp)
}

func stressProgram(t *testing.T, dir string) []byte {
	t.Helper()
	source, to := filepath.Join(dir, "stress.c"), filepath.Join(dir, "stress")
	writeFile(t, source, stressSource)
	if out, err := exec.Command(crossCompiler, "-O2", "-static", "-pthread", "-o", to, source).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", crossCompiler, err, out)
	}
	return readFile(t, to)
}

// compilerFiles adds GCC's compiler for the guest and sources for it, and
// returns the sums of what the host's build of it makes of each. The compiler
// is where the benchmark has put it; without it there is nothing to compile.
func compilerFiles(t *testing.T, dir string, files map[string][]byte) map[string]string {
	t.Helper()
	cache, err := guest.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(filepath.Dir(cache), "bench", guest.Suite)
	if _, err := os.Stat(folder + "-riscv64/cc1"); err != nil {
		t.Logf("nothing is compiled: no compiler in %s-riscv64 (make bench fetches it)", folder)
		return nil
	}
	for _, name := range []string{"cc1", "ld.so"} {
		files[name] = readFile(t, folder+"-riscv64/"+name)
	}
	libs, err := filepath.Glob(folder + "-riscv64/lib/*.so*")
	if err != nil {
		t.Fatal(err)
	}
	for _, lib := range libs {
		files["lib/"+filepath.Base(lib)] = readFile(t, lib)
	}
	sums := map[string]string{}
	for _, name := range []string{"compress", "control", "core", "fft", "float", "format", "hash", "interpreter", "memory", "nbody", "sieve", "sort"} {
		source := filepath.Join(dir, name+".i")
		if out, err := exec.Command(crossCompiler, "-E", "-P", "-o", source, "../../bench/programs/"+name+".c").CombinedOutput(); err != nil {
			t.Fatalf("%s -E: %v\n%s", crossCompiler, err, out)
		}
		host := exec.Command(folder+"-amd64/ld.so", "--library-path", folder+"-amd64/lib", folder+"-amd64/cc1", "-quiet", "-O2", name+".i", "-o", name+".i.s")
		host.Dir = dir
		if out, err := host.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", host, err, out)
		}
		files[name+".i"] = readFile(t, source)
		sums[name+".i"] = fmt.Sprintf("%x", md5.Sum(readFile(t, source+".s")))
	}
	return sums
}

// tarPrograms makes an archive of files that may be executed.
func tarPrograms(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, data := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(data))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
