package e2e

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"doppel/test/guest"
)

// console is the kernel's command line of all tests with a serial console.
const console = "console=ttyS0 panic=-1"

// Each packaging of the same kernel boots: the format is told by content, not
// by name.
func TestKernelPackaging(t *testing.T) {
	t.Parallel()
	f := guest.Get(t)
	image := readFile(t, f.Kernel)
	initrd := f.WriteInitramfs(t, guest.Without(guest.ShellInit))
	packed := compressGzip(t, image)
	for _, c := range []struct {
		name string
		data func() []byte
	}{
		{"raw", func() []byte { return image }},
		{"gzip", func() []byte { return packed }},
		{"zstd", func() []byte { return compressZstd(t, image) }},
		{"xz", func() []byte { return compressXZ(t, image) }},
		{"zboot-gzip", func() []byte { return zboot("gzip", packed) }},
		{"zboot-zstd", func() []byte { return zboot("zstd", compressZstd(t, image)) }},
		{"elf", func() []byte { return elfFile(0x80200000, image, imageSize(image)) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			kernel := filepath.Join(t.TempDir(), "kernel")
			writeFile(t, kernel, c.data())
			s := start(t, options{}, "run", "--kernel", kernel, "--initrd", initrd, "--append", console, "--net", "none")
			s.expect("initramfs is up", kernelUp)
			checkUname(s, f)
			s.send("poweroff -f\n")
			s.wait(0, soon)
		})
	}
}

func checkUname(s *session, f *guest.Files) {
	s.t.Helper()
	s.must("stty -echo; PS1=", soon)
	if got, want := s.must("uname -sm; uname -r", soon), "Linux riscv64\n"+f.Version+"\n"; got != want {
		s.fail("uname: %q, want %q", got, want)
	}
}

// One boot: commands, several harts, memory, then a reboot into a fresh system.
func TestKernelShell(t *testing.T) {
	t.Parallel()
	onEngines(t, kernelShell)
}

func kernelShell(t *testing.T, engine string) {
	f := guest.Get(t)
	initrd := filepath.Join(t.TempDir(), "initrd.gz")
	writeFile(t, initrd, compressGzip(t, f.Initramfs(t, guest.ShellInit)))
	s := start(t, options{engine: engine}, "run", "--kernel", f.Kernel, "--initrd", initrd, "--append", console+" who=me",
		"--memory", "256M", "--cpus", "2")
	s.expect("initramfs is up", kernelUp)
	checkUname(s, f)
	if got := s.must("nproc", soon); got != "2\n" {
		s.fail("nproc: %q", got)
	}
	if got := s.must("cat /proc/cmdline", soon); got != console+" who=me\n" {
		s.fail("command line: %q", got)
	}
	kib := regexp.MustCompile(`MemTotal: +(\d{6}) kB`).FindStringSubmatch(s.must("cat /proc/meminfo", soon))
	if kib == nil || kib[1] < "180000" || kib[1] > "262144" {
		s.fail("memory: %q", kib)
	}
	s.must("head -c 3000000 /dev/urandom > /tmp/a && cp /tmp/a /tmp/b && cmp /tmp/a /tmp/b", kernelUp)
	s.must("ls /sys/class/net/eth0 && ls /dev/hwrng", soon)
	isa := s.must("cat /proc/cpuinfo", soon)
	for _, e := range []string{"rv64imafdc", "zba", "zbb", "zbs", "zicboz", "svnapot", "svpbmt", "sstc", "zacas"} {
		if !strings.Contains(isa, e) {
			s.fail("no %s in /proc/cpuinfo:\n%s", e, isa)
		}
	}
	checkDmesg(s, s.must("dmesg", soon))
	s.must("touch /tmp/left || echo > /tmp/left", soon)
	s.send("reboot -f\n")
	s.expect("Linux version", kernelUp)
	s.expect("initramfs is up", kernelUp)
	s.must("stty -echo; PS1=", soon)
	if _, status := s.shell("ls /tmp/left", soon); status == 0 {
		s.fail("the reboot kept memory")
	}
	s.send("poweroff -f\n")
	s.wait(0, soon)
}

