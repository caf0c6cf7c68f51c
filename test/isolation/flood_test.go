package isolation

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"doppel"
	"doppel/internal/cpu"
)

const (
	// leastShare is what a flood must leave a neighbour of its share.
	leastShare = .95
	// leastWork is what it must be able to do in that time. The host's caches
	// are shared, and the host works for guests too, on nobody's account.
	leastWork = .55
	// mostGrowth is by how much the VMM's own memory may differ, for what the
	// translator keeps of code that it has not seen before.
	mostGrowth = 32 * mib
)

// flood is something hostile to do.
type flood struct {
	name    string
	command string
	// happens counts what the flood consists of.
	happens func(h *doppel.Host, v *vm) uint64
	// atNeighbour: the neighbour has to deal with it, which is work too.
	atNeighbour bool
}

func instructions(_ *doppel.Host, v *vm) uint64 { return v.Stats().Instructions() }

func exits(why ...cpu.ExitReason) func(*doppel.Host, *vm) uint64 {
	return func(_ *doppel.Host, v *vm) (n uint64) {
		for _, c := range v.Stats().CPUs {
			for _, r := range why {
				n += c.Exits[r]
			}
		}
		return n
	}
}

func sent(_ *doppel.Host, v *vm) uint64 { return v.Networks()[0].Sent }

var floods = []flood{
	{name: "fork bomb", command: "flood bomb", happens: instructions},
	{name: "memory hog", command: "flood hog", happens: instructions},
	{name: "timer storm", command: "flood timers", happens: exits(cpu.ExitHalt)},
	{name: "interrupts between harts", command: "flood ipis", happens: exits(cpu.ExitCall)},
	{name: "console", command: "yes > /dev/ttyS0", happens: func(_ *doppel.Host, v *vm) uint64 { return uint64(v.out.count()) }},
	{name: "disk writes", command: "flood write", happens: func(_ *doppel.Host, v *vm) uint64 { return v.Disks()[0].WriteBytes }},
	{name: "disk reads", command: "flood read", happens: func(_ *doppel.Host, v *vm) uint64 { return v.Disks()[0].ReadBytes }},
	{name: "datagrams to the gateway", command: "flood udp 10.0.2.2 1400", happens: sent},
	{name: "small datagrams to the gateway", command: "flood udp 10.0.2.2 10", happens: sent},
	{name: "datagrams to the neighbour", command: "flood udp 10.0.2.15 1400", happens: sent, atNeighbour: true},
	{name: "small datagrams to the neighbour", command: "flood udp 10.0.2.15 10", happens: sent, atNeighbour: true},
}

// TestFloods: whatever a machine does, its neighbour on the same processor has
// what it has beside a machine that only computes.
func TestFloods(t *testing.T) {
	h, err := doppel.NewHost(doppel.HostConfig{Networks: []doppel.Network{{Name: "lan"}}, MemorySharing: "off"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	image, dir := initrd(t), t.TempDir()
	config := func(name string, mac byte, disk bool) doppel.Config {
		c := doppel.Config{Name: name, Memory: 128 * mib, Initrd: image, CPUAffinity: os.Getenv(boundEnv),
			NICs: []doppel.NIC{{Switch: "lan", MAC: doppel.MAC{0x52, 0x54, 0, 0, 0, mac}}}}
		if disk {
			c.CPUs = 2
			c.Disks = []doppel.Disk{{Path: filepath.Join(dir, name)}}
			if err := os.WriteFile(c.Disks[0].Path, make([]byte, 64*mib), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return c
	}
	neighbour := begin(t, h, config("neighbour", 15, false), nil)
	neighbour.sh("ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0")
	neighbour.pause()
	first := begin(t, h, config("hostile", 16, true), nil)
	first.sh("ip link set eth0 up; ip addr add 10.0.2.16/24 dev eth0; ping -c 1 10.0.2.2")
	saved := first.save()
	spinner := begin(t, h, config("spinner", 17, true), saved)
	spinner.send("flood spin")
	neighbour.resume()
	neighbour.send("flood compute")
	time.Sleep(window)
	spinner.pause()

	for _, f := range floods {
		t.Run(f.name, func(t *testing.T) {
			goroutines := runtime.NumGoroutine()
			hostile := begin(t, h, config("hostile", 16, true), saved)
			hostile.send(f.command)
			for start := f.happens(h, hostile); f.happens(h, hostile) < start+1000; time.Sleep(time.Millisecond) {
			}
			time.Sleep(window)
			hostile.pause()
			before := ownMemory(t, h)
			count, executed := f.happens(h, hostile), hostile.Stats()
			begun := time.Now()
			r := measure(t, neighbour, spinner, hostile)
			n := f.happens(h, hostile) - count
			after, grown := hostile.Stats(), ownMemory(t, h)-before
			t.Logf("beside it: %v; %d in %d instructions, %v for devices, in %v; own memory %+d KiB", r, n, after.Instructions()-executed.Instructions(),
				time.Duration(after.Devices.Running-executed.Devices.Running), time.Since(begun).Round(time.Millisecond), grown>>10)
			if n == 0 {
				t.Error("there was no flood")
			}
			r.check(t, f.atNeighbour)
			hostile.close()
			if grown > mostGrowth {
				t.Errorf("the VMM's own memory has grown by %d KiB", grown>>10)
			}
			for deadline := time.Now().Add(patience); runtime.NumGoroutine() > goroutines; time.Sleep(10 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), goroutines)
				}
			}
		})
	}
	if t.Failed() {
		for _, p := range h.Ports("lan") {
			t.Logf("%+v", p)
		}
	}
}

func (r ratio) check(t *testing.T, atNeighbour bool) {
	t.Helper()
	if !atNeighbour && r.byTime < leastWork {
		t.Errorf("beside it the neighbour does too little: %v", r)
	}
	switch {
	case r.disturbed != "":
		t.Logf("the host is not quiet (%s): only gross harm would be seen", r.disturbed)
	case r.had < leastShare:
		t.Errorf("beside it the neighbour has not its share: %v", r)
	}
}
