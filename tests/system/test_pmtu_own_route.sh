#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# What the node forwards past its stack, and can't: larger than its own route
# takes, or at the end of its time to live. Its sender hears of it, as from any
# router; what may be fragmented is.
# shellcheck source=../../scripts/lib/check.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/check.sh"

mtu=1300

# What NS knows of the path to ADDRESS.
knows() { [[ $(net_exec "$1" ip route get "$2") == *" mtu $mtu"* ]]; }

forget()
{
	local ns

	for ns in client kubia-q5n8d; do
		net_exec "$ns" ip route flush cache
		net_exec "$ns" ip -6 route flush cache
	done
}

# drops REASON: packets that node-1 has dropped for it
drops()
{
	node_shunt 1 get drops -A -o json |
		jq --arg reason "$1" '[.. | objects | select(.reason? == $reason) | .packets] | add // 0'
}

# narrow NETWORK4 VIA4 NETWORK6 VIA6 [OPTION…]: node-1's routes
narrow()
{
	must ip -n "$PREFIX-node-1" route replace "$1" via "$2" "${@:5}"
	must ip -n "$PREFIX-node-1" route replace "$3" via "$4" "${@:5}"
}

# learns TARGET KNOWER PEER: a datagram of the client's that is too large, there
# or back, is lost, and KNOWER hears of it; the next one arrives.
learns()
{
	local before

	before=$(drops too-big)
	forget
	net_hit client udp "$1" -n 1 --datagram 1400 --timeout 500 >/dev/null 2>&1
	wait_until 5 knows "$2" "$3" || die "$2 doesn't know the MTU of the path to $3"
	(($(drops too-big) > before)) || die "$1: the packet was not counted"
	must net_hit client udp "$1" -n 5 --datagram 1400
}

# NS has received ICMP errors "time exceeded" of FAMILY.
exceeded()
{
	local name=IcmpInTimeExcds

	[[ $2 == 4 ]] || name=Icmp6InTimeExcds
	net_exec "$1" nstat -asz "$name" | awk -v name="$name" '$1 == name { print $2 }'
}

more_exceeded() { (($(exceeded "$1" "$2") > $3)); }

# probe FAMILY ADDRESS: its time ends at node-1, one hop behind the router
probe()
{
	local before

	before=$(exceeded client "$1")
	if (($1 == 4)); then
		echo probe | net_exec client socat -u - "UDP4:$2:$THERE_PORT,ip-ttl=2"
	else
		echo probe | net_exec client socat -u - "UDP6:[$2]:$THERE_PORT,ipv6-unicast-hops=2"
	fi
	wait_until 5 more_exceeded client "$1" "$before" || die "$2: the probe's end was not told"
}

bring_up
pods4='10.244.2.0/24 172.18.0.12' pods6='fd00:10:244:2::/64 fd00:172:18::12'
all4='default 172.18.0.1' all6='default fd00:172:18::1'

# On the way in: the request is too large for node-1's route to node-2's pods.
# shellcheck disable=SC2086 # two words each
narrow $pods4 $pods6 mtu lock $mtu
for ip in "$(node_ip 1)" "$(node_ip6 1)"; do
	target=$(at "$ip" $THERE_PORT)
	learns "$target" client "$ip"
	forget
	must net_hit client http "$target" --upload 1000000 --timeout 8000
	# Now the client's segments are small, however many of them come as one packet.
	before=$(drops too-big)
	must net_hit client http "$target" --upload 5000000 --timeout 8000
	equal "$(drops too-big)" "$before" "$target: packets that were too big"
done
# Whoever doesn't want to know: fragments, also of fragments, and smaller segments. But
# where the checksum is left to the device, a veth here, there would be one in each piece.
must net_exec client sysctl -qw net.ipv4.ip_no_pmtu_disc=1
must net_exec client ethtool -K eth0 tx on
forget
before=$(drops too-big)
net_hit client udp "$(at "$(node_ip 1)" $THERE_PORT)" -n 1 --datagram 1400 --timeout 500 \
	>/dev/null 2>&1 && die "an unfinished checksum was cut into pieces"
equal "$(drops too-big)" $((before + 1)) "packets with an unfinished checksum"
for ns in client node-1; do
	must net_exec "$ns" ethtool -K eth0 tx off
done
must net_exec node-1 ethtool -K eth0 gro on
forget
before=$(drops too-big)
target=$(at "$(node_ip 1)" $THERE_PORT)
must net_hit client udp "$target" -n 20 --datagram 1400
must net_hit client udp "$target" -n 20 --datagram 8000
must net_hit client http "$target" --upload 3000000 --timeout 8000
equal "$(drops too-big)" "$before" "packets that may be fragmented, and were not"
must net_exec client sysctl -qw net.ipv4.ip_no_pmtu_disc=0
# shellcheck disable=SC2086
narrow $pods4 $pods6

# On the way out: the reply is too large for node-1's route to the client; the backend
# hears of it.
# shellcheck disable=SC2086
narrow $all4 $all6 mtu lock $mtu
for ip in "$(node_ip 1)" "$(node_ip6 1)"; do
	target=$(at "$ip" $THERE_PORT)
	learns "$target" kubia-q5n8d "$ip"
	forget
	must net_hit client http "$target" --download 1000000 --timeout 8000
done
# shellcheck disable=SC2086
narrow $all4 $all6

probe 4 "$(node_ip 1)"
probe 6 "$(node_ip6 1)"
(($(drops ttl-exceeded) >= 2)) || die "the probes were not counted"
