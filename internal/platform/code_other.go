//go:build linux && !arm64

package platform

// fetchable makes what has been written at one address what is executed at the
// other. Here the host's caches see to it.
func fetchable(written, executed, size uintptr) {}
