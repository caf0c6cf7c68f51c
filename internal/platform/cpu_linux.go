package platform

import "golang.org/x/sys/unix"

// maxCPU is the number behind that of the last processor that is looked for.
const maxCPU = 1024 // unix.CPUSet's

// CPUs are the numbers of the processors that this process may use, in order;
// nil if the host does not tell.
func CPUs() []int {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return nil
	}
	var all []int
	for n := range maxCPU {
		if set.IsSet(n) {
			all = append(all, n)
		}
	}
	return all
}

// BindThread makes the calling thread run on the given processors only. The
// goroutine is locked to it.
func BindThread(cpus []int) error {
	var set unix.CPUSet
	for _, n := range cpus {
		set.Set(n)
	}
	return unix.SchedSetaffinity(0, &set)
}
