package image

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"doppel/internal/image/progress"
	"doppel/internal/image/store"
)

type printer struct{ t testing.TB }

type printerTask struct {
	p     printer
	name  string
	start time.Time
}

func (p printer) Start(name string, total int64, u progress.Unit) progress.Task {
	return &printerTask{p, name, time.Now()}
}
func (t *printerTask) Advance(int64) {}
func (t *printerTask) Finish(err error) {
	fmt.Printf("%-28s %6.2f s  %v\n", t.name, time.Since(t.start).Seconds(), err)
}

// TestBuildOnline builds the real thing from the host's mirror, unconfigured, into the folder that the variable names.
func TestBuildOnline(t *testing.T) {
	dir := os.Getenv("DOPPEL_TEST_BUILD")
	if dir == "" {
		t.Skip("DOPPEL_TEST_BUILD names no folder to build a real Debian in")
	}
	s, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	i, err := BuildDebian(context.Background(), BuildOptions{Store: s, Progress: printer{t}})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("total %.2f s, disk %d MiB used, %+v\n", time.Since(start).Seconds(), i.DiskUsed()>>20, i.Config)
}
