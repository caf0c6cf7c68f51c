package e2e

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"doppel/test/guest"
)

// A running machine is asked for memory from another terminal, gives it, and
// gets it back; its figures say so.
func TestBalloonCommand(t *testing.T) {
	t.Parallel()
	f := guest.Get(t)
	initrd := f.WriteInitramfs(t, guest.ShellInit)
	socket := filepath.Join(t.TempDir(), "socket")
	s := start(t, options{}, "run", "--kernel", f.Kernel, "--initrd", initrd, "--append", console, "--net", "none",
		"--memory", "256M", "--memory-limit", "1G", "--control", socket)
	s.expect("initramfs is up", kernelUp)
	type figures struct {
		Memory struct {
			Size, Resident, Balloon uint64
			Target                  uint64 `json:"balloon_target"`
		}
		Host struct{ Limit, Resident uint64 } `json:"host_memory"`
	}
	ask := func() figures {
		t.Helper()
		var all []figures
		if err := json.Unmarshal([]byte(output(t, "stats", "--control", socket, "--json")), &all); err != nil || len(all) != 1 {
			t.Fatalf("%v: %+v", err, all)
		}
		return all[0]
	}
	before := ask()
	if before.Memory.Size != 256<<20 || before.Memory.Resident == 0 || before.Host.Limit != 1<<30 || before.Host.Resident == 0 {
		t.Errorf("%+v", before)
	}
	for _, c := range []struct {
		size string
		want uint64
	}{{"64M", 64 << 20}, {"0", 0}} {
		output(t, "balloon", "--control", socket, c.size)
		deadline := time.Now().Add(kernelUp)
		for got := ask(); got.Memory.Balloon != c.want || got.Memory.Target != c.want; got = ask() {
			if time.Now().After(deadline) {
				t.Fatalf("a balloon of %s: %+v", c.size, got)
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	args := []string{"balloon", "--control", socket, "1G"}
	if status, stderr := refusal(t, nil, args...); status == 0 {
		t.Error("a balloon larger than the machine")
	} else {
		sentence(t, args, stderr, "268435456")
	}
	s.send("poweroff -f\n")
	s.wait(0, soon)
}

// output runs the program to its end, which must be good, and returns what it
// prints.
func output(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(program, args...).Output()
	if err != nil {
		t.Fatalf("doppel %q: %v", args, err)
	}
	return string(out)
}
