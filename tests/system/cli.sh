#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The command line: exit codes and messages of every verb. What needs no root
# runs without; root also becomes nobody to see what that is told, and runs the
# verbs that change something, on an instance and a network namespace of its own.
set -uo pipefail

cd "$(dirname "$0")/../.." || exit 3
shunt=${SHUNT:-${B:-build}/shunt}
case $shunt in
/*) ;;
*) shunt=$PWD/$shunt ;;
esac
scratch=$(mktemp -d)
netns=shunt-cli-$$

cleanup()
{
	if mountpoint -q "$scratch/bpf"; then
		"${in_netns[@]}" "$shunt" reset "${instance[@]}" >/dev/null
		umount "$scratch/bpf"
		ip netns del "$netns"
	fi
	rm -rf "$scratch"
}
in_netns=()
instance=()
trap cleanup EXIT
chmod 755 "$scratch"
passed=0
failed=0

# not_ok WHAT: report a failure with what the command printed
not_ok()
{
	failed=$((failed + 1))
	printf 'not ok - %s\n' "$1"
	sed 's/^/    stdout: /' "$scratch/out"
	sed 's/^/    stderr: /' "$scratch/err"
}

# run NAME STATUS ARGS...: run shunt, keep its output, check its exit status
run()
{
	name=$1
	want=$2
	shift 2
	"${in_netns[@]}" "$shunt" "$@" >"$scratch/out" 2>"$scratch/err" </dev/null
	status=$?
	if [ "$status" -eq "$want" ]; then
		return 0
	fi
	not_ok "$name: exit status $status, not $want"
	return 1
}

# expect NAME STATUS STDERR ARGS...: STDERR is the whole of it
expect()
{
	local text=$3

	run "$1" "$2" "${@:4}" || return
	if [ "$(cat "$scratch/err")" = "$text" ]; then
		passed=$((passed + 1))
		printf 'ok - %s\n' "$1"
	else
		not_ok "$1: another message than: $text"
	fi
}

# shows NAME STATUS PATTERN ARGS...: a line of standard output matches PATTERN (grep -E)
shows()
{
	local pattern=$3

	run "$1" "$2" "${@:4}" || return
	if grep -qE -- "$pattern" "$scratch/out"; then
		passed=$((passed + 1))
		printf 'ok - %s\n' "$1"
	else
		not_ok "$1: no line like: $pattern"
	fi
}

# blames NAME STATUS PATTERN ARGS...: the only line of standard error matches PATTERN
blames()
{
	local pattern=$3

	run "$1" "$2" "${@:4}" || return
	if [ "$(wc -l <"$scratch/err")" -eq 1 ] && grep -qE -- "$pattern" "$scratch/err"; then
		passed=$((passed + 1))
		printf 'ok - %s\n' "$1"
	else
		not_ok "$1: not the one line: $pattern"
	fi
}

manifest()
{
	cat >"$scratch/$1"
}

# ---- usage

expect "a mistyped verb has its neighbour suggested" 2 \
	'shunt: unknown verb "aply" (did you mean "apply"?)' aply
expect "a verb like no other points to the list" 2 \
	'shunt: unknown verb "frobnicate"; "shunt help" lists them' frobnicate
expect "the verb is blamed before its options" 2 \
	'shunt: unknown verb "gte" (did you mean "get"?)' gte --nonsense
expect "a mistyped option has its neighbour suggested" 2 \
	'shunt: unknown option "--namspace" (did you mean "--namespace"?)' get svc --namspace x
expect "an option of another verb is refused" 2 \
	'shunt: get takes no --xdp; see "shunt help get"' get services --xdp off
expect "an operand too many is refused" 2 \
	'shunt: version: unexpected "5"; see "shunt help version"' version 5
expect "a mistyped resource has its neighbour suggested" 2 \
	'shunt: unknown resource "servces" (did you mean "services"?)' get servces
expect "get needs to know what" 2 \
	'shunt: get what? services, endpoints, backends, flows, affinity, maglev, nodes or drops' get
expect "nodes have no names to ask for" 2 \
	'shunt: get nodes takes no names: unexpected "node-1"' get nodes node-1
expect "-n and -A exclude each other" 2 \
	'shunt: give --namespace or --all-namespaces, not both' get svc -n x -A
expect "an output that a verb lacks is refused" 2 \
	'shunt: version has no such --output; see "shunt help version"' version -o name
expect "apply needs manifests" 2 \
	'shunt: apply what? give manifests with -f FILE|DIR|-' apply
expect "check needs manifests" 2 \
	'shunt: check what? give manifests with -f FILE|DIR|-' check

if run "no verb: a short help on standard error" 2; then
	if [ ! -s "$scratch/out" ] && grep -q '^Usage: shunt VERB' "$scratch/err"; then
		passed=$((passed + 1))
		echo "ok - no verb: a short help on standard error"
	else
		not_ok "no verb: a short help on standard error"
	fi
fi

# ---- help, version

shows "help lists the verbs" 0 '^  apply +load manifests' help
shows "--help is help" 0 '^  apply +load manifests' --help
shows "a verb's --help names its options" 0 '^  -n, --namespace NAME' get --help
shows "help get documents the JSON" 0 '^  clusterIPs +list' help get
shows "-h wins over missing manifests" 0 '^Usage: shunt apply' apply -h
expect "help of an unknown verb" 2 'shunt: unknown verb "ge" (did you mean "get"?)' help ge
shows "version names the kernel" 0 "^kernel  $(uname -r)" version
shows "version as JSON" 0 '"kind": "Version"' version -o json
shows "version as YAML" 0 '^kind: Version$' version -o yaml

for verb in apply delete reset check get version help; do
	shows "help $verb" 0 "^Usage: shunt $verb" help "$verb"
	if awk 'length > 100 { exit 1 }' "$scratch/out"; then
		passed=$((passed + 1))
	else
		not_ok "help $verb has a line of more than 100 columns"
	fi
done

# ---- check

manifest good.yaml <<'EOF'
apiVersion: v1
kind: Service
metadata:
  name: kubia
spec:
  selector:
    app: kubia
  ports:
  - port: 80
    targetPort: 8080
EOF
manifest typo.yaml <<'EOF'
apiVersion: v1
kind: Service
metadata:
  name: kubia
spec:
  ports:
  - name: http
    port: 80
  - name: https
    poret: 443
EOF
manifest conflict.yaml <<'EOF'
apiVersion: v1
kind: Service
metadata: {name: one}
spec: {type: NodePort, ports: [{port: 80, nodePort: 30123}]}
---
apiVersion: v1
kind: Service
metadata: {name: two}
spec: {type: NodePort, ports: [{port: 80, nodePort: 30123}]}
EOF
manifest deployment.yaml <<'EOF'
apiVersion: apps/v1
kind: Deployment
metadata: {name: kubia}
spec: {replicas: 3}
---
apiVersion: v1
kind: Service
metadata: {name: kubia}
spec: {ports: [{port: 80}]}
EOF

shows "a good manifest" 0 'good\.yaml: 1 object, no errors$' check -f "$scratch/good.yaml"
if run "a misspelt field" 1 check -f "$scratch/typo.yaml"; then
	if grep -qF "$scratch/typo.yaml:10:5: spec.ports[1].poret: unknown field (did you mean \"port\"?)" \
		"$scratch/err" && [ ! -s "$scratch/out" ]; then
		passed=$((passed + 1))
		echo "ok - a misspelt field"
	else
		not_ok "a misspelt field"
	fi
fi
shows "errors as JSON" 1 \
	'"line": 10, "column": 5, "path": "spec.ports\[1\].poret", "message": "unknown field' \
	check -o json -f "$scratch/typo.yaml"
shows "no errors as JSON" 0 '^\{"kind": "ErrorList", "items": \[\]\}$' \
	check -o json -f "$scratch/good.yaml"
blames "two Services that want one nodePort" 1 '^/.*conflict\.yaml:[0-9]+:[0-9]+: .*(one.*two|two.*one)' \
	check -f "$scratch/conflict.yaml"
shows "that conflict as JSON has its place" 1 '"file": "/.*conflict.yaml", "line": [1-9]' \
	check -o json -f "$scratch/conflict.yaml"
blames "another kind is skipped with a note" 0 'deployment\.yaml:1.*Deployment.*skipped' \
	check -f "$scratch/deployment.yaml"
blames "a file that isn't there" 1 'no-such-file.*No such file' check -f "$scratch/no-such-file"
if "$shunt" check -f - <"$scratch/good.yaml" >"$scratch/out" 2>"$scratch/err"; then
	passed=$((passed + 1))
	echo "ok - standard input"
else
	not_ok "standard input"
fi

# ---- standard output that takes nothing

if [ -w /dev/full ]; then
	"$shunt" help >/dev/full 2>"$scratch/err"
	status=$?
	: >"$scratch/out"
	if [ $status -eq 3 ] && grep -q 'write to standard output: No space left on device' \
		"$scratch/err"; then
		passed=$((passed + 1))
		echo "ok - a full disk is reported"
	else
		not_ok "a full disk is reported (exit status $status)"
	fi
fi
# A reader that has gone: no message, but no success either.
mkfifo "$scratch/pipe"
# shellcheck disable=SC2094 # one fifo on purpose
# 3 reads and writes, so that opening waits for nobody; once it is shut nobody reads.
exec 3<>"$scratch/pipe" 4>"$scratch/pipe" 3>&-
"$shunt" help >&4 2>"$scratch/err"
echo $? >"$scratch/out"
exec 4>&-
if [ "$(cat "$scratch/out")" = 3 ] && [ ! -s "$scratch/err" ]; then
	passed=$((passed + 1))
	echo "ok - a reader that has gone is no news"
else
	not_ok "a reader that has gone is no news"
fi

# ---- privilege

if [ "$(id -u)" -eq 0 ]; then
	cp "$shunt" "$scratch/shunt"
	root_shunt=$shunt
	# shellcheck disable=SC2016 # expanded by the inner shell
	printf '#!/bin/sh\nexec setpriv --reuid 65534 --clear-groups --inh-caps=-all %s/shunt "$@"\n' \
		"$scratch" >"$scratch/unprivileged"
	chmod 755 "$scratch/unprivileged" "$scratch/shunt" "$scratch"/*.yaml
	shunt=$scratch/unprivileged
	all='CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON'
	expect "apply without privilege" 3 "shunt: apply needs root ($all): run it with sudo" \
		apply -f "$scratch/good.yaml"
	expect "delete without privilege" 3 "shunt: delete needs root ($all): run it with sudo" \
		delete -f "$scratch/good.yaml"
	expect "reset without privilege" 3 "shunt: reset needs root ($all): run it with sudo" reset
	expect "get without privilege" 3 "shunt: get needs root (CAP_BPF): run it with sudo" \
		get services
	expect "usage comes before privilege" 2 \
		'shunt: unknown resource "servces" (did you mean "services"?)' get servces
	shows "check needs none" 0 'no errors$' check -f "$scratch/good.yaml"
	shunt=$root_shunt
else
	echo "skip - the messages about missing privilege: not run as root"
fi

# ---- with a data path

# same NAME: what the last command printed is standard input
same()
{
	if [ "$(cat)" = "$(cat "$scratch/out")" ]; then
		passed=$((passed + 1))
		printf 'ok - %s\n' "$1"
	else
		not_ok "$1: another output"
	fi
}

# The fields of `get services` that don't hang on how addresses are given out.
services()
{
	"${in_netns[@]}" "$shunt" get services -o json --bpffs "$scratch/bpf/n" 2>&1 |
		jq -c '.items[] | [.name, .type, (.ports[] | .port, .nodePort, .endpoints)]'
}

with_data_path()
{
	local state=$scratch/state

	ip netns add "$netns" && mkdir "$scratch/bpf" && mount -t bpf bpf "$scratch/bpf" || return
	in_netns=(nsenter "--net=/run/netns/$netns")
	instance=(--bpffs "$scratch/bpf/n" --state "$state")
	ip -n "$netns" link add eth0 type veth peer name peer0
	ip -n "$netns" link set eth0 up
	ip -n "$netns" addr add 192.0.2.1/24 dev eth0

	manifest set.yaml <<'EOF'
apiVersion: v1
kind: Service
metadata: {name: kubia}
spec: {type: NodePort, ports: [{port: 80, nodePort: 30123}]}
---
apiVersion: v1
kind: Endpoints
metadata: {name: kubia}
subsets: [{addresses: [{ip: 192.0.2.7}, {ip: 192.0.2.8}], ports: [{port: 8080}]}]
EOF
	sed 's/192.0.2.8/192.0.2.9/' "$scratch/set.yaml" >"$scratch/moved.yaml"
	sed 's/192.0.2.8/192.0.2.9/; s/{ip: 192.0.2.7}, //' "$scratch/set.yaml" >"$scratch/fewer.yaml"

	blames "get before anything is loaded" 3 'nothing' get services --bpffs "$scratch/bpf/n"
	blames "a first apply that fails" 3 'cgroup.*No such file' \
		apply -f "$scratch/set.yaml" "${instance[@]}" --cgroup /nonexistent
	if [ ! -e "$scratch/bpf/n" ] && [ ! -e "$state" ]; then
		passed=$((passed + 1))
		echo "ok - leaves neither pins nor state"
	else
		not_ok "leaves neither pins nor state: $(find "$scratch/bpf" "$state")"
	fi

	run "apply" 0 apply -f "$scratch/set.yaml" "${instance[@]}" --socket-lb off \
		--devices eth0 && same "apply says what it made" <<'EOF'
service/kubia created
endpoints/kubia created
EOF
	run "apply again" 0 apply -f "$scratch/set.yaml" "${instance[@]}" &&
		same "a second apply changes nothing" <<'EOF'
service/kubia unchanged
endpoints/kubia unchanged
EOF
	run "apply a change" 0 apply -f "$scratch/moved.yaml" "${instance[@]}" &&
		same "apply says what it changed" <<'EOF'
service/kubia unchanged
endpoints/kubia configured
EOF
	shows "services as a table" 0 '^kubia +NodePort +10\.96\.[0-9.]+ +<none> +80:30123/TCP +2$' \
		get svc --bpffs "$scratch/bpf/n"
	shows "endpoints as a table" 0 '^kubia +192.0.2.7:8080,192.0.2.9:8080$' \
		get ep --bpffs "$scratch/bpf/n"
	shows "backends by name" 0 '^backend/192.0.2.9:8080$' get be -o name --bpffs "$scratch/bpf/n"
	shows "the node's edge" 0 '^device +eth0 +uplink +192.0.2.1 ' get no --bpffs "$scratch/bpf/n"
	expect "a Service that isn't there" 1 'shunt: service "x" not found in namespace "default"' \
		get svc x --bpffs "$scratch/bpf/n"
	expect "a namespace without Services" 0 'No services found in x namespace.' \
		get svc -n x --bpffs "$scratch/bpf/n"
	shows "an empty list is a list" 0 '"items": \[\]' \
		get flows -o json --bpffs "$scratch/bpf/n"

	blames "an apply that fails on its last steps" 3 'cgroup.*No such file' apply \
		-f "$scratch/fewer.yaml" "${instance[@]}" --socket-lb on --cgroup /nonexistent
	services >"$scratch/out"
	echo '["kubia","NodePort",80,30123,2]' | same "leaves what was in force"
	blames "a nodePort that is taken" 1 \
		'^/.*conflict.yaml:[0-9]+:[0-9]+: .*30123.* held by Service default/kubia' \
		apply -f "$scratch/conflict.yaml" "${instance[@]}"
	services >"$scratch/out"
	echo '["kubia","NodePort",80,30123,2]' | same "leaves what was in force, too"
	run "apply once more" 0 apply -f "$scratch/moved.yaml" "${instance[@]}" &&
		same "nor did these change what is kept" <<'EOF'
service/kubia unchanged
endpoints/kubia unchanged
EOF

	sed 's/name: kubia$/name: other/' "$scratch/good.yaml" >"$scratch/other.yaml"
	expect "delete tells what was not there" 1 'service/other not found' \
		delete -f "$scratch/set.yaml" -f "$scratch/other.yaml" "${instance[@]}"
	same "and deletes the rest" <<'EOF'
service/kubia deleted
endpoints/kubia deleted
EOF
	expect "nothing is left in the kernel" 0 'No services found.' \
		get svc -A --bpffs "$scratch/bpf/n"
	shows "reset tells what it removed" 0 '^state: removed ' reset "${instance[@]}"
	shows "a second reset has nothing to do" 0 '^nothing to remove$' reset "${instance[@]}"
	if [ ! -e "$scratch/bpf/n" ] && [ ! -e "$state" ]; then
		passed=$((passed + 1))
		echo "ok - reset leaves nothing"
	else
		not_ok "reset leaves nothing: $(find "$scratch/bpf/n" "$state")"
	fi
}

if [ "$(id -u)" -eq 0 ]; then
	: >"$scratch/out"
	: >"$scratch/err"
	with_data_path || not_ok "a network namespace and a BPF file system of its own"
else
	echo "skip - the verbs that change something: not run as root"
fi

printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
