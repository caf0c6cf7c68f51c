//go:build !linux

package platform

// CPUs are the numbers of the processors that this process may use, in order;
// nil if the host does not tell.
func CPUs() []int { return nil }

// BindThread does nothing where processors have no numbers.
func BindThread([]int) error { return nil }
