package image

import (
	"fmt"

	"doppel/internal/image/tree"
)

// guestFiles makes a bare Debian into one that answers on the console and finds its network. Nothing of Debian's own is
// changed: these are the files in /etc that an administrator writes.
func guestFiles(t *tree.Tree, mirror, suite string) error {
	files := []struct {
		path string
		mode uint32
		data string
	}{
		{"etc/hostname", 0o644, "doppel\n"},
		{"etc/hosts", 0o644, "127.0.0.1\tlocalhost\n127.0.1.1\tdoppel\n::1\tlocalhost ip6-localhost ip6-loopback\n"},
		{"etc/fstab", 0o644, "/dev/vda / ext4 defaults 0 0\n"},
		{"etc/machine-id", 0o444, ""},
		{"etc/apt/sources.list.d/debian.sources", 0o644, fmt.Sprintf("Types: deb\nURIs: %s\nSuites: %s\nComponents: main\n"+
			"Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n", mirror, suite)},
		{"etc/apt/apt.conf.d/90doppel", 0o644, "APT::Install-Recommends \"false\";\n"},
		// The network daemon asks every kernel for wireless networks, which would load a large driver for nothing.
		{"etc/modprobe.d/doppel.conf", 0o644, "# There is no wireless hardware; `modprobe cfg80211` still loads it by name.\nblacklist cfg80211\n"},
		// A software processor under load is slow: systemd's 90 s would leave a machine without its console.
		{"etc/systemd/system.conf.d/doppel.conf", 0o644, "[Manager]\nDefaultDeviceTimeoutSec=10min\nDefaultTimeoutStartSec=10min\n"},
		{"etc/systemd/network/80-dhcp.network", 0o644, "[Match]\nType=ether\n\n[Network]\nDHCP=yes\nLinkLocalAddressing=ipv6\n\n" +
			"[DHCPv4]\nClientIdentifier=mac\nUseDomains=yes\n"},
		{"etc/systemd/system/doppel-resolv.path", 0o644, resolvPath},
		{"etc/systemd/system/doppel-resolv.service", 0o644, resolvService},
	}
	for _, f := range files {
		if err := t.WriteFile(f.path, f.mode, []byte(f.data)); err != nil {
			return fmt.Errorf("guest file /%s: %w", f.path, err)
		}
	}
	const units, lib = "etc/systemd/system/", "/usr/lib/systemd/system/"
	links := []struct{ path, target string }{
		{units + "multi-user.target.wants/systemd-networkd.service", lib + "systemd-networkd.service"},
		{units + "sockets.target.wants/systemd-networkd.socket", lib + "systemd-networkd.socket"},
		{units + "dbus-org.freedesktop.network1.service", lib + "systemd-networkd.service"},
		{units + "multi-user.target.wants/doppel-resolv.path", "/" + units + "doppel-resolv.path"},
		// What a machine of this kind has no use for and a slow processor would wait on.
		{units + "apt-daily.timer", "/dev/null"},
		{units + "apt-daily-upgrade.timer", "/dev/null"},
		{units + "dpkg-db-backup.timer", "/dev/null"},
		{units + "e2scrub_all.timer", "/dev/null"},
		{units + "getty@tty1.service", "/dev/null"},
		// Modules for hardware that the board does not have, or that load by themselves when asked for.
		{units + "modprobe@drm.service", "/dev/null"},
		{units + "modprobe@efi_pstore.service", "/dev/null"},
		{units + "modprobe@fuse.service", "/dev/null"},
		{units + "modprobe@configfs.service", "/dev/null"},
		{units + "sys-fs-fuse-connections.mount", "/dev/null"},
		{units + "sys-kernel-config.mount", "/dev/null"},
		{units + "proc-sys-fs-binfmt_misc.automount", "/dev/null"},
		{"etc/resolv.conf", "/run/doppel/resolv.conf"},
	}
	for _, l := range links {
		if err := t.Symlink(l.path, l.target); err != nil {
			return fmt.Errorf("guest file /%s: %w", l.path, err)
		}
	}
	return nil
}

// The network daemon leaves /etc/resolv.conf to systemd-resolved, which the image does without; this copies the name
// servers of the lease.
const (
	resolvPath = `[Unit]
Description=Watch for name servers from DHCP
Before=systemd-networkd.service

[Path]
PathChanged=/run/systemd/netif/state

[Install]
WantedBy=multi-user.target
`
	resolvService = `[Unit]
Description=Write /etc/resolv.conf from DHCP

[Service]
Type=oneshot
ExecStart=/bin/sh -c 'mkdir -p /run/doppel; sed -n "s/^DNS=//p" /run/systemd/netif/state | tr " " "\n" | sed "/./s/^/nameserver /" >/run/doppel/resolv.conf'
`
)
