package lan

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"doppel"
	"doppel/test/guest"
)

// How long things may take on a host that has other work too.
const (
	bootLimit    = 5 * time.Minute
	commandLimit = 2 * time.Minute
)

// script brings a card up with what DHCP says.
const script = `mkdir -p /usr/share/udhcpc
cat > /usr/share/udhcpc/default.script <<'END'
#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add $ip/24 dev $interface
[ -n "$router" ] && ip route add default via $router
[ -n "$dns" ] && echo "nameserver $dns" > /etc/resolv.conf
[ -n "$hostname" ] && hostname $hostname
exit 0
END
chmod +x /usr/share/udhcpc/default.script
ip link set lo up
`

var shellInit = strings.Replace(guest.ShellInit, `echo "initramfs is up"`, script+`echo "initramfs is up"`, 1)

// shell is a machine with a shell on its console.
type shell struct {
	*doppel.Machine
	t        *testing.T
	in       io.Writer
	out      *guest.Output
	at       int // what was expected so far ends here
	commands int
}

// boot boots machines, of which a configuration says what is special.
func boot(t *testing.T, h *doppel.Host, configs ...doppel.Config) []*shell {
	t.Helper()
	f := guest.Get(t)
	initrd := f.WriteInitramfs(t, shellInit)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	var all []*shell
	for _, c := range configs {
		r, w := io.Pipe()
		s := &shell{t: t, in: w, out: &guest.Output{}}
		c.Kernel, c.Initrd, c.Append, c.Memory = f.Kernel, initrd, "console=ttyS0 panic=-1", 128<<20
		c.Console = doppel.Stream(r, s.out)
		var err error
		if s.Machine, err = h.New(c); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			if _, err := s.Run(ctx); err != nil && ctx.Err() == nil {
				t.Errorf("%s: %v", s.Name(), err)
			}
		})
		all = append(all, s)
	}
	for _, s := range all {
		s.expect(regexp.MustCompile("initramfs is up"), bootLimit)
		s.must("stty -echo; PS1=")
	}
	return all
}

// expect waits for a pattern behind the last, and returns what came before it
// and its groups.
func (s *shell) expect(re *regexp.Regexp, limit time.Duration) []string {
	s.t.Helper()
	for deadline := time.Now().Add(limit); ; time.Sleep(5 * time.Millisecond) {
		rest := s.out.String()[s.at:]
		if loc := re.FindStringSubmatchIndex(rest); loc != nil {
			found := []string{rest[:loc[0]]}
			for i := 2; i < len(loc); i += 2 {
				found = append(found, rest[loc[i]:loc[i+1]])
			}
			s.at += loc[1]
			return found
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s: no %q within %v:\n%s", s.Name(), re, limit, rest)
		}
	}
}

// start begins a command, and finish waits for its output and status.
func (s *shell) start(command string) {
	s.commands++
	fmt.Fprintf(s.in, "%s\necho \"<e\"\"nd %d:$?>\"\n", command, s.commands)
}

func (s *shell) finish() (string, int) {
	s.t.Helper()
	m := s.expect(regexp.MustCompile(fmt.Sprintf(`<end %d:(\d+)>\r?\n`, s.commands)), commandLimit)
	var status int
	fmt.Sscan(m[1], &status)
	return strings.ReplaceAll(m[0], "\r", ""), status
}

func (s *shell) run(command string) (string, int) {
	s.t.Helper()
	s.start(command)
	return s.finish()
}

// must runs a command that has to succeed.
func (s *shell) must(command string) string {
	s.t.Helper()
	out, status := s.run(command)
	if status != 0 {
		s.t.Fatalf("%s: %s\nstatus %d, output:\n%s", s.Name(), command, status, out)
	}
	return out
}

// reaches tells whether a ping is answered.
func (s *shell) reaches(addr string) bool {
	s.t.Helper()
	_, status := s.run("ping -c 2 -W 5 " + addr)
	return status == 0
}

func nic(t *testing.T, s string) doppel.NIC {
	t.Helper()
	n, err := doppel.ParseNIC(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
