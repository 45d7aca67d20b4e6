#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# `shunt agent --manifests`: a folder's files come, change and go, one of them is
# wrong for a while, and the agent is its own control plane: what it gives to a
# Service stays that Service's.
# shellcheck source=../../scripts/lib/agent.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/agent.sh"

STATE=$NET_DIR/state/node-1
FOLDER=$TMP/manifests

times_in_force() { if [[ -e $AGENT_LOG ]]; then grep -c 'in force' "$AGENT_LOG"; else echo 0; fi; }
more_in_force() { (($(times_in_force) > $1)); }

start()
{
	local before

	# The log goes on, and what one before has loaded answers: wait for this one's word.
	before=$(times_in_force)
	agent_start --manifests "$FOLDER" --state "$STATE" "$@"
	soon 15 more_in_force "$before"
	agent_heard
}

# plain NAME [SELECTOR]: a Service that leaves all to the control plane
plain()
{
	printf 'apiVersion: v1\nkind: Service\nmetadata: {name: %s}\nspec: {type: NodePort, ' "$1"
	printf 'selector: {app: %s}, ports: [{port: 80, targetPort: 8080}]}\n' "${2:-kubia}"
}

# given NAME: "CLUSTERIP NODEPORT" that it has got
given()
{
	node_shunt 1 get services -A -o json | jq -er --arg name "$1" '
		.items[] | select(.name == $name) | "\(.clusterIPs[0]) \(.ports[0].nodePort)"'
}

net_up --show-client || die "the network didn't come up"
must services
start
reach shell-1 http "$(at $WEB4 80)" "$ALL"
reach node:1 http "$(at $WEB6 80)" "$ALL"
reach client http "$(at "$(node_ip 1)" $WEB_PORT)" "$ALL"
refused shell-1 http "$(at $EMPTY4 80)"

# A file comes, is written anew in place, is renamed into place, and goes.
{ service new 84 30084; slices new 1 11; } >"$FOLDER/new.yaml"
soon 3 reach shell-1 http "$(at 10.96.0.84 80)" kubia-4jfyf
{ service new 84 30084; slices new 1 12; } >"$FOLDER/new.yaml"
soon 3 reach shell-1 http "$(at 10.96.0.84 80)" kubia-mc7sx
{ service new 84 30085; slices new 2 11; } >"$FOLDER/.new.yaml.swp"
mv "$FOLDER/.new.yaml.swp" "$FOLDER/new.yaml"
soon 3 reach client http "$(at "$(node_ip 1)" 30085)" kubia-q5n8d
refused client http "$(at "$(node_ip 1)" 30084)"

# A bad one keeps what it said before, and is told; others go on meanwhile.
agent_heard
{ service new 84 30086; slices new 1 11 | sed 's/port: 8080/prot: 8080/'; } >"$FOLDER/new.yaml"
soon 3 agent_said 'new.yaml.*prot'
reach client http "$(at "$(node_ip 1)" 30085)" kubia-q5n8d
service other 85 30087 kubia >"$FOLDER/other.yaml"
soon 3 reach shell-1 http "$(at 10.96.0.85 80)" "$ALL"

# Also over a restart: only the kernel knows what it said.
agent_end KILL
start
grep -q 'earlier run' "$AGENT_LOG" || die "not a word of what stays: $(cat "$AGENT_LOG")"
reach client http "$(at "$(node_ip 1)" 30085)" kubia-q5n8d
reach shell-1 http "$(at 10.96.0.85 80)" "$ALL"
{ service new 84 30086; slices new 1 11; } >"$FOLDER/new.yaml"
soon 3 reach client http "$(at "$(node_ip 1)" 30086)" kubia-4jfyf
refused client http "$(at "$(node_ip 1)" 30085)"
rm "$FOLDER/new.yaml"
soon 3 refused client http "$(at "$(node_ip 1)" 30086)"

# One that stays bad, and then goes for good.
{ service gone 86 30088; slices gone 2 12; } >"$FOLDER/gone.yaml"
soon 3 reach client http "$(at "$(node_ip 1)" 30088)" kubia-x2k9p
agent_end TERM
printf 'kind: [' >"$FOLDER/gone.yaml"
start
reach client http "$(at "$(node_ip 1)" 30088)" kubia-x2k9p
rm "$FOLDER/gone.yaml"
soon 15 refused client http "$(at "$(node_ip 1)" 30088)"

# What a Service has stays its own, where nothing else is asked for, over a restart, too.
plain one | sed 's/spec: {/&clusterIP: 10.96.0.190, /' >"$FOLDER/m-one.yaml"
soon 3 given one
plain one >"$FOLDER/m-one.yaml"
plain two >"$FOLDER/m-two.yaml"
soon 3 given two
before="$(given one) $(given two)"
[[ $before == '10.96.0.190 '* ]] || die "one has not kept its address: $before"
agent_end KILL
plain aaa >"$FOLDER/a.yaml"
start
soon 3 given aaa
equal "$(given one) $(given two)" "$before" 'what one and two were given'

# Of two that want one nodePort the first has it; the other one's turn comes.
agent_heard
service late 87 30087 kubia >"$FOLDER/z-late.yaml"
soon 3 agent_said 'default/late left out: .*30087'
reach client http "$(at "$(node_ip 1)" 30087)" "$ALL"
refused shell-1 http "$(at 10.96.0.85 81)"
rm "$FOLDER/other.yaml"
soon 3 reach shell-1 http "$(at 10.96.0.87 80)" "$ALL"
reach client http "$(at "$(node_ip 1)" 30087)" "$ALL"

# Beside it anybody may look, nobody else may write.
services_are 8
must_end 3 "$AGENT_PID" node_shunt 1 apply --node-name node-1 --cgroup "$(node_cgroup 1)" -f "$FOLDER"
must_end 3 "$AGENT_PID" node_shunt 1 delete -f "$FOLDER"
agent_command --manifests "$FOLDER" --state "$STATE" --healthz-bind-address '' \
	--metrics-bind-address ''
must_end 3 "$AGENT_PID" "${AGENT[@]}"
plain three nobody >"$FOLDER/three.yaml"
soon 3 given three

# It ends, and Services go on; with --cleanup-on-exit nothing is left.
agent_end TERM
reach shell-1 http "$(at $WEB4 80)" "$ALL"
start --cleanup-on-exit
reach shell-1 http "$(at $WEB4 80)" "$ALL"
agent_end INT
[[ ! -e $NET_DIR/bpf/node-1 ]] || die 'pins are left'
if net_exec node-1 tc filter show dev eth0 ingress | grep -q shunt; then
	die 'programs are left'
fi
if hits shell-1 http "$(at $WEB4 80)" --timeout 500 >/dev/null 2>&1; then
	die 'somebody answers still'
fi
