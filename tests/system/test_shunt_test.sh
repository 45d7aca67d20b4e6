#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# `shunt test`: what passes, what fails and with which words, how long a
# thousand flows take, and that nothing of it is left.
# shellcheck source=../../scripts/lib/check.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/check.sh"

limit_ms=20000 # for a thousand flows

cat >"$TMP/shop.yaml" <<'YAML'
apiVersion: v1
kind: Node
metadata: {name: node-1}
status: {addresses: [{type: InternalIP, address: 192.0.2.1}, {type: InternalIP, address: "2001:db8::1"}]}
---
apiVersion: v1
kind: Node
metadata: {name: node-2}
status: {addresses: [{type: InternalIP, address: 192.0.2.2}]}
---
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {type: NodePort, clusterIP: 10.96.0.20, ports: [{port: 80, nodePort: 30020}]}
---
apiVersion: v1
kind: Endpoints
metadata: {name: shop}
subsets:
  - addresses: [{ip: 10.244.1.11, nodeName: node-1}, {ip: 10.244.2.11, nodeName: node-2}]
    ports: [{port: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: shop6}
spec: {type: NodePort, clusterIP: "fd00:10:96::20", ipFamilies: [IPv6], ports: [{port: 53, protocol: UDP, nodePort: 30021}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: shop6-1, labels: {kubernetes.io/service-name: shop6}}
addressType: IPv6
ports: [{port: 5353, protocol: UDP}]
endpoints: [{addresses: ["fd00:10:244:2::11"], nodeName: node-2}]
---
apiVersion: v1
kind: Service
metadata: {name: nobody}
spec: {clusterIP: 10.96.0.30, ports: [{port: 80}]}
YAML

both='backends: ["10.244.1.11:8080", "10.244.2.11:8080"]'
flows()
{
	cat <<YAML
  - {name: from a pod, from: pod, src: 10.244.1.12, dst: "10.96.0.20:80", expect: forward, $both, snat: false}
  - {name: to itself, from: pod, src: 10.244.1.11, dst: "10.96.0.20:80", expect: forward, $both, snat: true}
  - {name: from outside, from: external, src: 203.0.113.9, dst: "192.0.2.1:30020", expect: forward, $both, snat: true}
  - {name: over IPv6, from: external, src: "2001:db8:9::9", dst: "[2001:db8::1]:30021", proto: UDP, expect: forward, backends: ["[fd00:10:244:2::11]:5353"], snat: true}
  - {name: from the node, from: node, dst: "10.96.0.20:80", expect: forward, $both}
  - {name: datagrams of the node, from: node, dst: "[fd00:10:96::20]:53", proto: UDP, expect: forward, backends: ["[fd00:10:244:2::11]:5353"]}
  - {name: nobody there, from: pod, src: 10.244.1.12, dst: "10.96.0.30:80", expect: reject}
  - {name: nobody there for the node, from: node, dst: "10.96.0.30:80", expect: reject}
  - {name: no such address, from: pod, src: 10.244.1.12, dst: "10.96.9.9:80", expect: drop}
  - {name: not ours, from: external, src: 203.0.113.9, dst: "192.0.2.1:22", expect: pass}
YAML
}

# test_file FILE: a packet test of shop.yaml with the flows on standard input
test_file()
{
	printf 'node: node-1\nmanifests: [%s/shop.yaml]\n' "$TMP"
	printf 'options: {cluster-cidr: 10.244.0.0/16}\nflows:\n'
	cat
} >"$1"

# What the test run PID would leave here if it did not keep to itself: its
# devices, its cgroup, a pin.
cgroup2=$(findmnt -t cgroup2 -n -o TARGET | head -n 1)
traces()
{
	ip -o link show | grep -oE ' (uplink|workload)(-end)?[@:]'
	find "$cgroup2" -maxdepth 1 -name "shunt-test-$1"
	find /sys/fs/bpf -newer "$TMP/before" -name 'shunt_*' 2>/dev/null
}

# "KIND ID" of the programs, maps and links that the test run PID holds, in the
# process that it has started for it.
held_by()
{
	local child

	child=$(pgrep -P "$1") || return 0
	sed -nE 's/^(prog|map|link)_id:\s*/\1 /p' "/proc/$child/fdinfo/"* 2>/dev/null | sort -u
}

holds_links()
{
	[[ $(held_by "$1") == *link* ]]
}

# The kernel frees them a little after the last reference has gone.
all_gone()
{
	local kind id

	while read -r kind id; do
		! bpftool "$kind" show id "$id" >/dev/null 2>&1 ||
			net_error "$kind $id is there" || return
	done <<<"$1"
}

# run_and_end SIGNAL FILE: a test run that is ended by SIGNAL (0: by itself) leaves nothing
run_and_end()
{
	local signal=$1 run held

	touch "$TMP/before"
	env --default-signal=INT "$SHUNT" test "$2" >"$TMP/out" 2>&1 &
	run=$!
	wait_until 10 holds_links $run || die 'the run holds no link: this test sees nothing'
	held=$(held_by $run)
	traces $run | grep -q "shunt-test-$run" || die 'the run has no cgroup: this test sees nothing'
	kill "-$signal" $run
	wait $run 2>/dev/null
	wait_until 10 all_gone "$held" || die "programs or maps are left after signal $signal"
	# Whoever can't be told can't tidy up: the empty cgroup is all that stays.
	[[ $signal != KILL ]] || wait_until 10 rmdir "$cgroup2/shunt-test-$run" || die 'cgroup'
	traces $run | grep . && die "left behind after signal $signal"
	return 0
}

# ends STATUS COMMAND…: what it says is in $TMP/out then
ends()
{
	local status=$1 ended=0
	shift

	"$@" >"$TMP/out" 2>"$TMP/err" || ended=$?
	((ended == status)) || die "$* ended with $ended, not $status: $(cat "$TMP/out" "$TMP/err")"
}

says()
{
	grep -qF -- "$1" "$TMP/out" || die "no '$1' in: $(cat "$TMP/out")"
}

# All of it holds, by folder and by file; each format is what it says.
mkdir -p "$TMP/tests/deep"
flows | test_file "$TMP/tests/deep/good.test.yaml"
ends 0 "$SHUNT" test "$TMP/tests"
equal "$(grep -c '^ok' "$TMP/out")" 10 'flows that hold'
says 'TAP version 13'
says "ok 1 - $TMP/tests/deep/good.test.yaml: from a pod"
ends 0 "$SHUNT" test -o json "$TMP/tests/deep/good.test.yaml"
equal "$(jq -s 'map(select(.ok)) | length' "$TMP/out")" 10 'JSON objects'
equal "$(jq -s -c '.[2].backends | keys' "$TMP/out")" '["10.244.1.11:8080","10.244.2.11:8080"]' 'backends reached'
equal "$(jq -s -c 'map([.verdict, .snat]) | .[0,2,6]' "$TMP/out")" \
	$'["forward",false]\n["forward",true]\n["reject",null]' 'verdicts'
ends 0 "$SHUNT" test -o junit "$TMP/tests"
says 'tests="10" failures="0"'

# A hook that does not apply is no failure, and no success either.
ends 0 "$SHUNT" test --hook xdp "$TMP/tests"
equal "$(grep -c '# SKIP' "$TMP/out")" 7 'flows without XDP'

# Each wrong expectation, with what was got.
test_file "$TMP/wrong.test.yaml" <<'YAML'
  - {name: a, from: pod, src: 10.244.1.12, dst: "10.96.0.20:80", expect: drop}
  - {name: b, from: pod, src: 10.244.1.12, dst: "10.96.0.30:80", expect: forward}
  - {name: c, from: pod, src: 10.244.1.12, dst: "10.96.0.20:80", expect: forward, backends: ["10.244.1.11:8080"]}
  - {name: d, from: node, dst: "10.96.0.20:80", expect: forward, backends: ["10.244.1.11:8080", "10.244.2.11:8080", "10.244.2.12:8080"]}
  - {name: e, from: external, src: 203.0.113.9, dst: "192.0.2.1:30020", expect: forward, snat: false}
  - {name: f, from: external, src: 203.0.113.9, dst: "192.0.2.1:22", expect: reject}
  - {name: g, from: node, dst: "10.96.0.30:80", expect: pass}
YAML
ends 1 "$SHUNT" test "$TMP/wrong.test.yaml"
equal "$(grep -c '^not ok' "$TMP/out")" 7 'flows that fail'
says 'message:  "tc: expected drop, got forward"'
says 'message:  "tc: expected forward, got reject (no-backend: the Service has no usable endpoint anywhere)"'
says 'not among the expected backends"'
says 'connect: never reached 10.244.2.12:8080 in 136 connections"'
says "snat: expected false, but the client's address was replaced in "
says 'message:  "tc: expected reject, got pass"'
says 'message:  "connect: expected pass, got reject (no-backend'
says 'expected: {"verdict": "forward", "backends": ["10.244.1.11:8080"]}'
says "at:       \"$TMP/wrong.test.yaml:5\""

# What is wrong with a file, a manifest or an option is told at its place, and nothing is run.
flows | sed '3s/expect:/expct:/' | test_file "$TMP/bad.test.yaml"
must_end 1 'bad.test.yaml:7:[0-9]+: flows\[2\].expct: unknown field \(did you mean "expect"\?\)' \
	"$SHUNT" test "$TMP/tests" "$TMP/bad.test.yaml"
flows | test_file "$TMP/bad.test.yaml"
sed -i 's/cluster-cidr/cluster-cird/' "$TMP/bad.test.yaml"
must_end 1 'bad.test.yaml:3:[0-9]+: options.cluster-cird: .*did you mean "cluster-cidr"' \
	"$SHUNT" test "$TMP/bad.test.yaml"
sed -i 's/cluster-cird/cluster-cidr/; s/node: node-1/node: node-11/' "$TMP/bad.test.yaml"
must_end 1 'bad.test.yaml:1:7: node: no Node .*node-11.*did you mean "node-1"' \
	"$SHUNT" test "$TMP/bad.test.yaml"
must_end 1 "$TMP/nowhere" "$SHUNT" test "$TMP/nowhere"
must_end 2 'test what' "$SHUNT" test
mkdir "$TMP/empty"
must_end 1 'holds no packet test' "$SHUNT" test "$TMP/empty"
chmod 755 "$TMP"
must_end 3 'root|CAP_' setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all \
	"$SHUNT" test "$TMP/tests"

# It leaves no trace, whether it comes to its end or somebody loses patience.
for _ in {1..100}; do flows; done | test_file "$TMP/long.test.yaml"
for signal in 0 INT TERM KILL; do
	run_and_end $signal "$TMP/long.test.yaml"
done

start=${EPOCHREALTIME/[.,]/}
ends 0 "$SHUNT" test "$TMP/long.test.yaml"
took_ms=$(((${EPOCHREALTIME/[.,]/} - start) / 1000))
equal "$(grep -c '^ok' "$TMP/out")" 1000 'flows that hold'
printf '1000 flows took %d ms\n' "$took_ms"
((took_ms < limit_ms)) || die "1000 flows took $took_ms ms, not less than $limit_ms"
