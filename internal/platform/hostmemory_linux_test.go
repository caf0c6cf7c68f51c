package platform

import (
	"os"
	"path/filepath"
	"testing"
)

// The smallest of the host's room and that of all control groups around the
// process counts, whichever version they are.
func TestHostMemory(t *testing.T) {
	usual := map[string]string{
		"proc/meminfo":         "MemTotal:  8000000 kB\nMemFree: 1 kB\nMemAvailable:   4000000 kB\n",
		"proc/self/statm":      "1000 300 100 5 0 50 0\n",
		"proc/pressure/memory": "some avg10=12.50 avg60=1.00 avg300=0.00 total=5\nfull avg10=1.00 avg60=0 avg300=0 total=0\n",
	}
	const m = 1 << 20
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  uint64
	}{
		{"no groups", nil, 4000000 << 10},
		{"v2, no limit", map[string]string{"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "max\n", "sys/fs/cgroup/a/memory.current": "5\n"}, 4000000 << 10},
		{"v2", map[string]string{"proc/self/cgroup": "0::/a/b\n",
			"sys/fs/cgroup/a/memory.max": "104857600\n", "sys/fs/cgroup/a/memory.current": "52428800\n",
			"sys/fs/cgroup/a/memory.stat":  "anon 5\ninactive_file 10485760\n",
			"sys/fs/cgroup/a/b/memory.max": "209715200\n", "sys/fs/cgroup/a/b/memory.current": "5\n"}, 60 * m},
		{"v2, over", map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "5\n", "sys/fs/cgroup/memory.current": "9\n"}, 0},
		{"v1", map[string]string{"proc/self/cgroup": "3:cpu,cpuacct:/x\n2:memory:/y\n0::/\n",
			"sys/fs/cgroup/memory/y/memory.limit_in_bytes": "104857600\n", "sys/fs/cgroup/memory/y/memory.usage_in_bytes": "4857600\n"}, 100000000},
		{"nonsense", map[string]string{"proc/self/cgroup": "x\n::\n0:::::\n1:memory\n", "sys/fs/cgroup/memory.max": "-5\n"}, 4000000 << 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			for _, files := range []map[string]string{usual, tt.files} {
				for name, text := range files {
					p := filepath.Join(root, name)
					if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
						t.Fatal(err)
					}
				}
			}
			h, err := askHostMemory(root)
			if err != nil || h.Available != tt.want || h.Total < h.Available || h.Anonymous != 200*uint64(os.Getpagesize()) || h.Stalled != 12.5 {
				t.Errorf("%+v, %v; want %d available", h, err, tt.want)
			}
		})
	}
	if h, err := AskHostMemory(); err != nil || h.Total <= h.Available || h.Available == 0 || h.Anonymous == 0 {
		t.Errorf("this host: %+v, %v", h, err)
	}
}
