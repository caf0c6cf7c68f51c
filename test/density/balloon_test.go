package density

import (
	"testing"

	"doppel"
)

const mib = 1 << 20

// What a guest allocates and frees leaves the process again, without anybody
// asking. Without a balloon it stays.
func TestFreePages(t *testing.T) {
	for _, with := range []string{"", "off"} {
		t.Run("balloon "+with, func(t *testing.T) {
			v := boot(t, newHost(t, doppel.HostConfig{}), doppel.Config{Memory: 512 * mib, Balloon: with})
			before := rss(t)
			v.sh("dd if=/dev/urandom of=/tmp/x bs=1M count=200 2>/dev/null")
			full, fullRSS := v.Memory(), rss(t)
			if grown := fullRSS - before; grown < 150*mib {
				t.Fatalf("200 MiB more in the guest are %d MiB more in the process", grown/mib)
			}
			v.sh("rm /tmp/x")
			if with == "off" {
				v.sh("sleep 3")
				if s := v.Memory(); s.Resident < full.Resident-20*mib || s.Reported != 0 {
					t.Errorf("memory went without a balloon: %+v", s)
				}
				return
			}
			var s doppel.MemoryStats
			v.until("return of the memory", func() bool {
				s = v.Memory()
				return s.Resident <= full.Resident-160*mib && s.Reported >= 160*mib && rss(t) < fullRSS-160*mib
			})
			if s.Resident+s.Swapped+s.Zero != s.Size {
				t.Errorf("full %+v, empty %+v", full, s)
			}
			t.Logf("anonymous memory of the process: %d MiB, %d MiB with the file, %d MiB without it", before/mib, fullRSS/mib, rss(t)/mib)
			// It can have all of it again.
			v.sh("dd if=/dev/urandom of=/tmp/x bs=1M count=200 2>/dev/null && sync && md5sum /tmp/x > /tmp/a && md5sum /tmp/x | cmp - /tmp/a && echo whole-again")
			v.expect("whole-again")
		})
	}
}

// The balloon grows and shrinks as it is asked, and what is in it is not in
// the process.
func TestBalloon(t *testing.T) {
	v := boot(t, newHost(t, doppel.HostConfig{}), doppel.Config{Memory: 512 * mib})
	// Memory that was used and is not free in large pieces.
	v.sh("dd if=/dev/urandom of=/tmp/x bs=1M count=200 2>/dev/null; rm /tmp/x")
	if err := v.SetBalloon(300 * mib); err != nil {
		t.Fatal(err)
	}
	v.until("balloon of 300 MiB", func() bool { return v.Memory().Balloon == 300*mib })
	s := v.Memory()
	if s.Target != 300*mib || s.Resident > 200*mib || s.Returned > 300*mib {
		t.Errorf("with a balloon: %+v", s)
	}
	v.until("statistics of the guest", func() bool { s := v.Memory(); return s.Free != 0 && s.Free < 220*mib })
	v.sh("free -m")
	if err := v.SetBalloon(20 * mib); err != nil {
		t.Fatal(err)
	}
	v.until("balloon of 20 MiB", func() bool { return v.Memory().Balloon == 20*mib })
	v.until("statistics of the guest", func() bool { return v.Memory().Free > 350*mib })
	v.sh("dd if=/dev/urandom of=/tmp/x bs=1M count=300 2>/dev/null; rm /tmp/x; echo no-$((4+4))-deaths")
	v.expect("no-8-deaths")

	// A guest that needs its memory takes it back rather than die.
	if err := v.SetBalloon(500 * mib); err != nil {
		t.Fatal(err)
	}
	v.until("balloon of most of the memory", func() bool { return v.Memory().Balloon > 300*mib })
	v.sh("dd if=/dev/zero bs=120M count=1 of=/dev/null 2>/dev/null && echo still-$((4+4))-here")
	v.expect("still-8-here")
	if err := v.SetBalloon(1 << 40); err == nil {
		t.Error("a balloon larger than the machine")
	}
}
