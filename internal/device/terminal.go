package device

import "io"

// Terminal is the far end of a serial port or console: what the host lends to
// the devices that carry text. Any goroutine may call it, with the device's
// lock held: none of its methods calls back before it returns.
type Terminal interface {
	// Write takes the guest's output, in order. It waits for a slow reader for
	// a bounded time and then drops bytes; it never fails.
	io.Writer

	// SetInput names the receiver of what is typed, nil for none. The terminal
	// calls fn on a goroutine of its own, holding none of its locks; fn takes
	// some of p, from the front, and returns how many bytes it took. What it
	// leaves is kept and offered again after InputReady, and a bounded amount
	// is kept: the far end is held back.
	SetInput(fn func(p []byte) (n int))
	// InputReady tells that the receiver has room again. It never blocks.
	InputReady()

	// Size is the terminal's size in characters, zeros if it has none.
	Size() (columns, rows uint16)
	// SetResize names a function that is called, as SetInput's is, when Size
	// has changed.
	SetResize(fn func())
}
