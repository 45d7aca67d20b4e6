#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Who the agent is to the API server: a token in a file that rotates, a client
# certificate; a server that isn't the cluster's is not believed.
# shellcheck source=../../scripts/lib/agent.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/agent.sh"

# kubeconfig FILTER: the server's own, changed by a jq filter; prints the file's name
kubeconfig()
{
	jq "$1" "$API_DIR/kubeconfig" >"$API_DIR/changed" || die "jq: $1"
	printf '%s' "$API_DIR/changed"
}

net_up --show-client || die "the network didn't come up"
api_up --token first --client-certs

# A wrong token: told, tried again, and nothing is in force.
agent_start --kubeconfig "$(kubeconfig '.users[0].user.token = "wrong"')"
soon 10 agent_said '401|[Uu]nauthorized'
agent_runs || die "a wrong token ended the agent: $(cat "$AGENT_LOG")"
agent_end TERM

# Another CA than the one that signed the server's certificate.
agent_heard
agent_start --kubeconfig "$(kubeconfig ".clusters[0].cluster[\"certificate-authority\"] =
	\"$API_DIR/other-ca.crt\"")"
soon 10 agent_said '[Cc]ertificate'
equal "$(api stats | jq '.statuses["200"] // 0')" 0 'answers to somebody who should not have asked'
agent_end TERM

# A token in a file; it rotates while the agent runs.
printf 'first\n' >"$API_DIR/token"
agent_start --kubeconfig "$(kubeconfig '.users[0].user = {tokenFile: "token"}')"
soon 15 reach shell-1 http "$(at $WEB4 80)" "$ALL"
printf 'second\n' >"$API_DIR/token.new"
mv "$API_DIR/token.new" "$API_DIR/token"
api token second
api close
put_slices web 1/11
soon 20 reach shell-1 http "$(at $WEB4 80)" kubia-4jfyf
agent_end TERM

# A client certificate.
agent_start --kubeconfig "$(kubeconfig ".users[0].user =
	{\"client-certificate\": \"client.crt\", \"client-key\": \"$API_DIR/client.key\"}")"
put_slices web 1/12
soon 15 reach shell-1 http "$(at $WEB4 80)" kubia-mc7sx
agent_end TERM

# What can't be honoured is refused at once, with a way out.
agent_command --kubeconfig "$(kubeconfig '.users[0].user = {exec: {command: "aws"}}')"
must_end 1 '[Ee]xec' "${AGENT[@]}"
agent_command --kubeconfig "$(kubeconfig \
	'.clusters[0].cluster["insecure-skip-tls-verify"] = true')"
must_end 1 'insecure-skip-tls-verify' "${AGENT[@]}"
