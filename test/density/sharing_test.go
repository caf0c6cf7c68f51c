package density

import (
	"bytes"
	"testing"

	"doppel"
	"doppel/test/guest/shell"
)

// Two machines that have booted the same: much of their memory is alike, and
// is held once afterwards. They notice nothing, and what is saved of them is
// all there.
func TestSharing(t *testing.T) {
	h := newHost(t, doppel.HostConfig{})
	a, b := boot(t, h, doppel.Config{Name: "a"}), boot(t, h, doppel.Config{Name: "b"})
	for _, v := range []*vm{a, b} {
		v.sh("seq 200000 > /tmp/n; md5sum < /tmp/n > /tmp/sum")
	}
	before := h.Memory()
	var after doppel.HostMemoryStats
	wait(t, "sharing", func() bool { // guests run on, and change what was found, or do not come to rest
		h.MergeMemory()
		after = h.Memory()
		return after.Shared >= 40*mib && after.Copies != 0 && after.Copies <= after.Shared*3/4 &&
			after.Resident <= before.Resident*7/10 && after.Saved >= before.Saved
	})
	t.Logf("before %+v\nafter  %+v", before, after)
	if sum := after.Resident - after.Copies + after.Shared + after.Zero + after.Swapped; sum != after.Size {
		t.Errorf("%d of %d bytes are accounted for", sum, after.Size)
	}
	check := func(v *vm) {
		t.Helper()
		v.sh("md5sum < /tmp/n | cmp - /tmp/sum && echo all-$((4+4))-there; ls -lR /bin | md5sum; dmesg | grep -c -i -E 'oops|bug:' > /tmp/bugs; grep -q '^0$' /tmp/bugs && echo no-$((4+4))-bugs")
		v.expect("all-8-there")
		v.expect("no-8-bugs")
	}
	check(a)
	check(b)
	// What is saved and restored is the same machine, and is alike with the
	// first one from the start.
	if err := a.Pause(); err != nil {
		t.Fatal(err)
	}
	var saved bytes.Buffer
	if err := a.Save(&saved); err != nil {
		t.Fatal(err)
	}
	c := begin(t, h, doppel.Config{Name: "c"}, func(m *doppel.Machine) {
		if err := m.Restore(bytes.NewReader(saved.Bytes())); err != nil {
			t.Fatal(err)
		}
		if s := m.Memory(); s.Shared < s.Resident {
			t.Errorf("a copy of a machine shares %d MiB and has %d MiB of its own", s.Shared/mib, s.Resident/mib)
		}
	})
	if err := a.Resume(); err != nil {
		t.Fatal(err)
	}
	c.sh("echo c-$((4+4))-lives")
	c.expect("c-8-lives")
	check(c)
	a.Close() // the others keep what they shared with it
	check(b)
	check(c)
	if err := b.Reset(); err != nil {
		t.Fatal(err)
	}
	wait(t, "reset machine", func() bool { return b.out.Has(shell.Up) })
	check(c)
}

// Without sharing, only what is zero is given back.
func TestNoSharing(t *testing.T) {
	h := newHost(t, doppel.HostConfig{MemorySharing: "off"})
	a, b := boot(t, h, doppel.Config{Balloon: "off"}), boot(t, h, doppel.Config{Balloon: "off"})
	saved := uint64(0) // guests that still have to do after their boot take some anew
	wait(t, "return of zero pages", func() bool {
		saved += h.MergeMemory()
		return saved >= 20*mib
	})
	if s := h.Memory(); s.Shared != 0 || s.Copies != 0 {
		t.Errorf("%+v", s)
	}
	a.sh("ls -lR /bin | md5sum")
	b.sh("ls -lR /bin | md5sum")
}

// restore starts a machine from what was saved.
func restore(t testing.TB, h *doppel.Host, cfg doppel.Config, saved []byte) *vm {
	t.Helper()
	return begin(t, h, cfg, func(m *doppel.Machine) {
		if err := m.Restore(bytes.NewReader(saved)); err != nil {
			t.Fatal(err)
		}
	})
}
