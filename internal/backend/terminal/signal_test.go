package terminal

import "syscall"

const (
	sigwinch = syscall.SIGWINCH
	sigterm  = syscall.SIGTERM
)
