package sched

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Share is what a machine may have of the processors.
type Share struct {
	// Weight is the machine's part beside that of others, 1 to MaxWeight; 0
	// means DefaultWeight.
	Weight int
	// Cap is the most that the machine gets, in thousandths of a processor; 0
	// means no limit.
	Cap int
	// Affinity are the numbers of the processors that it may run on; nil means
	// all.
	Affinity []int
}

// Weights are cgroup v2's.
const (
	DefaultWeight = 100
	MaxWeight     = 10000
	minCap        = 10 // 1%
	maxCPU        = 1 << 13
)

// CheckWeight tells what is wrong with a weight, "" for nothing.
func CheckWeight(n int) string {
	if n < 0 || n > MaxWeight {
		return fmt.Sprintf("must be 1 to %d; %d is what a machine has that asks for none", MaxWeight, DefaultWeight)
	}
	return ""
}

// CheckCap tells what is wrong with the cap of a machine of n vCPUs.
func CheckCap(thousandths, n int) string {
	if most := 1000 * n; thousandths != 0 && (thousandths < minCap || thousandths > most) {
		return fmt.Sprintf("must be 1%% to %d%%: 100%% for each processor of the machine", most/10)
	}
	return ""
}

// CheckAffinity tells what is wrong with a machine's set of processors.
func (s *Scheduler) CheckAffinity(cpus []int) string {
	have := s.CPUs()
	for _, n := range cpus {
		if !slices.Contains(have, n) {
			return fmt.Sprintf("there is no processor %d that this process may use; there is %s", n, FormatCPUs(have))
		}
	}
	return ""
}

// ParseCap reads a number of processors ("1.5") or a percentage of one
// ("50%"), and returns thousandths of a processor; "" is 0.
func ParseCap(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	number, percent := strings.CutSuffix(text, "%")
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || strings.Trim(number, "0123456789.") != "" || f > 1e6 {
		return 0, fmt.Errorf("want a percentage of one processor such as 50%%, or a number of processors such as 1.5")
	}
	if percent {
		f /= 100
	}
	if n := int(f*1000 + 0.5); n > 0 {
		return n, nil
	}
	return 0, fmt.Errorf("must be at least 1%% of a processor")
}

// ParseCPUs reads a list of processors such as "0,2-3". "" is nil.
func ParseCPUs(text string) ([]int, error) {
	if text == "" {
		return nil, nil
	}
	var cpus []int
	for _, part := range strings.Split(text, ",") {
		low, high, isRange := strings.Cut(part, "-")
		if !isRange {
			high = low
		}
		from, err1 := strconv.ParseUint(low, 10, 16)
		to, err2 := strconv.ParseUint(high, 10, 16)
		if err1 != nil || err2 != nil || from > to || to >= maxCPU {
			return nil, fmt.Errorf("want numbers of processors such as 0,1 or 0-3")
		}
		for n := from; n <= to; n++ {
			cpus = append(cpus, int(n))
		}
	}
	slices.Sort(cpus)
	return slices.Compact(cpus), nil
}

// FormatCPUs is the inverse of ParseCPUs. The numbers are in order.
func FormatCPUs(cpus []int) string {
	var parts []string
	for i := 0; i < len(cpus); {
		j := i
		for j+1 < len(cpus) && cpus[j+1] == cpus[j]+1 {
			j++
		}
		part := strconv.Itoa(cpus[i])
		if j > i {
			part += "-" + strconv.Itoa(cpus[j])
		}
		parts = append(parts, part)
		i = j + 1
	}
	return strings.Join(parts, ",")
}
