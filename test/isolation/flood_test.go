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
	// least is what a flood must leave a neighbour of what it gets done beside a
	// machine that spins, and of its processor time.
	least = .95
	// leastDisturbed is the same where others use the processor too: each time
	// that they come, the neighbour finds other things in the caches.
	leastDisturbed = .7
	// enough of what the flood consists of shows that it has begun.
	enough = 50
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
	{name: "console", command: "yes > /dev/ttyS0", happens: func(_ *doppel.Host, v *vm) uint64 { return uint64(v.out.Total()) }},
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
			for start := f.happens(h, hostile); f.happens(h, hostile) < start+enough; time.Sleep(time.Millisecond) {
			}
			time.Sleep(window)
			hostile.pause()
			before := ownMemory(t, h)
			count, executed := f.happens(h, hostile), hostile.Stats()
			begun := time.Now()
			figure := ratio.throughput
			if f.atNeighbour {
				figure = func(r ratio) float64 { return r.share }
			}
			r := measure(t, neighbour, spinner, hostile, func(r ratio) bool { return figure(r) >= least && r.share >= least })
			n := f.happens(h, hostile) - count
			after, grown := hostile.Stats(), ownMemory(t, h)-before
			t.Logf("beside it: %v; %d in %d instructions, %v for devices, in %v; own memory %+d KiB", r, n, after.Instructions()-executed.Instructions(),
				time.Duration(after.Devices.Running-executed.Devices.Running), time.Since(begun).Round(time.Millisecond), grown>>10)
			if n == 0 {
				t.Error("there was no flood")
			}
			switch got := min(figure(r), r.share); {
			case got >= least:
			case r.disturbed == "":
				t.Errorf("it leaves the neighbour %.3f of its share", got)
			default:
				t.Logf("the host is not quiet: %s", r.disturbed)
				if got < leastDisturbed {
					t.Errorf("it leaves the neighbour %.3f of its share, on a host that is not quiet", got)
				}
			}
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
