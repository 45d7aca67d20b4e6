#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# `shunt agent --ui`: off by default; what it answers is what `get`, `status` and
# `trace` print; whom it refuses; that neither traffic nor publishing notices; and
# the page itself in headless Chromium. SHOTS=docs takes docs/ui.md's screenshots.
# shellcheck source=../../scripts/lib/agent.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/agent.sh"

STATE=$NET_DIR/state/node-1
UI=127.0.0.1:8080

# ui PATH [OPTION…]: the body; its status and its headers are in $TMP/head
ui()
{
	local path=$1
	shift

	net_exec node-1 curl -sS -m 30 -D "$TMP/head" "$@" "http://$UI$path" | tee "$TMP/body"
}

status() { awk 'NR == 1 { print $2 }' "$TMP/head"; }

# answers STATUS PATH [OPTION…]
answers()
{
	local want=$1
	shift

	ui "$@" >/dev/null || die "no answer: $*"
	equal "$(status)" "$want" "$* ($(head -c 300 "$TMP/body")): status"
}

# header NAME: of the last answer
header()
{
	tr -d '\r' <"$TMP/head" | sed -n "s/^$1: //Ip"
}

# same PATH ARGS…: the page is told what the command line prints, but for what time alone does
same()
{
	local path=$1 told printed
	shift

	told=$(ui "$path" | jq -S 'del(.. | .last?, .idle?)')
	printed=$(node_shunt 1 "$@" -o json | jq -S 'del(.. | .last?, .idle?)')
	equal "$told" "$printed" "$path is not $*"
}

# More Services than the usual ones: one whose client stays, one in all states.
more_services()
{
	service sticky 86 30086 kubia | sed "s/^spec:/&\n  sessionAffinity: ClientIP/"
	service mixed 87 30087
	cat <<-END
		---
		apiVersion: discovery.k8s.io/v1
		kind: EndpointSlice
		metadata: {name: mixed-4, labels: {kubernetes.io/service-name: mixed}}
		addressType: IPv4
		endpoints:
		  - {addresses: [$(pod_ip 1 11)], nodeName: node-1}
		  - {addresses: [$(pod_ip 2 11)], nodeName: node-2}
		  - {addresses: [$(pod_ip 1 12)], nodeName: node-1,
		     conditions: {ready: false, serving: true, terminating: true}}
		  - {addresses: [$(pod_ip 2 12)], nodeName: node-2,
		     conditions: {ready: false, serving: false, terminating: false}}
		ports:
		  - {name: http, port: 8080}
	END
}

start()
{
	agent_start --manifests "$TMP/manifests" --state "$STATE" "$@"
	soon 15 agent_said 'in force'
}

# ---- off by default

net_up --show-client || die "the network didn't come up"
must services
more_services >>"$TMP/manifests/services.yaml"
start
net_exec node-1 curl -sS -m 2 "http://$UI/" 2>"$TMP/err" && die 'a page by default'
grep -q 'web page' "$AGENT_LOG" && die "said by default: $(grep 'web page' "$AGENT_LOG")"
agent_end TERM

# ---- an address that can't be had

must_end 2 '^shunt: --ui: "nowhere" is not ADDRESS:PORT or PORT, like 8080' \
	"$SHUNT" agent --manifests "$TMP/manifests" --ui nowhere
agent_heard
start --ui 127.0.0.1:10249 # where /metrics are
soon 5 agent_said 'the web page \(--ui\): listen on 127.0.0.1:10249 \(who has it: ss -ltnp .*\): Address already in use'
reach shell-1 http "$(at $WEB4 80)" "$ALL"
agent_end TERM

# ---- what it answers, and to whom

agent_heard
start --ui 8080 # a port alone is loopback's
soon 5 agent_said 'the web page is at http://127.0.0.1:8080/'
equal "$(net_exec node-1 ss -Hltn 'sport = :8080' | awk '{ print $4 }')" "$UI" 'it listens at'
for client in client shell-1; do
	net_exec "$client" curl -sS -m 2 "http://$(node_ip 1):8080/" 2>"$TMP/err" &&
		die "$client reaches the page"
done

