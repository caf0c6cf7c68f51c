package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// refusal runs the program to its end and returns its status and what it said.
func refusal(t *testing.T, env []string, args ...string) (status int, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), env...)
	var e bytes.Buffer
	cmd.Stderr = &e
	out, err := cmd.Output()
	if ctx.Err() != nil {
		t.Fatalf("doppel %q does not end\n%s\n%s", args, out, e.String())
	}
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), e.String()
}

// sentence checks that a message is one clear line, that it holds every word,
// and that it is nothing that only a programmer reads.
func sentence(t *testing.T, args []string, stderr string, words ...string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
	last := lines[len(lines)-1]
	if !strings.HasPrefix(last, "doppel: ") {
		t.Errorf("doppel %q: the last line is no message: %q", args, stderr)
	}
	for _, line := range lines[:len(lines)-1] {
		if !progressLine.MatchString(line) {
			t.Errorf("doppel %q says more than a sentence: %q", args, stderr)
		}
	}
	for _, w := range words {
		if !strings.Contains(strings.ToLower(last), strings.ToLower(w)) {
			t.Errorf("doppel %q: no %q in %q", args, w, last)
		}
	}
	if bad := regexp.MustCompile(`0xc000|goroutine|runtime error|%!|panic|BUG|<nil>|\bEOF$`).FindString(last); bad != "" {
		t.Errorf("doppel %q: %q in %q", args, bad, last)
	}
	if len(last) > 700 || len(last) < 25 {
		t.Errorf("doppel %q: %d bytes of message: %q", args, len(last), last)
	}
}

// progressLine is what a long command says of its steps.
var progressLine = regexp.MustCompile(`^[A-Z][A-Za-z0-9 ,./:-]* \.\.\.$|: failed$`)

