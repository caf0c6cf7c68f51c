package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"doppel/internal/image/lock"
	"doppel/test/guest"
)

const debian = "debian:trixie"

// storeEnv names a data folder with a Debian image to use in place of one
// built by the test.
const storeEnv = "DOPPEL_TEST_STORE"

const buildLimit = 20 * time.Minute

// built is the data folder ($XDG_DATA_HOME) that holds the image: the sources
// of everything that makes images are part of its name, so that an image is
// built anew when they change, and only then.
var built = sync.OnceValues(func() (string, error) {
	if dir := os.Getenv(storeEnv); dir != "" {
		return dir, nil
	}
	cache, err := guest.CacheDir()
	if err != nil {
		return "", err
	}
	sum, err := hashSources("../../internal/image")
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "data-"+sum[:16])
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), buildLimit)
	defer cancel()
	l, err := lock.Wait(ctx, filepath.Join(cache, "data.lock")) // another test may be building it
	if err != nil {
		return "", err
	}
	defer l.Unlock()
	if err := removeOthers(cache, filepath.Base(dir)); err != nil {
		return "", err
	}
	cmd := exec.Command(program, "image", "inspect", debian)
	cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+dir)
	if cmd.Run() == nil {
		return dir, nil
	}
	build := exec.CommandContext(ctx, program, "image", "build", debian)
	build.Env = cmd.Env
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("XDG_DATA_HOME=%s bin/doppel image build %s: %w\n%s", dir, debian, err, out)
	}
	return dir, nil
})

// removeOthers removes the data folders of older sources.
func removeOthers(cache, keep string) error {
	old, err := filepath.Glob(filepath.Join(cache, "data-*"))
	for _, dir := range old {
		if filepath.Base(dir) != keep {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}
	return err
}

func hashSources(root string) (string, error) {
	h := sha256.New()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, "_test.go") {
			return err
		}
		data, err := os.ReadFile(path)
		fmt.Fprintf(h, "%s %d\n%s", path, len(data), data)
		return err
	})
	return fmt.Sprintf("%x", h.Sum(nil)), err
}

// debianStore gives the test a data folder of its own with the Debian image.
func debianStore(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: no Debian image is built")
	}
	dir, err := built()
	if err != nil {
		t.Fatal(err)
	}
	from, err := filepath.Glob(filepath.Join(dir, "doppel", "images", "*", "disk.raw"))
	if err != nil || len(from) == 0 {
		t.Fatalf("no disk of an image in %s (%v)", dir, err)
	}
	own := t.TempDir()
	for _, disk := range from {
		rel, err := filepath.Rel(dir, filepath.Dir(disk))
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(own, rel)
		if err := os.MkdirAll(to, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"config.json", "kernel", "initrd"} {
			writeFile(t, filepath.Join(to, name), readFile(t, filepath.Join(filepath.Dir(disk), name)))
		}
		copySparse(t, filepath.Join(to, "disk.raw"), disk)
	}
	return own
}

// extents calls fn with each run of data in a sparse file.
func extents(f *os.File, fn func(r *io.SectionReader, off int64) error) error {
	for off := int64(0); ; {
		from, err := f.Seek(off, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil
		}
		if err != nil {
			return err
		}
		if off, err = f.Seek(from, unix.SEEK_HOLE); err != nil {
			return err
		}
		if err := fn(io.NewSectionReader(f, from, off-from), from); err != nil {
			return err
		}
	}
}

