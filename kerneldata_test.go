package doppel

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"doppel/internal/guest"
)

// TestKernelData: a kernel that is no file runs, and its exits are traced; a
// file beside it is refused.
func TestKernelData(t *testing.T) {
	disk := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(disk, make([]byte, 64<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, trace bytes.Buffer
	m, err := New(Config{KernelData: guest.Image(), Console: Stream(strings.NewReader("poweroff\r"), &out), Trace: &trace,
		Disks: []Disk{{Path: disk}}, CPUWeight: 7, CPUCap: "50%"})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if r, err := m.Run(context.Background()); err != nil || r.Reason != PowerOff {
		t.Errorf("%+v, %v: %s", r, err, out.String())
	}
	if !strings.Contains(trace.String(), "SBI SRST.system_reset") {
		t.Errorf("trace of %d bytes without the end", trace.Len())
	}
	if d := m.Disks(); len(d) != 1 || d[0] != (DiskTraffic{Path: disk}) || len(m.Networks()) != 0 {
		t.Errorf("a guest that uses no disk: %+v, %+v", d, m.Networks())
	}
	if weight, limit := m.CPUShare(); weight != 7 || limit != "50%" {
		t.Errorf("share %d, %q", weight, limit)
	}
	_, err = New(Config{KernelData: guest.Image(), Kernel: disk})
	var e *ConfigError
	if !errors.As(err, &e) || e.Field != "Kernel" {
		t.Errorf("%v", err)
	}
}
