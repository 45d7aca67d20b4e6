#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# `shunt agent` and an API server: what the cluster has answers, what changes there
# changes here, and nobody is let in without credentials.
# shellcheck source=../../scripts/lib/agent.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/agent.sh"

agent_bring_up
reach shell-1 http "$(at $WEB6 80)" "$ALL"
reach shell-1 udp "$(at $WEB4 7)" "$ALL"
reach node:1 http "$(at $WEB4 80)" "$ALL"
reach node:1 http "$(at $WEB6 80)" "$ALL"
reach client http "$(at "$(node_ip 1)" $WEB_PORT)" "$ALL"
reach client http "$(at "$(node_ip6 1)" $WEB_PORT)" "$ALL"
reach shell-1 http "$(at $HERE4 80)" kubia-4jfyf
reach shell-1 http "$(at $THERE6 80)" kubia-q5n8d
refused shell-1 http "$(at $EMPTY4 80)"
refused node:1 http "$(at $EMPTY6 80)"

# Lists come in pages, and the API leaves out what is not for this node.
requests=$(api requests)
[[ $requests == *"/api/v1/services?"*limit=* ]] || die "no list of Services in pages: $requests"
[[ $requests == *"/services?"*labelSelector=*service-proxy-name* ]] ||
	die "other proxies' Services are asked for: $requests"
[[ $requests == *"/nodes?"*metadata.name*node-1* ]] || die "all Nodes are asked for: $requests"
equal "$(api_stat .lists)" "$(api_stat '.watching | length')" 'lists, one for each kind watched'

# Endpoints come and go, a Service comes and goes.
put_slices web 1/11 2/12
soon 3 reach shell-1 http "$(at $WEB4 80)" kubia-4jfyf,kubia-x2k9p
put_slices empty 1/12
soon 3 reach shell-1 http "$(at $EMPTY4 80)" kubia-mc7sx
api_service new 84 30084 | api put - >/dev/null
api_slices new 2/11 | api put - >/dev/null
soon 3 reach shell-1 http "$(at 10.96.0.84 80)" kubia-q5n8d
reach client http "$(at "$(node_ip 1)" 30084)" kubia-q5n8d
api delete services new >/dev/null
soon 3 refused client http "$(at "$(node_ip 1)" 30084)"

# A Service whose slices are gone has no endpoint any more.
api delete endpointslices empty-ipv4 >/dev/null
soon 3 refused shell-1 http "$(at $EMPTY4 80)"

# Without a selector nobody makes slices: Endpoints stand in until somebody does.
api_service manual 85 30085 | jq -c 'del(.spec.selector)' | api put - >/dev/null
api put - >/dev/null <<-END
	{"kind": "Endpoints", "apiVersion": "v1", "metadata": {"name": "manual"},
	 "subsets": [{"addresses": [{"ip": "10.244.1.11", "nodeName": "node-1"}],
		      "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}]}]}
END
soon 3 reach shell-1 http "$(at 10.96.0.85 80)" kubia-4jfyf
put_slices manual 1/12
soon 3 reach shell-1 http "$(at 10.96.0.85 80)" kubia-mc7sx
api delete endpointslices manual-ipv6 >/dev/null
api delete endpointslices manual-ipv4 >/dev/null
soon 3 reach shell-1 http "$(at 10.96.0.85 80)" kubia-4jfyf

# An object that can't be used is told and left out; the rest goes on.
agent_heard
api_service here 81 "$HERE_PORT" | jq -c '.spec.ports[0].port = 70000' | api put - >/dev/null
put_slices web "${ALL_PODS[@]}"
soon 3 reach shell-1 http "$(at $WEB4 80)" "$ALL"
soon 3 agent_said 'default/here.*70000'
reach shell-1 http "$(at $HERE4 80)" kubia-4jfyf
api_service here 81 "$HERE_PORT" | api put - >/dev/null

# Somebody else's Service is nobody's here.
api_service web 80 "$WEB_PORT" |
	jq -c '.metadata.labels["service.kubernetes.io/service-proxy-name"] = "other"' |
	api put - >/dev/null
soon 3 refused client http "$(at "$(node_ip 1)" $WEB_PORT)"
api_service web 80 "$WEB_PORT" | api put - >/dev/null
soon 3 reach client http "$(at "$(node_ip 1)" $WEB_PORT)" "$ALL"

# SIGTERM leaves the data path at work.
agent_end TERM
reach shell-1 http "$(at $WEB4 80)" "$ALL"
