#!/bin/bash
#
# run-tap.sh [FILE...]
#		The TAP tests of test/t/, or those named, in a staged installation with
#		fault points.  PROVE_FLAGS goes to prove.  With TAP_SANITIZED=1 address
#		and undefined-behaviour checks are in module and client; a report counts
#		as a failure, whatever the tests say.
#
# A test that uses BkcS3.pm has an S3 server, one for all of them.
#
# The last line is "tap: N passed, N failed"; what counts are single assertions.

. "$(dirname "$0")/stage.sh"
. "$TOP/test/servers/servers.sh"

names=()
if [ $# -gt 0 ]; then
	for name in "$@"; do
		names+=("t/$(basename "$name" .pl).pl")
	done
else
	for name in "$TOP"/test/t/*.pl; do
		[ ! -e "$name" ] || names+=("t/$(basename "$name")")
	done
fi
if [ ${#names[@]} -eq 0 ]; then
	echo "there are no tests"
	echo "tap: 0 passed, 1 failed"
	exit 1
fi

stage_begin tap
servers_begin "${names[@]/#/$TOP/test/}"
stage_postgres faults ${TAP_SANITIZED:+sanitized}
cp -r "$TOP/test/t" "$STAGE/t"
cp -r "$TOP/share" "$STAGE/share"
chmod -R a+rX "$STAGE/t" "$STAGE/share"

pgxs=$(dirname "$("$PG_CONFIG" --pgxs)")
tmp=$STAGE/tmp/tmp_check
log=$STAGE/tmp/prove.log
as_user mkdir "$tmp"
export PG_REGRESS=$pgxs/../test/regress/pg_regress
export TESTDIR=$STAGE/tmp TESTDATADIR=$tmp TESTLOGDIR=$tmp/log

as_user prove -j"${TAP_JOBS:-2}" --timer -I "$pgxs/../test/perl" -I "$STAGE/t/lib" ${PROVE_FLAGS:-} \
	"${names[@]}" 2>&1 | tee "$log"
status=${PIPESTATUS[0]}

# Every test keeps its TAP, with time stamps, in a log of its own.
count()
{
	cat "$tmp"/log/regress_log_* 2>/dev/null |
		grep -E '^(\[[^]]*\]\([^)]*\) )?(not )?ok [0-9]+' | grep -v '# TODO' | grep -cE "$1"
}
passed=$(count '^(\[[^]]*\]\([^)]*\) )?ok')
failed=$(count '^(\[[^]]*\]\([^)]*\) )?not ok')
# a file that dies, or runs less than it planned, fails without a failed assertion
broken=$(grep -cE '^t/.*\(Wstat: ' "$log")
[ "$failed" -ge "$broken" ] || failed=$broken

if [ -n "${TAP_SANITIZED:-}" ] && ! stage_reports; then
	failed=$((failed + $(ls "$STAGE/sanitizers" | wc -l)))
	status=1
fi

if [ "$status" -ne 0 ]; then
	[ "$failed" -gt 0 ] || failed=1
	if [ -d "$tmp/log" ] && mkdir -p "$TOP/build/tap" 2>/dev/null; then
		rm -rf "$TOP/build/tap/log"
		cp -r "$tmp/log" "$TOP/build/tap/" && echo "logs are in build/tap/log"
		servers_keep "$TOP/build/tap/log"
		[ -z "${TAP_SANITIZED:-}" ] || cp "$STAGE"/sanitizers/* "$TOP/build/tap/log/" 2>/dev/null
	fi
fi
echo "tap: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
