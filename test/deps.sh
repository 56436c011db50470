#!/bin/bash
#
# deps.sh
#		Install what building and testing pg_backupctl needs, where it is
#		missing.  Debian and its relatives only; elsewhere it lists what to get.
#
# Without anything missing it changes nothing and asks no network.
# With BENCH=1 also what "make bench" compares with.
#
# PG_CONFIG may name another PostgreSQL than Debian's; when that one is
# complete, Debian's is not installed.

set -u

packages=(
	gcc libc6-dev make								# building
	libzstd-dev liblz4-dev zlib1g-dev				# codecs
	libssl-dev libxxhash-dev libjansson-dev			# digests, JSON
	libcurl4-openssl-dev libexpat1-dev				# S3: HTTP, XML
	libcmocka-dev perl libipc-run-perl				# unit tests, TAP
	radosgw ceph-mon ceph-osd ceph-common openssl python3	# an S3 server for tests
	python3-aiosmtpd								# a mail server for tests
	clang-format-14									# make format, lint
	prometheus										# promtool: metrics and alert rules
)
bench_packages=(pgbackrest zstd python3 tar)
postgres_packages=(postgresql-15 postgresql-client-15 postgresql-server-dev-15)

# Everything of PostgreSQL that a test uses, below the given pg_config?
postgres_complete()
{
	local pgxs bindir tool

	pgxs=$("$1" --pgxs 2>/dev/null) && bindir=$("$1" --bindir) || return 1
	# Debian's client package alone brings PGXS, but nothing to compile with
	[ -e "$("$1" --includedir-server)/postgres.h" ] || return 1
	[ -e "$pgxs" ] && [ -x "$(dirname "$pgxs")/../test/regress/pg_regress" ] || return 1
	[ -e "$(dirname "$pgxs")/../test/perl/PostgreSQL/Test/Cluster.pm" ] || return 1
	for tool in postgres initdb pg_ctl psql pgbench pg_amcheck pg_verifybackup pg_checksums; do
		[ -x "$bindir/$tool" ] || return 1
	done
}

installed()
{
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

if ! postgres_complete "${PG_CONFIG:-pg_config}"; then
	packages+=("${postgres_packages[@]}")
fi

if [ -n "${BENCH:-}" ]; then
	packages+=("${bench_packages[@]}")
fi

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
	echo "deps: this is not a Debian system; please install the counterparts of" >&2
	echo "      ${packages[*]}" >&2
	for tool in gcc make perl prove; do
		command -v $tool >/dev/null || exit 1
	done
	postgres_complete "${PG_CONFIG:-pg_config}" || exit 1
	exit 0
fi

missing=()
for package in "${packages[@]}"; do
	installed "$package" || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
	exit 0
fi

echo "deps: installing ${missing[*]}"
become=()
if [ "$(id -u)" -ne 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "deps: cannot install them: not root, and there is no sudo" >&2
		echo "deps: please run as root: apt-get install --no-install-recommends ${missing[*]}" >&2
		exit 1
	fi
	become=(sudo)
fi

"${become[@]}" apt-get update -q || exit 1
"${become[@]}" env DEBIAN_FRONTEND=noninteractive \
	apt-get install -q -y --no-install-recommends "${missing[@]}" || {
	echo "deps: apt-get could not install ${missing[*]}" >&2
	exit 1
}
