#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Completion as bash asks for it: its own variables set, the function called, COMPREPLY read.
# shellcheck source=../../scripts/lib/check.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/check.sh"

# complete WORD…: the candidates for the last one, by the script that shunt prints
complete()
{
	# shellcheck disable=SC2016 # the inner shell expands these
	bash -c 'set -u
		source <("$1" completion bash)
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		COMPREPLY=()
		_shunt
		((${#COMPREPLY[@]} == 0)) || printf "%s\n" "${COMPREPLY[@]}"' bash "$SHUNT" "$@"
}

# offers EXPECTED WORD…: exactly these, in this order, joined by blanks
offers()
{
	local expected=$1 got
	shift

	got=$(complete "$@" | paste -sd' ')
	equal "$got" "$expected" "shunt $*"
}

[[ -x $SHUNT ]] || die "$SHUNT is not built: make"

# ---- from the tables

offers 'get' ge
offers 'version' ver
equal "$(complete '' | sort)" "$("$SHUNT" help | sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p' | sort)" 'all verbs, and no hidden one'
offers 'services' get s
offers 'affinity' get a
offers '' get nonsense ''
offers '--namespace' get svc --names
offers '' apply --names
offers 'table wide json yaml name' get svc -o ''
offers 'json junit' test -o j
offers 'json' get svc --output js
offers 'json' get svc --output = js
offers 'table wide json yaml name' get svc --output =
offers '--output=json' get svc --output=js
offers 'true false' agent --masquerade-all = ''
offers 'native' apply --xdp na
offers 'packets' get flows --sort-by pa
offers 'external-ip' get services --sort-by external-
offers 'bash zsh fish' completion ''
offers '' completion bash ''
offers 'trace' help tra
offers '' get -- svc --names

# ---- files

cd "$TMP" || die "cd $TMP"
touch 'one two.yaml' only.json
offers 'one two.yaml only.json' apply -f o
offers 'only.json' check --filename onl
offers 'one two.yaml only.json' test o

# ---- names that live in the kernel

net_up || die "the network didn't come up"
services
{
	service web 80 "$WEB_PORT" kubia
	service here 81 "$HERE_PORT"
	service there 82 "$THERE_PORT" | sed 's/{name: there}/{name: there, namespace: shop}/'
} >"$TMP/manifests/services.yaml"
apply 1
at_node=(--bpffs "$NET_DIR/bpf/node-1")
offers 'here web' get services "${at_node[@]}" ''
offers 'web' get maglev "${at_node[@]}" w
offers 'there' get svc "${at_node[@]}" -n shop ''
offers 'here there web' get flows "${at_node[@]}" --service ''
offers 'default shop' get flows "${at_node[@]}" -n ''
offers 'shop' get svc "${at_node[@]}" -An sh
offers '' get nodes "${at_node[@]}" ''
# An instance that isn't there, or may not be read: no names, and no complaint.
offers '' get services --bpffs "$TMP/none" ''
equal "$(setpriv --reuid 65534 --clear-groups --inh-caps=-all "$SHUNT" __complete -- get svc '' 2>&1)" '' 'unprivileged'

# ---- the other shells

for shell in zsh fish; do
	must "$SHUNT" completion $shell
	command -v $shell >/dev/null || continue
	must $shell -n <("$SHUNT" completion $shell)
done
must_end 2 'bash, zsh and fish have one' "$SHUNT" completion tcsh
