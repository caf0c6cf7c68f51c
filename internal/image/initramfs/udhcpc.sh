#!/bin/sh
# Called by udhcpc with the lease in the environment.
[ "$1" = bound ] || [ "$1" = renew ] || exit 0
ip addr flush dev "$interface"
ip addr add "$ip/${mask:-24}" dev "$interface"
for r in $router; do
	ip route add default via "$r" dev "$interface"
	break
done
mkdir -p /run
: >/run/resolv.conf
[ -n "$domain" ] && echo "search $domain" >>/run/resolv.conf
for s in $dns; do
	echo "nameserver $s" >>/run/resolv.conf
done
