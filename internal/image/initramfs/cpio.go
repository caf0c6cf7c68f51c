// Package initramfs makes the small first root file systems that Linux starts our guests from: busybox, the kernel modules
// that the root needs, and a shell script.
//
// It does not choose packages or versions; the caller brings busybox and the modules.
//
// The functions may be called from any goroutine. There are no locks.
package initramfs

import (
	"bytes"
	"fmt"
)

// File is one entry of the archive.
type File struct {
	Name         string // without a leading slash
	Mode         uint32 // as st_mode
	Data         []byte // contents, or target of a symbolic link
	Major, Minor uint32
}

// Types of entry, as in st_mode.
const (
	Regular = 0o100000
	Dir     = 0o040000
	Symlink = 0o120000
	Char    = 0o020000
)

// Archive writes files in the "newc" format of the kernel's Documentation/driver-api/early-userspace/buffer-format.
// Folders must come before what they hold. Several archives may follow one another in one initrd.
func Archive(files []File) []byte {
	var b bytes.Buffer
	for i, f := range append(files, File{Name: "TRAILER!!!"}) {
		links := 1
		if f.Mode&0o170000 == Dir {
			links = 2
		}
		// Fields: inode, mode, uid, gid, links, mtime, size, device, special device, name size, checksum.
		fmt.Fprintf(&b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
			i+1, f.Mode, 0, 0, links, 0, len(f.Data), 0, 0, f.Major, f.Minor, len(f.Name)+1, 0)
		b.WriteString(f.Name)
		b.WriteByte(0)
		pad(&b)
		b.Write(f.Data)
		pad(&b)
	}
	return b.Bytes()
}

func pad(b *bytes.Buffer) {
	for b.Len()%4 != 0 {
		b.WriteByte(0)
	}
}
