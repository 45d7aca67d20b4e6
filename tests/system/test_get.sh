#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# `shunt get`: every resource in every format, what narrows and orders the lists, the live ones,
# and whom affinity keeps where. No agent runs: all of it is read from the pins.
# shellcheck source=../../scripts/lib/check.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/check.sh"

get() { node_shunt 1 get "$@" --state "$NET_DIR/state/node-1"; }

# items RESOURCE… FILTER: jq over the items of the JSON
items() { get "${@:1:$#-1}" -o json | jq -r ".items[] | ${*: -1}"; }

# headers RESOURCE HEADER…: of the wide table, in this order
headers()
{
	local resource=$1
	shift

	equal "$(get "$resource" -A -o wide | head -n 1 | tr -s ' ')" "$*" "$resource: headers"
}

labelled() { sed "s/^metadata: {name: $1}/metadata: {name: $1, labels: {$2}}/"; }

sticky()
{
	service sticky 86 30086 kubia |
		sed 's/^spec:/&\n  sessionAffinity: ClientIP\n  internalTrafficPolicy: Local/'
}

net_up || die "the network didn't come up"
services
sticky >>"$TMP/manifests/services.yaml"
labelled web 'app: web, tier: front' <"$TMP/manifests/services.yaml" |
	labelled there 'app: there, tier: back' >"$TMP/labelled"
mv "$TMP/labelled" "$TMP/manifests/services.yaml"
apply 1
apply 2

# Something of everything.
must hits shell-1 http "$(at $WEB4 80)" -n 6
must hits shell-1 http "$(at $WEB6 80)" -n 2
must hits client http "$(at "$(node_ip 1)" $THERE_PORT)" -n 3
must hits client http "$(at "$(node_ip 1)" 30086)" -n 3
must hits node:1 http "$(at 10.96.0.86 80)" -n 2
refused shell-1 http "$(at $EMPTY4 80)"

# ---- every resource, every format

for resource in services endpoints backends flows affinity maglev nodes drops; do
	rows=$(items "$resource" -A '1' | wc -l)
	((rows > 0)) || die "get $resource: an empty list"
	for format in table wide; do
		equal "$(get "$resource" -A -o $format | wc -l)" $((rows + 1)) "$resource as $format"
	done
	equal "$(get "$resource" -A -o name | grep -c '^[a-z]*/.')" "$rows" "$resource as names"
	equal "$(get "$resource" -A -o yaml | grep -c '^- ')" "$rows" "$resource as YAML"
	equal "$(get "$resource" -A -o json | jq -r .kind)" \
		"$(get "$resource" -A -o yaml | sed -n 's/^kind: //p')" "$resource: kind"
	# Sorted it is the same list, in another order.
	get "$resource" -A -o name | sort >"$TMP/rows"
	for column in $(get "$resource" -A | awk 'NR == 1 { print $1, $NF }'); do
		get "$resource" -A -o name --sort-by "$column" | sort | cmp -s - "$TMP/rows" ||
			die "get $resource --sort-by $column: other rows than without"
	done
done
headers services NAMESPACE NAME TYPE CLUSTER-IP EXTERNAL-IP 'PORT(S)' ENDPOINTS ALGORITHM AFFINITY POLICY
headers endpoints NAMESPACE NAME ENDPOINTS NOT-SERVING
headers maglev NAMESPACE SERVICE PORT FAMILY ALGORITHM TABLE SIZE BACKEND HERE WEIGHT SLOTS SHARE SLOT-LIST

# Endpoints tell their conditions: kubia-zz0wn isn't ready.
equal "$(items endpoints web '.notServing[] | [.state, .pod, .node] | join(" ")' | sort -u)" \
	'not-ready kubia-zz0wn node-2' 'an endpoint that is not ready'
[[ $(get ep web -o wide) == *'(not-ready)'* ]] || die 'endpoints: no condition in the wide table'

# ---- what narrows

