package density

import (
	"bytes"
	"testing"

	"doppel"
)

// A machine that is saved with memory in its balloon is restored with it, and
// gets it back.
func TestSavedBalloon(t *testing.T) {
	h := newHost(t, doppel.HostConfig{})
	a := boot(t, h, doppel.Config{Name: "a", Memory: 256 * mib})
	if err := a.SetBalloon(100 * mib); err != nil {
		t.Fatal(err)
	}
	a.until("balloon of 100 MiB", func() bool { return a.Memory().Balloon == 100*mib })
	if err := a.Pause(); err != nil {
		t.Fatal(err)
	}
	var saved bytes.Buffer
	if err := a.Save(&saved); err != nil {
		t.Fatal(err)
	}
	a.Close()
	b := restore(t, h, doppel.Config{Name: "b", Memory: 256 * mib}, saved.Bytes())
	if s := b.Memory(); s.Balloon != 100*mib || s.Target != 100*mib {
		t.Errorf("restored: %+v", s)
	}
	if err := b.SetBalloon(0); err != nil {
		t.Fatal(err)
	}
	b.until("empty balloon", func() bool { return b.Memory().Balloon == 0 })
	b.sh("dd if=/dev/zero of=/dev/null bs=130M count=1 2>/dev/null && echo all-$((4+4))-back")
	b.expect("all-8-back")
}
