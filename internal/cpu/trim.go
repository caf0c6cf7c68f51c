package cpu

// Trimmer is a VCPU that can do without much of its memory, more slowly: what
// it has decoded and translated.
type Trimmer interface {
	// Trim gives that memory back. The vCPU is not running.
	Trim()
}
