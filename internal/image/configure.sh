#!/bin/sh
# Runs as the guest's first program, once, while an image is built: the packages are unpacked, here they are configured.
# Its outcome is one line on the console, "doppel-configure: ok" or "doppel-configure: failed: REASON", before power-off.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 TERM=dumb
export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true DEBCONF_NOWARNINGS=yes
exec </dev/console >/dev/console 2>&1

# An open file that is deleted would keep the root from being mounted read-only at the end: go on from memory.
if [ "$0" != /run/configure ]; then
	mount -t tmpfs tmpfs /run
	cp "$0" /run/configure
	exec /bin/sh /run/configure
fi

finish() {
	sync
	mount -o remount,ro /
	echo "doppel-configure: $1"
	# The line must leave the serial port before the machine goes.
	sleep 0.2
	poweroff -ff
	echo o >/proc/sysrq-trigger
	sleep 60
}

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
mkdir -p /run/lock
ln -sf /proc/self/fd /dev/fd
echo 1 >/proc/sys/kernel/printk
hostname doppel

# No service is to start here.
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d

# Scripts of essential packages use awk before its alternative exists.
[ -e /usr/bin/awk ] || ln -s mawk /usr/bin/awk

# dpkg would have run these before it unpacked each package.
preinst() {
	script=/var/lib/dpkg/info/$1.preinst
	[ -x "$script" ] || return 0
	name=${1%%:*}
	DPKG_MAINTSCRIPT_PACKAGE=$name DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT=1 DPKG_MAINTSCRIPT_NAME=preinst \
		DPKG_MAINTSCRIPT_ARCH=@ARCH@ DPKG_ROOT= DPKG_ADMINDIR=/var/lib/dpkg DPKG_FORCE=unsafe-io \
		"$script" install || finish "failed: the preinst script of $name; try another suite or fewer packages"
	chmod a-x "$script"
}

dpkg_do() {
	dpkg --force-unsafe-io --force-confold "$@"
}

for stem in @FIRST@; do
	preinst "$stem"
	dpkg_do --force-depends --configure "${stem%%:*}" || finish "failed: package ${stem%%:*}; try another suite or fewer packages"
done
for file in /var/lib/dpkg/info/*.preinst; do
	stem=${file##*/}
	preinst "${stem%.preinst}"
done
dpkg_do --configure -a || finish "failed: dpkg --configure -a; try another suite or fewer packages"
chmod a+x /var/lib/dpkg/info/*.preinst 2>/dev/null

# Root logs in without a password. The rest is what must not be the same on two machines, or is left over.
passwd -d root >/dev/null || finish "failed: passwd -d root"
: >/etc/machine-id
rm -f /usr/sbin/policy-rc.d /var/lib/dbus/machine-id /var/lib/systemd/random-seed /etc/ssh/ssh_host_*
rm -f /var/log/dpkg.log /var/log/alternatives.log /var/lib/dpkg/*-old /etc/passwd- /etc/shadow- /etc/group- /etc/gshadow-
rm -rf @SELF@
# All is up to date: without these the first boot would rebuild caches (systemd.unit(5), ConditionNeedsUpdate).
touch /etc/.updated /var/.updated
finish ok