func copySparse(t *testing.T, to, from string) {
	t.Helper()
	src, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	dst, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	defer dst.Close()
	info, err := src.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if err := dst.Truncate(info.Size()); err != nil {
		t.Fatal(err)
	}
	if err := extents(src, func(r *io.SectionReader, off int64) error {
		_, err := io.Copy(io.NewOffsetWriter(dst, off), r)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// hashFile hashes a sparse file's data and where it lies.
func hashFile(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if err := extents(f, func(r *io.SectionReader, off int64) error {
		fmt.Fprintln(h, off, r.Size())
		_, err := io.Copy(h, r)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// login logs in as root on a terminal and changes to a shell without line
// editing.
func login(s *session, tty string) {
	s.t.Helper()
	s.match(regexp.MustCompile(`Debian GNU/Linux 13 \S+ `+tty+`\s+\S+ login: `), systemUp)
	s.send("root\n")
	s.expect("root@", kernelUp)
	// The shell asks for the terminal's attributes before its first prompt.
	s.match(regexp.MustCompile(`# `), kernelUp)
	s.send("exec dash\n")
	s.match(regexp.MustCompile(`# `), kernelUp)
	s.send("stty -echo cols 1000; PS1=; PS2=\n")
	s.must("true", kernelUp)
}

// diskSize is the size of the disks beside the image's own.
const diskSize = 8 << 20

// The whole of an unmodified Debian: network, disks, clock, entropy, harts,
// and a file system that is clean after the end.
func TestDebian(t *testing.T) {
	t.Parallel()
	store := debianStore(t)
	work := t.TempDir()
	data, readOnly, ephemeral := filepath.Join(work, "data.raw"), filepath.Join(work, "ro.raw"), filepath.Join(work, "eph.raw")
	for i, path := range []string{data, readOnly, ephemeral} {
		content := bytes.Repeat([]byte(fmt.Sprintf("disk %d sector\n", i)), diskSize/14+200)
		writeFile(t, path, content[:diskSize+512*i])
	}
	before := []string{hashFile(t, readOnly), hashFile(t, ephemeral)}
	port := freePort(t)
	s := start(t, options{large: true, env: []string{"XDG_DATA_HOME=" + store}}, "run", debian, "--cpus", "2", "--memory", "512M",
		"--disk", data, "--disk", readOnly+",ro", "--disk", ephemeral+",ephemeral", "--publish", fmt.Sprintf("%d:7777", port))
	begin := time.Now()
	stage := func(name string, fn func(*session)) {
		fn(s)
		t.Logf("%4.0f s, %4.0f s of processor: %s", time.Since(begin).Seconds(), processorTime(s).Seconds(), name)
	}
	stage("login", func(s *session) { login(s, "ttyS0") })
	stage("system", debianSystem)
	stage("network", debianNetwork)
	stage("apt", debianApt)
	stage("published port", func(s *session) { debianPublished(s, port) })
	stage("disks", debianDisks)
	stage("idle", debianIdle)
	stage("no complaints", debianRest)
	s.send("poweroff\n")
	s.wait(0, systemUp)

	if hashFile(t, readOnly) != before[0] || hashFile(t, ephemeral) != before[1] {
		s.fail("the read-only or the ephemeral disk has changed")
	}
	if got := readFile(t, data); !bytes.HasPrefix(got[4096:], []byte("written by the guest\n")) || !bytes.HasPrefix(got, []byte("disk 0 sector")) {
		s.fail("the guest's write is not on its disk: %.40q", got[4096:])
	}
	disk, err := filepath.Glob(filepath.Join(store, "doppel/images/*/disk.raw"))
	if err != nil || len(disk) != 1 {
		t.Fatal(disk, err)
	}
	fsck(t, disk[0])
}

func fsck(t *testing.T, disk string) {
	t.Helper()
	path, err := exec.LookPath("fsck.ext4")
	if err != nil {
		if path, err = exec.LookPath("/sbin/fsck.ext4"); err != nil {
			t.Skip("no fsck.ext4 (package e2fsprogs) on this host")
		}
	}
	if out, err := exec.Command(path, "-n", "-f", disk).CombinedOutput(); err != nil {
		t.Errorf("fsck.ext4 -n -f of the image after power-off: %v\n%s", err, out)
	}
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// debianSystem checks what the system says of itself.
func debianSystem(s *session) {
	s.t.Helper()
	if got := s.must("nproc", soon); got != "2\n" {
		s.fail("nproc: %q", got)
	}
	// rtc: within two seconds, and what the commands take.
	earliest := time.Now()
	text := strings.TrimSpace(s.must("date +%s.%N", soon))
	latest := time.Now()
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil {
		s.fail("date: %q", text)
	}
	now := time.UnixMilli(int64(seconds * 1000))
	if now.Before(earliest.Add(-2*time.Second)) || now.After(latest.Add(2*time.Second)) {
		s.fail("the guest's clock says %v between %v and %v", now, earliest, latest)
	}
	if got := s.must("cat /sys/class/misc/hw_random/rng_current", soon); !strings.Contains(got, "virtio") {
		s.fail("rng_current: %q", got)
	}
	s.must("test $(head -c 64 /dev/hwrng | sha256sum | cut -c1-8) != $(head -c 64 /dev/hwrng | sha256sum | cut -c1-8)", soon)
	// Harts share memory: what both add up is right.
	s.must(`perl -e 'for (1..4) { next if fork; my $x = 0; $x += $_ % 7 for 1..30000; open F, ">", "/run/sum.$$"; print F "$x\n"; close F; exit }
		1 while wait > 0;' && test "$(cat /run/sum.* | sort -u | wc -l)" = 1 && test "$(ls /run/sum.* | wc -l)" = 4`, kernelUp)
}

// debianNetwork checks addresses, the gateway and a file from the host's own
// loopback.
func debianNetwork(s *session) {
	s.t.Helper()
	s.must("for i in $(seq 60); do ip -4 addr show | grep -q 10.0.2.15/ && break; sleep 1; done; ip -4 addr show | grep 10.0.2.15/", kernelUp)
	s.must("ip route | grep -q 'default via 10.0.2.2'", soon)
	if out, status := s.shell("ping -c 1 -W 10 10.0.2.2", soon); status != 0 {
		s.fail("no echo from the gateway:\n%s", out)
	}
	s.must("grep -q '^nameserver 10.0.2.3' /etc/resolv.conf || grep -q nameserver /etc/resolv.conf", soon)
}

// debianApt has apt read a package index from a server on the host's loopback,
// and install a package from it.
func debianApt(s *session) {
	s.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	repo := s.t.TempDir()
	flatRepository(s.t, repo)
	server := &http.Server{Handler: http.FileServer(http.Dir(repo))}
	go server.Serve(l)
	defer server.Close()
	port := l.Addr().(*net.TCPAddr).Port
	s.must("rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*", soon)
	s.must(fmt.Sprintf("echo 'deb [trusted=yes] http://10.0.2.2:%d/ ./' > /etc/apt/sources.list", port), soon)
	out := s.must("apt-get -q -o Acquire::Languages=none update </dev/null 2>&1 && apt-cache policy doppel-hello 2>&1", systemUp)
	if !strings.Contains(out, "Candidate: 1.2") {
		s.fail("apt-get update:\n%s", out)
	}
	s.must("DEBIAN_FRONTEND=noninteractive apt-get -q -y install doppel-hello </dev/null 2>&1", systemUp)
	if got := s.must("cat /usr/share/doppel-hello", soon); got != "hello from the host\n" {
		s.fail("the installed file says %q", got)
	}
}

// debianPublished reaches a server in the guest from the host.
func debianPublished(s *session, port int) {
	s.t.Helper()
	s.must(`(perl -MIO::Socket::INET -e '$l = IO::Socket::INET->new(LocalPort=>7777, Listen=>5, ReuseAddr=>1) or die "$!";
		open P, ">", "/run/listening"; close P; for (1..2) { $c = $l->accept; while (<$c>) { print $c "guest: $_"; last if /end/ } close $c }' >/dev/null 2>&1 </dev/null &)`, soon)
	s.must("for i in $(seq 100); do test -e /run/listening && break; sleep 0.2; done; test -e /run/listening", kernelUp)
	for i := range 2 {
		c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), soon)
		if err != nil {
			s.fail("published port: %v", err)
		}
		c.SetDeadline(time.Now().Add(kernelUp))
		long := strings.Repeat("x", 20000)
		fmt.Fprintf(c, "call %d %s\nend\n", i, long)
		got, err := io.ReadAll(c)
		if want := fmt.Sprintf("guest: call %d %s\nguest: end\n", i, long); err != nil || string(got) != want {
			s.fail("over the published port came %.80q (%d bytes, want %d), %v", got, len(got), len(want), err)
		}
		c.Close()
	}
}

// debianDisks writes to the disks that may be written, and only tries to with
// the read-only one.
func debianDisks(s *session) {
	s.t.Helper()
	for i, dev := range []string{"vdb", "vdc", "vdd"} {
		if got := s.must("head -c 13 /dev/"+dev, soon); got != fmt.Sprintf("disk %d sector", i) {
			s.fail("%s begins with %q", dev, got)
		}
	}
	if got := s.must("cat /sys/block/vdc/ro", soon); got != "1\n" {
		s.fail("vdc is not read-only")
	}
	if _, status := s.shell("echo no > /dev/vdc", soon); status == 0 {
		s.fail("the read-only disk took a write")
	}
	for _, dev := range []string{"vdb", "vdd"} {
		s.must("echo 'written by the guest' | dd of=/dev/"+dev+" bs=4096 seek=1 conv=notrunc,fsync status=none", soon)
	}
	s.must("sync; echo 3 > /proc/sys/vm/drop_caches", kernelUp)
	if got := s.must("dd if=/dev/vdd bs=4096 skip=1 count=1 status=none | head -1", soon); got != "written by the guest\n" {
		s.fail("the ephemeral disk forgot a write: %q", got)
	}
}

// idleLimit is the share of a processor that an idle guest may use.
const idleLimit = 0.02

// debianIdle measures the program's processor time while the guest has nothing
// to do. A new system has timers of its own, so that the best of some seconds
// counts.
func debianIdle(s *session) {
	s.t.Helper()
	const window, windows = 4 * time.Second, 15
	best := 1.0
	for range windows {
		from, begin := processorTime(s), time.Now()
		time.Sleep(window)
		best = min(best, (processorTime(s)-from).Seconds()/time.Since(begin).Seconds())
		if best < idleLimit {
			return
		}
	}
	s.fail("an idle guest uses %.1f%% of a processor, over %.0f%%", best*100, idleLimit*100)
}

// processorTime is what the program has used so far.
func processorTime(s *session) time.Duration {
	s.t.Helper()
	stat := string(readFile(s.t, fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid)))
	// proc(5): utime and stime, in ticks of 10 ms, are the 12th and 13th behind the name.
	f := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	var ticks int64
	for _, text := range f[11:13] {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			s.t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// debianRest looks for signs of trouble at the end.
func debianRest(s *session) {
	s.t.Helper()
	if out, status := s.shell("systemctl is-system-running", kernelUp); status != 0 {
		s.fail("the system is %s%s", out, s.must("systemctl --failed --no-pager; true", kernelUp))
	}
	checkDmesg(s, s.must("dmesg", soon))
}

// Four harts on an ephemeral disk; the image's own stays as it is. The virtio
// console is another way in.
func TestDebianFourHarts(t *testing.T) {
	t.Parallel()
	store := debianStore(t)
	disk, err := filepath.Glob(filepath.Join(store, "doppel/images/*/disk.raw"))
	if err != nil || len(disk) != 1 {
		t.Fatal(disk, err)
	}
	before := hashFile(t, disk[0])
	s := start(t, options{large: true, env: []string{"XDG_DATA_HOME=" + store}}, "run", debian, "--cpus", "4", "--ephemeral", "--memory", "1G", "--append", "console=hvc0")
	login(s, "hvc0")
	// The other console's prompt may come at any time before what a command says.
	if got := s.must("nproc", soon); !strings.HasSuffix(got, "4\n") {
		s.fail("nproc: %q", got)
	}
	if got := s.must("tty", soon); !strings.HasSuffix(got, "/dev/hvc0\n") {
		s.fail("the console is %q, not hvc0", got)
	}
	// Every hart has worked.
	s.must(`for i in 0 1 2 3; do taskset -c $i sh -c 'i=0; while test $i -lt 300; do i=$((i+1)); done' & done; wait; awk '/^cpu[0-3]/ && $2 + $4 == 0 { exit 1 }' /proc/stat`, kernelUp)
	s.must("head -c 4000000 /dev/urandom > /root/written && sync", kernelUp)
	checkDmesg(s, s.must("dmesg", soon))
	s.send("reboot\n")
	s.expect("Linux version", systemUp)
	login(s, "hvc0")
	s.must("test -s /root/written", soon) // a reboot is not the end of the machine
	s.send("poweroff\n")
	s.wait(0, systemUp)
	if hashFile(t, disk[0]) != before {
		t.Error("an ephemeral run has changed the image")
	}
}
