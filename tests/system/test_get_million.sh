#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# A million flows to 1000 Services: `get flows` lists them in seconds and holds no list of them.
# The limit on memory is the kernel's: 60 MB of it beside the mapped tables.
set -uo pipefail

cd "${BASH_SOURCE[0]%/*}/../.." || exit 1
B=${B:-build}
shunt=${SHUNT:-$B/shunt}
flows=1000000
seconds=${GET_SECONDS:-2} # for one list
TMP=$(mktemp -d -t shunt-million-XXXXXX) || exit 1
netns=shunt-million-$$

cleanup()
{
	nsenter "--net=/run/netns/$netns" "$shunt" reset --bpffs "$TMP/bpf/n" --state "$TMP/state" >/dev/null
	umount "$TMP/bpf"
	ip netns del "$netns"
	rm -rf "$TMP"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

die()
{
	printf 'FAILED at line %s: %s\n' "${BASH_LINENO[0]}" "$*"
	exit 1
}

manifests()
{
	local i

	for i in {1..1000}; do
		cat <<-END
			apiVersion: v1
			kind: Service
			metadata: {name: shop-$i}
			spec: {ports: [{port: 80, targetPort: 8080}]}
			---
			apiVersion: v1
			kind: Endpoints
			metadata: {name: shop-$i}
			subsets: [{addresses: [{ip: 10.244.$((i / 250)).$((i % 250 + 1))}, {ip: 10.245.$((i / 250)).$((i % 250 + 1))}], ports: [{port: 8080}]}]
			---
		END
	done
}

get() { prlimit --data=60000000 "$shunt" get "$@" --bpffs "$TMP/bpf/n"; }

# lists LINES ARGUMENTS…: so many lines, and in time: that of the CPU, for others may be busy too
lists()
{
	local want=$1 TIMEFORMAT='%U %S %R' n took
	shift

	n=$({ time get "$@" 2>"$TMP/err" | wc -l; } 2>"$TMP/time") || die "get $* ended with an error"
	[[ ! -s $TMP/err ]] || die "get $*: $(<"$TMP/err")"
	took=$(<"$TMP/time")
	printf 'get %s: %s s (user, system, real)\n' "$*" "$took"
	((n == want)) || die "get $*: $n lines, not $want"
	awk -v most="$seconds" '{ exit $1 + $2 > most }' <<<"$took" || die "get $*: $took s"
}

mkdir "$TMP/bpf"
mount -t bpf bpf "$TMP/bpf" || die 'no BPF file system of its own'
ip netns add "$netns" || die 'no network namespace of its own'
ip -n "$netns" link add eth0 type veth peer name peer0
ip -n "$netns" link set eth0 up
ip -n "$netns" addr add 192.0.2.1/24 dev eth0
manifests >"$TMP/shops.yaml"
nsenter "--net=/run/netns/$netns" "$shunt" apply -f "$TMP/shops.yaml" --bpffs "$TMP/bpf/n" --state "$TMP/state" \
	--max-flows4 1048576 --socket-lb off --devices eth0 >/dev/null || die "apply ended with $?"
"$B/tests/tools/fill_flows" "$TMP/bpf/n" $flows || die 'the flow table could not be filled'

lists $((flows + 1)) flows
lists $((flows + 1)) flows -o wide
lists $((flows + 2)) flows -o json
lists $((flows / 1000 + 1)) flows --service shop-7
lists $((flows / 20 + 1)) flows --src 11.0.0.0/32
lists 2001 backends -A
lists 1001 services -A

# What is listed is what is there, and adds up.
equal()
{
	[[ $1 == "$2" ]] || die "$3: '$1', not '$2'"
}
equal "$(get flows --service shop-7 -o json | jq '[.items[].packets] | add')" \
	"$(get backends --service shop-7 -o json | jq '[.items[].packets] | add')" 'packets of flows and of backends'
get flows -o json | awk 'NR > 1 && !/^\{.*\},?$/ && !/^\]\}$/ { exit 1 }' || die 'a line of JSON that is no object'
equal "$(get flows | awk 'NR > 1 { print NF }' | sort -u)" 9 'columns in each row of the table'
# Sorting holds the rows, but no more than that.
first=$(prlimit --data=600000000 "$shunt" get flows --sort-by bytes --bpffs "$TMP/bpf/n" | awk 'NR == 2 { print $NF }')
equal "$first" 1398600 'the largest flow comes first'
