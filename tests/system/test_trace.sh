#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# `shunt trace`: the decisions in order, over a live instance, which it leaves
# exactly as it was, and over manifests, where no shunt runs.
# shellcheck source=../../scripts/lib/check.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/check.sh"

# ends STATUS ARGS…: a trace on node-1; what it says is in $TMP/out
ends()
{
	local status=$1 ended=0
	shift

	node_shunt 1 trace "$@" >"$TMP/out" 2>"$TMP/err" || ended=$?
	((ended == status)) || die "trace $* ended with $ended, not $status: $(cat "$TMP/out" "$TMP/err")"
}

# steps: the words of a trace, in their order
steps() { awk '{ print $2 }' "$TMP/out" | paste -sd' '; }

says()
{
	grep -qE -- "$1" "$TMP/out" || die "no '$1' in: $(cat "$TMP/out")"
}

# All that packets change, but for what time alone does.
state()
{
	local kind

	for kind in flows drops backends; do
		node_shunt 1 get "$kind" -A -o json | jq -S 'del(.. | .idle?, .last?)'
	done
	node_shunt 1 get flows --replies -o json | jq -S 'del(.. | .idle?)'
	bpftool -j map dump pinned "$NET_DIR/bpf/node-1/shunt_affinity" | jq -S '[.[].key]'
	bpftool -j map dump pinned "$NET_DIR/bpf/node-1/shunt_sockets" | jq -S 'length'
}

sticky()
{
	service sticky 86 30086 kubia | sed "s/^spec:/&\n  sessionAffinity: ClientIP/"
	service guarded 88 30088 kubia | sed "s/^spec:/&\n  externalTrafficPolicy: Local/"
}

net_up --show-client || die "the network didn't come up"
must services
sticky >>"$TMP/manifests/services.yaml"
apply 1
apply 2
reach shell-1 http "$(at $WEB4 80)" "$ALL"
must hits client http "$(at "$(node_ip 1)" $WEB_PORT)" -n 8
refused shell-1 http "$(at $EMPTY4 80)"
pod=$(pod_ip 1 100)
state >"$TMP/before"

# A Pod's packet, to wherever: the order is that of the data path.
ends 0 --from pod --src "$pod:1234" --dst "$(at $HERE4 80)"
equal "$(steps)" 'hook packet prefilter flow frontend policy slot backend masquerade bind rewrite verdict' 'steps'
says 'hook +shunt_ingress on '
says "packet +$pod:1234 to $HERE4:80, TCP"
says "frontend +$HERE4:80/TCP is ClusterIP of default/here"
says 'policy +Cluster: 1 candidate$'
says "backend +$(pod_ip 1 11):8080.*on this node"
says "rewrite +now $pod:1234 to $(pod_ip 1 11):8080"
says "verdict +forward to $(pod_ip 1 11):8080"
ends 0 --from pod --src "$(pod_ip6 1 100)" --dst "$(at $WEB6 7)" --proto udp
says 'policy +Cluster: 4 candidates'
ends 0 --from pod --src "$(pod_ip 1 11)" --dst "$(at $HERE4 80)"
says "masquerade +yes, the backend is the client itself"
ends 0 --from pod --src "$pod" --dst 10.96.0.86:80
says 'affinity +ClientIP, for 10800 s: the client is new'

# A flow that is there is found there.
port=$(node_shunt 1 get flows -o json | jq -r --arg pod "$pod" \
	'[.items[] | .. | strings | select(startswith($pod + ":"))][0] | split(":")[1]')
ends 0 --from pod --src "$pod:$port" --dst "$(at $WEB4 80)"
says 'flow +known, '

