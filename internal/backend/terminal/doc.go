// Package terminal is where a machine's console ends on the host: the
// program's own terminal or pipes, a pseudo-terminal, a Unix socket, or
// nowhere. Each end is a device.Terminal.
//
// It does not interpret what the guest writes: the bytes reach the user's
// terminal as they are, as from any serial line.
//
// Threads: guests write from any goroutine; every end has a goroutine that
// reads, one that writes, and calls its receivers from the first. Lock order:
// Hub.mu only; no receiver is called and nothing is read or written with it
// held.
package terminal
