# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# What the agent's system tests share: a scripted API server, where a router or a
# control plane would be, and `shunt agent` on node-1. The Services are those of
# check.sh, as a cluster would have them: with slices, without Pods.
# shellcheck disable=SC2034 # names for the tests
# shellcheck source=../../scripts/lib/check.sh
source "${BASH_SOURCE[0]%/*}/check.sh"

API_AT=172.18.0.1:6443
API_DIR=$TMP/api
AGENT_LOG=$TMP/agent.log
ALL_PODS=(1/11 1/12 2/11 2/12) # the four of web, as NODE/LAST

# ---- the API server

# api_up [OPTION…]: with the usual objects; the options are apiserver.py's
api_up()
{
	local tools=$NET_ROOT/tests/tools

	must "$tools/make_certs.sh" "$API_DIR" "${API_AT%:*}"
	usual_objects >"$API_DIR/objects"
	net_start fabric apiserver "$tools/apiserver.py" --certs "$API_DIR" \
		--control "$API_DIR/control" --listen "$API_AT" \
		--kubeconfig "$API_DIR/kubeconfig" --load "$API_DIR/objects" "$@"
	wait_until 10 test -s "$API_DIR/kubeconfig" ||
		die "the API server didn't start: $(cat "$NET_DIR/log/apiserver")"
}

# api COMMAND [ARGUMENT…]: the commands are at apiserver.py's head
api()
{
	"$NET_ROOT/tests/tools/apictl" "$API_DIR/control" "$@" || die "api $*"
}

# api_stat PATH: a number of `api stats`, such as .lists
api_stat() { api stats | jq "$1 // 0"; }
api_stat_is() { [[ $(api_stat "$1") == "$2" ]]; }

# api_service NAME LAST NODEPORT: the Service that check.sh's service() describes, as JSON
api_service()
{
	jq -nc --arg name "$1" --arg last "$2" --argjson node_port "$3" '{
		kind: "Service", apiVersion: "v1", metadata: {name: $name},
		spec: {
			type: "NodePort", ipFamilyPolicy: "RequireDualStack",
			ipFamilies: ["IPv4", "IPv6"], selector: {app: "kubia"},
			clusterIP: "10.96.0.\($last)",
			clusterIPs: ["10.96.0.\($last)", "fd00:10:96::\($last)"],
			ports: [
				{name: "http", protocol: "TCP", port: 80, targetPort: 8080,
				 nodePort: $node_port},
				{name: "echo", protocol: "UDP", port: 7, targetPort: 5353,
				 nodePort: $node_port}
			]
		}, status: {loadBalancer: {}}}'
}

# api_slices SERVICE [NODE/LAST…]: a slice of each family, with these backends
api_slices()
{
	local name=$1
	shift

	jq -nc --arg name "$name" '$ARGS.positional | map(split("/")) as $at |
		({IPv4: "10.244.", IPv6: "fd00:10:244:"} | to_entries[]) as $family |
		{
			kind: "EndpointSlice", apiVersion: "discovery.k8s.io/v1",
			metadata: {name: "\($name)-\($family.key | ascii_downcase)",
				   labels: {"kubernetes.io/service-name": $name}},
			addressType: $family.key,
			endpoints: ($at | map({
				addresses: [$family.value +
					(if $family.key == "IPv4" then join(".") else join("::") end)],
				conditions: {ready: true, serving: true, terminating: false},
				nodeName: "node-\(.[0])"})),
			ports: [{name: "http", protocol: "TCP", port: 8080},
				{name: "echo", protocol: "UDP", port: 5353}]
		}' --args -- "$@"
}

api_node()
{
	jq -nc --arg n "$1" '{
		kind: "Node", apiVersion: "v1",
		metadata: {name: "node-\($n)", labels: {"topology.kubernetes.io/zone": "zone-\($n)"}},
		spec: {podCIDR: "10.244.\($n).0/24",
		       podCIDRs: ["10.244.\($n).0/24", "fd00:10:244:\($n)::/64"]},
		status: {addresses: [
			{type: "InternalIP", address: "172.18.0.1\($n)"},
			{type: "InternalIP", address: "fd00:172:18::1\($n)"},
			{type: "Hostname", address: "node-\($n)"}]}}'
}

usual_objects()
{
	api_node 1
	api_node 2
	api_service web 80 "$WEB_PORT"
	api_slices web "${ALL_PODS[@]}"
	api_service here 81 "$HERE_PORT"
	api_slices here 1/11
	api_service there 82 "$THERE_PORT"
	api_slices there 2/11
	api_service empty 83 "$EMPTY_PORT"
}

