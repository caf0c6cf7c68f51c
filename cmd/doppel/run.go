package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"doppel"
	"doppel/internal/image"
	"doppel/internal/image/store"
)

type runFlags struct {
	kernel, initrd, append, firmware string
	memory, balloon                  string
	memoryLimit, memoryPolicy        string
	memorySharing                    string
	cpus                             int
	weight                           int
	cap, affinity                    string
	disks, publish, nets, switches   []string
	count                            int
	ephemeral                        bool
	engine, console                  string
	seed                             uint64
	jitDump, name, control, trace    string
	stats                            bool
	perfMap                          bool
}

func runCommand() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run [IMAGE]",
		Short: "Run a machine in this terminal until the guest powers off",
		Long: `Run a machine: an image of the store, a kernel of your own, or, with neither,
the small guest inside this program. An image debian:SUITE that is not in the
store is built first; any other is made by doppel image.

With --count N, N machines run, called NAME-1 and so on, on one switch, on which
they have addresses of their own, find each other by name, and reach the world.
Each line that one prints begins with its name; Ctrl-A n changes to which of
them you type. {name} in a file's name stands for the machine's.

The console is this terminal. Keys: Ctrl-A x quits, Ctrl-A h lists the keys.
Without a terminal, standard input and output are the console as they are, so
that a run can be piped and scripted.

A kernel is an Image (plain, or compressed with gzip, zstd or xz), an EFI zboot
vmlinuz, or an ELF file; each is recognised by its content. It starts in
supervisor mode on the built-in SBI, or under --firmware, which starts in
machine mode; an ELF file linked to the start of RAM (0x80000000) starts in
machine mode by itself.

Exit status: 0 when the guest powers off (or you quit), 1 when the host fails,
2 when the command line is wrong; a pass or fail status that the guest writes
to the test finisher is passed on.`,
		Example: `  doppel run
  doppel run debian:trixie --cpus 4 --memory 1G
  doppel run debian:trixie --publish 8080:80 --ephemeral
  doppel run --kernel vmlinuz --initrd initrd.gz --append "console=ttyS0"
  doppel run --firmware fw_dynamic.bin --kernel u-boot.bin --disk disk.raw,ephemeral
  doppel run debian:trixie --count 3 --ephemeral
  doppel run --net switch=lan0,vlan=10,rate=10M --switch lan0,capture=lan0.pcapng
  echo poweroff | doppel run`,
		Args: arguments(0, 1, "one image at most"),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := ""
			if len(args) == 1 {
				name = args[0]
			}
			return run(cmd, f, name)
		},
	}
	f.register(cmd.Flags())
	return cmd
}

// register defines the flags; each is a key of a machine in doppel.yaml, too.
func (f *runFlags) register(fl *pflag.FlagSet) {
	fl.StringVar(&f.kernel, "kernel", "", "kernel `FILE`")
	fl.StringVar(&f.initrd, "initrd", "", "initial RAM disk `FILE`")
	fl.StringVar(&f.append, "append", "", "kernel command `LINE`; for an image, added to its own")
	fl.StringVar(&f.firmware, "firmware", "", "machine-mode firmware `FILE`, such as OpenSBI")
	fl.StringVar(&f.memory, "memory", "512M", "`SIZE` of RAM")
	fl.StringVar(&f.memoryLimit, "memory-limit", "", "`SIZE` of the host's memory that machines may take (default: what it has)")
	fl.StringVar(&f.memoryPolicy, "memory-policy", "", "when that is less than --memory: `overcommit|strict` (default overcommit)")
	fl.StringVar(&f.memorySharing, "memory-sharing", "", "hold pages that are alike in several machines once: `auto|on|off` (default auto: when memory is short)")
	fl.StringVar(&f.balloon, "balloon", "", "let the guest give memory back: `on|off` (default: on if a virtio slot is left)")
	fl.IntVar(&f.cpus, "cpus", 1, "number `N` of harts, 1 to 64")
	fl.IntVar(&f.weight, "cpu-weight", 100, "part of the processors beside other machines of this process, `1..10000`")
	fl.StringVar(&f.cap, "cpu-cap", "", "most processor time: `50%` of one processor, or a number of processors such as 1.5")
	fl.StringVar(&f.affinity, "cpu-affinity", "", "run on these processors of the host only: `LIST`, such as 0,2-3")
	fl.StringArrayVar(&f.disks, "disk", nil, "raw disk image `FILE[,ro][,ephemeral]`, a comma in FILE written twice; may be repeated")
	fl.BoolVar(&f.ephemeral, "ephemeral", false, "leave the image's own disk untouched: writes end with the machine")
	fl.StringArrayVar(&f.nets, "net", nil, "network card: `user|none|switch=NAME[,OPTION...]`; may be repeated; see docs/NETWORKING.md (default: user, or with --count one switch)")
	fl.StringArrayVar(&f.switches, "switch", nil, "switch between the machines: `NAME[,uplink=none][,subnet=A.B.C.0/24][,uplink-vlan=N][,capture=FILE]`; may be repeated (default: as --net names them)")
	fl.IntVar(&f.count, "count", 1, fmt.Sprintf("run `N` machines, 1 to %d", maxCount))
	fl.StringArrayVar(&f.publish, "publish", nil, "forward a host port: `[ADDR:]HOST:GUEST[/udp]`; may be repeated")
	fl.StringVar(&f.engine, "engine", "auto", "processor: `auto|interp|jit|jit,check`; the last compares translator and interpreter")
	fl.StringVar(&f.jitDump, "jit-dump", "", "write all that the translator makes to `FILE`: guest code, IR by pass, host code")
	fl.BoolVar(&f.perfMap, "perf-map", false, "name generated code in /tmp/perf-PID.map, for Linux's perf")
	fl.StringVar(&f.trace, "trace", "", "print each exit to the VMM as it happens: `exits` to standard error, or exits=FILE; see docs/TRACING.md")
	fl.BoolVar(&f.stats, "stats", false, "at the end, print what the processors have done; doppel stats does it meanwhile")
	fl.StringVar(&f.name, "name", "", "`NAME` of the machine, for doppel stats (default: the image's or the kernel's)")
	fl.StringVar(&f.control, "control", "", "`SOCKET` for doppel stats, or none (default: in $XDG_RUNTIME_DIR/doppel)")
	fl.StringVar(&f.console, "console", "stdio", "console: `stdio|pty|unix:PATH|none`")
	fl.Uint64Var(&f.seed, "seed", 0, "make the guest's random numbers repeatable with seed `N`")
}

