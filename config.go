package doppel

import (
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"

	"doppel/internal/device"
	"doppel/internal/machine"
)

// Config describes a machine. The zero value, with defaults filled in, is a
// machine of one processor and 512 MiB that boots the small guest embedded in
// the library.
type Config struct {
	// Name is unique among the machines of a Host. Empty: the host chooses one.
	Name string

	// Kernel is the path of a kernel: Image (plain, gzip, zstd or xz), EFI
	// zboot vmlinuz, or ELF. Empty, without Firmware and Disks, boots the
	// embedded guest.
	Kernel string
	// KernelData is a kernel itself, in place of Kernel's file.
	KernelData []byte
	// Initrd is the path of an initial RAM disk. It needs a Kernel.
	Initrd string
	// Append is the kernel command line.
	Append string
	// Firmware is the path of machine-mode firmware, such as OpenSBI's
	// fw_dynamic.bin. Empty: the built-in SBI serves supervisor-mode kernels.
	Firmware string

	// Memory is the size of RAM in bytes, a multiple of 4 KiB; 0 means 512 MiB.
	Memory uint64
	// CPUs is the number of harts, 1 to MaxCPUs; 0 means 1.
	CPUs int
	// CPUWeight is the machine's part of the processors beside that of other
	// machines of this process, 1 to 10000; 0 means 100. Machines that want
	// more than there is get processor time in these proportions.
	CPUWeight int
	// CPUCap is the most processor time that the machine gets, whoever else
	// wants any: a percentage of one processor ("50%") or a number of
	// processors ("1.5"). Empty: no limit.
	CPUCap string
	// CPUAffinity lists the host's processors that the machine may run on,
	// such as "0,2-3". Empty: all that the process may use.
	CPUAffinity string

	// Balloon is "on", "off" or empty: a virtio balloon, by which the guest gives
	// memory back, free pages by itself and others by SetBalloon. Empty: one if
	// a virtio slot is left.
	Balloon string

	Disks []Disk
	// Net is a network card as ParseNIC reads it, "none" or empty: "user" is one
	// behind user-mode NAT, "switch=lan0" one on a network of the Host.
	Net string
	// NICs are further cards.
	NICs []NIC
	// Publish forwards ports of the host to the guest, by its first card that
	// is on a user network or on a switch with an uplink.
	Publish []Publish

	// Console is the far end of the serial port; nil discards output.
	// OpenConsole makes one from stdio, a pty or a socket.
	Console device.Terminal

	// Engine is "interp", the interpreter, "jit", the binary translator, or
	// "auto" (or empty): the translator where the host allows it. "jit,check"
	// runs both in lock step and stops with an error where they differ.
	Engine string
	// JITDump is a file to which the translator writes all that it makes, for
	// its developers.
	JITDump string
	// PerfMap names generated code in /tmp/perf-PID.map, for Linux's perf.
	PerfMap bool
	// Trace, if not nil, gets a line for each exit, while the machine runs: what
	// the guest did, what the machine did about it, and how long that took. See
	// docs/TRACING.md. The guest never waits for the writer: lines for which
	// there is no room are counted, and the count is written in their place.
	Trace io.Writer
	// Seed, if not nil, makes the machine's random numbers repeatable.
	Seed *uint64
}

// MaxCPUs is the largest number of harts in a machine.
const MaxCPUs = 64

// Disk is a raw disk image.
type Disk struct {
	Path      string
	ReadOnly  bool
	Ephemeral bool // writes go to a temporary file that ends with the machine
}

// Publish forwards a port of the host to a port of the guest.
type Publish struct {
	Addr  netip.Addr // of the host; not valid means 127.0.0.1
	Host  uint16     // port, 0 for any free one
	Guest uint16
	UDP   bool // TCP otherwise
}

func (p Publish) String() string {
	proto, addr := "tcp", "127.0.0.1"
	if p.UDP {
		proto = "udp"
	}
	if p.Addr.IsValid() {
		addr = p.Addr.String()
	}
	return fmt.Sprintf("%s:%d:%d/%s", addr, p.Host, p.Guest, proto)
}

// ConfigError says what is wrong with a Config: the field, its value, and what
// to do.
type ConfigError = machine.ConfigError

// ParseSize reads a number of bytes with an optional suffix K, M, G or T
// (powers of 1024), such as "512M".
func ParseSize(s string) (uint64, error) {
	digits, shift := s, 0
	if s != "" {
		if i := strings.IndexByte("KMGT", s[len(s)-1]&^0x20); i >= 0 {
			digits, shift = s[:len(s)-1], 10*(i+1)
		}
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || n<<shift>>shift != n {
		return 0, fmt.Errorf("size %q: want a number with an optional K, M, G or T, such as 512M", s)
	}
	return n << shift, nil
}

// ParseDisk reads FILE[,ro][,ephemeral]. A comma in FILE is written twice.
func ParseDisk(s string) (Disk, error) {
	const comma = "\x00" // no path has it
	path, options, _ := strings.Cut(strings.ReplaceAll(s, ",,", comma), ",")
	d := Disk{Path: strings.ReplaceAll(path, comma, ",")}
	if path == "" {
		return d, &ConfigError{Field: "disk", Value: s, Reason: "no file is named; want FILE[,ro][,ephemeral]"}
	}
	for _, o := range strings.Split(options, ",") {
		switch o {
		case "":
		case "ro":
			d.ReadOnly = true
		case "ephemeral":
			d.Ephemeral = true
		default:
			return d, &ConfigError{Field: "disk", Value: s, Reason: fmt.Sprintf("unknown option %q; want ro or ephemeral, and a comma of the file's name twice", strings.ReplaceAll(o, comma, ",,"))}
		}
	}
	if d.ReadOnly && d.Ephemeral {
		return d, &ConfigError{Field: "disk", Value: s, Reason: "ro and ephemeral exclude each other"}
	}
	return d, nil
}

// ParsePublish reads [ADDR:]HOST:GUEST[/tcp|/udp]; an IPv6 ADDR stands in
// brackets.
func ParsePublish(s string) (Publish, error) {
	bad := func(reason string) (Publish, error) {
		return Publish{}, &ConfigError{Field: "publish", Value: s, Reason: reason + "; want [ADDR:]HOST:GUEST[/udp], such as 8080:80"}
	}
	ports, proto, _ := strings.Cut(s, "/")
	var p Publish
	switch proto {
	case "", "tcp":
	case "udp":
		p.UDP = true
	default:
		return bad(fmt.Sprintf("unknown protocol %q", proto))
	}
	i := strings.LastIndexByte(ports, ':')
	if i < 0 {
		return bad("no guest port")
	}
	guest, rest := ports[i+1:], ports[:i]
	if i := strings.LastIndexByte(rest, ':'); i >= 0 {
		addr, err := netip.ParseAddr(strings.Trim(rest[:i], "[]"))
		if err != nil {
			return bad("the address is not an IP address")
		}
		p.Addr, rest = addr, rest[i+1:]
	}
	host, err := strconv.ParseUint(rest, 10, 16)
	if err != nil {
		return bad("the host port is not a number from 0 to 65535")
	}
	g, err := strconv.ParseUint(guest, 10, 16)
	if err != nil || g == 0 {
		return bad("the guest port is not a number from 1 to 65535")
	}
	p.Host, p.Guest = uint16(host), uint16(g)
	return p, nil
}
