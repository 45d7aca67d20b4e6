#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# 10,000 connections to one backend, open at once, each masqueraded under a port
# of its own; the same of two clients that use equal ports; fewer on each other path.
# shellcheck source=../../scripts/lib/check.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/check.sh"

many=10000
few=2000
snat_min=49152 # --snat-ports
snat_max=65535

# crowd_opens NAME FROM TARGET COUNT: that many connections, which then wait
declare -A gates pids
crowd_opens()
{
	local name=$1 from=$2 target=$3 count=$4 gate

	mkfifo "$TMP/$name.gate"
	hits "$from" http "$target" -n "$count" -c "$count" --timeout 10000 --gate --json \
		<"$TMP/$name.gate" >"$TMP/$name" 2>&1 &
	pids[$name]=$!
	exec {gate}>"$TMP/$name.gate"
	gates[$name]=$gate
	wait_until 15 grep -q '^open ' "$TMP/$name" || die "$name: $(<"$TMP/$name")"
}

# crowd_asks NAME COUNT: let it go on; each connection has to be answered
crowd_asks()
{
	local name=$1 count=$2 gate=${gates[$1]}

	echo >&"$gate"
	exec {gate}>&-
	wait "${pids[$name]}" || die "$name: $(<"$TMP/$name")"
	equal "$(tail -n 1 "$TMP/$name" | jq .ok)" "$count" "$name: answered"
}

# established POD ADDRESS: the ports of the connections that its server sees from
# ADDRESS, a line each, however many share one
established()
{
	local address=$2

	[[ $address != *:* ]] || address="[$address]"
	net_exec "$1" ss -Htn state established sport = :8080 dst "$address" |
		awk '{ sub(/.*:/, "", $NF); print $NF }'
}

# The client takes a handshake's second packet for a connection; so does the server now.
sees_many()
{
	(($(established "$@" | wc -l) == many))
}

# distinct_ports POD ADDRESS: as many as connections, and all from --snat-ports
distinct_ports()
{
	local pod=$1 address=$2

	wait_until 10 sees_many "$pod" "$address" ||
		die "$pod sees $(established "$pod" "$address" | wc -l) connections of $address"
	equal "$(established "$pod" "$address" | sort -u | wc -l)" "$many" "ports of $address"
	equal "$(established "$pod" "$address" | awk -v min=$snat_min -v max=$snat_max \
		'$1 < min || $1 > max' | wc -l)" 0 "ports outside $snat_min-$snat_max"
}

# crowd FROM TARGET: few of them
crowd()
{
	local from=$1 target=$2 said

	said=$(hits "$from" http "$target" -n $few -c $few --timeout 10000 --json 2>&1) ||
		die "$from at $target: $said"
}

# Files for many on both ends: root may have more than it was given.
ulimit -n 20000 || skip "no more than $(ulimit -Hn) files may be open: ulimit -n 20000"
APPLY=(--snat-ports "$snat_min-$snat_max")
bring_up

crowd_opens one client "$(at "$(node_ip 1)" $THERE_PORT)" $many
distinct_ports kubia-q5n8d "$(node_ip 1)"
crowd_asks one $many

# Two clients, to one backend, with the same ports of theirs: half of them have to change.
for who in client outside-1; do
	must net_exec "$who" sysctl -qw net.ipv4.ip_local_port_range="50000 $((50000 + many / 2 - 1))"
done
crowd_opens left client "$(at "$(node_ip6 1)" $THERE_PORT)" $((many / 2))
crowd_opens right outside-1 "$(at "$(node_ip6 1)" $THERE_PORT)" $((many / 2))
distinct_ports kubia-q5n8d "$(node_ip6 1)"
for who in client outside-1; do
	equal "$(net_exec "$who" ss -Htn state established | awk '{ sub(/.*:/, "", $(NF - 1)); print $(NF - 1) }' |
		sort -u | wc -l)" $((many / 2)) "$who: ports of its own"
	must net_exec "$who" sysctl -qw net.ipv4.ip_local_port_range="32768 60999"
done
crowd_asks left $((many / 2))
crowd_asks right $((many / 2))

crowd client "$(at "$(node_ip 1)" $WEB_PORT)"
crowd shell-1 "$(at $WEB4 80)"
crowd shell-1 "$(at $WEB6 80)"
crowd node:1 "$(at $WEB4 80)"