// Whatever is wrong with the command line or a file: one sentence, the right
// status, nothing left behind.
func TestBadInput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		writeFile(t, path, data)
		return path
	}
	image := fakeImage()
	missing := filepath.Join(dir, "missing")
	sector := make([]byte, 512)
	x86 := make([]byte, 4096)
	copy(x86[0x1fe:], "\x55\xaa\xeb\x66HdrS")
	arm := make([]byte, 4096)
	copy(arm, "MZ")
	copy(arm[56:], "ARM\x64")
	foreign := elfFile(0x80000000, sector, 0)
	foreign[18] = 62
	elf32 := elfFile(0x80000000, sector, 0)
	elf32[4] = 1
	good := file("good", image)
	disk, odd := file("disk.raw", bytes.Repeat(sector, 64)), file("odd.raw", make([]byte, 1000))
	locked := file("locked.raw", bytes.Repeat(sector, 64))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port
	packet, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer packet.Close()
	udp := packet.LocalAddr().(*net.UDPAddr).Port
	holder := start(t, options{}, "run", "--firmware", file("spin", assemble(t, 0x80000000, "1: wfi\n j 1b")), "--disk", locked)
	holdsFile(holder, locked)
	readOnly := file("readonly.raw", bytes.Repeat(sector, 64))
	if err := os.Chmod(readOnly, 0o444); err != nil {
		t.Fatal(err)
	}

	cases := []struct {
		name   string
		args   string // blank-separated
		status int
		words  []string
	}{
		{"kernel missing", "run --kernel " + missing, 2, []string{missing, "no such file"}},
		{"kernel is a folder", "run --kernel " + dir, 2, []string{dir, "not a regular file"}},
		{"kernel empty", "run --kernel " + file("empty", nil), 2, []string{"empty"}},
		{"kernel is noise", "run --kernel " + file("noise", bytes.Repeat([]byte("noise"), 999)), 2, []string{"noise", "ELF"}},
		{"kernel for x86", "run --kernel " + file("bzImage", x86), 2, []string{"bzImage", "x86", "riscv64"}},
		{"kernel for arm64", "run --kernel " + file("arm", arm), 2, []string{"arm64", "riscv64"}},
		{"ELF for x86-64", "run --kernel " + file("elf86", foreign), 2, []string{"x86-64", "RISC-V"}},
		{"ELF of 32 bits", "run --kernel " + file("elf32", elf32), 2, []string{"64-bit"}},
		{"ELF truncated", "run --kernel " + file("elfshort", foreign[:40]), 2, []string{"truncated"}},
		{"ELF segment truncated", "run --kernel " + file("elfcut", elfFile(0x80000000, make([]byte, 9000), 0)[:5000]), 2, []string{"truncated"}},
		{"gzip truncated", "run --kernel " + file("gz", compressGzip(t, image)[:300]), 2, []string{"truncated", "gzip"}},
		{"zboot truncated", "run --kernel " + file("zboot", zboot("gzip", compressGzip(t, image))[:4200]), 2, []string{"truncated", "zboot"}},
		{"zboot of unknown kind", "run --kernel " + file("zbootlzo", zboot("lzo", sector)), 2, []string{"lzo", "gzip"}},
		{"firmware missing", "run --firmware " + missing, 2, []string{"firmware", missing}},
		{"initrd missing", "run --kernel " + good + " --initrd " + missing, 2, []string{"initrd", missing}},
		{"initrd without kernel", "run --initrd " + good, 2, []string{"kernel"}},
		{"kernel larger than memory", "run --memory 4M --kernel " + file("large", make([]byte, 5<<20)), 2, []string{"memory"}},
		{"initrd larger than memory", "run --memory 8M --kernel " + good + " --initrd " + file("rd", make([]byte, 7<<20)), 2, []string{"memory"}},
		{"kernel unreadable", "run --kernel /proc/self/mem", 1<<8 | 2, []string{"/proc/self/mem"}},

		{"memory no number", "run --memory lots", 2, []string{"lots", "512M"}},
		{"memory negative", "run --memory -5", 2, []string{"-5"}},
		{"weight no number", "run --cpu-weight x", 2, []string{`--cpu-weight "x": want a whole number, 1 to 10000; see doppel run --help`}},
		{"cpus no number", "run --cpus 1.5", 2, []string{`--cpus "1.5": want a whole number; see`}},
		{"seed negative", "run --seed -1", 2, []string{`--seed "-1": want a whole number`}},
		{"switch with a value", "run --stats=3", 2, []string{`--stats "3": want true or false`}},
		{"interval no time", "top --interval x", 2, []string{`--interval "x": want a time such as 10s`}},
		{"weight zero", "run --cpu-weight 0", 2, []string{"cpu-weight", "1 to 10000"}},
		{"weight too large", "run --cpu-weight 10001", 2, []string{"cpu-weight", "10001", "1 to 10000"}},
		{"cap no number", "run --cpu-cap lots", 2, []string{"cpu-cap", "lots", "50%"}},
		{"cap above the processors", "run --cpus 2 --cpu-cap 201%", 2, []string{"cpu-cap", "200%"}},
		{"affinity no list", "run --cpu-affinity 1-", 2, []string{"cpu-affinity", "0-3"}},
		{"affinity not there", "run --cpu-affinity 8000", 2, []string{"cpu-affinity", "8000"}},
		{"memory zero", "run --memory 0", 2, []string{"memory"}},
		{"memory small", "run --memory 1M", 2, []string{"memory", "4 MiB"}},
		{"memory not whole", "run --memory 5000001", 2, []string{"memory", "5000001"}},
		{"memory huge", "run --memory 4096T", 2, []string{"memory"}},
		{"memory over 64 bits", "run --memory 99999999999T", 2, []string{"memory", "99999999999T"}},
		{"cpus 0", "run --cpus 0", 2, []string{"cpus", "64"}},
		{"cpus 65", "run --cpus 65", 2, []string{"cpus", "65", "64"}},
		{"cpus no number", "run --cpus two", 2, []string{"cpus", "two"}},
		{"seed no number", "run --seed x", 2, []string{"seed"}},

		{"disk missing", "run --kernel " + good + " --disk " + missing, 2, []string{missing}},
		{"disk is a folder", "run --kernel " + good + " --disk " + dir, 2, []string{dir}},
		{"disk of no name", "run --kernel " + good + " --disk ,ro", 2, []string{"FILE"}},
		{"disk option", "run --kernel " + good + " --disk " + disk + ",fast", 2, []string{"fast", "ephemeral"}},
		{"disk options clash", "run --kernel " + good + " --disk " + disk + ",ro,ephemeral", 2, []string{"ro", "ephemeral"}},
		{"disk of no whole sectors", "run --kernel " + good + " --disk " + odd, 2, []string{odd, "1000", "512"}},
		{"disk empty", "run --kernel " + good + " --disk " + file("none.raw", nil), 2, []string{"0 bytes"}},
		{"disk of another machine", "run --kernel " + good + " --disk " + locked, 1<<8 | 2, []string{locked, "in use"}},
		{"disk without a kernel", "run --disk " + disk, 2, []string{"kernel"}},
		{"disk twice", "run --kernel " + good + " --disk " + disk + " --disk " + disk, 1<<8 | 2, []string{disk}},

		{"network", "run --net bridge", 2, []string{"bridge", "user"}},
		{"publish without network", "run --net none --publish 8080:80", 2, []string{"publish"}},
		{"publish of one port", "run --publish 80", 2, []string{"80", "HOST:GUEST"}},
		{"publish port", "run --publish 70000:80", 2, []string{"70000"}},
		{"publish to port 0", "run --publish 80:0", 2, []string{"guest port"}},
		{"publish address", "run --publish nowhere:80:80", 2, []string{"nowhere", "address"}},
		{"publish protocol", "run --publish 80:80/sctp", 2, []string{"sctp"}},
		{"publish foreign address", fmt.Sprintf("run --publish 192.0.2.1:%d:80", port), 1<<8 | 2, []string{"192.0.2.1"}},
		{"publish port in use", fmt.Sprintf("run --publish %d:80", port), 1<<8 | 2, []string{fmt.Sprint(port), "in use"}},
		{"publish udp port in use", fmt.Sprintf("run --publish %d:80/udp", udp), 1<<8 | 2, []string{fmt.Sprint(udp), "in use"}},

		{"engine", "run --engine warp", 2, []string{"warp", "interp"}},
		{"dump into a folder", "run --jit-dump " + dir, 2, []string{"--jit-dump", dir, "directory"}},
		{"dump into nowhere", "run --jit-dump " + missing + "/dump", 2, []string{"--jit-dump", missing, "no such file"}},
		{"dump of no name", "run --jit-dump=", 2, []string{"--jit-dump", "file"}},
		{"dump of the interpreter", "run --engine interp --jit-dump " + missing, 2, []string{"--jit-dump", "jit"}},
		{"map of the interpreter", "run --engine interp --perf-map", 2, []string{"--perf-map", "jit"}},
		{"balloon", "run --balloon maybe", 2, []string{"--balloon", "maybe", "on or off"}},
		{"memory limit of nothing", "run --memory-limit 0", 2, []string{"--memory-limit", "such as"}},
		{"small memory limit", "run --memory-limit 5M", 2, []string{"--memory-limit", "64 MiB"}},
		{"memory limit of words", "run --memory-limit much", 2, []string{"--memory-limit", "much", "512M"}},
		{"memory policy", "run --memory-policy best", 2, []string{"--memory-policy", "overcommit", "strict"}},
		{"memory sharing", "run --memory-sharing some", 2, []string{"--memory-sharing", "auto", "off"}},
		{"more than the limit", "run --memory 512M --memory-policy strict --memory-limit 100M", 2, []string{"--memory", "100 MiB", "overcommit"}},
		{"balloon of nobody", "balloon no-such-machine 5M", 2, []string{"no-such-machine", "doppel stats"}},
		{"balloon of no size", "balloon no-such-machine much", 2, []string{"much", "512M"}},
		{"control socket on a file", "run --control " + good, 1, []string{good, "not a socket"}},
		{"control socket without a folder", "run --control " + missing + "/socket", 1, []string{missing}},
		{"figures of no machine", "stats nonesuch", 2, []string{"nonesuch", "doppel stats"}},
		{"figures of no socket", "stats --control " + missing, 1, []string{missing, "no such file"}},
		{"figures of a machine twice named", "stats a --control b", 2, []string{"--control"}},
		{"figures of two machines", "stats a b", 2, []string{"one machine"}},
		{"console", "run --console vt100", 2, []string{"vt100", "stdio"}},
		{"console socket without a folder", "run --console unix:" + missing + "/socket", 1<<8 | 2, []string{missing}},
		{"console socket on a file", "run --console unix:" + good, 1<<8 | 2, []string{good}},
		{"append too long", "run --kernel " + good + " --append " + strings.Repeat("x", 3000), 2, []string{"append", "3000"}},
		{"unknown flag", "run --turbo", 2, []string{"--turbo"}},
		{"unknown command", "fly", 2, []string{"fly", "help"}},
		{"two images", "run a b", 2, []string{"one image"}},
		{"image and kernel", "run debian:trixie --kernel " + good, 2, []string{"--kernel", "image"}},
		{"image missing", "run nonesuch", 2, []string{"nonesuch", "doppel image"}},
		{"image name", "run ../../etc", 1<<8 | 2, []string{"../../etc"}},
		{"inspect missing", "image inspect nonesuch", 1<<8 | 2, []string{"nonesuch"}},
		{"rm missing", "image rm nonesuch", 1<<8 | 2, []string{"nonesuch"}},
		{"rm nothing", "image rm", 2, []string{"names"}},
		{"unknown image command", "image fly", 2, []string{"fly"}},

		{"build of what is not Debian", "image build plan9:4", 2, []string{"plan9:4", "debian:"}},
		{"build size", "image build debian:trixie --size big", 2, []string{"big", "4G"}},
		{"build small", "image build debian:trixie --size 1K", 1<<8 | 2, []string{"size"}},
		{"build mirror is no address", "image build debian:trixie --mirror ftp:here", 1<<8 | 2, []string{"ftp:here", "http"}},
		{"build mirror unreachable", fmt.Sprintf("image build debian:trixie --mirror http://127.0.0.1:%d/debian", closedPort(t)), 1, []string{"127.0.0.1", "refused"}},
		{"build keyring missing", "image build debian:trixie --mirror http://127.0.0.1:1/ --keyring " + missing, 1<<8 | 2, []string{missing, "keyring"}},
		{"build arch", "image build debian:trixie --arch vax", 1<<8 | 2, []string{"vax"}},
		{"import missing", "image import " + missing, 1<<8 | 2, []string{missing}},
		{"import noise", "image import " + file("noise.bin", bytes.Repeat([]byte("noise"), 999)), 1<<8 | 2, []string{"noise.bin", "tar"}},
		{"import empty", "image import " + file("empty.tar", nil), 1<<8 | 2, []string{"empty.tar"}},
		{"import qcow2", "image import " + file("disk.qcow2", append([]byte("QFI\xfb\x00\x00\x00\x03"), make([]byte, 4096)...)), 1<<8 | 2, []string{"qcow2", "raw"}},
		{"import truncated", "image import " + file("short.tar.gz", compressGzip(t, tarFile(t, map[string]string{"a": strings.Repeat("abcdefgh", 9999)}))[:200]), 1<<8 | 2, []string{"short.tar.gz"}},
		{"pull of no reference", "image pull NOT//valid", 1<<8 | 2, []string{"NOT//valid"}},
		{"pull unreachable", fmt.Sprintf("image pull 127.0.0.1:%d/a/b:c", closedPort(t)), 1, []string{"127.0.0.1", "refused"}},
	}
	before := listing(t, dir)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			home := t.TempDir()
			args := strings.Fields(c.args)
			status, stderr := refusal(t, []string{"XDG_DATA_HOME=" + home, "XDG_CACHE_HOME=" + home, "TMPDIR=" + home, "TMP=" + home}, args...)
			// 1<<8|2: the issue leaves open whether it is usage or the host.
			if status != c.status && !(c.status == 1<<8|2 && (status == 1 || status == 2)) {
				t.Errorf("doppel %s: status %d, want %d: %s", c.args, status, c.status&0xff, stderr)
			}
			sentence(t, args, stderr, c.words...)
			if left := leftovers(t, home); len(left) > 0 {
				t.Errorf("doppel %s leaves %q", c.args, left)
			}
		})
	}
	// What cannot be read or written by its mode; root may all the same.
	if os.Geteuid() != 0 {
		status, stderr := refusal(t, nil, "run", "--kernel", good, "--disk", readOnly)
		if status == 0 {
			t.Errorf("a disk of mode 0444 was opened for writing: %s", stderr)
		}
	}
	holder.kill()
	after := listing(t, dir)
	for _, name := range after {
		if !strings.Contains(strings.Join(before, "\n")+"\n", name+"\n") {
			t.Errorf("left behind: %s", name)
		}
	}
}

