# Read by /init when the image is a container's: its root is mounted at /sysroot.
hostname "$guest_name"
mkdir -p /sysroot/proc /sysroot/sys /sysroot/dev /sysroot/run /sysroot/tmp /sysroot/etc
mount -t proc proc /sysroot/proc
mount -t sysfs sysfs /sysroot/sys
mount -t devtmpfs dev /sysroot/dev
mkdir -p /sysroot/dev/pts /sysroot/dev/shm
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /sysroot/dev/pts
mount -t tmpfs -o mode=1777 tmpfs /sysroot/dev/shm
mount -t tmpfs -o mode=755 tmpfs /sysroot/run
ln -sf /proc/self/fd /sysroot/dev/fd
ln -sf /proc/self/fd/0 /sysroot/dev/stdin
ln -sf /proc/self/fd/1 /sysroot/dev/stdout
ln -sf /proc/self/fd/2 /sysroot/dev/stderr

# Files that a container runtime provides. A link in their place may lead anywhere: inside the root, by way of chroot.
mkdir -p /sysroot/run/doppel
chmod 755 /sysroot/run/doppel
cp /bin/busybox /sysroot/run/doppel/busybox
cp /start /sysroot/run/doppel/start
chmod 755 /sysroot/run/doppel/busybox /sysroot/run/doppel/start
in_root() { chroot /sysroot /run/doppel/busybox sh -c "$1"; }
printf '127.0.0.1\tlocalhost %s\n::1\tlocalhost\n' "$guest_name" >/sysroot/run/doppel/hosts
in_root '[ -s /etc/hosts ] || cat /run/doppel/hosts >/etc/hosts'

ip link set lo up
nic=
for path in /sys/class/net/*; do
	[ -e "$path/device" ] && nic=${path##*/} && break
done
if [ -n "$nic" ]; then
	ip link set "$nic" up
	udhcpc -i "$nic" -s /udhcpc.sh -n -q -t 5 -T 1 >/dev/null 2>&1 || echo "doppel-init: no answer from DHCP on $nic"
	[ -s /run/resolv.conf ] && cp /run/resolv.conf /sysroot/run/doppel/resolv.conf &&
		in_root 'cat /run/doppel/resolv.conf >/etc/resolv.conf'
fi

chroot /sysroot /run/doppel/start
code=$?

# Leave a clean file system, then give the exit status to whoever runs the machine: through the test finisher when it is
# not zero (0x3333 in the low half means failure with the code in the high half).
kill -TERM -1 2>/dev/null
kill -KILL -1 2>/dev/null
sync
umount /sysroot/run /sysroot/dev/shm /sysroot/dev/pts /sysroot/dev /sysroot/sys /sysroot/proc 2>/dev/null
umount /sysroot 2>/dev/null || mount -o remount,ro /sysroot 2>/dev/null
sync
if [ "$code" -ne 0 ]; then
	mount -t devtmpfs dev /dev 2>/dev/null
	devmem 0x100000 32 $((code << 16 | 0x3333))
	echo "doppel-init: the process ended with status $code, which this machine cannot pass on"
fi
poweroff -f
