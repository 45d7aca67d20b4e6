#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# least-conn counts connections by sockets, the node's and its Pods': as long as
# they are open they count at their backend, and new ones go elsewhere; once they
# are closed, or their process has ended, nothing is left.
# shellcheck source=../../scripts/lib/check.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/check.sh"

# hold_many COUNT FROM PROTO TARGET: so many connections that stay open
holders=()
hold_many()
{
	local count=$1 i
	shift

	for ((i = 0; i < count; i++)); do
		hits "$@" --hold <"$TMP/in" >>"$TMP/out" 2>&1 {gate}>&- &
		holders+=($!)
	done
}

# "POD FLOWS" of web's port, by family of its backends
counts()
{
	node_shunt 1 get backends -o json |
		jq -r --argjson port "$1" '.items[] | select(.service == "web" and .port == $port) |
			"\(.pod) \(.flows)"'
}

# counted PORT SUM: do web's backends at that port count so many?
counted()
{
	local sum

	sum=$(counts "$1" | awk '{ n += $2 } END { print n + 0 }')
	((sum == $2)) || net_error "port $1: $sum"
}

# even PORT FAMILY LEAST MOST: each of web's four backends, of that family
even()
{
	local who

	who=$(node_shunt 1 get backends -o json |
		jq -r --argjson port "$1" --arg six "$2" --argjson least "$3" --argjson most "$4" '
			.items[] | select(.service == "web" and .port == $port and .state == "ready" and
				((.address | contains(":")) == ($six == "6")) and
				(.flows < $least or .flows > $most)) | "\(.pod) has \(.flows)"')
	[[ ! $who ]] || die "port $1, IPv$2: $who"
}

bring_up
sed -i 's/^metadata: {name: web}/metadata: {name: web, annotations: {shunt.io\/algorithm: least-conn}}/' \
	"$TMP/manifests/services.yaml"
apply 1
mkfifo "$TMP/in" || die 'mkfifo'
exec {gate}<>"$TMP/in"

hold_many 24 node:1 http "$(at $WEB4 80)"
hold_many 24 shell-1@1 http "$(at $WEB6 80)"
hold_many 24 shell-1@1 udp-connected "$(at $WEB4 7)"
wait_until 10 counted 80 48 || die 'TCP: not all connections count'
wait_until 10 counted 7 24 || die 'UDP: not all connections count'
even 80 4 2 10
even 80 6 2 10
even 7 4 2 10

# Those that come and go count only meanwhile; so do refused ones.
reach node:1 http "$(at $WEB4 80)" "$ALL"
reach shell-1@1 udp-connected "$(at $WEB6 7)" "$ALL"
refused node:1 http "$(at $EMPTY4 80)"
wait_until 5 counted 80 48 || die 'TCP: connections that were closed count'
wait_until 5 counted 7 24 || die 'UDP: sockets that were closed count'

# A change of the programs in force, and a restart, forget none.
APPLY=(--masquerade-all)
apply 1
counted 80 48 || die 'counts changed when the programs were exchanged'

# Killed: the kernel closes what they held. The others end by themselves.
mapfile -t pids <<<"$(pgrep -f "^$TOOLS/hit http .*$(at $WEB4 80).* --hold" -P \
	"$(IFS=, && echo "${holders[*]}")")"
((${#pids[@]} == 24)) || die "${#pids[@]} of 24 holders found"
kill -KILL "${pids[@]}"
wait_until 5 counted 80 24 || die 'sockets of killed processes count'
exec {gate}>&-
wait "${holders[@]}"
wait_until 5 counted 80 0 || die 'TCP: connections are left in the count'
wait_until 5 counted 7 0 || die 'UDP: connections are left in the count'
