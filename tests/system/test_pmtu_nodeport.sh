#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# A hop with a small MTU beyond the NodePort: the ICMP errors that it sends about
# translated packets reach whoever sent them, and TCP and UDP get through.
# shellcheck source=../../scripts/lib/check.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/check.sh"

mtu=1300

# What NS knows of the path to ADDRESS.
knows() { [[ $(net_exec "$1" ip route get "$2") == *" mtu $mtu"* ]]; }

forget()
{
	local ns

	for ns in client node-1 kubia-4jfyf kubia-q5n8d; do
		net_exec "$ns" ip route flush cache
		net_exec "$ns" ip -6 route flush cache
	done
}

# learns ADDRESS PORT KNOWER PEER: a datagram of the client's that is too
# large, there or back, is lost, and KNOWER hears of it; the next one arrives.
learns()
{
	local target knower=$3 peer=$4

	target=$(at "$1" "$2")
	forget
	net_hit client udp "$target" -n 1 --datagram 1400 --timeout 500 >/dev/null 2>&1
	wait_until 5 knows "$knower" "$peer" ||
		die "$knower doesn't know the MTU of the path to $peer"
	must net_hit client udp "$target" -n 5 --datagram 1400
}

bring_up

# On the way in: the request is too large for the bridge of node-2's pods, which
# tells node-1, as it masquerades.
must ip -n "$PREFIX-node-2" link set cni0 mtu $mtu
for ip in "$(node_ip 1)" "$(node_ip6 1)"; do
	learns "$ip" $THERE_PORT client "$ip"
	forget
	must net_hit client http "$(at "$ip" $THERE_PORT)" --upload 1000000 --timeout 8000
done
must ip -n "$PREFIX-node-2" link set cni0 mtu 1500

# On the way out: the reply is too large for the router's way to the client. The
# router tells node-1, whose address it has from the reply; the backend has to know.
must ip -n "$PREFIX-fabric" link set br-out mtu $mtu
for family in 4 6; do
	if ((family == 4)); then ip=$(node_ip 1) client=$CLIENT4; else ip=$(node_ip6 1) client=$CLIENT6; fi
	learns "$ip" $HERE_PORT kubia-4jfyf "$client"
	learns "$ip" $THERE_PORT kubia-q5n8d "$ip"
	forget
	must net_hit client http "$(at "$ip" $HERE_PORT)" --download 1000000 --timeout 8000
	must net_hit client http "$(at "$ip" $THERE_PORT)" --download 1000000 --timeout 8000
done
must ip -n "$PREFIX-fabric" link set br-out mtu 1500