# put_slices SERVICE [NODE/LAST…]: they are the Service's backends from now on
put_slices()
{
	api_slices "$@" | api put - >/dev/null
}

# ---- the agent

# agent_start [OPTION…]: on node-1, as the cluster has it unless OPTIONs name another source
# shellcheck disable=SC2120 # tests give options
agent_start()
{
	local source=(--kubeconfig "$API_DIR/kubeconfig")

	[[ " $*" != *" --kubeconfig"* && " $*" != *" --manifests"* ]] || source=()
	: >>"$AGENT_LOG"
	agent_command "${source[@]}" "$@"
	setsid "${AGENT[@]}" >>"$AGENT_LOG" 2>&1 </dev/null &
	AGENT_PID=$!
	disown "$AGENT_PID"
}

AGENT_DEVICES=(--devices eth0 --workload-devices 'pod*')

# Sets AGENT: the command that is run in node-1's network namespace.
agent_command()
{
	AGENT=(nsenter "--net=$(net_ns node-1)" "$SHUNT" agent --node-name node-1
		--bpffs "$NET_DIR/bpf/node-1" --state "$NET_DIR/state/node-1"
		--cgroup "$(node_cgroup 1)" "${AGENT_DEVICES[@]}"
		--cluster-cidr 10.244.0.0/16
		--cluster-cidr fd00:10:244::/48 "$@")
}

agent_runs() { ! net_gone "$AGENT_PID"; }

# agent_end SIGNAL: and wait until it is gone
agent_end()
{
	kill "-$1" "$AGENT_PID" || die 'the agent was not running'
	wait_until 10 net_gone "$AGENT_PID" || die "SIG$1 didn't end the agent"
}

# agent_get PATH: from its health port, or with metrics the other one
agent_get()
{
	local port=10256

	[[ $1 != /metrics ]] || port=10249
	net_exec node-1 curl -fsS -m 2 "http://127.0.0.1:$port$1"
}

# agent_metric NAME[{LABELS}]: its value
agent_metric()
{
	agent_get /metrics | awk -v name="$1" '$1 == name { print $2; found = 1 } END { exit !found }'
}

# agent_peak_kb: the most memory that it has held
agent_peak_kb() { awk '/^VmHWM:/ { print $2 }' "/proc/$AGENT_PID/status"; }

# agent_said PATTERN: since the last agent_heard
AGENT_HEARD=1
agent_said() { tail -n "+$AGENT_HEARD" "$AGENT_LOG" | grep -E -- "$1"; }
agent_heard() { AGENT_HEARD=$(($(wc -l <"$AGENT_LOG") + 1)); }

# services_are N: so many the kernel holds on node-1
services_are()
{
	local got

	got=$(node_shunt 1 get services -A -o name | wc -l)
	((got == $1)) || die "$got Services, not $1"
}

# soon SECONDS COMMAND…: it has to succeed within that time
soon()
{
	local said

	said=$(wait_until "$@" 2>&1) || die "$said; the agent said: $(tail -n 12 "$AGENT_LOG")"
}

# Network, servers, API server, and the agent with what it has been told.
agent_bring_up()
{
	[[ -x $SHUNT ]] || die "$SHUNT is not built: make"
	net_up --show-client || die "the network didn't come up"
	api_up --token first
	agent_start
	soon 15 agent_get /healthz
	soon 5 reach shell-1 http "$(at $WEB4 80)" "$ALL"
}

# ---- loads

# Fresh and kept connections from everywhere; the kept ones exchange data all the time.
loads_begin()
{
	load pod shell-1 http "$(at $WEB4 80)" --interval 5
	load pod6 shell-1 http "$(at $WEB6 80)" --interval 20
	load udp shell-1 udp "$(at $WEB4 7)" --interval 10
	load node node:1 http "$(at $WEB4 80)" --interval 20
	load outside client http "$(at "$(node_ip 1)" $WEB_PORT)" --interval 10
	load pod-kept shell-1 http "$(at $WEB4 80)" --interval 20 -c 8 --keep
	load pod6-kept shell-1 http "$(at $WEB6 80)" --interval 20 -c 4 --keep
	load node-kept node:1 http "$(at $WEB4 80)" --interval 20 -c 4 --keep
	load outside-kept client http "$(at "$(node_ip 1)" $WEB_PORT)" --interval 20 -c 8 --keep
	load udp-kept shell-1 udp-connected "$(at $WEB4 7)" --interval 20 -c 4 --keep
}
