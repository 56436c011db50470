#!/bin/bash
#
# run-regress.sh [NAME...]
#		pg_regress over sql/ and expected/, against a server of its own.
#
# The last line is "regress: N passed, N failed".

. "$(dirname "$0")/stage.sh"

names=()
if [ $# -gt 0 ]; then
	for name in "$@"; do
		names+=("$(basename "$name" .sql)")
	done
else
	for name in "$TOP"/sql/*.sql; do
		[ ! -e "$name" ] || names+=("$(basename "$name" .sql)")
	done
fi
if [ ${#names[@]} -eq 0 ]; then
	echo "there are no tests"
	echo "regress: 0 passed, 1 failed"
	exit 1
fi

stage_begin regress
stage_postgres
as_user mkdir "$STAGE/repo" "$STAGE/out"
cp -r "$TOP/sql" "$TOP/expected" "$STAGE/" 2>/dev/null
chmod -R a+rX "$STAGE/sql" "$STAGE/expected"

# The tests' database is the one where the extension lives.
stage_server "$STAGE/data" \
	"shared_preload_libraries = 'pg_backupctl'" \
	"pg_backupctl.repositories = 'main=file://$STAGE/repo'" \
	"pg_backupctl.database = 'contrib_regression'"

as_user "$(dirname "$("$PG_CONFIG" --pgxs)")/../test/regress/pg_regress" \
	--inputdir="$STAGE" --outputdir="$STAGE/out" --bindir="$BINDIR" \
	--host="$PGHOST" --port="$PGPORT" --user="$PGUSER" --dbname=contrib_regression \
	"${names[@]}" | tee "$STAGE/tmp/regress.log"
status=${PIPESTATUS[0]}

# "test x ... ok" up to 15, TAP from 16 on
passed=$(grep -cE '^test .*\.\.\. ok|^ok [0-9]' "$STAGE/tmp/regress.log")
failed=$((${#names[@]} - passed))
if [ "$status" -ne 0 ]; then
	[ "$failed" -gt 0 ] || failed=1
	cat "$STAGE/out/regression.diffs" 2>/dev/null
	tail -n 20 "$STAGE/server.log"
	if mkdir -p "$TOP/build/regress" 2>/dev/null; then
		cp -r "$STAGE/out/." "$STAGE/server.log" "$TOP/build/regress/" && echo "results are in build/regress"
	fi
fi
echo "regress: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
