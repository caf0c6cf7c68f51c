package platform

import (
	"os/exec"
	"syscall"
)

// OwnSession makes a program that is to be started the leader of a session of
// its own: the end of our terminal is not its end.
func OwnSession(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
}
