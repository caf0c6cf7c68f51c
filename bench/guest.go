package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"doppel/test/oracle"
)

// guestMemory is what every machine has.
const guestMemory = "512M"

// bootLimit bounds the start of a guest, Debian's included.
const bootLimit = 5 * time.Minute

var (
	initText  = regexp.MustCompile(`@init\r?\n`)
	readyText = regexp.MustCompile(`@ready\r?\n`)
	doneText  = regexp.MustCompile(`@done (\d+)\r?\n`)
	loginText = regexp.MustCompile(`\blogin:`)
)

// Boot is what a machine starts: a kernel with its RAM disk, or an image.
type Boot struct {
	Kernel, Initrd, Append string
	Firmware               string // for QEMU; Doppel has its own
	Disk, Image            string // Debian: the disk's path, the image's name; both empty without
	CPUs                   int    // 0 is one
}

func (b Boot) cpus() string { return strconv.Itoa(max(b.CPUs, 1)) }

// Emulator makes the command that boots a guest with its console on standard
// input and output.
type Emulator struct {
	Name    string
	Command func(Boot) *exec.Cmd
}

// doppelEmulator is the program under measurement, with one of its engines.
func doppelEmulator(path, engine string) Emulator {
	return Emulator{"Doppel " + engine, func(b Boot) *exec.Cmd {
		args := []string{"run"}
		if b.Image != "" {
			args = append(args, b.Image, "--ephemeral")
		} else {
			args = append(args, "--kernel", b.Kernel, "--initrd", b.Initrd, "--append", b.Append, "--net", "none")
		}
		return exec.Command(path, append(args, "--memory", guestMemory, "--cpus", b.cpus(), "--engine", engine)...)
	}}
}

// qemuEmulator has the devices that Doppel has, in the same form.
func qemuEmulator(q *oracle.QEMU) Emulator {
	return Emulator{"QEMU", func(b Boot) *exec.Cmd {
		args := []string{"-machine", "virt", "-accel", "tcg", "-smp", b.cpus(), "-m", guestMemory, "-bios", b.Firmware,
			"-nodefaults", "-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot",
			"-kernel", b.Kernel, "-initrd", b.Initrd, "-append", b.Append}
		if b.Disk != "" {
			args = append(args, "-global", "virtio-mmio.force-legacy=false",
				"-drive", "if=none,id=disk,format=raw,snapshot=on,file="+b.Disk, "-device", "virtio-blk-device,drive=disk",
				"-netdev", "user,id=net", "-device", "virtio-net-device,netdev=net", "-device", "virtio-rng-device")
		}
		return q.Command(args...)
	}}
}

// Guest is a running machine.
type Guest struct {
	*console
	name  string
	cmd   *exec.Cmd
	start time.Time
	ended chan struct{}
}

// boot starts a machine and returns at once.
func boot(e Emulator, b Boot) (*Guest, error) {
	g := &Guest{name: e.Name, cmd: e.Command(b), ended: make(chan struct{})}
	in, err := g.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	g.console = newConsole(in)
	stderr := &firstBytes{limit: 1000}
	g.cmd.Stdout, g.cmd.Stderr = g.console, stderr
	g.start = time.Now()
	if err := g.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", e.Name, err)
	}
	go func() {
		err := g.cmd.Wait()
		if err == nil {
			err = errors.New("it powered off")
		}
		g.end(fmt.Errorf("it ended: %w: %s", err, strings.TrimSpace(stderr.String())))
		close(g.ended)
	}()
	return g, nil
}

// bootTo starts a machine and waits for a text of its console.
func bootTo(ctx context.Context, e Emulator, b Boot, text *regexp.Regexp) (*Guest, time.Duration, error) {
	g, err := boot(e, b)
	if err != nil {
		return nil, 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, bootLimit)
	defer cancel()
	if _, err := g.await(ctx, text); err != nil {
		return nil, 0, errors.Join(fmt.Errorf("boot %s: %w", e.Name, err), g.Close())
	}
	return g, time.Since(g.start), nil
}

// Name implements Target.
func (g *Guest) Name() string { return g.name }

// Run implements Target.
func (g *Guest) Run(ctx context.Context, program string, count uint64) (Run, error) {
	return runTyped(ctx, g.console, program, count)
}

// runTyped runs a program by typing its name to initScript.
func runTyped(ctx context.Context, c *console, program string, count uint64) (Run, error) {
	ctx, cancel := context.WithTimeout(ctx, runLimit)
	defer cancel()
	if err := c.send(program + " " + strconv.FormatUint(count, 10)); err != nil {
		return Run{}, err
	}
	text, err := c.await(ctx, doneText)
	if err != nil {
		return Run{}, fmt.Errorf("%s: %w", program, err)
	}
	return parseRun(text, program, count)
}

// Close ends the machine.
func (g *Guest) Close() error {
	g.cmd.Process.Kill()
	<-g.ended
	return nil
}

// firstBytes keeps the start of what is written to it.
type firstBytes struct {
	mu    sync.Mutex
	limit int
	buf   bytes.Buffer
}

var _ io.Writer = (*firstBytes)(nil)

func (b *firstBytes) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buf.Write(p[:min(len(p), b.limit-b.buf.Len())])
	return len(p), nil
}

func (b *firstBytes) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