func run(cmd *cobra.Command, f runFlags, image string) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if f.count < 1 || f.count > maxCount {
		return usageError{fmt.Errorf("--count %d: want 1 to %d", f.count, maxCount)}
	}
	if f.count > 1 && image != "" && !f.ephemeral {
		return usageError{fmt.Errorf("--count %d: %d machines cannot write to the disk of one image; add --ephemeral", f.count, f.count)}
	}
	g := &group{stderr: cmd.ErrOrStderr()}
	hc, err := f.hostConfig(g.stderr)
	if err != nil {
		return err
	}
	for i := range f.count {
		m := &member{name: f.machineName(image), image: image}
		if f.count > 1 {
			m.name = fmt.Sprintf("%s-%d", m.name, i+1)
		}
		m.flags = f.fill(m.name)
		if m.cfg, err = m.flags.config(cmd.Flags()); err != nil {
			return err
		}
		m.cfg.Name = m.name
		if hc.Networks, err = f.networks(hc.Networks, m.cfg.NICs); err != nil {
			return err
		}
		g.members = append(g.members, m)
	}
	return runGroup(ctx, g, hc, func() {})
}

// maxCount bounds --count: more does not fit on a network.
const maxCount = 200

// machineName is what doppel stats calls the machine.
func (f *runFlags) machineName(image string) string {
	name := "guest"
	switch {
	case f.name != "":
		return f.name
	case image != "":
		name = image
	case f.kernel != "":
		name = filepath.Base(f.kernel)
	case f.firmware != "":
		name = filepath.Base(f.firmware)
	}
	return visible(name)
}

// visible makes a name of a machine from one of a file.
func visible(s string) string {
	s = strings.ToValidUTF8(s, "?")
	return strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) || unicode.IsSpace(r) || r == ',' || r == '"' {
			return '_'
		}
		return r
	}, s[:min(len(s), 100)])
}

// networks adds to a list of switches those that --switch describes, and those
// that cards name.
func (f *runFlags) networks(all []doppel.Network, nics []doppel.NIC) ([]doppel.Network, error) {
	if len(all) == 0 {
		for _, s := range f.switches {
			n, err := doppel.ParseNetwork(s)
			if err != nil {
				return nil, err
			}
			all = append(all, n)
		}
	}
	for _, n := range nics {
		if n.Switch != "" && !slices.ContainsFunc(all, func(o doppel.Network) bool { return o.Name == n.Switch }) {
			all = append(all, doppel.Network{Name: n.Switch})
		}
	}
	return all, nil
}

// withoutCanceled leaves what else is in err.
func withoutCanceled(err error) error {
	var rest []error
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			rest = append(rest, withoutCanceled(e))
		}
	} else if !errors.Is(err, context.Canceled) {
		rest = []error{err}
	}
	return errors.Join(rest...)
}

