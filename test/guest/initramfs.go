package guest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"doppel/internal/image/initramfs"
)

// ShellInit is an init that makes a system of busybox and offers a shell on
// the console. LOAD is where a script may load modules.
const ShellInit = `#!/bin/sh
export PATH=/bin PS1='shell> ' HOME=/
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
echo 3 > /proc/sys/kernel/printk
` + Load + `
echo "initramfs is up"
exec setsid cttyhack sh
`

// Load is the part of an init that loads all modules.
const Load = `for m in $(cat /modules/order); do insmod /modules/$m || echo "cannot load $m"; done`

// Without returns script without the loading of modules, which takes a second.
func Without(script string) string { return strings.Replace(script, Load, "", 1) }

// Initramfs makes an initial RAM disk, not compressed, of busybox with all its
// commands, and an init. It holds the modules if init loads them, and what else
// is given.
func (f *Files) Initramfs(tb testing.TB, init string, more ...initramfs.File) []byte {
	tb.Helper()
	busybox := f.read(tb, f.Busybox)
	files := []initramfs.File{}
	for _, d := range []string{"bin", "dev", "proc", "sys", "tmp", "mnt", "etc", "modules"} {
		files = append(files, initramfs.File{Name: d, Mode: initramfs.Dir | 0o755})
	}
	files = append(files,
		initramfs.File{Name: "dev/console", Mode: initramfs.Char | 0o600, Major: 5, Minor: 1},
		initramfs.File{Name: "dev/null", Mode: initramfs.Char | 0o666, Major: 1, Minor: 3},
		initramfs.File{Name: "bin/busybox", Mode: initramfs.Regular | 0o755, Data: busybox},
		initramfs.File{Name: "init", Mode: initramfs.Regular | 0o755, Data: []byte(init)})
	for _, name := range strings.Fields(applets) {
		files = append(files, initramfs.File{Name: "bin/" + name, Mode: initramfs.Symlink | 0o777, Data: []byte("busybox")})
	}
	if strings.Contains(init, Load) {
		var order strings.Builder
		for _, m := range f.Modules {
			name := filepath.Base(m)
			files = append(files, initramfs.File{Name: "modules/" + name, Mode: initramfs.Regular | 0o644, Data: f.read(tb, m)})
			fmt.Fprintln(&order, name)
		}
		files = append(files, initramfs.File{Name: "modules/order", Mode: initramfs.Regular | 0o644, Data: []byte(order.String())})
	}
	return initramfs.Archive(append(files, more...))
}

// applets are the commands that tests may call.
const applets = `sh mount umount insmod lsmod sleep cat echo mkdir rm ls sync poweroff reboot ip ifconfig udhcpc hostname setsid cttyhack
	printf env ln sed grep kill uname dd md5sum sha256sum cmp head tail seq wc nproc date hwclock wget nc ping yes stty tr
	dmesg free ps true false test expr gzip gunzip sort blockdev blkdiscard hexdump od awk cut top uptime vi mkfifo chmod usleep time`

func (f *Files) read(tb testing.TB, path string) []byte {
	tb.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		tb.Fatalf("%v; remove the folder %s to get it anew", err, f.Dir)
	}
	return data
}

// WriteInitramfs puts an initial RAM disk in the test's folder.
func (f *Files) WriteInitramfs(tb testing.TB, init string, more ...initramfs.File) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "initrd")
	if err := os.WriteFile(path, f.Initramfs(tb, init, more...), 0o644); err != nil {
		tb.Fatal(err)
	}
	return path
}
