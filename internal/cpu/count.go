package cpu

// Count is how often something has happened.
type Count struct {
	Name string
	N    uint64
}

// Counter is a VCPU that tells more of what it has done than all can: a
// translator, for those who look for what makes a guest slow.
type Counter interface {
	// Counts gives the same names in the same order each time. The vCPU is not
	// running.
	Counts() []Count
}
