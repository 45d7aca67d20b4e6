#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# sessionAffinity ClientIP: a client stays with its backend, over packets and
# sockets, at each address of a Service port, until that one goes or the time is up.
# shellcheck source=../../scripts/lib/check.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/check.sh"

timeout_s=2

# answers FROM PROTO TARGET COUNT: who answered, a line for each that did
answers() { hits "$1" "$2" "$3" -n "$4" | awk '{ print $1 }' | sort -u; }

# one FROM PROTO TARGET: 20 connections are answered by one, whose name is in ONE
one()
{
	ONE=$(answers "$1" "$2" "$3" 20)
	[[ $ONE == kubia-* && $ONE != *$'\n'* ]] || die "$*: answered by ${ONE//$'\n'/,}"
}

# All Pods, but for those named.
set_pods()
{
	local gone

	node_shunt 1 apply -f "$TMP/manifests" >/dev/null || die "apply ended with $?"
	for gone; do
		pod_manifest "$gone" >"$TMP/gone.yaml"
		must node_shunt 1 delete -f "$TMP/gone.yaml"
	done
}

pod_manifest()
{
	awk -v name="$1" 'BEGIN { RS = "---\n"; ORS = "---\n" } $0 ~ "name: " name' \
		"$NET_ROOT/examples/kubia/pods.yaml"
}

# affine NAME LAST NODEPORT SECONDS ALGORITHM
affine()
{
	service "$1" "$2" "$3" kubia | sed "s/^spec:/&\n  sessionAffinity: ClientIP\n  \
sessionAffinityConfig: {clientIP: {timeoutSeconds: $4}}/; s|{name: $1}|{name: $1, annotations: {shunt.io\/algorithm: $5}}|"
}

net_up || die "the network didn't come up"
services
{
	affine sticky 86 30086 10800 random
	affine brief 87 30087 $timeout_s random
} >>"$TMP/manifests/services.yaml"
apply 1
apply 2

# With a random choice nothing but affinity can keep a client with one backend.
for from in shell-1 shell-1@1 node:1; do
	for vip in 10.96.0.86 fd00:10:96::86; do
		one "$from" http "$(at "$vip" 80)"
		first=$ONE
		one "$from" http "$(at "$vip" 80)"
		equal "$ONE" "$first" "$from: the same as before"
		one "$from" udp "$(at "$vip" 7)"
	done
done
for ip in "$(node_ip 1)" "$(node_ip6 1)"; do
	one client http "$(at "$ip" 30086)"
	one client udp "$(at "$ip" 30086)"
done

# All frontends of a Service port share it.
for from in shell-1 node:1; do
	one "$from" http 10.96.0.86:80
	first=$ONE
	one "$from" http "$(at "$(node_ip 1)" 30086)"
	equal "$ONE" "$first" "$from: by nodePort as by ClusterIP"
done

# A client whose backend goes moves to another, and stays with that.
for from in shell-1 node:1; do
	set_pods
	one "$from" http 10.96.0.86:80
	gone=$ONE
	set_pods "$gone"
	one "$from" http 10.96.0.86:80
	[[ $ONE != "$gone" ]] || die "$from: answered by $gone, which is gone"
	first=$ONE
	one "$from" http 10.96.0.86:80
	equal "$ONE" "$first" "$from: stays with the new one"
done
set_pods

# The time runs from the last new connection: many clients, each asks once.
for i in {100..139}; do
	must ip -n "$PREFIX-client" addr add "203.0.113.$i/24" dev eth0
done
round()
{
	local i

	for i in {100..139}; do
		net_hit client http "$(at "$(node_ip 1)" 30087)" -n 1 --bind "203.0.113.$i:0" || die "no answer to 203.0.113.$i"
	done
}
first=$(round)
(( $(sort -u <<<"$first" | wc -l) > 1 )) || die "40 clients, and all reach $first"
for _ in 1 2 3; do
	sleep 1.2 # less than the timeout, all of it more
	equal "$(round)" "$first" 'before the time is up, each by its own'
done
sleep $((timeout_s + 1))
[[ $(round) != "$first" ]] || die 'after the time was up, all were answered as before'