// fakeImage is a Linux Image that holds only a loop.
func fakeImage() []byte {
	b := make([]byte, 8192)
	copy(b, "\x6f\x00\x00\x00") // j .
	b[9] = 0                    // text offset 0x200000
	b[10] = 0x20
	b[17] = 0x20 // size 8192
	copy(b[48:], "RISCV\x00\x00\x00RSC\x05")
	for i := 64; i < len(b); i++ {
		b[i] = byte(i * i >> 3)
	}
	return b
}

// closedPort is a port of the loopback that nobody listens on.
func closedPort(t *testing.T) int { return freePort(t) }

// holdsFile waits until the program has a file open.
func holdsFile(s *session, path string) {
	s.t.Helper()
	for deadline := time.Now().Add(soon); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", s.cmd.Process.Pid))
		if err != nil {
			s.t.Fatal(err)
		}
		for _, l := range links {
			if to, err := os.Readlink(l); err == nil && to == path {
				return
			}
		}
	}
	s.fail("%s is not opened", path)
}

func listing(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// leftovers lists the files below dir that a failed command must not leave:
// all but empty folders, lock files and the verified downloads of the cache.
func leftovers(t *testing.T, dir string) []string {
	t.Helper()
	var left []string
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() && path == dir {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		switch {
		case strings.Contains(rel, ".draft-") || strings.Contains(rel, ".spool-"):
		case info.IsDir(), info.Size() == 0 && strings.Contains(rel, "lock"), strings.HasPrefix(rel, "doppel/sha256/"):
			return nil
		}
		left = append(left, rel)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return left
}
