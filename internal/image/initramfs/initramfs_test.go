package initramfs

import (
	"bytes"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// entries reads an archive of the newc format back.
func entries(t *testing.T, b []byte) map[string]string {
	out := map[string]string{}
	for at := 0; ; {
		if string(b[at:at+6]) != "070701" {
			t.Fatalf("no magic at %d", at)
		}
		field := func(i int) int {
			n, err := strconv.ParseInt(string(b[at+6+8*i:at+14+8*i]), 16, 64)
			if err != nil {
				t.Fatal(err)
			}
			return int(n)
		}
		size, nameSize := field(6), field(11)
		name := string(b[at+110 : at+110+nameSize-1])
		data := (at + 110 + nameSize + 3) &^ 3
		if name == "TRAILER!!!" {
			return out
		}
		out[name] = string(b[data : data+size])
		at = (data + size + 3) &^ 3
	}
}

func TestBuild(t *testing.T) {
	got := entries(t, Build([]byte("busybox"), []Module{{"a", []byte("A")}, {"b", []byte("B")}}))
	for name, want := range map[string]string{"bin/busybox": "busybox", "bin/sh": "busybox", "modules/b.ko": "B",
		"modules/load": "insmod /modules/a.ko\ninsmod /modules/b.ko\n", "init": initScript} {
		if got[name] != want {
			t.Errorf("%s is %.60q", name, got[name])
		}
	}
}

// TestQuoting runs what the start script would run, with printf in busybox's place: hostile words stay words.
func TestQuoting(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("sh is missing")
	}
	words := []string{"it's", "$(id)", "a b", "", "`x`", "\n", "'; exit 3; '", "\\"}
	start := entries(t, EntryArchive(Entry{Args: words, Env: []string{"A='"}, Dir: "/", UID: 1, GID: 2, Hostname: "h'x"}))["start"]
	if !strings.Contains(start, "nsenter -S 1 -G 2") {
		t.Errorf("no user:\n%s", start)
	}
	_, args, _ := strings.Cut(start, "env -i ")
	out, err := exec.Command(sh, "-c", `printf '[%s]' `+args).Output()
	want := "[A=']"
	for _, w := range words {
		want += "[" + w + "]"
	}
	if err != nil || string(out) != want {
		t.Errorf("got %q, want %q (%v)", out, want, err)
	}
}

// TestScripts lets the host's shell read the scripts.
func TestScripts(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("sh is missing")
	}
	for name, script := range map[string]string{"init.sh": initScript, "entry.sh": entryScript, "udhcpc.sh": dhcpScript} {
		cmd := exec.Command(sh, "-n")
		cmd.Stdin = bytes.NewReader([]byte(script))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
