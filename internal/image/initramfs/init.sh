#!/bin/sh
# The first program of the guest: load the modules that the root needs, mount the root, hand over to its init.
# Words of the kernel's command line that count: root=DEVICE, rootfstype=TYPE, ro, init=PROGRAM.
export PATH=/bin

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev

# Kernel messages of level "info" while modules load would only slow a serial console down.
. /modules/load 2>/dev/null

root=/dev/vda type=ext4 mode=rw init=/sbin/init
for word in $(cat /proc/cmdline); do
	case $word in
	root=*) root=${word#root=} ;;
	rootfstype=*) type=${word#rootfstype=} ;;
	ro) mode=ro ;;
	init=*) init=${word#init=} ;;
	esac
done

fail() {
	echo "doppel-init: $1"
	sync
	poweroff -f
}

# The disk shows up when its driver has probed it.
tries=0
until [ -b "$root" ]; do
	tries=$((tries + 1))
	[ "$tries" -gt 300 ] && fail "there is no disk $root; attach the image's disk first or name another with root="
	sleep 0.1
done
mount -t "$type" -o "$mode" "$root" /sysroot || fail "cannot mount $root as $type; check the disk"

if [ -r /entry ]; then
	. /entry # a container image: start its entry point instead of an init
fi

mount --move /dev /sysroot/dev 2>/dev/null || mount -t devtmpfs dev /sysroot/dev
umount /sys
umount /proc
exec switch_root /sysroot "$init"
fail "cannot start $init"
