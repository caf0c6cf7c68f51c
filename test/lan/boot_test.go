package lan

import (
	"strings"
	"testing"

	"doppel"
	"doppel/test/guest"
	"doppel/test/guest/shell"
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

// boot boots machines, of which a configuration says what is special.
func boot(t *testing.T, h *doppel.Host, configs ...doppel.Config) (all []*shell.VM) {
	t.Helper()
	announce := `echo "` + shell.Up + `"`
	initrd := guest.Get(t).WriteInitramfs(t, strings.Replace(guest.ShellInit, announce, script+announce, 1))
	for _, c := range configs {
		c.Initrd = initrd
		all = append(all, shell.Launch(t, h, c, nil))
	}
	for _, v := range all {
		v.Expect(shell.Up)
	}
	return all
}

// reaches tells whether a ping is answered.
func reaches(v *shell.VM, addr string) bool {
	_, status := v.Try("ping -c 2 -W 5 " + addr)
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
