package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// hostLines describe the machine and the programs, without any name or path.
func hostLines(qemu, kernel string) []string {
	return []string{
		fmt.Sprintf("Host: %s, %d processors, %s, %s/%s", processor(), runtime.NumCPU(), memorySize(), runtime.GOOS, runtime.GOARCH),
		fmt.Sprintf("%s; %s; gcc %s for the host, %s for the guest", runtime.Version(), qemu,
			compilerVersion(compilers.host), compilerVersion(compilers.guest)),
		fmt.Sprintf("Guest: Linux %s, one processor, %s, the same kernel and initial RAM disk on each", kernel, guestMemory),
	}
}

func processor() string { return procField("/proc/cpuinfo", "model name", "unknown processor") }

func memorySize() string {
	kib, err := strconv.ParseFloat(strings.TrimSuffix(procField("/proc/meminfo", "MemTotal", "?"), " kB"), 64)
	if err != nil {
		return "memory of unknown size"
	}
	return fmt.Sprintf("%.0f GiB", kib/(1<<20))
}

// procField finds the first line "name: value" of a file.
func procField(path, name, otherwise string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return otherwise
	}
	for line := range strings.Lines(string(data)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return otherwise
}

// loadAverage is the host's load over the last minute, which tells whether
// others took part of the processor; 0 if not known.
func loadAverage() float64 {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(data), " ")
	load, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return 0
	}
	return load
}

// tick is the unit of processor time in /proc/PID/stat (USER_HZ on Linux).
const tick = 10 * time.Millisecond

// processorTime is what a process has used so far, in user and kernel mode.
func processorTime(pid int) (time.Duration, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return parseStat(data)
}

// parseStat reads utime and stime, fields 14 and 15 of proc_pid_stat(5). The
// second field, a name in parentheses, may hold anything.
func parseStat(data []byte) (time.Duration, error) {
	const utime, stime = 14 - 3, 15 - 3
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(fields) <= stime {
		return 0, errors.New("/proc/PID/stat has too few fields")
	}
	var ticks uint64
	for _, f := range fields[utime : stime+1] {
		n, err := strconv.ParseUint(f, 10, 48)
		if err != nil {
			return 0, fmt.Errorf("/proc/PID/stat: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * tick, nil
}
