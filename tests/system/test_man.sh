#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Manual pages: each verb has one, it renders, and it has every flag, every resource and
# field, every example that --help has.
# shellcheck source=../../scripts/lib/check.sh
source "${BASH_SOURCE[0]%/*}/../../scripts/lib/check.sh"

command -v mandoc >/dev/null || skip 'mandoc is not installed'

pages=${SHUNT%/*}/man

# rendered PAGE: as plain text, words in their order and nothing broken by hyphens
rendered()
{
	mandoc -T ascii -O width=200 "$pages/$1.8" | col -bx | tr -s ' '
}

# has TEXT WANTED: word by word, wherever its lines end
has()
{
	[[ " $(tr -s ' \n' '  ' <<<"$1") " == *"$2"* ]]
}

[[ -x $SHUNT ]] || die "$SHUNT is not built: make"
mapfile -t verbs < <("$SHUNT" help | sed -n '/^Verbs:/,/^$/s/^  \([a-z-]*\) .*/\1/p')
((${#verbs[@]} >= 10)) || die "shunt help lists only: ${verbs[*]}"
overview=$(rendered shunt)

for verb in "${verbs[@]}"; do
	page=$(rendered "shunt-$verb") || die "shunt-$verb(8) does not render"
	help=$("$SHUNT" "$verb" --help)
	has "$overview" "shunt-$verb(8)" || die "shunt(8) has no shunt-$verb(8)"
	for heading in NAME SYNOPSIS DESCRIPTION 'EXIT STATUS' EXAMPLES 'SEE ALSO'; do
		grep -qx "$heading" <<<"$page" || die "shunt-$verb(8) has no section $heading"
	done
	usage=$(sed -n 's/^Usage: //p' <<<"$help" | sed 's/\.\.\./ .../; s/, \.\.\./,.../')
	has "$(tr '[:upper:]' '[:lower:]' <<<"$page")" "$(tr '[:upper:]' '[:lower:]' <<<"$usage")" ||
		die "shunt-$verb(8) has another synopsis than: $usage"

	flags=$(sed -n '/^Options:/,$s/^  \(-.,\)\{0,1\} *\(--[a-z0-9-]*\).*/\1 \2/p' <<<"$help")
	[[ $flags == *--help* ]] || die "no flags in the help of $verb: $help"
	while read -r flag; do
		grep -qE -- "^ *${flag// /[ ]}( |\$)" <<<"$page" || die "shunt-$verb(8) has no $flag"
	done <<<"$flags"

	# Items of lists: resources, fields, checks.
	while read -r item; do
		grep -qE "^ *$item([ ,]|\$)" <<<"$page" || die "shunt-$verb(8) has no item $item"
	done < <(sed -n '/^Examples:/,$d; /:$/,$s/^  \([a-zA-Z-]*\)[ ,].*/\1/p' <<<"$help")

	while IFS= read -r example; do
		has "$page" "${example#  }" || die "shunt-$verb(8) has no example: $example"
	done < <(sed '/^Options:/,$d' <<<"$help" | sed -n '/^Examples:/,$s/^  \(.*\)/\1/p')
done

# Not more pages than verbs, and what has no place in a page is told.
equal "$(find "$pages" -name '*.8' | wc -l)" $((${#verbs[@]} + 1)) 'pages'
printf '.Dd May 1, 2026\n.Sh LOST\nNobody would see this.\n' >"$TMP/lost.mdoc"
must_end 1 '"LOST" is no section of a page' "$SHUNT" __man shunt-get "$TMP/lost.mdoc"