answers 200 /
equal "$(header Content-Type)" 'text/html; charset=utf-8' 'type'
equal "$(header X-Content-Type-Options)" nosniff 'X-Content-Type-Options'
[[ $(header Content-Security-Policy) == "default-src 'self'; "*"frame-ancestors 'none'" ]] ||
	die "policy: $(header Content-Security-Policy)"
[[ -z $(header Access-Control-Allow-Origin) ]] || die 'it lets other sites read'
grep -qE '<script>|style=|[[:blank:]]on[a-z]+=|https?://' "$TMP/body" && die 'inline, or from elsewhere'
cmp -s "$TMP/body" "$NET_ROOT/user/agent/page/index.html" || die 'not the page'
for file in style.css page.js picture.js icon.svg; do
	answers 200 "/$file"
	cmp -s "$TMP/body" "$NET_ROOT/user/agent/page/$file" || die "not $file"
	grep -oE "https?://[^\"' ]+" "$TMP/body" | grep -v '^http://www.w3.org/2000/svg$' &&
		die "$file names another place"
done

must hits client http "$(at "$(node_ip 1)" $WEB_PORT)" -n 8
refused shell-1 http "$(at $EMPTY4 80)"
same /api/services get services -A
same '/api/backends?namespace=default&service=web' get backends --service web
same '/api/backends?service=mixed&namespace=default' get backends --service mixed
same /api/drops get drops -A
equal "$(ui /api/status | jq -c '[.kind, .loaded, .node, .agent.running]')" \
	'["Status",true,"node-1",true]' 'status'
[[ $(header Shunt-Taken-Ms) =~ ^[0-9]{13}$ ]] || die "taken: $(header Shunt-Taken-Ms)"

# A list that hasn't changed is not sent twice.
ui /api/services >/dev/null
tag=$(header ETag)
sleep 1.1 # past what is kept for a second
answers 304 /api/services -H "If-None-Match: $tag"
[[ ! -s $TMP/body ]] || die 'a body that was not asked for'

# What a trace says, it says here; and the exit status of a refusal is no error.
trace="from=pod&src=$(pod_ip 1 100)"
same "/api/trace?$trace&dst=$HERE4:80" trace --from pod --src "$(pod_ip 1 100)" --dst $HERE4:80
same "/api/trace?$trace&dst=$EMPTY4:80&proto=tcp" trace --from pod --src "$(pod_ip 1 100)" --dst $EMPTY4:80
same "/api/trace?from=node&src=&dst=%5B$HERE6%5D:7&proto=udp" \
	trace --from node --dst "[$HERE6]:7" --proto udp
equal "$(ui "/api/trace?$trace&dst=$EMPTY4:80" | jq -r .verdict)" reject 'verdict'

# Refusals
answers 404 /api/secrets
answers 404 /../etc/passwd --path-as-is
answers 404 '/api/backends?namespace=default&service=nobody'
equal "$(jq -r .message "$TMP/body")" 'service "nobody" not found in namespace "default"' 'message'
answers 400 /api/backends
equal "$(jq -r .message "$TMP/body")" 'namespace is missing: give a namespace, like default' 'message'
answers 400 '/api/backends?namespace=default&service=web%20--state=/etc'
answers 400 '/api/backends?namespace=default&service=web&output=yaml'
answers 400 '/api/services?x=%00'
answers 400 "/api/trace?$trace&dst=nonsense"
answers 400 "/api/trace?$trace&dst=10.96.0.80"
[[ $(jq -r .message "$TMP/body") == *'is not IP:PORT'* ]] || die "trace: $(cat "$TMP/body")"
for method in POST PUT DELETE OPTIONS; do
	answers 405 /api/services -X "$method"
	equal "$(header Allow)" 'GET, HEAD' 'Allow'
done
answers 200 /api/services -I -H 'Accept: */*'
answers 403 /api/services -H 'Host: evil.example:8080'
answers 403 / -H 'Host: 172.18.0.11:8080'
answers 403 / -H 'Host:'
answers 200 / -H 'Host: LOCALHOST:9000' # an SSH tunnel
answers 200 / -H 'Host: [::1]'
answers 403 /api/drops -H 'Sec-Fetch-Site: cross-site'
answers 200 /api/drops -H 'Sec-Fetch-Site: same-origin'

# ---- nothing live is changed by it, and nobody waits for it

