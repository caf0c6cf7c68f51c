package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"doppel/internal/image"
	"doppel/internal/image/store"
	"doppel/test/guest"
)

// bench is one run's state.
type bench struct {
	options
	effort
	dir          string // temporary
	boot         Boot   // to init
	fleet        Boot   // with the applications, if they can be had
	applications string // folder on the host, empty if they cannot be had
	host         string // the programs for the host
	emulators    []Emulator
	report       Report
}

// run does everything. Wrong results and failures are gathered, so that one
// program does not hide the others; the report is then not written.
func run(ctx context.Context, o options) error {
	b := &bench{options: o, effort: o.effort()}
	var err error
	if b.dir, err = os.MkdirTemp("", "doppel-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	b.report = Report{Command: o.command(), Date: time.Now().UTC().Format(time.DateOnly), Load: loadAverage(), Rounds: b.rounds}
	if o.shared {
		b.note("Time for which a program or a guest waited for a processor was taken off (-shared).")
	} else if b.report.Load > busy*float64(runtime.NumCPU()) {
		b.note("The host had other work: these times are worth little.")
	}
	if err := b.prepare(ctx); err != nil {
		return err
	}
	if o.only == nil && !o.threads {
		if err := b.starts(ctx); err != nil {
			return err
		}
	}
	if o.only == nil {
		if err := b.threads(ctx); err != nil {
			return err
		}
	}
	if !o.threads {
		err = b.programs(ctx)
	}
	for _, t := range []table{b.report.programTable(), b.report.wholeTable()} {
		if len(t) > 1 {
			t.plain(os.Stdout)
		}
	}
	for _, line := range b.report.slower() {
		fmt.Println(line)
	}
	if err != nil || o.out == "" {
		return err
	}
	return b.write()
}

// busy is the load on each processor above which measuring is in vain.
const busy = 0.5

// note adds what a reader of the results must know.
func (b *bench) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	progress("%s", text)
	b.report.Notes = append(b.report.Notes, text)
}

// prepare finds or makes all that is booted and run.
func (b *bench) prepare(ctx context.Context) error {
	if _, err := os.Stat(b.doppel); err != nil {
		return fmt.Errorf("no program to measure: %w; run make build", err)
	}
	progress("compiling the programs")
	guestBench, err := compile(ctx, compilers.guest, b.dir)
	if err != nil {
		return err
	}
	if b.host, err = compile(ctx, compilers.host, b.dir); err != nil {
		return err
	}
	files, err := guest.Find()
	if err != nil {
		return fmt.Errorf("no kernel to boot: %w", err)
	}
	data, err := archive(files, guestBench)
	if err != nil {
		return err
	}
	b.boot = Boot{Kernel: files.Kernel, Initrd: filepath.Join(b.dir, "initrd"), Append: commandLine, Firmware: files.DynamicBin}
	if err := os.WriteFile(b.boot.Initrd, data, 0o644); err != nil {
		return err
	}
	if err := b.prepareApplications(ctx, data); err != nil {
		return err
	}
	q, err := findQEMU(ctx, b.suite)
	if err != nil {
		return err
	}
	for _, e := range b.engines {
		b.emulators = append(b.emulators, doppelEmulator(b.doppel, e))
	}
	b.emulators = append(b.emulators, qemuEmulator(q))
	for _, e := range b.emulators {
		b.report.Emulators = append(b.report.Emulators, e.Name)
	}
	b.report.Host = hostLines(q.String(), files.Version)
	for _, l := range b.report.Host {
		progress("%s", l)
	}
	return nil
}

// prepareApplications makes the applications' folder on the host and the
// initial RAM disk that has them beside what archive has. Without them the
// other programs are measured all the same.
func (b *bench) prepareApplications(ctx context.Context, archive []byte) error {
	b.fleet = b.boot
	if !slices.ContainsFunc(b.selected(), func(p Program) bool { return p.Group == Application }) {
		return nil
	}
	b.applications = filepath.Join(b.dir, "applications")
	data, err := prepareApplications(ctx, b.applications)
	if err != nil {
		b.applications = ""
		b.note("The compiler and Python were not measured: %v", err)
		return nil
	}
	b.fleet.Initrd = filepath.Join(b.dir, "initrd-applications")
	return os.WriteFile(b.fleet.Initrd, append(archive, data...), 0o644)
}

