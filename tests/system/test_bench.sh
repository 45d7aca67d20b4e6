#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# `shunt bench`: every row is there and plausible, what it needs goes with it,
# and the verifier's work is what was committed. How fast anything is, no test
# can tell: that takes a quiet machine.
# shellcheck source=../../scripts/lib/check.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/check.sh"

bench() { "$SHUNT" bench --services 20 --endpoints 4 --flows 4096 --runs 7 "$@"; }

# Programs and devices of a bench, and its cgroup.
traces()
{
	bpftool -j prog show | jq -r '.[].name // empty' | grep -c '^bench_'
	find /sys/fs/cgroup -maxdepth 1 -name 'shunt-test-*' | wc -l
	ip -o link show type veth | grep -cE ' (uplink|workload)(-end)?@'
}

paths="empty restore restore/4k hash-lookup lru-lookup/4k no-service no-service/256
	established-here/1 established-here/256 established-here/4k
	established-away/1 established-away/256 established-away/4k
	reply-away/1 reply-away/256 reply-away/4k
	new-here-fill-10 new-here-fill-80 new-affinity syn-flood"
egress="reply-here/1 reply-here/256 reply-here/4k"
sockets="connect-empty connect-service connect-plain
	getpeername-empty getpeername-service getpeername-plain"

expected()
{
	local family path

	for family in ipv4 ipv6; do
		for path in $paths; do
			printf '%s\n' "xdp/$family/$path" "tc/$family/$path"
		done
		for path in $egress; do printf 'tc/%s/%s\n' "$family" "$path"; done
		for path in $sockets; do printf 'socket/%s/%s\n' "$family" "$path"; done
	done
}

# net NAME: its median
net() { jq --arg name "$1" '.rows[] | select(.name == $name) | .netNs.median' "$TMP/all"; }

# above A B WHAT: A is more than B
above()
{
	jq -ne --argjson a "$1" --argjson b "$2" '$a > $b' >/dev/null || die "$3: $1, not more than $2"
}

before=$(traces)
bench -o json >"$TMP/all" || die "ended with $?"
jq -e '.kind == "Bench" and .runs == 7 and .services == 20' "$TMP/all" >/dev/null ||
	die "not what was asked for: $(head -c 500 "$TMP/all")"
equal "$(jq -r '.rows[].name' "$TMP/all" | sort)" "$(expected | sort)" "rows"
jq -e 'all(.rows[]; .netNs.min <= .netNs.median and .netNs.median <= .netNs.max
	and .grossNs.median > 0 and .runs == 7)' "$TMP/all" >/dev/null || die "a row's numbers are no range"
for row in xdp/ipv4 xdp/ipv6 tc/ipv4 tc/ipv6; do
	above "$(net "$row/hash-lookup")" 1 "$row: a look-up"
	above "$(net "$row/established-here/1")" 1 "$row: an established flow"
	above "$(net "$row/new-here-fill-10")" "$(net "$row/established-here/1")" "$row: a new flow"
done
jq -e '.verifiedInstructions == ([.programs[].verifiedInstructions] | add) and .loadMs > 0
	and all(.programs[]; .verifiedInstructions > 0 and .jitBytes > 0 and .loadMs > 0)
	and (.programs | length) > 10' "$TMP/all" >/dev/null || die "programs: $(jq .programs "$TMP/all")"
equal "$(jq -r '.memory[] | "\(.name) \(.bytes > 32)"' "$TMP/all" | paste -sd,)" \
	"flow-ipv4 true,flow-ipv6 true,service true,backend true" "memory"

bench --row 'xdp/ipv4/empty' --row memory >"$TMP/out" || die "ended with $?"
grep -q '^xdp/ipv4/empty ' "$TMP/out" || die "no row in: $(cat "$TMP/out")"
equal "$(grep -cE '^[a-z]+/ipv' "$TMP/out")" 1 "rows of a pattern"
must_end 2 '--runs: "3" is not a number in 7-1000' "$SHUNT" bench --runs 3
must_end 2 'limit SH_BENCH_BACKENDS_MAX' "$SHUNT" bench --services 50000 --endpoints 100
must_end 2 'no such --output' "$SHUNT" bench -o yaml
must_end 1 'no row' "$SHUNT" bench --row nothing/of/it

# The kernel frees what a process has left behind its back.
for ((i = 0; i < 50; i++)); do
	after=$(traces)
	[[ $after == "$before" ]] && break
	sleep 0.1
done
equal "$after" "$before" "left behind (programs, cgroups, devices)"

said=$("$NET_ROOT/tests/bench/verified")
case $? in
0) ;;
77) printf 'note: %s\n' "$said" ;;
*) die "instructions verified: $said" ;;
esac
