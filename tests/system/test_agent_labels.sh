#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# `shunt get -l` where an agent has the Services from a cluster: labels are known, follow
# the cluster, and stay when the agent ends; an agent's folder takes their place.
# shellcheck source=../../scripts/lib/agent.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/agent.sh"

state=$NET_DIR/state/node-1

# label SERVICE LAST NODEPORT LABELS: the cluster's Service has these, in JSON
label()
{
	api_service "$1" "$2" "$3" | jq -c --argjson labels "$4" '.metadata.labels = $labels' |
		api put - >/dev/null
}

# selected SELECTOR RESOURCE FILTER: what `get` finds, one name each, joined by commas
selected()
{
	node_shunt 1 get "$2" -A -l "$1" -o json --state "$state" | jq -r ".items[]$3" | sort -u | paste -sd,
}

# selects NAMES SELECTOR
selects()
{
	[[ $(selected "$2" services .name) == "$1" ]]
}

agent_bring_up
label web 80 "$WEB_PORT" '{"app": "web", "tier": "front"}'
label here 81 "$HERE_PORT" '{"app": "here", "tier": "back"}'
soon 5 selects here tier=back
equal "$(selected 'tier in (front, back)' services .name)" here,web 'a set'
equal "$(selected '!tier' services .name)" empty,there 'Services without the label'
equal "$(selected app=web endpoints .name)" web 'endpoints of a labelled Service'
equal "$(selected app=web backends .service)" web 'backends of a labelled Service'
equal "$(stat -c %a "$state/labels.json")" 600 "the file's mode"

# A change of labels alone is one.
label here 81 "$HERE_PORT" '{"app": "here", "tier": "front"}'
soon 5 selects here,web tier=front
equal "$(selected tier=back services .name)" '' 'a label that is gone'

# What is in the kernel stays, and so do its labels.
agent_end TERM
equal "$(selected tier=front services .name)" here,web 'after the agent has ended'
must node_shunt 1 reset
[[ ! -e $state ]] || die "left: $(ls -la "$state")"

# The same by a folder, without a cluster: and no word of the former one is left.
mkdir -p "$TMP/manifests" "$state"
printf '{"default/web": {"tier": "old"}}\n' >"$state/labels.json"
cat >"$TMP/manifests/web.yaml" <<'END'
{apiVersion: v1, kind: Service, metadata: {name: web, labels: {tier: folder}},
 spec: {clusterIP: 10.96.0.80, ports: [{port: 80}]}}
END
agent_start --manifests "$TMP/manifests"
soon 5 selects web tier=folder
equal "$(selected tier=old services .name)" '' "another agent's labels"
agent_end TERM
must node_shunt 1 reset
