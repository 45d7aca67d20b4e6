# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# What the system tests share. A test sources this file, brings up what it
# needs, and ends: 0 passed, 77 skipped (its last line says why), else failed.
# Everything it made goes when it ends, however it ends.
# shellcheck disable=SC2034 # names for the tests
set -uo pipefail

PREFIX=${PREFIX:-shunt-t$$}
# shellcheck source=net.sh
source "${BASH_SOURCE[0]%/*}/net.sh"

TMP=$(mktemp -d -t shunt-test-XXXXXX) || exit 1

# The Services of `services`, below: all dual-stack, all with a ClusterIP and a nodePort.
WEB4=10.96.0.80 WEB6=fd00:10:96::80           # the four ready Pods
HERE4=10.96.0.81 HERE6=fd00:10:96::81         # kubia-4jfyf on node-1 alone
THERE4=10.96.0.82 THERE6=fd00:10:96::82       # kubia-q5n8d on node-2 alone
EMPTY4=10.96.0.83 EMPTY6=fd00:10:96::83       # nobody
WEB_PORT=30080 HERE_PORT=30081 THERE_PORT=30082 EMPTY_PORT=30083
CLIENT4=203.0.113.10 CLIENT6=2001:db8:113::10

cleanup()
{
	local status=$?

	trap - EXIT
	if ((status != 0 && status != 77)); then
		tell_state
	fi
	net_undo
	rm -rf "$TMP"
	exit "$status"
}

# What was dropped, when something went wrong; $KEEP set: leave it up to be looked at.
tell_state()
{
	local n

	for n in 1 2; do
		[[ -d $NET_DIR/bpf/node-$n ]] || continue
		printf 'node-%s: ' "$n"
		node_shunt "$n" get drops -A -o wide || :
	done
	if [[ ${KEEP:-} ]]; then
		printf 'left up: PREFIX=%s scripts/playground shell node-1\n' "$PREFIX"
		exit 1
	fi
}

trap cleanup EXIT
trap 'exit 130' INT TERM

die()
{
	printf 'FAILED at line %s: %s\n' "${BASH_LINENO[${#BASH_LINENO[@]} - 2]}" "$*"
	exit 1
}

skip()
{
	printf '%s\n' "$*"
	exit 77
}

# Run COMMAND, which has to succeed.
must()
{
	local said

	said=$("$@" 2>&1) || die "$* ended with $?: $said"
}

# must_end STATUS PATTERN COMMAND…: it has to end with STATUS, and to say one
# line of that pattern (a regular expression) on stderr.
must_end()
{
	local status=$1 pattern=$2 said ended=0
	shift 2

	said=$("$@" 2>&1 >/dev/null) || ended=$?
	((ended == status)) || die "$* ended with $ended, not $status: $said"
	[[ $said =~ $pattern ]] || die "$* said '$said', which isn't '$pattern'"
	[[ $said != *$'\n'* ]] || die "$* said more than one line: $said"
}

equal()
{
	[[ $1 == "$2" ]] || die "$3: '$1', not '$2'"
}

