#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# `reset` leaves nothing of shunt behind: no program, map, link, pin, qdisc, sysctl.
# shellcheck source=../../scripts/lib/check.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/check.sh"

# All that shunt may leave on node 1 and in the kernel as a whole.
traces()
{
	# Other tests' and users' programs stay out of it: by name.
	bpftool -j prog show | jq -c '[.[] | select(.name // "" | startswith("shunt_"))] | length'
	bpftool -j map show | jq -c '[.[] | select(.name // "" | startswith("shunt_"))] | length'
	bpftool -j link show | jq -c 'length'
	net_exec node-1 tc qdisc show
	net_exec node-1 bpftool net show
	bpftool cgroup tree "$(node_cgroup 1)"
	net_exec node-1 ip -o link show | grep -o 'xdp[^ ]*'
	net_exec node-1 sysctl net.ipv4 net.ipv6 2>/dev/null |
		grep -Ev '(_time|tcp_mem|udp_mem|tcp_fastopen_key|route.*gc)'
	find "$NET_DIR/bpf" "$NET_DIR/state" -mindepth 2
}

net_up --show-client || die "the network didn't come up"
services
traces >"$TMP/before"

for round in 1 2; do
	apply 1
	reach shell-1 http "$(at $WEB4 80)" "$ALL"
	reach client http "$(at "$(node_ip 1)" $THERE_PORT)" kubia-q5n8d
	traces >"$TMP/during"
	cmp -s "$TMP/before" "$TMP/during" && die 'apply left no trace: this test sees nothing'
	must node_shunt 1 reset
	traces >"$TMP/after"
	diff "$TMP/before" "$TMP/after" || die "reset left something behind (round $round)"
done

# Nothing there: nothing to do, no error.
must node_shunt 1 reset
# And the network is what it was.
reach shell-1 http "$(at "$(pod_ip 2 11)" 8080)" kubia-q5n8d
