package main

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// script is an emulator whose guest is a shell script on the host.
func script(text string) Emulator {
	return Emulator{"script", func(Boot) *exec.Cmd { return exec.Command("sh", "-c", text) }}
}

func TestGuest(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	g, took, err := bootTo(ctx, script(`echo @ready; read name count
		echo "@result $name $count 5000 0000000000000001"; echo "@done 0"
		read name count; echo "@error it failed"; echo "@done 1"
		read name count; echo gone >&2; exit 3`), Boot{}, readyText)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if took <= 0 || took > 30*time.Second {
		t.Errorf("the start took %v", took)
	}
	if r, err := g.Run(ctx, "sort", 5); err != nil || r.perIteration() != 1000 {
		t.Errorf("got %+v, %v", r, err)
	}
	if _, err := g.Run(ctx, "sort", 5); err == nil || !strings.Contains(err.Error(), "it failed") {
		t.Errorf("a failed program: %v", err)
	}
	if _, err := g.Run(ctx, "sort", 5); err == nil || !strings.Contains(err.Error(), "exit status 3: gone") {
		t.Errorf("a guest that ended: %v", err)
	}
}

// A guest that hangs does not hold the run up, and is ended.
func TestGuestHangs(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, _, err := bootTo(ctx, script("echo starting; exec sleep 60"), Boot{}, readyText); err == nil || !strings.Contains(err.Error(), "starting") {
		t.Errorf("got %v", err)
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("it took %v to give up", took)
	}
}

func TestBootFails(t *testing.T) {
	ctx := context.Background()
	if _, _, err := bootTo(ctx, script("echo 'engine: no such one' >&2; exit 2"), Boot{}, readyText); err == nil ||
		!strings.Contains(err.Error(), "no such one") {
		t.Errorf("got %v", err)
	}
	none := Emulator{"none", func(Boot) *exec.Cmd { return exec.Command("/nowhere/at/all") }}
	if _, _, err := bootTo(ctx, none, Boot{}, readyText); err == nil || !strings.Contains(err.Error(), "start none") {
		t.Errorf("got %v", err)
	}
}

// What is measured on both sides is the same machine.
func TestCommands(t *testing.T) {
	plain := Boot{Kernel: "k", Initrd: "i", Append: "a b"}
	for _, c := range []struct {
		boot Boot
		want string
	}{
		{plain, "bin/doppel run --kernel k --initrd i --append a b --net none --memory 512M --cpus 1 --engine interp"},
		{Boot{Kernel: "k", Image: "debian:trixie"}, "bin/doppel run debian:trixie --ephemeral --memory 512M --cpus 1 --engine interp"},
	} {
		if got := strings.Join(doppelEmulator("bin/doppel", "interp").Command(c.boot).Args, " "); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

// A load is seen, and rest too.
func TestLoads(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var guests []*Guest
	for _, text := range []string{"echo @ready; exec sleep 60", "echo @ready; while :; do :; done"} {
		g, _, err := bootTo(ctx, script(text), Boot{}, readyText)
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		guests = append(guests, g)
	}
	l, err := loads(ctx, guests, 300*time.Millisecond)
	if err != nil || len(l) != 2 || l[0] > 1 || l[1] <= l[0] {
		t.Errorf("loads of a sleeping and a busy process: %v, %v", l, err)
	}
	if err := settle(ctx, guests[:1]); err != nil {
		t.Error(err)
	}
}