# flows: all that there are but those to the Service that comes below
flows()
{
	node_shunt 1 get flows -o json | jq -r '.items[] | "\(.source) \(.destination) " +
		"\(.backend) \(.packets)" | select(contains("10.96.0.84") | not)' | sort
}

flows >"$TMP/flows"
pids=()
for i in {1..24}; do
	net_exec node-1 curl -sS -m 30 -o /dev/null -w '%{http_code}\n' \
		"http://$UI/api/trace?$trace&dst=$WEB4:$((i % 12 + 80))" >>"$TMP/codes" &
	pids+=($!)
done
wait_until 5 agent_get /livez || die 'the agent is busy with traces'
{ service new 84 30084; slices new 1 11; } >"$TMP/manifests/new.yaml"
soon 3 reach shell-1 http "$(at 10.96.0.84 80)" kubia-4jfyf
wait "${pids[@]}"
equal "$(grep -cE '^(200|503)$' "$TMP/codes")" 24 "codes: $(sort "$TMP/codes" | uniq -c)"
grep -q 200 "$TMP/codes" || die 'no trace was answered'
rm "$TMP/manifests/new.yaml"
soon 5 services_are 6
flows | comm -13 "$TMP/flows" - >"$TMP/new-flows"
[[ ! -s $TMP/new-flows ]] || die "traces made flows: $(cat "$TMP/new-flows")"

# ---- ended in the middle of a question

net_exec node-1 curl -sS -m 30 -o /dev/null "http://$UI/api/trace?$trace&dst=$WEB4:80" 2>/dev/null &
sleep 0.05
agent_end TERM
wait $!
wait_until 5 eval "! pgrep -f 'trace --from=pod.*$NET_DIR' >/dev/null" || die 'a trace is left'

# ---- another address: it says so, and any name will do

agent_heard
UI=$(node_ip 1):8080
start --ui "$UI"
soon 5 agent_said "the web page is at http://$UI/, for whoever reaches that address"
answers 200 / -H 'Host: node-1.example:8080'
agent_end TERM

# ---- in a browser

if ! command -v chromium >/dev/null; then
	skip 'the page in a browser: Chromium is missing: apt-get install chromium'
fi
agent_heard
UI=127.0.0.1:8080
start --ui 8080
load web shell-1 http "$(at $WEB4 80)" --interval 5
load mixed client http "$(at "$(node_ip 1)" 30087)" --interval 20
load sticky shell-1 http "$(at 10.96.0.86 80)" --interval 10
while :; do
	hits shell-1 http "$(at $EMPTY4 80)" -n 1 2>/dev/null
	sleep 0.2
done >/dev/null &
nobody=$!

# expected_trace FROM SRC DST PROTO: a case of ui_walk.py, with the command line's answer
expected_trace()
{
	local src=()

	[[ ! $2 ]] || src=(--src "$2")
	node_shunt 1 trace --from "$1" "${src[@]}" --dst "$3" --proto "$4" -o json |
		jq --arg from "$1" --arg src "$2" --arg dst "$3" --arg proto "$4" \
			'{from: $from, src: $src, dst: $dst, proto: $proto, verdict,
			  steps: [.steps[].step]}'
}

sticks()
{
	node_shunt 1 get backends --service sticky -o json |
		jq -er '[.items[] | select(.connections > 0) | "\(.address):\(.targetPort)"] | .[0] // empty'
}
soon 5 sticks
jq -n --arg sticky "$(sticks)" --slurpfile traces <(
	expected_trace pod "$(pod_ip 1 100)" $HERE4:80 tcp
	expected_trace node '' "$(at $HERE6 7)" udp
	expected_trace external $CLIENT4 "$(node_ip 1):$THERE_PORT" tcp
	expected_trace pod "$(pod_ip 1 100)" $EMPTY4:80 tcp
) '{services: ["web", "here", "there", "empty", "sticky", "mixed"], stickyTo: $sticky,
    traces: $traces}' >"$TMP/expected"
shots=()
[[ ! ${SHOTS:-} ]] || shots=(--shots "$SHOTS")
said=$(net_exec node-1 "$NET_ROOT/tests/tools/ui_walk.py" "http://$UI/" "$TMP/expected" "${shots[@]}" 2>&1) ||
	die "the page: $said"
kill $nobody
loads_end
agent_runs || die "the agent has ended: $(tail "$AGENT_LOG")"
