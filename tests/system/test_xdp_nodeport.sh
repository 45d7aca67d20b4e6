#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# NodePorts by XDP in the driver. A veth carries unfinished checksums between
# namespaces, which no network card would; XDP sees packets as a card gives them.
# shellcheck source=../../scripts/lib/check.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/check.sh"

APPLY=(--xdp native)

has_xdp() { net_exec "$1" ip -o link show "$2" | grep -q ' xdp '; }

# Make the devices that lead to the nodes behave as cables between cards do.
make_wires()
{
	local ns

	for ns in client outside-1 outside-2 node-1 node-2; do
		must net_exec "$ns" ethtool -K eth0 tx off
	done
	for ns in br-node br-out node-1 node-2; do
		must net_exec fabric ethtool -K "$ns" tx off
	done
	net_start fabric xdp_pass "$TOOLS/xdp_pass" node-1 node-2
	for ns in node-1 node-2; do
		wait_until 5 has_xdp fabric "$ns" || die "xdp_pass: $(<"$NET_DIR/log/xdp_pass")"
	done
}

net_up --show-client || die "the network didn't come up"
services
make_wires
apply 1
apply 2
has_xdp node-1 eth0 || die 'no XDP in driver mode on eth0'

for family in 4 6; do
	if ((family == 4)); then ip=$(node_ip 1) client=$CLIENT4; else ip=$(node_ip6 1) client=$CLIENT6; fi
	reach client http "$(at "$ip" $HERE_PORT)" "kubia-4jfyf from $client"
	reach client http "$(at "$ip" $THERE_PORT)" "kubia-q5n8d from $ip"
	reach client udp "$(at "$ip" $HERE_PORT)" "kubia-4jfyf from $client"
	reach client udp "$(at "$ip" $THERE_PORT)" "kubia-q5n8d from $ip"
	reach client http "$(at "$ip" $WEB_PORT)" "$ALL"
	refused client http "$(at "$ip" $EMPTY_PORT)"
	must net_hit client http "$(at "$ip" $THERE_PORT)" --download 5000000
	must net_hit client http "$(at "$ip" $THERE_PORT)" --upload 5000000
	must net_hit client http "$(at "$ip" $HERE_PORT)" --download 5000000
done
net_exec node-1 ethtool -S eth0 | grep -Eq 'xdp_(tx|redirect): [1-9]' ||
	die 'XDP has sent nothing itself'
# The other edges are none of XDP's.
reach shell-1 http "$(at $WEB4 80)" "$ALL"
reach node:1 http "$(at $WEB4 80)" "$ALL"
