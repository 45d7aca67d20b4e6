# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# What the parts of `make bench` share: several of the playground's networks at
# once, one for each contender, so that no one's rules stand in another's way.
# A part prints JSON lines to the file that it is given. QUICK=1: few and short
# measurements, which show that everything works.
# shellcheck disable=SC2034 # names for the parts
set -uo pipefail

PREFIX=${PREFIX:-shunt-b$$}
# shellcheck source=../../scripts/lib/net.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/net.sh"

QUICK=${QUICK:-}
BENCH=$NET_ROOT/tests/bench
RULES=$BENCH/rules.py
LOAD=$TOOLS/load
TMP=$(mktemp -d -t shunt-bench-XXXXXX) || exit 3
NETS=() # names of those that are up
BASE=$PREFIX

# Backends on this node and on the other one, by their last byte.
HERE_IPS=10.244.1.11,10.244.1.12
AWAY_IPS=10.244.2.11,10.244.2.12
HERE_VIP=10.96.0.80 AWAY_VIP=10.96.0.81
HERE_PORT=30080 AWAY_PORT=30081
REAL=("here=80:$HERE_PORT:$HERE_IPS" "away=81:$AWAY_PORT:$AWAY_IPS")

bench_cleanup()
{
	local status=$? net

	trap '' INT TERM EXIT
	for net in "${NETS[@]}"; do
		in_net "$net" net_down
	done
	rm -rf "$TMP"
	exit "$status"
}
trap bench_cleanup EXIT
trap 'exit 130' INT TERM

die()
{
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

progress() { printf '%s %s\n' "${0##*/}:" "$*" >&2; }

# in_net NAME COMMAND…: the functions of net.sh work on that network
in_net()
{
	local PREFIX=$BASE-$1 NET_DIR=/run/shunt-playground/$BASE-$1
	shift

	"$@"
}

# bench_net NAME: up, with every packet between Pods going by way of their node's routing,
# as most CNIs have it: on a bridge, netfilter would not see the answers.
bench_net()
{
	local name=$1

	NETS+=("$name")
	in_net "$name" net_up_quiet || die "the network $name didn't come up"
	in_net "$name" bench_routes || die "the routes of $name can't be set"
	in_net "$name" bench_wires || die "the wires of $name can't be made"
}

# A wire carries no packet without its checksum and none that is larger than it can be, and
# veth takes from XDP only where an XDP program is at the other end. So it is in each
# network, whether its contender uses XDP or not.
bench_wires()
{
	local ns port

	for ns in client node-1 node-2; do
		net_exec "$ns" ethtool -K eth0 tx off >/dev/null || return
	done
	for port in br-node br-out node-1 node-2 client; do
		net_exec fabric ethtool -K "$port" tx off >/dev/null || return
	done
	net_start fabric xdp_pass "$TOOLS/xdp_pass" node-1 node-2
	for port in node-1 node-2; do
		wait_until 5 bench_has_xdp "$port" || return
	done
}

bench_has_xdp() { ip -n "$PREFIX-fabric" -d link show "$1" | grep -q 'prog/xdp'; }

bench_routes()
{
	local pod n name i

	for pod in "${NET_PODS[@]}" "1 shell-1 100" "2 shell-2 100"; do
		read -r n name i <<<"$pod"
		ip -n "$PREFIX-$name" -batch - <<-END || return
			route replace 10.244.$n.1/32 dev eth0
			route del 10.244.$n.0/24 dev eth0
		END
	done
	for n in 1 2; do
		net_exec "node-$n" sysctl -qw net.ipv4.conf.all.send_redirects=0 \
			net.ipv4.conf.cni0.send_redirects=0 net.ipv4.conf.eth0.send_redirects=0 ||
			return
	done
	# A client outside that goes to Pods directly takes the way that a nodePort's packets
	# take: by node-1, there and back.
	net_exec fabric sysctl -qw net.ipv4.conf.all.send_redirects=0 \
		net.ipv4.conf.br-node.send_redirects=0 || return
	ip -n "$PREFIX-client" route add 10.244.0.0/16 via 203.0.113.1 || return
	ip -n "$PREFIX-fabric" route replace 10.244.2.0/24 via 172.18.0.11 || return
	ip -n "$PREFIX-node-2" route add 203.0.113.0/24 via 172.18.0.11
}

# apply_to NET FOLDER [OPTION…]: shunt on node-1
apply_to()
{
	local net=$1 folder=$2
	shift 2

	in_net "$net" node_apply 1 -f "$folder" --cluster-cidr 10.244.0.0/16 "$@" \
		>"$TMP/apply" 2>&1 || die "shunt in $net: $(tail -n 3 "$TMP/apply")"
}

# serve_at NET PODS…: load's options to answer there
serve_at()
{
	local net=$1 pod
	shift

	for pod; do
		printf -- '--serve\n%s=8080\n' "$(in_net "$net" net_ns "$pod")"
	done
}

# Seconds between two readings of EPOCHREALTIME
took() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.6f", b - a }'; }

# What iptables' rules are evaluated by: the classic tables where the kernel has them.
iptables_kind()
{
	if unshare -n iptables-legacy -t nat -S >/dev/null 2>&1; then
		printf 'iptables-legacy'
	else
		printf 'iptables-nft'
	fi
}
