#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Certificates for tests: a CA, a server for 127.0.0.1, ::1, localhost and every
# NAME or address given, and a client.
#
#   make_certs.sh DIR [NAME|ADDRESS…]
#
# writes ca.crt, server.crt, server.key, client.crt and client.key into DIR, and
# other-ca.crt, a CA that has signed nothing here.
set -euo pipefail

(($#)) || {
	printf 'usage: make_certs.sh DIR [NAME|ADDRESS…]\n' >&2
	exit 2
}
dir=$1
shift
mkdir -p "$dir"
names=DNS:localhost,IP:127.0.0.1,IP:::1
for name; do
	if [[ $name =~ ^[0-9.]+$ || $name == *:* ]]; then names+=,IP:$name; else names+=,DNS:$name; fi
done

# openssl says on stderr what it does; it is wanted only if it fails.
quietly()
{
	local said

	said=$("$@" 2>&1) || {
		printf '%s\n%s\n' "$*" "$said" >&2
		return 1
	}
}

# authority NAME SUBJECT
authority()
{
	quietly openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
		-keyout "$dir/$1.key" -out "$dir/$1.crt" -days 3650 -subj "/CN=$2" \
		-addext basicConstraints=critical,CA:TRUE \
		-addext keyUsage=critical,keyCertSign,cRLSign
}

# certificate NAME SUBJECT EXTENSION…: signed by the CA
certificate()
{
	local name=$1 subject=$2
	shift 2

	quietly openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
		-keyout "$dir/$name.key" -out "$dir/$name.csr" -subj "$subject"
	quietly openssl x509 -req -in "$dir/$name.csr" -CA "$dir/ca.crt" -CAkey "$dir/ca.key" \
		-CAcreateserial -out "$dir/$name.crt" -days 3650 \
		-extfile <(printf '%s\n' basicConstraints=CA:FALSE "$@")
	rm -f "$dir/$name.csr"
}

authority ca 'test CA'
authority other-ca 'another CA'
certificate server /CN=kube-apiserver "subjectAltName=$names" extendedKeyUsage=serverAuth
certificate client /O=system:nodes/CN=system:node:node-1 extendedKeyUsage=clientAuth
rm -f "$dir/other-ca.key" "$dir/ca.key" "$dir/ca.srl"