# From outside, to here and to another node; and what is refused.
ends 0 --from external --src $CLIENT4 --dst "$(at "$(node_ip 1)" $HERE_PORT)"
says 'masquerade +no:'
ends 0 --from external --src $CLIENT4 --dst "$(at "$(node_ip 1)" $THERE_PORT)"
says 'masquerade +yes, neither client nor backend is on this node'
says 'next-hop +out by '
ends 0 --from external --src $CLIENT4 --dst "$(at "$(node_ip 1)" 30088)"
says 'policy +Local: 2 candidates on this node'
ends 1 --from pod --src "$pod" --dst "$(at $EMPTY4 80)"
says 'drop +no-backend: '
says 'verdict +reject: '
ends 1 --from pod --src "$pod" --dst "$(at $WEB4 81)"
says 'verdict +reject: the ClusterIP is known, the port is not'
ends 1 --from pod --src "$pod" --dst 10.96.9.9:80
says 'verdict +drop: '
ends 0 --from external --src $CLIENT4 --dst "$(at "$(node_ip 1)" 22)"
says 'prefilter +no Service'
says 'verdict +pass'

# A socket of the node: nothing is sent, nobody is connected to.
ends 0 --from node --dst "$(at $THERE4 80)"
equal "$(steps)" 'hook socket prefilter frontend policy slot backend rewrite verdict' 'steps of a socket'
says "verdict +forward to $(pod_ip 2 11):8080"
ends 0 --from node --dst "$(at $WEB6 7)" --proto udp
says 'hook +shunt_connect6'
ends 1 --from node --dst "$(at $EMPTY4 80)"
says 'verdict +reject: '
ends 0 --from node --dst "$(at 127.0.0.1 $HERE_PORT)"
says 'NodePort of default/here'

# Scripts
ends 1 --from pod --src "$pod" --dst "$(at $EMPTY4 80)" -o json
equal "$(jq -r '.verdict, .reason, .service, .backend' "$TMP/out" | paste -sd' ')" \
	'reject no-backend default/empty null' 'JSON of a reject'
ends 0 --from pod --src "$pod" --dst "$(at $WEB4 80)" -o json
equal "$(jq -r '.steps[] | select(.step == "policy") | .candidates | length' "$TMP/out")" 4 'candidates'
equal "$(jq -r '.steps | map(has("text")) | all' "$TMP/out")" true 'each step has its text'

# All of that has changed nothing.
state >"$TMP/after"
cmp -s "$TMP/before" "$TMP/after" || die "trace changed: $(diff "$TMP/before" "$TMP/after" | head -n 40)"

# What can't be asked.
must_end 2 'trace what' node_shunt 1 trace --dst 10.96.0.80:80
must_end 2 'needs the client' node_shunt 1 trace --from pod --dst 10.96.0.80:80
must_end 2 'not IP:PORT' node_shunt 1 trace --from node --dst 10.96.0.80
must_end 2 'different IP families' node_shunt 1 trace --from pod --src fd00::1 --dst 10.96.0.80:80
must_end 3 'is loaded at' "$SHUNT" trace --from node --dst 10.96.0.80:80 --bpffs "$NET_DIR/bpf/none"
must_end 1 'another network namespace' "$SHUNT" trace --from node --dst 10.96.0.80:80 \
	--bpffs "$NET_DIR/bpf/node-1"

# Over manifests, with no instance.
cat >"$TMP/shop.yaml" <<'YAML'
apiVersion: v1
kind: Node
metadata: {name: node-1}
status: {addresses: [{type: InternalIP, address: 192.0.2.1}]}
---
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {type: NodePort, externalTrafficPolicy: Local, clusterIP: 10.96.0.20, ports: [{port: 80, nodePort: 30020}]}
---
apiVersion: v1
kind: Endpoints
metadata: {name: shop}
subsets:
  - addresses: [{ip: 10.244.2.11, nodeName: node-2}]
    ports: [{port: 8080}]
YAML
must "$SHUNT" trace -f "$TMP/shop.yaml" --from pod --src 10.244.1.12 --dst 10.96.0.20:80
must "$SHUNT" trace -f "$TMP/shop.yaml" --from node --dst 192.0.2.1:30020
"$SHUNT" trace -f "$TMP/shop.yaml" --from external --src 203.0.113.9 --dst 192.0.2.1:30020 >"$TMP/out"
equal $? 1 'exit status of a drop'
says 'policy +Local: 0 candidates on this node'
says 'drop +no-local-backend: '
says 'verdict +drop: '
