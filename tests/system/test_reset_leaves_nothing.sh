#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# `reset` leaves nothing of shunt behind: no program, map, link, pin, qdisc, sysctl.
# shellcheck source=../../scripts/lib/check.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/check.sh"

# What shunt may leave on node 1, besides programs, maps and links.
traces()
{
	net_exec node-1 tc qdisc show
	net_exec node-1 bpftool net show
	bpftool cgroup tree "$(node_cgroup 1)"
	net_exec node-1 ip -o link show | grep -o 'xdp[^ ]*'
	net_exec node-1 sysctl net.ipv4 net.ipv6 2>/dev/null |
		grep -Ev '(_time|tcp_mem|udp_mem|tcp_fastopen_key|route.*gc)'
	find "$NET_DIR/bpf" "$NET_DIR/state" -mindepth 2
}

# The kernel frees them a little after the last reference has gone.
all_gone()
{
	local kind id

	while read -r kind id; do
		! bpftool "$kind" show id "$id" >/dev/null 2>&1 || net_error "$kind $id is there" || return
	done <<<"$1"
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
	objects=$(kernel_objects 1)
	for kind in prog map link; do
		[[ $objects == *"$kind "* ]] || die "no $kind is pinned: this test sees nothing"
	done
	must node_shunt 1 reset
	traces >"$TMP/after"
	diff "$TMP/before" "$TMP/after" || die "reset left something behind (round $round)"
	wait_until 5 all_gone "$objects" || die "reset left something in the kernel (round $round)"
done

# Nothing there: nothing to do, no error.
must node_shunt 1 reset
# And the network is what it was.
reach shell-1 http "$(at "$(pod_ip 2 11)" 8080)" kubia-q5n8d
