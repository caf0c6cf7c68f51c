package e2e

import "syscall"

// newTerminalSession makes the child the leader of a session whose terminal is
// its standard input.
func newTerminalSession() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Setctty: true}
}
