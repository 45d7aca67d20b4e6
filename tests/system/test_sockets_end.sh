#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# A backend goes for good: sockets that were translated at connect() and are
# connected to it end, in the node's and in Pods' network namespaces, at once and
# not before. The server itself stays up: who doesn't go by the Service that lost
# it doesn't notice.
# shellcheck source=../../scripts/lib/check.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/check.sh"

GONE=kubia-4jfyf # the backend of `here`, and one of web's
declare -A asks # by name: a file descriptor to write to
declare -A pids

# open_one NAME FROM PROTO TARGET [OPTION…]: a connection that stays open; who
# answers it is written to $TMP/NAME.out, a line for each `ask`.
open_one()
{
	local name=$1 from=$2 proto=$3 target=$4 fd
	shift 4

	mkfifo "$TMP/$name.in" || die "mkfifo"
	hits "$from" "$proto" "$target" --hold "$@" <"$TMP/$name.in" >"$TMP/$name.out" 2>&1 &
	pids[$name]=$!
	exec {fd}>"$TMP/$name.in"
	asks[$name]=$fd
}

lines() { (($(wc -l <"$TMP/$1.out") >= $2)); }

# ask NAME: its answer in ANSWER
ask()
{
	local n

	n=$(wc -l <"$TMP/$1.out")
	ANSWER=
	echo >&"${asks[$1]}" || return
	wait_until 5 lines "$1" $((n + 1)) 2>/dev/null || return
	ANSWER=$(tail -n 1 "$TMP/$1.out")
	[[ $ANSWER != hit:* ]]
}

close_one()
{
	local fd=${asks[$1]}

	exec {fd}>&-
	wait "${pids[$1]}" 2>/dev/null
	rm -f "$TMP/$1.in" "$TMP/$1.out"
	unset "asks[$1]" "pids[$1]"
}

# open_at_gone NAME FROM PROTO TARGET: the same, until it is GONE that answers
open_at_gone()
{
	local try

	for try in {1..64}; do
		open_one "$@"
		ask "$1" || die "$*: no answer: $(<"$TMP/$1.out")"
		[[ $ANSWER != "$GONE"* ]] || return 0
		close_one "$1"
	done
	die "$*: $GONE answered none of $try connections"
}

answers()
{
	local name

	for name; do
		ask "$name" || die "$name: $WHEN: '$ANSWER'"
		[[ $ANSWER == "$GONE"* ]] || die "$name: $WHEN: answered by $ANSWER"
	done
}

# slices_here STATE: the EndpointSlices of `here`, in their file
slices_here()
{
	slices here 1 11 | sed "s/nodeName: node-1}/nodeName: node-1, conditions: {$1}}/" \
		>"$TMP/here.yaml"
}

bring_up
slices_here 'ready: true'
must node_apply 1 -f "$TMP/here.yaml"

# Every way of being connected to it, each with a bystander: directly, and by
# another Service, where the same address and port is another backend.
ending=() staying=()
for from in node:1 shell-1@1; do
	for family in 4 6; do
		vip=HERE$family web=WEB$family
		pod=$(pod_ip 1 11)
		((family == 4)) || pod=$(pod_ip6 1 11)
		for proto in http udp-connected; do
			port=80 backend=8080
			[[ $proto == http ]] || port=7 backend=5353
			name=$from-$proto-$family
			open_one "end-$name" "$from" $proto "$(at "${!vip}" $port)" --getpeername
			open_one "direct-$name" "$from" $proto "$(at "$pod" $backend)" --getpeername
			open_at_gone "web-$name" "$from" $proto "$(at "${!web}" $port)"
			ending+=("end-$name")
			staying+=("direct-$name" "web-$name")
		done
	done
	open_one "end-$from-mapped" "$from" http "$(at $HERE4 80)" -6
	open_one "end-$from-udp-mapped" "$from" udp-connected "$(at $HERE4 7)" -6
	ending+=("end-$from-mapped" "end-$from-udp-mapped")
done
WHEN='while it is ready'
answers "${ending[@]}" "${staying[@]}"

slices_here 'ready: false, serving: true, terminating: true'
must node_apply 1 -f "$TMP/here.yaml"
WHEN='while it is terminating'
answers "${ending[@]}" "${staying[@]}"

must node_shunt 1 delete -f "$TMP/here.yaml"
for name in "${ending[@]}"; do
	if ask "$name"; then
		die "$name: still answered by $ANSWER"
	fi
	# A UDP socket that is read says the first, one that is written the last.
	case $ANSWER in
	*'connection abort'* | *'Broken pipe'* | *'Destination address required'*) ;;
	*) die "$name: not ended: '$ANSWER'" ;;
	esac
done
WHEN='when it was gone from another Service'
answers "${staying[@]}"

# It comes back, and goes on being another Service's.
slices_here 'ready: true'
must node_apply 1 -f "$TMP/here.yaml"
WHEN='when it was back'
answers "${staying[@]}"
reach node:1 http "$(at $HERE4 80)" "$GONE"
reach shell-1@1 udp-connected "$(at $HERE6 7)" "$GONE"
