#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# A Pod reaches itself through its Service, on a bridge and on a veth that is
# routed to: masqueraded, by the address of the device that leads to it.
# shellcheck source=../../scripts/lib/check.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/check.sh"

# A Pod on node-1 without a bridge, as many a CNI makes them: nobody else is in its network.
ROUTED4=10.244.3.50 ROUTED6=fd00:10:244:3::50
add_routed_pod()
{
	net_add_ns routed 0 || return
	ip -n "$PREFIX-routed" -batch - <<-END || return
		link add eth0 type veth peer name pod50 netns $PREFIX-node-1
		addr add $ROUTED4/32 dev eth0
		addr add $ROUTED6/128 dev eth0 nodad
		link set eth0 up
		route add 169.254.1.1 dev eth0
		route add default via 169.254.1.1 dev eth0
		route add fe80::1 dev eth0
		route add default via fe80::1 dev eth0
	END
	ip -n "$PREFIX-node-1" -batch - <<-END || return
		link set pod50 up
		route add $ROUTED4/32 dev pod50
		route add $ROUTED6/128 dev pod50
		addr add fe80::1/64 dev pod50 nodad
	END
	net_exec node-1 sysctl -qw net.ipv4.conf.pod50.proxy_arp=1
}

# The Pod itself by the Service's ClusterIPs, and by its nodePort.
to_itself()
{
	local ns=$1 name=$2 vip4=$3 vip6=$4 port=$5 seen4=$6 seen6=$7

	reach "$ns" http "$(at "$vip4" 80)" "$name from $seen4"
	reach "$ns" http "$(at "$vip6" 80)" "$name from $seen6"
	reach "$ns" udp "$(at "$vip4" 7)" "$name from $seen4"
	reach "$ns" udp "$(at "$vip6" 7)" "$name from $seen6"
	reach "$ns" http "$(at "$(node_ip 1)" "$port")" "$name from $seen4"
	reach "$ns" http "$(at "$(node_ip6 1)" "$port")" "$name from $seen6"
	must net_hit "$ns" http "$(at "$vip4" 80)" --download 3000000
	must net_hit "$ns" http "$(at "$vip6" 80)" --upload 3000000
	must net_hit "$ns" udp "$(at "$vip4" 7)" --datagram 4000
}

net_up --show-client || die "the network didn't come up"
must add_routed_pod
net_serve routed --show-client
wait_until 5 net_serving routed || die 'no server on the routed veth'
services
{
	service routed 85 30085
	slices routed 1 50 | sed "s/$(pod_ip 1 50)/$ROUTED4/; s/$(pod_ip6 1 50)/$ROUTED6/"
} >>"$TMP/manifests/services.yaml"
apply 1
apply 2

to_itself kubia-4jfyf kubia-4jfyf $HERE4 $HERE6 $HERE_PORT 10.244.1.1 fd00:10:244:1::1
# The veth has no address of its own (and none of IPv6 that reaches far): the node's.
to_itself routed routed 10.96.0.85 fd00:10:96::85 30085 "$(node_ip 1)" "$(node_ip6 1)"

# Only to itself: others keep their address, also from the same kind of device.
reach routed http "$(at $HERE4 80)" "kubia-4jfyf from $ROUTED4"
reach kubia-4jfyf http 10.96.0.85:80 "routed from $(pod_ip 1 11)"
reach kubia-4jfyf http "[fd00:10:96::85]:80" "routed from $(pod_ip6 1 11)"
