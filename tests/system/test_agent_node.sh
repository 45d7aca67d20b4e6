#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The agent follows its node: devices and addresses come and go, options change
# under it (SIGHUP), and it tells load balancers, kubelet and Prometheus how it is.
# shellcheck source=../../scripts/lib/agent.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/agent.sh"

STATE=$NET_DIR/state/node-1
FOLDER=$TMP/manifests
CONFIG=$TMP/config.yaml

# device NAME: "ROLE TC XDP" of it; empty: it is no edge
device()
{
	node_shunt 1 get nodes -o json | jq -r --arg name "$1" \
		'.items[] | select(.item == "device" and .name == $name) | "\(.role) \(.tc) \(.xdp)"'
}
# shellcheck disable=SC2053 # $2 is a pattern
device_is() { [[ $(device "$1") == $2 ]]; }
has_xdp() { net_exec node-1 ip -o link show eth0 | grep -q ' xdp '; }

# metric_is NAME VALUE
metric_is() { [[ $(agent_metric "$1") == "$2" ]]; }

# health PORT: "STATUS LOCALENDPOINTS WEIGHT" of a healthCheckNodePort, as a load balancer asks
health()
{
	net_exec client curl -s -m 2 -o "$TMP/health" -D "$TMP/health-head" -w '%{http_code}' \
		"http://$(node_ip 1):$1/" || return
	printf ' %s %s' "$(jq .localEndpoints "$TMP/health")" \
		"$(awk 'tolower($1) == "x-load-balancing-endpoint-weight:" { print $2 + 0 }' "$TMP/health-head")"
}
health_is() { [[ $(health "$1") == "$2" ]]; }

DEVICES=('devices: [eth0]' 'workload-devices: ["pod*"]')
write_config()
{
	printf '%s\n' 'apiVersion: shunt.io/v1alpha1' 'kind: AgentConfiguration' "$@" >"$CONFIG"
}

# config LINE…: the file says that from now on; the agent is told
config()
{
	write_config "$@"
	agent_heard
	kill -HUP "$AGENT_PID"
	soon 5 agent_said 'options read again|options stay'
}

net_up --show-client || die "the network didn't come up"
must services
write_config "${DEVICES[@]}"
AGENT_DEVICES=() # which it takes is the file's to say
agent_start --manifests "$FOLDER" --state "$STATE" --config "$CONFIG"
soon 15 agent_said 'in force'
reach shell-1 http "$(at $HERE4 80)" "kubia-4jfyf from $(pod_ip 1 100)"

# ---- devices

# A Pod that starts reaches Services from its first packet on.
net_add_pod 1 late 50
soon 1 reach late http "$(at $WEB4 80)" "$ALL"
soon 1 reach late http "$(at $WEB6 80)" "$ALL"
[[ $(device pod50) == workload\ * ]] || die "pod50: $(device pod50)"
must ip netns del "$PREFIX-late"
sed -i '/^late$/d' "$NET_DIR/namespaces"
soon 3 device_is pod50 ''

# ---- addresses

refused client http "$(at "$(node_ip 1)" 30089)" --timeout 500
config "${DEVICES[@]}" 'nodeport-addresses: [172.18.0.0/24]'
reach client http "$(at "$(node_ip 1)" $WEB_PORT)" "$ALL"
must ip -n "$PREFIX-node-1" addr add 172.18.0.77/24 dev eth0
soon 3 reach client http "$(at 172.18.0.77 $WEB_PORT)" "$ALL"
must ip -n "$PREFIX-node-1" addr add 172.18.5.77/32 dev eth0
must ip -n "$PREFIX-fabric" route add 172.18.5.77/32 via "$(node_ip 1)"
must ip -n "$PREFIX-client" route add 172.18.5.77/32 via 203.0.113.1
refused client http "$(at 172.18.5.77 $WEB_PORT)"
must ip -n "$PREFIX-node-1" addr del 172.18.0.77/24 dev eth0
# Still led to the node, which is no address of its own any more.
must ip -n "$PREFIX-fabric" route add 172.18.0.77/32 via "$(node_ip 1)"
unreachable()
{
	! hits client http "$(at "$1" $WEB_PORT)" --timeout 300 >/dev/null 2>&1
}
soon 3 unreachable 172.18.0.77
reach client http "$(at "$(node_ip 1)" $WEB_PORT)" "$ALL"