// passOn makes the guest's fail code an exit status; what does not fit in one
// must not look like a pass.
func passOn(code int) error {
	switch {
	case code == 0:
		return nil
	case code < 0 || code > 255:
		return guestStatus(255)
	}
	return guestStatus(code)
}

func (f *runFlags) config(fl *pflag.FlagSet) (doppel.Config, error) {
	cfg := doppel.Config{
		Kernel: f.kernel, Initrd: f.initrd, Append: f.append, Firmware: f.firmware,
		CPUs: f.cpus, Engine: f.engine, JITDump: f.jitDump, PerfMap: f.perfMap, Balloon: f.balloon,
	}
	var err error
	if cfg.Memory, err = doppel.ParseSize(f.memory); err != nil {
		return cfg, usageError{fmt.Errorf("--memory: %w", err)}
	}
	if f.weight == 0 { // which the library takes for its default
		return cfg, usageError{errors.New("--cpu-weight 0: want 1 to 10000; 100 is what a machine has that asks for none")}
	}
	cfg.CPUWeight, cfg.CPUCap, cfg.CPUAffinity = f.weight, f.cap, f.affinity
	if cfg.Memory == 0 { // which the library takes for its default
		return cfg, usageError{errors.New("--memory 0: want a size such as 512M")}
	}
	if f.cpus < 1 {
		return cfg, usageError{fmt.Errorf("--cpus %d: want 1 to %d", f.cpus, doppel.MaxCPUs)}
	}
	for _, s := range f.disks {
		d, err := doppel.ParseDisk(s)
		if err != nil {
			return cfg, err
		}
		cfg.Disks = append(cfg.Disks, d)
	}
	nets := f.nets
	if len(nets) == 0 {
		nets = []string{"user"}
		if f.count > 1 {
			nets[0] = "switch=lan0"
		}
	}
	for _, s := range nets {
		if s == "none" && len(nets) == 1 {
			break
		}
		n, err := doppel.ParseNIC(s)
		if err != nil {
			return cfg, err
		}
		cfg.NICs = append(cfg.NICs, n)
	}
	for _, s := range f.publish {
		p, err := doppel.ParsePublish(s)
		if err != nil {
			return cfg, err
		}
		cfg.Publish = append(cfg.Publish, p)
	}
	if fl.Changed("jit-dump") && f.jitDump == "" {
		return cfg, usageError{errors.New("--jit-dump: no file is named")}
	}
	if fl.Changed("seed") {
		cfg.Seed = &f.seed
	}
	return cfg, nil
}

// addImage gives the configuration an image's kernel and disk. The caller
// releases the image after the machine has ended.
func (f *runFlags) addImage(ctx context.Context, cfg *doppel.Config, name string) (release func(), err error) {
	for flag, value := range map[string]string{"--kernel": f.kernel, "--initrd": f.initrd, "--firmware": f.firmware} {
		if value != "" {
			return nil, usageError{fmt.Errorf("%s %q: an image brings its own; leave the flag or IMAGE out", flag, value)}
		}
	}
	img, err := getImage(ctx, name)
	if err != nil {
		return nil, err
	}
	cfg.Kernel, cfg.Initrd = img.KernelPath(), img.InitrdPath()
	cfg.Append = strings.TrimSpace(img.Append + " " + f.append)
	cfg.Disks = append([]doppel.Disk{{Path: img.Disk(), Ephemeral: f.ephemeral}}, cfg.Disks...)
	if f.ephemeral {
		return func() {}, nil
	}
	use, err := img.Use()
	if err != nil {
		return nil, err
	}
	return func() { use.Unlock() }, nil
}

// getImage finds an image, or builds it if that is known how.
func getImage(ctx context.Context, name string) (*store.Image, error) {
	s, err := openStore()
	if err != nil {
		return nil, err
	}
	img, err := s.Get(name)
	if errors.Is(err, store.ErrNotFound) {
		suite, ok := strings.CutPrefix(name, "debian:")
		if !ok {
			return nil, usageError{err}
		}
		img, err = buildDebian(ctx, image.BuildOptions{Suite: suite, Store: s})
	}
	if err != nil {
		return nil, err
	}
	if img.KernelPath() == "" {
		return nil, fmt.Errorf("image %q has no kernel; remove it and make it again", name)
	}
	return img, nil
}

// ensureImages finds or builds the images of all members.
func ensureImages(ctx context.Context, members []*member) error {
	for _, m := range members {
		if m.image == "" {
			continue
		}
		if _, err := getImage(ctx, m.image); err != nil {
			return m.place(err)
		}
	}
	return nil
}