equal "$(items services -l app=web .name)" web '-l app=web'
equal "$(items services -l 'tier in (front, back),app!=web' .name)" there '-l, a set and not'
equal "$(items services -l '!tier' .name | paste -sd,)" empty,here,sticky '-l !tier'
equal "$(items backends -A -l tier=back .service | sort -u)" there 'backends of a labelled Service'
equal "$(items flows -l app=there .service | sort -u)" there 'flows of a labelled Service'
equal "$(items services -l app=nobody .name)" '' '-l that nobody has'
must_end 2 'selector: "a=b c": it is not understood' get services -l 'a=b c'
must_end 2 'get nodes takes no --selector' get nodes -l a=b
must_end 1 'labels of service default/[a-z]+ are not known' node_shunt 1 get services -l app=web --state "$TMP/none"

pod=$(items flows --dst $WEB4 .source | head -n 1)
equal "$(items flows --dst $WEB4 .service | sort | uniq -c | awk '{ print $1, $2 }')" '6 web' '--dst ADDRESS'
equal "$(items flows --dst "$(at $WEB6 80)" .service | wc -l)" 2 '--dst [ADDRESS]:PORT'
equal "$(items flows --dst "$(at $WEB4 81)" .service)" '' '--dst, a port that nobody asked'
equal "$(items flows --src "$pod" .source)" "$pod" '--src ADDRESS:PORT'
equal "$(items flows --src 203.0.113.0/24 .service | sort -u | paste -sd,)" sticky,there '--src NETWORK'
# With the replies: the same two ends, the other way round.
equal "$(items flows --replies --src "$pod" .reply | sort | paste -sd,)" false,true '--src with --replies'
backend=$(items flows --src "$pod" .backend)
items flows --dst "$backend" .source | grep -qxF "$pod" || die "--dst $backend, a backend: not $pod"
equal "$(items flows -A --service there .service | sort -u)" there '--service'
must_end 2 'is not IP, NETWORK/BITS' get flows --src 10.0.0.1/8
must_end 2 'get services takes no --src' get services --src 10.0.0.1

# ---- order

equal "$(items services --sort-by -name .name | paste -sd,)" web,there,sticky,here,empty '--sort-by -name'
equal "$(items services --sort-by name .name | paste -sd,)" empty,here,sticky,there,web '--sort-by name'
counts=$(items backends --sort-by connections .connections)
equal "$counts" "$(sort -rn <<<"$counts")" 'numbers descend'
((${counts%%$'\n'*} > 0)) || die 'no backend has a connection'
counts=$(items backends --sort-by +connections .connections)
equal "$counts" "$(sort -n <<<"$counts")" '+ lets numbers ascend'
# Digits count as numbers: .9 before .11.
first=$(items backends web --sort-by address .address | head -n 1)
equal "$first" 10.244.1.11 '--sort-by address'
must_end 2 'no column "packet" \(did you mean "packets"\?\)' get flows --sort-by packet

# ---- affinity

equal "$(items affinity --src 203.0.113.10 '[.service, .port, .protocol] | join(" ")')" 'sticky 80 TCP' 'a client'
who=$(items affinity --src 203.0.113.10 .pod)
reach client http "$(at "$(node_ip 1)" 30086)" "$who" -n 8
equal "$(items affinity '[.client, .kind] | join(" ")' | sort -u | paste -sd,)" \
	'203.0.113.10 address,node sockets' 'clients of sticky'
equal "$(items affinity --dst "$(items affinity --src 203.0.113.10 .backend)" --src 203.0.113.0/24 .client)" \
	203.0.113.10 'affinity by both ends'
items affinity '.age + .remaining' | while read -r sum; do
	equal "$sum" 10800 'age and what remains are the timeout'
done || exit 1
equal "$(items affinity -n kube-system .client)" '' 'affinity of another namespace'

# ---- tables

# The slots of each table are shared out: each in exactly one list.
get maglev -o json | jq -e '[.items[] | select(.size > 0)]
	| group_by([.service, .port, .protocol, .family, .table])
	| length > 10 and all(.[]; ([.[].slotList | split(",")[] | split("-") | map(tonumber)
		| range(.[0]; .[-1] + 1)] | sort) == [range(.[0].size)])' >/dev/null ||
	die 'the slots of a table are not shared out'
