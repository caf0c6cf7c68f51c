package main

import (
	"fmt"
	"os"

	"doppel/internal/image/initramfs"
	"doppel/test/guest"
)

// initScript runs what is typed, one program a line, and tells how it ended.
// It says first that it is there: that is the end of the kernel's start.
const initScript = `#!/bin/sh
echo "@init"
export PATH=/bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
stty -echo
echo "@ready"
while read -r name count; do
	bench "$name" "$count"
	echo "@done $?"
done
poweroff -f
`

// commandLine keeps the kernel from printing amid results, and the start's
// time from being that of a serial port.
const commandLine = "console=ttyS0 quiet loglevel=1"

// archive makes an initial RAM disk of busybox and the benchmark programs.
func archive(f *guest.Files, bench string) ([]byte, error) {
	files := []initramfs.File{}
	for _, d := range []string{"bin", "dev", "proc", "tmp"} {
		files = append(files, initramfs.File{Name: d, Mode: initramfs.Dir | 0o755})
	}
	files = append(files,
		initramfs.File{Name: "dev/console", Mode: initramfs.Char | 0o600, Major: 5, Minor: 1},
		initramfs.File{Name: "init", Mode: initramfs.Regular | 0o755, Data: []byte(initScript)})
	for name, path := range map[string]string{"bin/busybox": f.Busybox, "bin/bench": bench} {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("initial RAM disk: %w", err)
		}
		files = append(files, initramfs.File{Name: name, Mode: initramfs.Regular | 0o755, Data: data})
	}
	for _, name := range []string{"sh", "mount", "stty", "poweroff"} {
		files = append(files, initramfs.File{Name: "bin/" + name, Mode: initramfs.Symlink | 0o777, Data: []byte("busybox")})
	}
	return initramfs.Archive(files), nil
}