# ---- options

config "${DEVICES[@]}" 'masquerade-all: true'
soon 3 reach shell-1 http "$(at $HERE4 80)" 'kubia-4jfyf from 10.244.1.1'
config "${DEVICES[@]}" 'masquerade-all: maybe'
agent_said 'options stay as they were: .*masquerade-all' >/dev/null || die 'not a word of a bad option'
reach shell-1 http "$(at $HERE4 80)" 'kubia-4jfyf from 10.244.1.1'
config "${DEVICES[@]}"
soon 3 reach shell-1 http "$(at $HERE4 80)" "kubia-4jfyf from $(pod_ip 1 100)"

# Pods' devices are no edges any more, and are again.
config 'devices: [eth0]' 'workload-devices: ["none*"]'
soon 3 device_is pod100 ''
config "${DEVICES[@]}"
soon 3 device_is pod100 'workload *'
reach shell-1 http "$(at $WEB4 80)" "$ALL"

# XDP: a veth has none by itself; asked for, it has; and gives it up.
device_is eth0 'uplink * null' || device_is eth0 'uplink * ' || die "eth0: $(device eth0)"
config "${DEVICES[@]}" 'xdp: native'
soon 3 has_xdp
device_is eth0 'uplink * native' || die "eth0: $(device eth0)"
config "${DEVICES[@]}" 'xdp: "off"'
! has_xdp || die 'eth0 still has XDP'
reach client http "$(at "$(node_ip 1)" $WEB_PORT)" "$ALL"
agent_runs || die 'the agent has ended'

# What can't change under way is told.
config "${DEVICES[@]}" 'max-frontends: 700'
agent_said 'only after a restart: max-frontends' >/dev/null || die "max-frontends went unheard: $(tail -n 4 "$AGENT_LOG")"

# ---- how it is

agent_get /healthz | jq -e .nodeEligible >/dev/null || die '/healthz'
agent_get /livez | jq -e .lastUpdated >/dev/null || die '/livez'
service lb 88 30090 | sed 's/type: NodePort/type: LoadBalancer\n  externalTrafficPolicy: Local\n  healthCheckNodePort: 32000/' \
	>"$FOLDER/lb.yaml"
slices lb 1 11 >"$FOLDER/lb-slices.yaml"
soon 3 health_is 32000 '200 1 1'
slices lb 2 11 >"$FOLDER/lb-slices.yaml"
soon 3 health_is 32000 '503 0 0'
reach shell-1 http "$(at 10.96.0.88 80)" kubia-q5n8d
changes=$(agent_metric kubeproxy_sync_proxy_rules_service_changes_total)
full=$(agent_metric shunt_full_syncs_total)
rm "$FOLDER/lb.yaml"
soon 3 metric_is kubeproxy_sync_proxy_rules_service_changes_total $((changes + 1))
equal "$(agent_metric kubeproxy_sync_proxy_rules_service_changes_pending)" 0 'changes that wait'
equal "$(agent_metric shunt_full_syncs_total)" "$full" 'publishes of all for one change'
if health 32000 >/dev/null; then
	die 'the port of a Service that is gone answers'
fi
(($(agent_metric shunt_attachments_total) > 1)) || die 'no attachment was counted'
(($(agent_metric shunt_sync_failures_total) == 0)) || die 'publishes failed'

# It ends as it was: nothing is left open, nobody else noticed.
agent_end TERM
reach shell-1 http "$(at $WEB4 80)" "$ALL"
