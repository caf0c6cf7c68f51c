package initramfs

import (
	_ "embed"
	"fmt"
	"strings"
)

//go:embed entry.sh
var entryScript string

//go:embed udhcpc.sh
var dhcpScript string

// Entry is what a container image's configuration says of its process, users resolved to numbers.
type Entry struct {
	Args     []string
	Env      []string // NAME=VALUE
	Dir      string
	UID, GID uint32
	Hostname string
}

// EntryArchive makes the archive that, behind the one of Build, turns the initrd into the init of a container: it brings
// the network up, runs the process and powers off with its exit status.
func EntryArchive(e Entry) []byte {
	const busybox = "/run/doppel/busybox"
	var start strings.Builder
	fmt.Fprintf(&start, "#!/run/doppel/busybox sh\ncd %s || exit 126\n", quote(e.Dir))
	fmt.Fprintf(&start, "exec %s setsid %s cttyhack", busybox, busybox)
	if e.UID != 0 || e.GID != 0 {
		fmt.Fprintf(&start, " %s nsenter -S %d -G %d", busybox, e.UID, e.GID)
	}
	fmt.Fprintf(&start, " %s env -i", busybox)
	for _, v := range e.Env {
		start.WriteString(" " + quote(v))
	}
	for _, a := range e.Args {
		start.WriteString(" " + quote(a))
	}
	start.WriteString("\n")
	return Archive([]File{
		{Name: "entry", Mode: Regular | 0o644, Data: []byte("guest_name=" + quote(e.Hostname) + "\n" + entryScript)},
		{Name: "start", Mode: Regular | 0o755, Data: []byte(start.String())},
		{Name: "udhcpc.sh", Mode: Regular | 0o755, Data: []byte(dhcpScript)},
	})
}

// quote makes one word of the shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
