# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# A small cluster's network in network namespaces; the playground and the system
# tests source this file. Addresses are those of examples/kubia.
#
#   client             outside-1, outside-2       203.0.113.0/24   2001:db8:113::/64
#      └──────── br-out ────┘
#            fabric (the router)
#      ┌──────── br-node ───┐                     172.18.0.0/24    fd00:172:18::/64
#   node-1 eth0          node-2 eth0              .11, .12
#      │ cni0               │ cni0                10.244.N.1/24    fd00:10:244:N::1/64
#   pod11 pod12 …        pod11 pod12 …            the nodes' ends of the pods' veths
#
# The nodes route to each other's Pods (host-gw); the router and the outside
# servers know the Pods' addresses too, the client knows the nodes' only.
#
# Everything is named $PREFIX-* and kept in $NET_DIR, so that several can be up
# at once. Functions return non-zero after a line on stderr.

PREFIX=${PREFIX:-shunt-pg}
if [[ ! $PREFIX =~ ^[a-z0-9][a-z0-9-]*$ ]]; then
	printf '%s: PREFIX=%s is no name for an instance: use a-z, 0-9 and -\n' "${0##*/}" "$PREFIX" >&2
	exit 2
fi
NET_DIR=/run/shunt-playground/$PREFIX
NET_ROOT=$(cd "${BASH_SOURCE[0]%/*}/../.." && pwd)
B=${B:-build}
[[ $B = /* ]] || B=$NET_ROOT/$B
SHUNT=${SHUNT:-$B/shunt}
TOOLS=$B/tests/tools
LB_VIP4=198.51.100.10
LB_VIP6=2001:db8:100::10

net_error()
{
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	return 1
}

# Run COMMAND until it succeeds, SECONDS at most; its last words if it never does.
wait_until()
{
	local seconds=$1 deadline said
	shift

	deadline=$((${EPOCHREALTIME/[.,]/} + seconds * 1000000))
	until said=$("$@" 2>&1); do
		if ((${EPOCHREALTIME/[.,]/} > deadline)); then
			net_error "not within $seconds s: $* ($said)"
			return
		fi
		sleep 0.05
	done
}

# ---- where things are

net_ns() { printf '/run/netns/%s-%s' "$PREFIX" "$1"; }
node_cgroup() { printf '%s/%s/node-%s' "$NET_CGROUP2" "$PREFIX" "$1"; }
node_ip() { printf '172.18.0.1%s' "$1"; }
node_ip6() { printf 'fd00:172:18::1%s' "$1"; }
pod_ip() { printf '10.244.%s.%s' "$1" "$2"; }
pod_ip6() { printf 'fd00:10:244:%s::%s' "$1" "$2"; }

# ADDRESS PORT, as a client wants it
at()
{
	if [[ $1 == *:* ]]; then printf '[%s]:%s' "$1" "$2"; else printf '%s:%s' "$1" "$2"; fi
}

# The mount point of the cgroup v2 tree: in a mixed set-up it isn't /sys/fs/cgroup.
net_find_cgroup2()
{
	local _ dir rest

	while read -r _ _ _ _ dir rest; do
		if [[ $rest == *" - cgroup2 "* ]]; then
			printf '%s' "$dir"
			return
		fi
	done </proc/self/mountinfo
	net_error "no cgroup v2 is mounted: mount -t cgroup2 cgroup2 /sys/fs/cgroup"
}

net_require()
{
	local tool

	((EUID == 0)) || net_error "network namespaces need root; run this with sudo" || return
	for tool in ip nsenter setsid sysctl; do
		command -v "$tool" >/dev/null ||
			net_error "$tool is missing: apt-get install iproute2 util-linux procps" ||
			return
	done
	for tool in "$TOOLS/kubia" "$TOOLS/hit"; do
		[[ -x $tool ]] || net_error "$tool is not built: make $tool" || return
	done
	NET_CGROUP2=$(net_find_cgroup2)
}

# ---- running things

# `ip netns exec` would mount a fresh /sys, without the bpffs: nsenter doesn't.
net_exec()
{
	local ns=$1
	shift

	nsenter --net="$(net_ns "$ns")" "$@"
}

# Run as a process of node N: in its network namespace and in its cgroup.
node_exec()
{
	local n=$1
	shift

	# shellcheck disable=SC2016 # the inner shell expands these
	net_exec "node-$n" bash -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' \
		"$(node_cgroup "$n")" "$@"
}

# Start a server in namespace NS that lives until net_stop or net_down.
net_start()
{
	local ns=$1 name=$2
	shift 2

	setsid nsenter --net="$(net_ns "$ns")" "$@" \
		>"$NET_DIR/log/$name" 2>&1 </dev/null &
	printf '%s\n' $! >"$NET_DIR/pid/$name"
	disown $!
}

net_gone() { [[ ! -e /proc/$1 ]] || grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null; }

net_stop()
{
	local name=$1 pid

	[[ -e $NET_DIR/pid/$name ]] || return 0
	pid=$(<"$NET_DIR/pid/$name")
	rm -f "$NET_DIR/pid/$name"
	kill "$pid" 2>/dev/null || return 0
	wait_until 5 net_gone "$pid"
}

# shunt on node N, with what says which instance is meant.
node_shunt()
{
	local n=$1 verb=$2 state=()
	shift 2

	[[ $verb != @(apply|delete|reset) ]] || state=(--state "$NET_DIR/state/node-$n")
	net_exec "node-$n" "$SHUNT" "$verb" "$@" --bpffs "$NET_DIR/bpf/node-$n" "${state[@]}"
}

# node_apply N -f MANIFESTS [OPTION…]
node_apply()
{
	local n=$1
	shift

	node_shunt "$n" apply --node-name "node-$n" --cgroup "$(node_cgroup "$n")" \
		--devices eth0 --workload-devices 'pod*' "$@"
}

# Fresh connections from namespace NS: prints who answered.
net_hit()
{
	local ns=$1
	shift

	net_exec "$ns" "$TOOLS/hit" "$@"
}

# The same from a process of node N.
node_hit()
{
	local n=$1
	shift

	node_exec "$n" "$TOOLS/hit" "$@"
}

# ---- making it

# A namespace that behaves as a Linux host or router usually does.
net_add_ns()
{
	local ns=$1 forward=$2

	ip netns add "$PREFIX-$ns" || return
	printf '%s\n' "$ns" >>"$NET_DIR/namespaces"
	ip -n "$PREFIX-$ns" link set lo up
	# rp_filter 2 (loose) is what systemd sets everywhere. shunt asks for nothing
	# here: the stack sees only real addresses, where they really come from.
	# No duplicate address detection: it would cost seconds before the first packet.
	net_exec "$ns" sysctl -qw \
		net.ipv4.conf.all.rp_filter=2 net.ipv4.conf.default.rp_filter=2 \
		net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
		net.ipv6.conf.all.accept_ra=0 net.ipv6.conf.default.accept_ra=0 \
		net.ipv4.ip_forward="$forward" net.ipv6.conf.all.forwarding="$forward"
}

# A bridge with an address of each family, for others to plug into.
net_add_bridge()
{
	local ns=$1 bridge=$2 ip4=$3 ip6=$4

	ip -n "$PREFIX-$ns" -batch - <<-END
		link add $bridge type bridge forward_delay 0 mcast_snooping 0
		addr add $ip4 dev $bridge
		addr add $ip6 dev $bridge nodad
		link set $bridge up
	END
}

# net_plug NS BRIDGE_NS BRIDGE PORT ADDRESS4 ADDRESS6: eth0 in NS, PORT on the bridge
net_plug()
{
	local ns=$1 bridge_ns=$2 bridge=$3 port=$4 ip4=$5 ip6=$6

	ip -n "$PREFIX-$ns" -batch - <<-END || return
		link add eth0 type veth peer name $port netns $PREFIX-$bridge_ns
		addr add $ip4 dev eth0
		addr add $ip6 dev eth0 nodad
		link set eth0 up
	END
	ip -n "$PREFIX-$bridge_ns" link set "$port" master "$bridge" up
}

net_add_fabric()
{
	net_add_ns fabric 1 || return
	net_add_bridge fabric br-node 172.18.0.1/24 fd00:172:18::1/64 || return
	net_add_bridge fabric br-out 203.0.113.1/24 2001:db8:113::1/64
}

# A machine outside; its routes are the caller's choice.
net_add_outside()
{
	local ns=$1 last=$2

	net_add_ns "$ns" 0 || return
	net_plug "$ns" fabric br-out "$ns" "203.0.113.$last/24" "2001:db8:113::$last/64"
}

net_add_client()
{
	net_add_outside client 10 || return
	ip -n "$PREFIX-client" -batch - <<-END
		route add 172.18.0.0/24 via 203.0.113.1
		route add 198.51.100.0/24 via 203.0.113.1
		route add fd00:172:18::/64 via 2001:db8:113::1
		route add 2001:db8:100::/64 via 2001:db8:113::1
	END
}

net_add_outside_server()
{
	local i=$1

	net_add_outside "outside-$i" "2$((i - 1))" || return
	ip -n "$PREFIX-outside-$i" -batch - <<-END
		route add default via 203.0.113.1
		route add default via 2001:db8:113::1
	END
}

net_add_node()
{
	local n=$1 ns=node-$1

	net_add_ns "$ns" 1 || return
	mkdir -p "$(node_cgroup "$n")" "$NET_DIR/state/$ns" || return
	net_plug "$ns" fabric br-node "$ns" "$(node_ip "$n")/24" "$(node_ip6 "$n")/64" || return
	net_add_bridge "$ns" cni0 "10.244.$n.1/24" "fd00:10:244:$n::1/64" || return
	ip -n "$PREFIX-$ns" -batch - <<-END || return
		route add default via 172.18.0.1
		route add default via fd00:172:18::1
	END
	ip -n "$PREFIX-fabric" -batch - <<-END
		route add 10.244.$n.0/24 via $(node_ip "$n")
		route add fd00:10:244:$n::/64 via $(node_ip6 "$n")
	END
}

# host-gw: each node knows the other's Pods. The load balancer's address leads to node-1.
net_add_routes()
{
	ip -n "$PREFIX-node-1" -batch - <<-END || return
		route add 10.244.2.0/24 via 172.18.0.12
		route add fd00:10:244:2::/64 via fd00:172:18::12
	END
	ip -n "$PREFIX-node-2" -batch - <<-END || return
		route add 10.244.1.0/24 via 172.18.0.11
		route add fd00:10:244:1::/64 via fd00:172:18::11
	END
	ip -n "$PREFIX-fabric" -batch - <<-END
		route add $LB_VIP4/32 via 172.18.0.11
		route add $LB_VIP6/128 via fd00:172:18::11
	END
}

# net_add_pod N NAME I: a Pod on node N with the addresses that end in I
net_add_pod()
{
	local n=$1 name=$2 i=$3

	net_add_ns "$name" 0 || return
	net_plug "$name" "node-$n" cni0 "pod$i" "$(pod_ip "$n" "$i")/24" \
		"$(pod_ip6 "$n" "$i")/64" || return
	ip -n "$PREFIX-$name" -batch - <<-END
		route add default via 10.244.$n.1
		route add default via fd00:10:244:$n::1
	END
}

# A Pod's server. It stays outside of its node's cgroup, so that what the Pod
# sends is translated packet by packet; --in-cgroup puts it inside.
net_serve()
{
	local name=$1
	shift

	net_start "$name" "$name" "$TOOLS/kubia" "$name" --http 8080 --http 8443 --tcp 9000 \
		--udp 5353 "$@"
}

net_serving()
{
	net_hit "$1" http 127.0.0.1:8080 >/dev/null
}

# The Pods that examples/kubia names, with their servers.
NET_PODS=("1 kubia-4jfyf 11" "1 kubia-mc7sx 12" "2 kubia-q5n8d 11" "2 kubia-x2k9p 12" "2 kubia-zz0wn 13")
# The first four are Ready; the fifth must never answer.
NET_BACKENDS=(kubia-4jfyf kubia-mc7sx kubia-q5n8d kubia-x2k9p)

net_mount_bpffs()
{
	mkdir -p "$NET_DIR/bpf" || return
	mount -t bpf bpf "$NET_DIR/bpf" ||
		net_error "mount a bpffs at $NET_DIR/bpf: the kernel needs CONFIG_BPF_SYSCALL"
}

net_servers()
{
	local name

	for name in "${NET_BACKENDS[@]}" kubia-zz0wn outside-1 outside-2; do
		net_serve "$name" "$@" || return
	done
	for name in "${NET_BACKENDS[@]}" kubia-zz0wn outside-1 outside-2; do
		wait_until 5 net_serving "$name" || return
	done
}

net_make()
{
	local n name i pod

	net_mount_bpffs && net_add_fabric && net_add_client && net_add_outside_server 1 &&
		net_add_outside_server 2 && net_add_node 1 && net_add_node 2 && net_add_routes ||
		return
	for pod in "${NET_PODS[@]}" "1 shell-1 100" "2 shell-2 100"; do
		read -r n name i <<<"$pod"
		net_add_pod "$n" "$name" "$i" || return
	done
}

# Namespaces, devices, routes, and nobody that listens.
net_up_quiet()
{
	net_require || return
	[[ ! -e $NET_DIR ]] || net_error "$NET_DIR is there: up already, or left over;" \
		"PREFIX=$PREFIX scripts/playground down removes it" || return
	NET_MADE=1
	mkdir -p "$NET_DIR/pid" "$NET_DIR/log" && net_make
}

# Everything up but shunt; options go to each kubia.
net_up()
{
	net_up_quiet && net_servers "$@"
}

# ---- removing it

net_kill_all()
{
	local ns pids

	while read -r ns; do
		mapfile -t pids < <(ip netns pids "$PREFIX-$ns" 2>/dev/null)
		((${#pids[@]})) && kill "$1" "${pids[@]}" 2>/dev/null
	done <"$NET_DIR/namespaces"
	return 0
}

net_quiet()
{
	local ns

	while read -r ns; do
		[[ -z $(ip netns pids "$PREFIX-$ns" 2>/dev/null) ]] || return
	done <"$NET_DIR/namespaces"
}

# For a trap at exit: removes what this very process has made, undisturbed by a second ^C.
net_undo()
{
	trap '' INT TERM
	[[ ! ${NET_MADE:-} ]] || net_down
}

# Removes whatever is there, also after a net_up that failed halfway. What shunt
# has pinned goes with the bpffs, what it has attached with devices and cgroups.
net_down()
{
	local ns

	[[ -e $NET_DIR ]] || return 0
	NET_CGROUP2=${NET_CGROUP2:-$(net_find_cgroup2)}
	if [[ -e $NET_DIR/namespaces ]]; then
		net_kill_all -TERM
		wait_until 3 net_quiet 2>/dev/null || net_kill_all -KILL
		wait_until 3 net_quiet || return
		while read -r ns; do
			ip netns del "$PREFIX-$ns" 2>/dev/null
		done <"$NET_DIR/namespaces"
	fi
	if mountpoint -q "$NET_DIR/bpf"; then
		umount "$NET_DIR/bpf" || net_error "$NET_DIR/bpf is in use" || return
	fi
	if [[ -d $NET_CGROUP2/$PREFIX ]]; then
		find "$NET_CGROUP2/$PREFIX" -depth -type d -exec rmdir {} + || return
	fi
	rm -rf "$NET_DIR"
	rmdir --ignore-fail-on-non-empty /run/shunt-playground 2>/dev/null || :
}
