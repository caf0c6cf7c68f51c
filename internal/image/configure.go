package image

import (
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"doppel/internal/image/progress"
	"doppel/internal/image/tree"
)

//go:embed configure.sh
var configureScript string

// Where the script is while the image is built; it deletes itself.
const (
	configureDir  = "usr/lib/doppel"
	configurePath = "/" + configureDir + "/configure"
	// configureMark begins the lines by which the script tells its outcome.
	configureMark = "doppel-configure: "
)

// firstConfigured are the packages that others' scripts use without saying so, in the order of debootstrap.
var firstConfigured = []string{"base-passwd", "base-files", "dpkg", "libc6", "perl-base", "mawk", "debconf"}

// addConfigure puts the script that configures the packages into the tree.
func addConfigure(t *tree.Tree, arch string, packages []*unpacked) error {
	var first []string
	for _, name := range firstConfigured {
		if i := slices.IndexFunc(packages, func(u *unpacked) bool { return u.name() == name }); i >= 0 {
			first = append(first, packages[i].infoName())
		}
	}
	script := strings.NewReplacer("@ARCH@", arch, "@FIRST@", strings.Join(first, " "), "@SELF@", "/"+configureDir).
		Replace(configureScript)
	return t.WriteFile(configurePath, 0o755, []byte(script))
}

// Staging is an image under construction whose packages are unpacked. The configure step boots a machine on it.
type Staging struct {
	Dir    string // holds all below; on the file system of the store
	Disk   string // raw disk, to be attached read-write as the first virtio disk
	Kernel string
	Initrd string
	Append string // kernel command line that runs the configure script
	Arch   string
	// Console takes all that the guest's first serial port says.
	Console *ConfigureConsole
}

// ConfigureConsole finds the outcome of the configure script in the guest's console output. It may be written to and
// asked from different goroutines.
type ConfigureConsole struct {
	task progress.Task

	mu      sync.Mutex
	line    []byte
	last    []string // the last lines, for an error
	outcome string
}

const (
	maxConsoleLine  = 4096
	keepConsoleLine = 8
)

// Write takes console output; it never fails.
func (c *ConfigureConsole) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range p {
		if b != '\n' && b != '\r' {
			if len(c.line) < maxConsoleLine {
				c.line = append(c.line, b)
			}
			continue
		}
		if len(c.line) > 0 {
			c.take(string(c.line))
			c.line = c.line[:0]
		}
	}
	return len(p), nil
}

func (c *ConfigureConsole) take(line string) {
	if rest, ok := strings.CutPrefix(line, configureMark); ok && c.outcome == "" {
		c.outcome = rest
	}
	if strings.HasPrefix(line, "Setting up ") && c.task != nil {
		c.task.Advance(1)
	}
	if len(c.last) == keepConsoleLine {
		c.last = append(c.last[:0], c.last[1:]...)
	}
	c.last = append(c.last, line)
}

// Err tells, once the machine has powered off, whether the packages were configured.
func (c *ConfigureConsole) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.outcome == "ok":
		return nil
	case c.outcome != "":
		return fmt.Errorf("configuring the packages %s; the guest's last words: %q", c.outcome, strings.Join(c.last, " / "))
	case len(c.last) == 0:
		return errors.New("the machine that configures the packages said nothing; give it more memory or another kernel")
	}
	return fmt.Errorf("the machine that configures the packages ended early; its last words: %q", strings.Join(c.last, " / "))
}
