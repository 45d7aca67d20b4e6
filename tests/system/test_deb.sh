#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# `make deb` makes a package that dpkg installs into an empty root, that names every
# library it needs, enables and starts nothing, and leaves nothing when it is removed.
set -uo pipefail

cd "${BASH_SOURCE[0]%/*}/../.." || exit 1
TMP=$(mktemp -d -t shunt-deb-XXXXXX) || exit 1
trap 'rm -rf "$TMP"' EXIT

die()
{
	printf 'FAILED at line %s: %s\n' "${BASH_LINENO[0]}" "$*"
	exit 1
}

for tool in dpkg dpkg-deb dpkg-shlibdeps readelf; do
	command -v "$tool" >/dev/null || { echo "no $tool here"; exit 77; }
done

make -s deb DEBDIR="$TMP" >"$TMP/log" 2>&1 || die "make deb: $(tail -n 5 "$TMP/log")"
packages=("$TMP"/*.deb)
package=${packages[0]}
[[ ${#packages[@]} == 1 && -f $package ]] || die "not one package: ${packages[*]}"
version=$(sed -n 's/^VERSION := //p' Makefile)
[[ $(dpkg-deb -f "$package" Package Version) == "Package: shunt"$'\n'"Version: $version" ]] ||
	die "it calls itself $(dpkg-deb -f "$package" Package Version)"
dpkg-deb -c "$package" | awk '$2 != "root/root" { exit 1 }' || die 'a file is not root'\''s'

# Every library that the binary itself asks for belongs to a package in Depends.
root=$TMP/root
mkdir -p "$root/var/lib/dpkg" "$root/var/log"
touch "$root/var/lib/dpkg/status" "$root/var/lib/dpkg/available"
dpkg-deb -x "$package" "$TMP/plain" || die 'dpkg-deb -x'
depends=$(dpkg-deb -f "$package" Depends)
checked=0
while read -r library; do
	path=$(ldd "$TMP/plain/usr/bin/shunt" | awk -v name="$library" '$1 == name { print $3 }')
	# Of a system with a merged /usr, dpkg may know the file by either path.
	owner=$(dpkg -S "$path" 2>/dev/null || dpkg -S "$(realpath "$path")" 2>/dev/null ||
		dpkg -S "/usr$path") || die "$library is of no package"
	owner=${owner%%:*}
	[[ ", $depends," == *", $owner"[\ ,]* ]] || die "$owner ($library) is not in Depends: $depends"
	((checked++))
done < <(readelf -d "$TMP/plain/usr/bin/shunt" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
((checked >= 5)) || die "only $checked libraries: readelf told nothing"

# The dependencies are this system's, not the scratch root's; scripts see DPKG_ROOT.
dpkg_in_root()
{
	dpkg --root="$root" --force-depends --force-script-chrootless --no-triggers "$@" \
		>"$TMP/log" 2>&1 || die "dpkg $*: $(<"$TMP/log")"
}

dpkg_in_root --install "$package"
for file in usr/bin/shunt usr/share/bash-completion/completions/shunt \
	usr/share/zsh/vendor-completions/_shunt usr/share/fish/vendor_completions.d/shunt.fish \
	usr/share/man/man8/shunt.8.gz usr/share/man/man8/shunt-get.8.gz \
	usr/lib/systemd/system/shunt.service \
	usr/share/doc/shunt/copyright usr/share/doc/shunt/examples/config.yaml \
	usr/share/doc/shunt/examples/kubernetes/shunt.yaml; do
	[[ -s $root/$file ]] || die "it has no $file"
done
[[ $("$root/usr/bin/shunt" version -o json) == *"\"$version\""* ]] ||
	die "the binary says $("$root/usr/bin/shunt" version)"
grep -q '^ExecStart=/usr/bin/shunt agent' "$root/usr/lib/systemd/system/shunt.service" ||
	die 'the unit starts something else'
[[ ! -e $root/etc ]] || die "it put something into /etc: $(find "$root/etc")"
strays=$(find "$root" -path "$root/var" -prune -o -path "$root/usr" -prune -o -type f -print \
	-o -name '*.wants' -print)
[[ -z $strays ]] || die "files outside of /usr, or an enabled unit: $strays"

# What would start by itself names the unit in a script.
dpkg-deb -e "$package" "$TMP/control" || die 'dpkg-deb -e'
if grep -nE '(systemctl|invoke-rc\.d|deb-systemd-[a-z]+) .*(enable|start)' \
	"$TMP/control/"{postinst,prerm,postrm}; then
	die 'a script of the package starts or enables something'
fi
(cd "$root" && md5sum --quiet -c "$TMP/control/md5sums") || die 'md5sums are wrong'

if command -v systemd-analyze >/dev/null; then
	sed "s|/usr/bin/shunt|$root&|" "$root/usr/lib/systemd/system/shunt.service" \
		>"$TMP/shunt.service"
	systemd-analyze verify --man=no "$TMP/shunt.service" >"$TMP/log" 2>&1 ||
		die "systemd-analyze verify: $(<"$TMP/log")"
	! grep -F shunt.service "$TMP/log" || die 'systemd-analyze verify has something to say'
fi

# Removed, it leaves the state of an instance; purged, nothing.
mkdir -p "$root/var/lib/shunt"
touch "$root/var/lib/shunt/objects.json"
dpkg_in_root --remove shunt
left=$(find "$root/usr" -type f 2>/dev/null)
[[ -z $left ]] || die "removed, it leaves $left"
[[ -e $root/var/lib/shunt/objects.json ]] || die 'removing the package took the state away'
dpkg_in_root --purge shunt
[[ ! -e $root/var/lib/shunt ]] || die 'purged, it leaves the state'