// starts measures the way to init and to Debian's login prompt.
func (b *bench) starts(ctx context.Context) error {
	progress("start to init")
	w, err := startTimes(ctx, "start to init", b.emulators, b.boot, initText, b.boots)
	if err != nil {
		return err
	}
	b.report.Whole = append(b.report.Whole, w)
	if b.image == "" {
		return nil
	}
	login, err := b.debian()
	if errors.Is(err, store.ErrNotFound) {
		b.note("The way to a login prompt was not measured: no image %s is in the store (doppel image build %[1]s).", b.image)
		return nil
	}
	if err != nil {
		return err
	}
	progress("start to the login prompt of %s", b.image)
	w, err = startTimes(ctx, "start to the login prompt of "+b.image, b.emulators, login, loginText, b.logins)
	if err != nil {
		return err
	}
	b.report.Whole = append(b.report.Whole, w)
	return nil
}

// debian gives what QEMU needs to start the image that Doppel knows by name.
func (b *bench) debian() (Boot, error) {
	dir, err := image.DataDir()
	if err != nil {
		return Boot{}, err
	}
	s, err := store.Open(dir)
	if err != nil {
		return Boot{}, err
	}
	img, err := s.Get(b.image)
	if err != nil {
		return Boot{}, err
	}
	return Boot{Kernel: img.KernelPath(), Initrd: img.InitrdPath(), Append: img.Append, Firmware: b.boot.Firmware,
		Disk: img.Disk(), Image: b.image}, nil
}

// fleet is every place where programs run, all of them up at once.
type fleet struct {
	targets []Target // the host, then the emulators
	guests  []*Guest
	counter *counter
	counted []*counter // with -stats, a machine for each engine
}

// startFleet boots everything and waits until it is at rest.
func (b *bench) startFleet(ctx context.Context) (*fleet, error) {
	f := &fleet{targets: []Target{native{b.host, b.applications, b.shared}}}
	for _, e := range b.emulators {
		g, _, err := bootTo(ctx, e, b.fleet, readyText)
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		f.guests = append(f.guests, g)
		if b.shared {
			f.targets = append(f.targets, sharedGuest{g})
		} else {
			f.targets = append(f.targets, g)
		}
	}
	var err error
	if f.counter, err = startCounter(ctx, b.fleet, countEngine); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if b.stats {
		for _, e := range b.engines {
			c, err := startCounter(ctx, b.fleet, e)
			if err != nil {
				return nil, errors.Join(err, f.Close())
			}
			f.counted = append(f.counted, c)
		}
	}
	if err := settle(ctx, f.guests); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Close ends all machines.
func (f *fleet) Close() error {
	var errs []error
	for _, t := range f.targets {
		errs = append(errs, t.Close())
	}
	if f.counter != nil {
		errs = append(errs, f.counter.Close())
	}
	for _, c := range f.counted {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// printCounts is for -stats: without, there are no machines for it.
func (f *fleet) printCounts(ctx context.Context, program string, want time.Duration) error {
	for _, c := range f.counted {
		counts, err := c.countsOf(ctx, program, want)
		if err != nil {
			return err
		}
		if counts != nil { // the interpreter has none
			progress("%s", describeCounts(c.Name(), program, counts))
		}
	}
	return nil
}

// programs measures all programs on machines that stay up.
func (b *bench) programs(ctx context.Context) error {
	f, err := b.startFleet(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if f != nil {
			f.Close()
		}
	}()
	if b.only == nil {
		progress("load of idle guests")
		w, err := idleLoad(ctx, f.guests, b.idle)
		if err != nil {
			return err
		}
		b.report.Whole = append(b.report.Whole, w)
	}
	var failures []error
	for _, p := range b.selected() {
		if p.Group == Application && b.applications == "" {
			continue
		}
		progress("%s: %s", p.Name, p.What)
		row, err := measure(ctx, p, f.targets, b.plan)
		if err == nil {
			row.Instructions, err = f.counter.perIteration(ctx, p.Name, b.count)
		}
		if err == nil {
			b.report.Rows = append(b.report.Rows, row)
			err = f.printCounts(ctx, p.Name, b.count)
		}
		if err == nil {
			continue
		}
		progress("FAILED: %v", err)
		failures = append(failures, err)
		if ctx.Err() != nil {
			break
		}
		// What came too late must not be taken for the next program's result.
		f.Close()
		if f, err = b.startFleet(ctx); err != nil {
			return errors.Join(append(failures, err)...)
		}
	}
	return errors.Join(failures...)
}

// write puts the report in its file, whole or not at all.
func (b *bench) write() error {
	f, err := os.CreateTemp(filepath.Dir(b.out), ".bench-")
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	defer os.Remove(f.Name())
	if err := errors.Join(b.report.markdown(f), f.Chmod(0o644), f.Close()); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if err := os.Rename(f.Name(), b.out); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	progress("written: %s", b.out)
	return nil
}

func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...) }
