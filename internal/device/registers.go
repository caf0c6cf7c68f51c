package device

// Registers is a device that can name its registers, for those who watch what
// a guest does. Any goroutine.
type Registers interface {
	// RegisterName names the register that an access at off would reach now;
	// "" if there is none, or none with a name.
	RegisterName(off uint64, write bool) string
}