# "KIND ID" of every program, map and link of node N's instance, found by its
# pins: other instances on this machine, and other users of BPF, don't matter.
kernel_objects()
{
	local dir=$NET_DIR/bpf/node-$1 pin kind

	find "$dir" -type f | while read -r pin; do
		case $pin in
		"$dir"/progs/*) kind=prog ;;
		"$dir"/links/*) kind='link' ;;
		*) kind=map ;;
		esac
		# A program's read-only data is a map of its own, without a pin.
		bpftool -j "$kind" show pinned "$pin" |
			jq -r --arg kind "$kind" '"\($kind) \(.id)", "map \(.map_ids // [] | .[])"'
	done | sort -u
}

# ---- requests

# hits FROM ARGUMENTS…: hit's lines; FROM is a namespace, or node:N for a
# process of that node, or NAME@N for a Pod's process inside node N's cgroup.
hits()
{
	local from=$1 ns
	shift

	case $from in
	node:*) node_hit "${from#node:}" "$@" ;;
	*@*)
		ns=${from%@*}
		# shellcheck disable=SC2016 # the inner shell expands these
		net_exec "$ns" bash -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' \
			"$(node_cgroup "${from#*@}")" "$TOOLS/hit" "$@"
		;;
	*) net_hit "$from" "$@" ;;
	esac
}

# reach FROM PROTO TARGET EXPECTED [OPTION…]: 64 requests (or -n) all have to be
# answered; EXPECTED is the sorted list of those who have to answer, all of them.
# With "NAME from ADDRESS" in it, addresses are compared too.
reach()
{
	local from=$1 proto=$2 target=$3 expected=$4 got
	shift 4

	got=$(hits "$from" "$proto" "$target" -n 64 "$@" 2>&1) ||
		die "$from: $proto $target $*: $(grep '^hit:' <<<"$got")"
	[[ $expected == *" from "* ]] || got=$(awk '{ print $1 }' <<<"$got")
	got=$(sort -u <<<"$got" | paste -sd,)
	equal "$got" "$expected" "$from: $proto $target $*: answered by"
}

# refused FROM PROTO TARGET: a request has to fail with "Connection refused".
refused()
{
	local said

	if said=$(hits "$@" 2>&1); then
		die "$*: answered by $said"
	fi
	[[ $said == *"Connection refused"* ]] || die "$*: not refused: $said"
}

# hold FROM TARGET: open a connection that stays; its answer is in HELD_ANSWER.
hold()
{
	coproc HELD { hits "$1" http "$2" --hold 2>&1; }
	# shellcheck disable=SC2153 # coproc sets it
	held_pid=$HELD_PID
	ask_held || die "$1: no answer from $2 on the connection to be held"
}

# One more request on the held connection.
ask_held()
{
	echo >&"${HELD[1]}" && read -rt 5 HELD_ANSWER <&"${HELD[0]}" &&
		[[ $HELD_ANSWER != hit:* ]]
}

let_go()
{
	eval "exec ${HELD[1]}>&-"
	wait "$held_pid"
}

ALL=kubia-4jfyf,kubia-mc7sx,kubia-q5n8d,kubia-x2k9p # the Pods behind web

# ---- loads

LOADS=() # NAME PID of each

# load NAME FROM ARGUMENTS…: requests until loads_end, which wants none to have failed
load()
{
	local name=$1 from=$2
	shift 2

	hits "$from" "$@" -n 0 --json >"$TMP/load-$name" 2>"$TMP/load-$name.err" &
	LOADS+=("$name $!")
}

# loads_end [LEAST]: each has made LEAST requests (50), and none failed
loads_end()
{
	local least=${1:-50} entry name pid

	for entry in "${LOADS[@]}"; do
		pkill -P "${entry##* }" # the child of a subshell
	done
	for entry in "${LOADS[@]}"; do
		read -r name pid <<<"$entry"
		wait "$pid"
		equal "$(jq .failed "$TMP/load-$name")" 0 \
			"$name: failed ($(head -n 3 "$TMP/load-$name.err"))"
		(($(jq .ok "$TMP/load-$name") >= least)) ||
			die "$name: hardly any request: $(cat "$TMP/load-$name")"
	done
	LOADS=()
}

# ---- manifests

# service NAME LAST NODEPORT [SELECTOR]: ClusterIPs that end in LAST
service()
{
	local selector=${4:+"selector: {app: $4}"}

	cat <<-END
		---
		apiVersion: v1
		kind: Service
		metadata: {name: $1}
		spec:
		  type: NodePort
		  ipFamilyPolicy: RequireDualStack
		  clusterIP: 10.96.0.$2
		  clusterIPs: [10.96.0.$2, "fd00:10:96::$2"]
		  $selector
		  ports:
		    - {name: http, port: 80, targetPort: 8080, nodePort: $3}
		    - {name: echo, port: 7, protocol: UDP, targetPort: 5353, nodePort: $3}
	END
}

# slices SERVICE NODE LAST: one backend of each family
slices()
{
	local family addr

	for family in 4 6; do
		if ((family == 4)); then addr=$(pod_ip "$2" "$3"); else addr=$(pod_ip6 "$2" "$3"); fi
		cat <<-END
			---
			apiVersion: discovery.k8s.io/v1
			kind: EndpointSlice
			metadata: {name: $1-$family, labels: {kubernetes.io/service-name: $1}}
			addressType: IPv$family
			endpoints:
			  - {addresses: ["$addr"], nodeName: node-$2}
			ports:
			  - {name: http, port: 8080}
			  - {name: echo, port: 5353, protocol: UDP}
		END
	done
}

# The manifests most tests load, into $TMP/manifests.
services()
{
	mkdir -p "$TMP/manifests"
	cp "$NET_ROOT"/examples/kubia/{nodes,pods}.yaml "$TMP/manifests" || return
	{
		service web 80 "$WEB_PORT" kubia
		service here 81 "$HERE_PORT"
		slices here 1 11
		service there 82 "$THERE_PORT"
		slices there 2 11
		service empty 83 "$EMPTY_PORT" nobody
	} >"$TMP/manifests/services.yaml"
}

# apply N: load $TMP/manifests on node N, with the options that the test has put into APPLY.
APPLY=()
apply()
{
	must node_apply "$1" -f "$TMP/manifests" "${APPLY[@]}"
}

# Network, servers, and shunt on both nodes.
bring_up()
{
	[[ -x $SHUNT ]] || die "$SHUNT is not built: make"
	net_up --show-client || die "the network didn't come up"
	must services
	apply 1
	apply 2
}
