package e2e

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/fat32"

	"doppel/internal/image/ext4"
	"doppel/internal/image/tree"
	"doppel/internal/riscv/asm"
	"doppel/test/guest"
)

// OpenSBI of both kinds, as raw binary and as ELF, starts the kernel.
func TestFirmwareStartsKernel(t *testing.T) {
	t.Parallel()
	f := guest.Get(t)
	initrd := f.WriteInitramfs(t, guest.Without(guest.ShellInit))
	for _, c := range []struct {
		name, firmware, cpus, engine string
	}{
		{"fw_dynamic.bin", f.DynamicBin, "2", ""}, {"fw_jump.bin", f.JumpBin, "1", ""},
		{"fw_dynamic.bin interpreted", f.DynamicBin, "2", "interp"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, options{engine: c.engine}, "run", "--firmware", c.firmware, "--kernel", f.Kernel, "--initrd", initrd,
				"--append", console, "--cpus", c.cpus)
			s.expect("OpenSBI v", firmwares)
			s.expect("initramfs is up", firmwares)
			checkUname(s, f)
			if got := s.must("nproc", soon); got != c.cpus+"\n" {
				s.fail("nproc: %q", got)
			}
			s.send("poweroff -f\n")
			s.wait(0, soon)
		})
	}
}

// U-Boot in both modes starts the kernel that a disk's extlinux.conf names.
func TestUBootStartsKernel(t *testing.T) {
	t.Parallel()
	f := guest.Get(t)
	files := map[string][]byte{
		"Image":  readFile(t, f.Kernel),
		"initrd": f.Initramfs(t, guest.Without(guest.ShellInit)),
		"extlinux/extlinux.conf": []byte("default linux\ntimeout 1\nlabel linux\n\tkernel /Image\n\tinitrd /initrd\n\tappend " +
			console + " from=extlinux\n"),
	}
	for _, c := range []struct {
		name string
		disk func(t *testing.T, path string, files map[string][]byte)
		args []string
	}{
		{"fw_dynamic S-mode raw on ext4", ext4Disk, []string{"--firmware", f.DynamicBin, "--kernel", f.UBootS}},
		{"fw_jump S-mode ELF on FAT", fatDisk, []string{"--firmware", f.JumpELF, "--kernel", f.UBootSELF}},
	} {
		t.Run(c.name, func(t *testing.T) {
			disk := filepath.Join(t.TempDir(), "disk.raw")
			c.disk(t, disk, files)
			s := start(t, options{}, append([]string{"run", "--net", "none", "--disk", disk + ",ro"}, c.args...)...)
			s.expect("U-Boot 20", firmwares)
			s.expect("Starting kernel", firmwares)
			s.expect("initramfs is up", firmwares)
			checkUname(s, f)
			if line := s.must("cat /proc/cmdline", soon); !strings.Contains(line, "from=extlinux") {
				s.fail("command line %q", line)
			}
			s.send("poweroff -f\n")
			s.wait(0, soon)
		})
	}
}

// U-Boot in machine mode cannot start a supervisor-mode kernel by itself; it
// loads OpenSBI and the kernel from the disk, and a few instructions that start
// OpenSBI as a first stage does.
func TestUBootMachineMode(t *testing.T) {
	t.Parallel()
	f := guest.Get(t)
	const trampoline = `
	li a0, 0            # hart
	li a1, 0x8a000000   # device tree
	fence.i
	li t0, 0x80000000
	jr t0`
	initrd := f.Initramfs(t, guest.Without(guest.ShellInit))
	disk := filepath.Join(t.TempDir(), "disk.raw")
	ext4Disk(t, disk, map[string][]byte{"fw_jump.bin": readFile(t, f.JumpBin), "Image": readFile(t, f.Kernel), "initrd": initrd,
		"trampoline": assemble(t, 0x86000000, trampoline)})
	s := start(t, options{}, "run", "--net", "none", "--disk", disk+",ephemeral", "--firmware", f.UBootM)
	s.expect("Hit any key", firmwares)
	s.send(" ")
	for _, command := range []string{
		"load virtio 0:1 80000000 fw_jump.bin", "load virtio 0:1 86000000 trampoline", "load virtio 0:1 80200000 Image",
		"load virtio 0:1 8c000000 initrd", "setenv bootargs " + console, "fdt move ${fdtcontroladdr} 8a000000 10000",
		fmt.Sprintf("fdt chosen 8c000000 %x", len(initrd)),
	} {
		s.expect("=> ", firmwares)
		s.send(command + "\n")
	}
	s.expect("=> ", firmwares)
	s.send("go 86000000\n")
	s.expect("OpenSBI v", firmwares)
	s.expect("initramfs is up", firmwares)
	checkUname(s, f)
	s.send("poweroff -f\n")
	s.wait(0, soon)
}

