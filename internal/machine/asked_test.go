package machine

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"
)

// TestPauseAtTheEnd: a guest that has switched itself off when it is paused
// has come to its end; it is not found paused, nor saved, as if its request
// were still to come.
func TestPauseAtTheEnd(t *testing.T) {
	cfg := bare(t, `
	li   t0, 0x100000
	li   t1, 0x5555
	li   t2, 20000
1:	addi t2, t2, -1
	bnez t2, 1b
	sw   t1, 0(t0)
1:	j    1b
`)
	cfg.Memory = 4 << 20
	rounds := 150
	if testing.Short() {
		rounds = 30
	}
	paused := 0
	for range rounds {
		saved := pauseSoon(t, cfg)
		if saved == nil {
			continue
		}
		paused++
		m, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		err = m.Restore(bytes.NewReader(saved))
		r, runErr := m.Run(ctx)
		cancel()
		if err = errors.Join(err, runErr, m.Close()); err != nil || r.Reason != PowerOff {
			t.Fatalf("a guest that was restored ends with %+v, %v", r, err)
		}
	}
	t.Logf("paused %d times of %d", paused, rounds)
}

// pauseSoon runs a guest and pauses it about when it ends. It returns what was
// saved, nil if it had ended.
func pauseSoon(t *testing.T, cfg Config) []byte {
	t.Helper()
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	ended := make(chan error, 1)
	go func() {
		_, err := m.Run(context.Background())
		ended <- err
	}()
	for m.Status() == Created {
		time.Sleep(time.Microsecond)
	}
	for end := time.Now().Add(time.Duration(rand.IntN(600)) * time.Microsecond); time.Now().Before(end); {
	}
	if m.Pause() != nil {
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		return nil
	}
	var b bytes.Buffer
	if err := m.Save(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
