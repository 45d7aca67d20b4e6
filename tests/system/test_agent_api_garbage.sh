#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Whatever comes instead of an answer, the agent neither believes it nor falls over
# it: traffic goes on, and what is right afterwards is taken.
# shellcheck source=../../scripts/lib/agent.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/agent.sh"

# Changes, and that they arrive: THERE moves between the two nodes, HERE between ports.
turn=0
change_arrives()
{
	local what=$1 pods=(2/11 2/12) names=(kubia-q5n8d kubia-x2k9p) ports=("$HERE_PORT" 30091)

	((turn = 1 - turn))
	put_slices there "${pods[turn]}"
	api_service here 81 "${ports[turn]}" | api put - >/dev/null
	soon 20 reach shell-1 http "$(at $THERE4 80)" "${names[turn]}"
	soon 20 reach client http "$(at "$(node_ip 1)" "${ports[turn]}")" kubia-4jfyf
	agent_runs || die "$what ended the agent: $(tail -n 12 "$AGENT_LOG")"
	printf 'over %s\n' "$what"
	api clear-faults
	# Trouble that goes on makes it wait longer each time: not this test's matter.
	soon 20 agent_is_well
}

# Both kinds that are tested have watched for a while, and none has failed: a watch that
# ends sooner counts as one more failure in a row. The others may wait for long: after a
# 403 the agent goes on without them.
agent_is_well()
{
	local before

	before=$(errors) && both_watch && sleep 1.5 && both_watch && [[ $(errors) == "$before" ]]
}

both_watch()
{
	(($(agent_get /metrics | grep '^shunt_api_state{.*"watching".* 1$' |
		grep -cE '"(services|endpointslices)"') == 2))
}

errors() { agent_get /metrics | grep '^shunt_api_errors_total'; }

agent_bring_up
pid=$AGENT_PID
loads_begin

# In the place of a list: the version the agent has is expired, so it asks for one.
for fault in garbage garbage-http broken-json truncate 'status 500' 'status 403'; do
	api compact
	# shellcheck disable=SC2086 # words
	api fault '*' list $fault times=3
	api close
	change_arrives "$fault in lists"
done

# In the place of a watch.
for fault in garbage garbage-http 'status 500' 'status 404'; do
	# shellcheck disable=SC2086 # words
	api fault '*' watch $fault times=3
	api close
	change_arrives "$fault in watches"
done

# In the middle of a running watch.
inject() { printf '%b' "$2" | api inject "$1" - >/dev/null; }
inject services 'this is no JSON\n'
change_arrives 'a line that is no JSON'
inject endpointslices '\x00\xff\xfe\x00'
change_arrives 'bytes that are no text'
inject services '{"type":"ADDED","object":[]}\n'
change_arrives 'an event without an object'
inject endpointslices '{"type":"SURPRISE","object":{"kind":"EndpointSlice"}}\n'
change_arrives 'an event of a type that there is not'
inject services '{"type":"DELETED","object":{"kind":"Service","metadata":{}}}\n'
change_arrives 'an object without a name'
inject endpointslices '{"type":"MODIFIED","object":{"kind":"EndpointSlice","metadata":{"name":'
change_arrives 'half an event'
inject services "$(printf '{"type":"MODIFIED","object":%s' "$(printf '[%.0s' {1..3000})")\\n"
change_arrives 'an event nested three thousand times'

# In the place of TLS.
api noise 3
api close
change_arrives 'noise in place of TLS'

# What has failed for long doesn't wait for long once another kind sees the server well.
slice_errors() { errors | sed -n 's/.*"endpointslices".* //p'; }
all_failed() { (($(slice_errors) >= slices_before + 7)); }
slices_before=$(slice_errors)
api fault endpointslices '*' status 500
api close
soon 40 all_failed # now it would be for 6.4 s at least
api clear-faults
api close
soon 4 both_watch

equal "$AGENT_PID" "$pid" 'the agent is the process'
reach shell-1 http "$(at $WEB4 80)" "$ALL"
loads_end
