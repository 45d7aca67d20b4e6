#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The agent is killed, restarted and stopped under an open stream of connections:
# none fails, none is reset, no datagram is lost. Only one agent runs on a node.
# shellcheck source=../../scripts/lib/agent.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/agent.sh"

# The agent that runs now works: a change arrives.
turn=0
change_arrives()
{
	local pods=(2/11 2/12) names=(kubia-q5n8d kubia-x2k9p)

	((turn = 1 - turn))
	put_slices there "${pods[turn]}"
	soon 15 reach shell-1 http "$(at $THERE4 80)" "${names[turn]}"
}

# The agent starts again and finds nothing to change.
start_again()
{
	kernel_objects 1 >"$TMP/before"
	agent_start
	soon 15 agent_get /healthz
	kernel_objects 1 >"$TMP/after"
	diff "$TMP/before" "$TMP/after" || die "$1: programs, maps or links were replaced"
	change_arrives
}

agent_bring_up
loads_begin

for _ in 1 2 3; do
	agent_end KILL
	sleep 0.5 # nobody looks after the node
	start_again 'after kill -9'
done

for _ in 1 2; do
	agent_end TERM
	sleep 0.5
	start_again 'after SIGTERM'
done

# An upgrade: another binary brings its own programs, the maps and their flows stay.
next_version()
{
	python3 - "$SHUNT" "$TMP/shunt-next" <<-'END'
		import os, re, sys
		data = open(sys.argv[1], "rb").read()
		# The version, as linkers merge it with what ends alike.
		version = re.search(rb"shunt/([0-9.]+)\0", data)[1]
		data = re.sub(rb"(?<![\w.])" + re.escape(version) + rb"\0", b"9" * len(version) + b"\0", data)
		open(sys.argv[2], "wb").write(data)
		os.chmod(sys.argv[2], 0o755)
	END
}

programs() { kernel_objects 1 | grep '^prog'; }
pinned_maps()
{
	find "$NET_DIR/bpf/node-1" -maxdepth 1 -type f | sort |
		while read -r pin; do bpftool -j map show pinned "$pin" | jq .id; done
}

next_version || die 'no other binary'
for shunt in "$TMP/shunt-next" "$SHUNT"; do
	before=$(programs)
	pinned_maps >"$TMP/before"
	agent_end TERM
	SHUNT=$shunt agent_start
	soon 15 agent_get /healthz
	[[ $(programs) != "$before" ]] || die "$shunt goes on with the programs of another one"
	equal "$(grep -cvxFf <(printf '%s' "$before") <(programs))" "$(grep -c . <<<"$before")" \
		'programs that are new'
	pinned_maps >"$TMP/after"
	diff "$TMP/before" "$TMP/after" || die 'the upgrade has replaced maps'
	change_arrives
done

# While it does what it does: in the middle of a start, and of changes.
for ms in 0 20 60 150; do
	agent_end KILL
	agent_start
	sleep "$(printf '0.%03d' "$ms")"
	put_slices web "${ALL_PODS[@]}"
done
agent_end KILL
start_again 'after kills during the start'

# A second agent of the same instance says who has it.
agent_command --kubeconfig "$API_DIR/kubeconfig" --healthz-bind-address '' --metrics-bind-address ''
must_end 3 "$AGENT_PID" "${AGENT[@]}"
must_end 3 "$AGENT_PID" node_shunt 1 reset
change_arrives

# The Service's endpoints changed while nobody looked.
agent_end KILL
put_slices there 1/12
agent_start
soon 15 reach shell-1 http "$(at $THERE4 80)" kubia-mc7sx

loads_end 200