// A bare-metal program in an ELF file, linked to the start of RAM, runs in
// machine mode; it says so and passes its own status on.
func TestBareMetal(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, check string
		addr        uint64
	}{
		{"machine mode at 0x80000000", "csrr t0, mhartid", 0x80000000},
		{"supervisor mode at 0x80200000", "csrr t0, sstatus", 0x80200000},
	} {
		for _, form := range []string{"elf", "raw firmware"} {
			if form != "elf" && c.addr != 0x80000000 {
				continue
			}
			t.Run(c.name+", "+form, func(t *testing.T) {
				code := assemble(t, c.addr, c.check+`
	li t0, 0x100000
	li t1, 0x2a3333
	sw t1, 0(t0)
1:	j 1b`)
				path := filepath.Join(t.TempDir(), "bare")
				args := []string{"run", "--kernel", path}
				if form == "elf" {
					code = elfFile(c.addr, code, 0)
				} else {
					args[1] = "--firmware"
				}
				writeFile(t, path, code)
				start(t, options{}, args...).wait(42, soon)
			})
		}
	}
}

func assemble(t testing.TB, origin uint64, source string) []byte {
	t.Helper()
	p, err := asm.Assemble(source, asm.Options{Origin: origin})
	if err != nil {
		t.Fatal(err)
	}
	return p.Code
}

// ---- disks ----

const (
	partitionStart = 1 << 20
	partitionSize  = 96 << 20
)

// partition makes a disk with one bootable partition of a type, which fill
// fills.
func partition(t *testing.T, path string, kind byte, fill func(f *os.File) error) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(partitionStart + partitionSize); err != nil {
		t.Fatal(err)
	}
	mbr := make([]byte, 512)
	entry := mbr[446:]
	entry[0], entry[4] = 0x80, kind
	binary.LittleEndian.PutUint32(entry[8:], partitionStart/512)
	binary.LittleEndian.PutUint32(entry[12:], partitionSize/512)
	mbr[510], mbr[511] = 0x55, 0xaa
	if _, err := f.WriteAt(mbr, 0); err != nil {
		t.Fatal(err)
	}
	if err := fill(f); err != nil {
		t.Fatal(err)
	}
}

// within is the partition as a file of its own.
type within struct{ f *os.File }

func (w within) WriteAt(p []byte, off int64) (int, error) { return w.f.WriteAt(p, off+partitionStart) }
func (w within) Truncate(size int64) error {
	if size > partitionSize {
		return fmt.Errorf("%d bytes do not fit in the partition", size)
	}
	return nil
}

func ext4Disk(t *testing.T, path string, files map[string][]byte) {
	t.Helper()
	sp, err := tree.NewSpool(t.TempDir(), partitionSize)
	if err != nil {
		t.Fatal(err)
	}
	defer sp.Close()
	tr := tree.New(sp)
	for name, data := range files {
		if dir := filepath.Dir(name); dir != "." {
			if err := tr.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := tr.WriteFile(name, 0o644, data); err != nil {
			t.Fatal(err)
		}
	}
	partition(t, path, 0x83, func(f *os.File) error {
		return ext4.Write(context.Background(), within{f}, tr, ext4.Options{Size: partitionSize, Label: "boot"})
	})
}

func fatDisk(t *testing.T, path string, files map[string][]byte) {
	t.Helper()
	partition(t, path, 0x0c, func(f *os.File) error {
		fs, err := fat32.Create(file.New(f, false), partitionSize, partitionStart, 512, "BOOT", false)
		if err != nil {
			return err
		}
		for name, data := range files {
			if dir := filepath.Dir(name); dir != "." {
				if err := fs.Mkdir("/" + dir); err != nil {
					return err
				}
			}
			w, err := fs.OpenFile("/"+name, os.O_CREATE|os.O_RDWR)
			if err != nil {
				return err
			}
			if _, err := io.Copy(w, strings.NewReader(string(data))); err != nil {
				return err
			}
			if err := w.Close(); err != nil {
				return err
			}
		}
		return nil
	})
}
