# servers.sh
#		Servers that tests need.  Sourced after stage.sh and stage_begin.
#
#		servers_begin SOURCE...		starts what these tests want, unless the caller
#									has started it before, and says where by the
#									environment:
#									BKC_S3_...		as in ceph.sh
#									BKC_S3_ABSENT	or why there is no S3: packages
#									BKC_S3_FAILED	or why it did not start
#									BKC_SERVERS		a copy of this folder
#									BKC_SINKS_ABSENT	package that the mail server needs
#		servers_s3					starts S3 in any case
#		servers_sinks				starts a mail server and one that takes webhooks; sets
#									SMTP_PORT, MAILS, HOOK_URL, HOOKS; the folders get what they take
#		servers_keep FOLDER			copies the servers' logs there
#
# What it has started ends with the stage, and also when this shell is killed.
# A test wants S3 when it uses BkcS3.pm or s3server.h; with BkcSinks.pm it starts servers itself.

servers_begin()
{
	if [ $# -gt 0 ] && grep -qE '^use BkcS3\b|^#include "s3server\.h"' "$@"; then
		servers_s3
	fi
	if [ $# -gt 0 ] && grep -qE '^use BkcSinks\b' "$@"; then
		servers_copy
		/usr/bin/python3 -c 'import aiosmtpd' 2>/dev/null || export BKC_SINKS_ABSENT=python3-aiosmtpd
	fi
	return 0
}

# Users of the stage may not read the source tree.
servers_copy()
{
	[ -z "${BKC_SERVERS:-}" ] || return 0
	cp -r "$TOP/test/servers" "$STAGE/servers" && chmod -R a+rX "$STAGE/servers"
	export BKC_SERVERS=$STAGE/servers
}

servers_s3()
{
	local text line missing

	[ -z "${BKC_S3_URL:-}${BKC_S3_ABSENT:-}${BKC_S3_FAILED:-}" ] || return 0
	servers_copy
	missing=$("$BKC_SERVERS/ceph.sh" missing)
	if [ -n "$missing" ]; then
		export BKC_S3_ABSENT="please install the Debian packages $missing"
	elif text=$(as_user "$BKC_SERVERS/ceph.sh" start "$STAGE/ceph" $$ 2>&1); then
		while IFS= read -r line; do
			export "${line?}"
		done <<<"$text"
	else
		export BKC_S3_FAILED=$text
	fi
	return 0
}

# Each server says "ready" when it listens.
servers_sinks_ready()
{
	local tries

	for ((tries = 600; tries > 0; tries--)); do
		! grep -qs '^ready' "$1.out" || return 0
		kill -0 "$2" 2>/dev/null || break
		sleep 0.1
	done
	cat "$1.out" >&2
	return 1
}

servers_sinks()
{
	local sinks=$STAGE/sinks pid tries

	servers_copy
	MAILS=$sinks/mails
	HOOKS=$sinks/hooks
	as_user mkdir -p "$MAILS" "$HOOKS"

	as_user setpriv --pdeathsig TERM /usr/bin/python3 "$BKC_SERVERS/webhook-sink.py" 0 "$HOOKS" \
		--pidfile "$sinks/hooks.pid" >"$sinks/hooks.out" 2>&1 &
	servers_sinks_ready "$sinks/hooks" $! || return 1
	HOOK_URL=http://localhost:$(awk '/^ready/ {print $2}' "$sinks/hooks.out")/alarms

	# a port that is free may not be so any more when it is used
	for tries in 1 2 3 4 5; do
		SMTP_PORT=$(/usr/bin/python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])')
		as_user setpriv --pdeathsig TERM /usr/bin/python3 "$BKC_SERVERS/smtpd.py" "$SMTP_PORT" "$MAILS" \
			--pidfile "$sinks/mails.pid" >"$sinks/mails.out" 2>&1 &
		pid=$!
		! servers_sinks_ready "$sinks/mails" $pid || return 0
	done
	return 1
}

# Called by stage_end.
servers_end()
{
	local file

	[ ! -d "$STAGE/ceph" ] || "$STAGE/servers/ceph.sh" stop "$STAGE/ceph"
	for file in "$STAGE"/sinks/*.pid; do
		[ ! -s "$file" ] || kill "$(cat "$file")" 2>/dev/null || true
	done
}

servers_keep()
{
	local log=${BKC_SERVERS:+${BKC_SERVERS%/*}/ceph/log}

	[ ! -d "$log" ] || cp -r "$log" "$1/ceph"
}