equal "$(items maglev sticky .table | sort -u | paste -sd,)" cluster,local 'a Local policy has a table of its own'
equal "$(items maglev sticky 'select(.table == "local") | .here' | sort -u)" true 'which holds what is here'
equal "$(items maglev empty '[.size, .backend] | map(tostring) | join(" ")' | sort -u)" '0 null' 'nobody there'
for share in $(items maglev web 'select(.port == 80) | .share'); do
	[[ $share == 2[3-7].?% ]] || die "a share of web of $share"
done

# ---- live

watch_pid=
watch()
{
	get "$@" -w >"$TMP/watch" 2>"$TMP/watch.err" &
	watch_pid=$!
	wait_until 5 test -s "$TMP/watch" || die "get $* -w shows nothing"
}

# SIGINT to what `get` has become of: nsenter turns into shunt.
unwatch()
{
	pkill -INT -P "$watch_pid" || kill -INT "$watch_pid"
	wait "$watch_pid"
	equal $? 0 "get -w on SIGINT ends with ($(<"$TMP/watch.err"))"
}

watch services
equal "$(wc -l <"$TMP/watch")" 6 'a first list'
service late 87 30087 kubia >"$TMP/late.yaml"
must node_apply 1 -f "$TMP/late.yaml"
wait_until 5 grep -q '^late ' "$TMP/watch" || die 'a new Service is not shown'
sed -i 's/kubia/nobody/' "$TMP/late.yaml"
must node_apply 1 -f "$TMP/late.yaml"
wait_until 5 grep -q '^late .* 0$' "$TMP/watch" || die 'a changed one is not shown'
must node_shunt 1 delete -f "$TMP/late.yaml"
wait_until 5 grep -q '^late .*(deleted)$' "$TMP/watch" || die 'a deleted one is not shown'
unwatch
equal "$(wc -l <"$TMP/watch")" 9 'and nothing but the changes'

# In JSON a change is an object on a line; with names they are those of kubectl.
sed -i 's/nobody/kubia/' "$TMP/late.yaml"
watch services -o json
must node_apply 1 -f "$TMP/late.yaml"
wait_until 5 grep -q '"name": "late"' "$TMP/watch" || die 'a new Service is not shown in JSON'
must node_shunt 1 delete -f "$TMP/late.yaml"
wait_until 5 grep -q '"name": "late".*"deleted": true}$' "$TMP/watch" || die 'nor a deleted one'
unwatch
equal "$(jq -r .name "$TMP/watch" | paste -sd,)" empty,here,sticky,there,web,late,late 'rows as JSON'

# Ages go on, and are no change.
watch affinity
sleep 2.2
unwatch
equal "$(wc -l <"$TMP/watch")" $(($(items affinity 1 | wc -l) + 1)) 'ages are no news'

# On a terminal it is drawn anew, with as many rows as there is room for.
command -v script >/dev/null || skip 'script is missing: apt-get install bsdutils'
screen()
{
	script -qec "stty rows $1 cols 200; timeout --preserve-status -s INT 2.5 nsenter --net=$(net_ns node-1) $SHUNT \
		get backends -A -w --sort-by connections --bpffs $NET_DIR/bpf/node-1" /dev/null </dev/null
}
screen 100 >"$TMP/screen" || die "get -w on a terminal ended with $?"
equal "$(grep -c 'every second; Ctrl-C ends' "$TMP/screen")" 3 'pictures in 2.5 s'
equal "$(grep -c '10.244.1.11:8080' "$TMP/screen")" $((3 * $(items backends -A \
	'select(.address == "10.244.1.11" and .targetPort == 8080) | 1' | wc -l))) 'rows on a large terminal'
screen 10 >"$TMP/screen" || die "get -w on a small terminal ended with $?"
equal "$(grep -o '(more: make the terminal larger' "$TMP/screen" | wc -l)" 3 'a small terminal says so'
