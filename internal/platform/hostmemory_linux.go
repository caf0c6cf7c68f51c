package platform

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path"
	"strconv"
	"strings"
)

// HostMemory is what the host has left. Figures that it does not tell are left
// out of what they bound.
type HostMemory struct {
	Total     uint64  // bytes that the host, or the process's control groups, have
	Available uint64  // bytes that could be had without swapping, here and now
	Anonymous uint64  // bytes of this process that no file holds
	Stalled   float64 // percent of the last ten seconds in which somebody waited for memory
}

// AskHostMemory reads Linux's files: /proc/meminfo, the limits of this
// process's control groups, /proc/self/statm and /proc/pressure/memory.
func AskHostMemory() (HostMemory, error) { return askHostMemory("/") }

func askHostMemory(root string) (h HostMemory, err error) {
	info, err := os.ReadFile(path.Join(root, "proc/meminfo"))
	if err != nil {
		return h, err
	}
	total, ok := field(info, "MemTotal:")
	available, too := field(info, "MemAvailable:")
	if !ok || !too {
		return h, fmt.Errorf("/proc/meminfo has no MemTotal and MemAvailable")
	}
	most, room := groups(root)
	h.Total, h.Available = min(total<<10, most), min(available<<10, room)
	if h.Anonymous, err = anonymous(root); err != nil {
		return h, err
	}
	h.Stalled = stalled(root)
	return h, nil
}

// field is the number behind a name at the start of a line.
func field(file []byte, name string) (uint64, bool) {
	for line := range bytes.Lines(file) {
		if rest, ok := bytes.CutPrefix(line, []byte(name)); ok {
			words := bytes.Fields(rest)
			if len(words) == 0 {
				return 0, false
			}
			n, err := strconv.ParseUint(string(words[0]), 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}

// anonymous is resident memory less what is of files or shared (proc(5),
// statm: size, resident, shared).
func anonymous(root string) (uint64, error) {
	b, err := os.ReadFile(path.Join(root, "proc/self/statm"))
	if err != nil {
		return 0, err
	}
	var size, resident, shared uint64
	if _, err := fmt.Sscan(string(b), &size, &resident, &shared); err != nil || shared > resident {
		return 0, fmt.Errorf("/proc/self/statm: %q", b)
	}
	return (resident - shared) * uint64(os.Getpagesize()), nil
}

// stalled is PSI's "some avg10" (Linux's Documentation/accounting/psi.rst).
func stalled(root string) (percent float64) {
	b, err := os.ReadFile(path.Join(root, "proc/pressure/memory"))
	if err == nil {
		fmt.Sscanf(string(b), "some avg10=%f", &percent)
	}
	return percent
}

// maxGroups bounds the depth of control groups that is looked at.
const maxGroups = 32

// groups is how much the control groups of this process may have, and how much
// more, of versions 2 and 1; file cache that can be dropped does not count.
func groups(root string) (limit, room uint64) {
	limit, room = math.MaxUint64, math.MaxUint64
	b, err := os.ReadFile(path.Join(root, "proc/self/cgroup"))
	if err != nil {
		return limit, room
	}
	for line := range strings.Lines(string(b)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		mount, limitFile, usageFile := "sys/fs/cgroup", "memory.max", "memory.current"
		if parts[0] != "0" || parts[1] != "" {
			if !strings.Contains(","+parts[1]+",", ",memory,") {
				continue
			}
			mount, limitFile, usageFile = "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
		}
		group := path.Clean("/" + parts[2])
		for range maxGroups { // the limits of all groups around it hold too
			dir := path.Join(root, mount, group)
			if most, had := number(path.Join(dir, limitFile)), number(path.Join(dir, usageFile)); most != math.MaxUint64 && had != math.MaxUint64 {
				stat, _ := os.ReadFile(path.Join(dir, "memory.stat"))
				cache, _ := field(stat, "inactive_file ")
				limit = min(limit, most)
				room = min(room, most-min(most, had-min(had, cache)))
			}
			if group == "/" {
				break
			}
			group = path.Dir(group)
		}
	}
	return limit, room
}

// number is a file's one number, the largest there is for "max" or no file.
func number(file string) uint64 {
	b, err := os.ReadFile(file)
	if err == nil {
		if n, err := strconv.ParseUint(string(bytes.TrimSpace(b)), 10, 64); err == nil {
			return n
		}
	}
	return math.MaxUint64
}