// A guest that crashes reboots (panic=-1), and another one with the same
// device stays quiet about it.
func TestKernelPanicReboots(t *testing.T) {
	t.Parallel()
	f := guest.Get(t)
	initrd := f.WriteInitramfs(t, "#!/bin/sh\nexit 1\n")
	s := start(t, options{}, "run", "--kernel", f.Kernel, "--initrd", initrd, "--append", console, "--net", "none", "--memory", "128M")
	s.expect("Kernel panic - not syncing: Attempted to kill init", kernelUp)
	s.expect("Linux version", kernelUp)
	s.cmd.Process.Signal(os.Interrupt)
	s.wait(0, soon)
}

// dmesgFaults are what a kernel says when its machine is wrong. The words that
// innocent messages hold too are excluded below.
var dmesgFaults = regexp.MustCompile(`(?i)\b(oops|bug:|warning:|call trace|unhandled|rcu.*stall|soft lockup|i/o error|ext4-fs error|` +
	`hung task|unable to handle|illegal instruction|misaligned trap|failed|error)\b`)

// harmless messages come on every machine of this kind.
var harmless = regexp.MustCompile(`(?i)error reporting|errors=remount|RAS: Correctable|integrity: Unable|` +
	`(no|without) .*error|errors: 0|ima: .*fail|failed to (find|get).*tpm|regulatory\.db|correctable errors`)

func checkDmesg(s *session, log string) {
	s.t.Helper()
	for line := range strings.Lines(log) {
		if dmesgFaults.MatchString(line) && !harmless.MatchString(line) {
			s.fail("the kernel complains: %s", line)
		}
	}
}

// ---- packagings ----

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func writeFile(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func compressGzip(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(data)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func compressZstd(t testing.TB, data []byte) []byte {
	t.Helper()
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		t.Fatal(err)
	}
	return e.EncodeAll(data, nil)
}

// compressXZ uses the host's xz: it is ten times as fast as a library of ours.
func compressXZ(t testing.TB, data []byte) []byte {
	t.Helper()
	xz := exec.Command("xz", "-0", "--stdout")
	xz.Stdin = bytes.NewReader(data)
	out, err := xz.Output()
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("no xz (package xz-utils) on this host")
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// zboot wraps a compressed kernel as Linux's EFI stub does
// (drivers/firmware/efi/libstub/zboot-header.S): the payload's place and size
// at 8 and 12, the name of the compression at 24. What follows the payload is
// the unpacked size, and padding.
func zboot(kind string, payload []byte) []byte {
	const header = 0x1000
	b := make([]byte, header, header+len(payload)+512)
	copy(b, "MZ\x00\x00zimg")
	binary.LittleEndian.PutUint32(b[8:], header)
	binary.LittleEndian.PutUint32(b[12:], uint32(len(payload)))
	copy(b[24:], kind)
	binary.LittleEndian.PutUint32(b[56:], 0x818223cd) // LINUX_PE_MAGIC
	binary.LittleEndian.PutUint32(b[60:], 64)
	copy(b[64:], "PE\x00\x00\x64\x50") // for RISC-V 64
	b = append(b, payload...)
	return append(b, make([]byte, 512)...)
}

func imageSize(image []byte) uint64 { return binary.LittleEndian.Uint64(image[16:]) }

// elfFile makes an executable of one segment that starts at its first byte.
func elfFile(addr uint64, code []byte, memory uint64) []byte {
	const offset = 0x1000
	h := elf.Header64{
		Type: uint16(elf.ET_EXEC), Machine: uint16(elf.EM_RISCV), Version: uint32(elf.EV_CURRENT),
		Entry: addr, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1,
	}
	copy(h.Ident[:], elf.ELFMAG)
	h.Ident[elf.EI_CLASS], h.Ident[elf.EI_DATA] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB)
	h.Ident[elf.EI_VERSION] = byte(elf.EV_CURRENT)
	p := elf.Prog64{
		Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_W | elf.PF_X),
		Off: offset, Vaddr: addr, Paddr: addr, Align: offset, Filesz: uint64(len(code)), Memsz: max(memory, uint64(len(code))),
	}
	var b bytes.Buffer
	// Writing plain structs to a buffer cannot fail.
	_ = binary.Write(&b, binary.LittleEndian, h)
	_ = binary.Write(&b, binary.LittleEndian, p)
	b.Write(make([]byte, offset-b.Len()))
	b.Write(code)
	return b.Bytes()
}
