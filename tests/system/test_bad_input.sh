#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Whatever is wrong with it: one clear line, the right exit code, nothing half
# loaded, and what was there goes on.
# shellcheck source=../../scripts/lib/check.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/check.sh"

bad=$TMP/bad.yaml

still_works()
{
	reach shell-1 http "$(at $WEB4 80)" "$ALL" -n 32
	reach node:1 http "$(at $WEB6 80)" "$ALL" -n 32
	equal "$(node_shunt 1 get services -A -o json | jq -S .)" "$listed" 'get services afterwards'
}

# refuses STATUS PATTERN: shunt's answer to the manifest on standard input
refuses()
{
	cat >"$bad"
	must_end "$1" "$2" node_apply 1 -f "$bad"
	still_works
}

# A Service called NAME with that nodePort, after so many bytes of comments
extra()
{
	service "$1" 99 "$2" kubia
}

bring_up
listed=$(node_shunt 1 get services -A -o json | jq -S .)

# A file that isn't there, one that isn't a file, one that may not be read.
must_end 1 "$TMP/nowhere.yaml" node_apply 1 -f "$TMP/nowhere.yaml"
extra more 30099 >"$bad"
chmod 000 "$bad"
must_end 1 "$bad" setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all \
	"$SHUNT" check -f "$bad"
chmod 644 "$bad"
still_works

# A good Service in front doesn't help: all or nothing.
{ extra more 30099; printf -- '---\napiVersion: v1\nkind: Service\nspec: {ports: [{port: 80'; } |
	refuses 1 'bad.yaml:[0-9]+'
{ extra more 30099; extra more2 30098 | sed 's/name: http/name: http, poret: 443/'; } |
	refuses 1 'bad.yaml:.*spec.ports\[0\].poret: unknown field \(did you mean "port"\?\)'
extra "$(printf 'a%.0s' {1..10000})" 30099 | refuses 1 '63'
extra thief "$WEB_PORT" | refuses 1 "$WEB_PORT.*web"
extra thief 30099 | sed 's/10.96.0.99/10.96.0.80/' | refuses 1 '10.96.0.80.*web'

# 50 MB that are right, and 70 MB, which is more than a file may have.
many() { awk -v n="$1" 'BEGIN { for (i = 0; i < n; i++) printf "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c%d}\ndata: {a: %01024d}\n", i, i }'; }
many 48000 >"$bad"
must "$SHUNT" check -f "$bad"
many 66000 | refuses 1 '64 ?Mi?B|67108864|SH_MANIFEST_BYTES_MAX'

# No place for the pins, no privilege.
mkdir "$TMP/plain"
must_end 3 "no BPF file system at $TMP.*mount" net_exec node-1 "$SHUNT" apply -f "$TMP/manifests" \
	--node-name node-1 --bpffs "$TMP/plain" --state "$TMP/state"
extra more 30099 >"$bad"
chmod 755 "$TMP"
must_end 3 'root|CAP_|privilege' net_exec node-1 setpriv --reuid 65534 --regid 65534 \
	--clear-groups --inh-caps=-all "$SHUNT" apply -f "$bad" --node-name node-1 \
	--bpffs "$NET_DIR/bpf/node-1" --state "$NET_DIR/state/node-1"
still_works
