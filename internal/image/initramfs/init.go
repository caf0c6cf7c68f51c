package initramfs

import (
	_ "embed"
	"fmt"
	"strings"
)

//go:embed init.sh
var initScript string

// Module is a kernel module to load, uncompressed.
type Module struct {
	Name string
	Data []byte
}

// applets are the commands of busybox that the scripts call.
var applets = []string{"[", "cat", "chmod", "chroot", "cp", "devmem", "echo", "hostname", "insmod", "ip", "kill", "ln", "mkdir",
	"mount", "poweroff", "printf", "sh", "sleep", "switch_root", "sync", "udhcpc", "umount"}

// Build makes the initrd that loads modules in the given order, mounts the root that the kernel's command line names and
// hands over to its init.
func Build(busybox []byte, modules []Module) []byte {
	files := []File{
		{Name: "bin", Mode: Dir | 0o755}, {Name: "dev", Mode: Dir | 0o755}, {Name: "proc", Mode: Dir | 0o755},
		{Name: "sys", Mode: Dir | 0o755}, {Name: "run", Mode: Dir | 0o755}, {Name: "sysroot", Mode: Dir | 0o755}, {Name: "modules", Mode: Dir | 0o755},
		{Name: "dev/console", Mode: Char | 0o600, Major: 5, Minor: 1},
		{Name: "dev/null", Mode: Char | 0o666, Major: 1, Minor: 3},
		{Name: "bin/busybox", Mode: Regular | 0o755, Data: busybox},
		{Name: "init", Mode: Regular | 0o755, Data: []byte(initScript)},
	}
	for _, a := range applets {
		files = append(files, File{Name: "bin/" + a, Mode: Symlink | 0o777, Data: []byte("busybox")})
	}
	var load strings.Builder
	for _, m := range modules {
		files = append(files, File{Name: "modules/" + m.Name + ".ko", Mode: Regular | 0o644, Data: m.Data})
		fmt.Fprintf(&load, "insmod /modules/%s.ko\n", m.Name)
	}
	files = append(files, File{Name: "modules/load", Mode: Regular | 0o644, Data: []byte(load.String())})
	return Archive(files)
}
