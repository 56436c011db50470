#!/bin/bash
#
# demo.sh
#		A backup, a point-in-time recovery and a restore on scratch data, as a
#		user would type it, and backups that run by themselves.  With S3=1 the
#		repository is a bucket, made by repo-setup, on a real S3 server that the
#		demo starts itself.
#
# Everything happens in one temporary folder, with a private copy of
# PostgreSQL; it is removed at the end, also after a failure or Ctrl-C.
# Exit status 0 only if the restored servers hold exactly the same rows, and the
# alarms have come.

. "$(dirname "$0")/stage.sh"
. "$TOP/test/servers/servers.sh"

SCALE=${DEMO_SCALE:-20}

if [ -t 1 ]; then
	bold=$(printf '\033[1m') plain=$(printf '\033[0m')
else
	bold='' plain=''
fi

failed()
{
	echo
	echo "demo: FAILED: $*" >&2
	[ ! -s "$STAGE/server.log" ] || tail -n 15 "$STAGE/server.log" >&2
	exit 1
}

say()
{
	printf '\n-- %s\n' "$*"
}

# A shell command, shown and run as the unprivileged user; a failure ends the demo.
run()
{
	printf '%s$ %s%s\n' "$bold" "$1" "$plain"
	as_user bash -c "$1" || failed "exit status $? of: $1"
}

# An SQL statement, shown and run; further arguments go to psql.
sql()
{
	local statement=$1
	shift

	show_sql "$statement"
	as_user psql -X -q -v ON_ERROR_STOP=1 "$@" -c "$statement" || failed "in SQL: $statement"
}

show_sql()
{
	printf '%spostgres=# %s;%s\n' "$bold" "$1" "$plain"
}

# The value of an SQL expression or query, not shown; further arguments go to psql.
ask()
{
	local query=$1
	shift

	as_user psql -X -q -A -t "$@" -c "$query"
}

# wait_until SECONDS QUERY [ARGUMENT...]: until it says t
wait_until()
{
	local tries=$(($1 * 10)) query=$2
	shift 2

	for ((; tries > 0; tries--)); do
		[ "$(ask "$query" "$@" 2>/dev/null)" != t ] || return 0
		sleep 0.1
	done
	failed "this does not become true: $query"
}

# same_rows WHAT BEFORE AFTER
same_rows()
{
	if [ -z "$2" ] || [ "$2" != "$3" ]; then
		echo "before: $2"
		echo "after:  $3"
		failed "$1"
	fi
}

# sql_when SECONDS TEXT STATEMENT [PID]: run again and again, and shown once its result has the
# text; false when that process has ended before
sql_when()
{
	local tries=$(($1 * 10)) text=$2 statement=$3 pid=${4:-$$} out

	for ((; tries > 0; tries--)); do
		out=$(as_user psql -X -q -c "$statement" 2>/dev/null)
		case $out in
			*"$text"*)
				show_sql "$statement"
				echo "$out"
				echo
				return 0
				;;
		esac
		kill -0 "$pid" 2>/dev/null || return 1
		sleep 0.1
	done
	failed "no \"$text\" in the result of: $statement"
}

seconds_since()
{
	awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN {printf "%.1f", b - a}'
}

begun=$EPOCHREALTIME
stage_begin demo
[ -z "${S3:-}" ] || servers_s3
say "building pg_backupctl and staging a private copy of PostgreSQL below $STAGE"
stage_postgres
echo "   done in $(seconds_since "$begun") s"

export PGHOST=$STAGE/sock PGUSER=postgres PGDATABASE=postgres
PGPORT=$(stage_port)
export PGPORT

# One line a table: row count and a hash that does not depend on their order.
fingerprint=
for table in pgbench_accounts pgbench_branches pgbench_tellers pgbench_history old_orders; do
	fingerprint+="${fingerprint:+
UNION ALL }SELECT '$table' AS name, count(*), sum(hashtextextended(t::text, 0)) AS hash FROM $table AS t"
done

if [ -z "${S3:-}" ]; then
	repo=file://$STAGE/repo
	run "mkdir repo"
else
	[ -n "${BKC_S3_TLS_URL:-}" ] || failed "there is no S3 server: ${BKC_S3_FAILED:-${BKC_S3_ABSENT:-}}"
	repo="s3://acme-backups/prod?endpoint=$BKC_S3_TLS_URL&ca_file=$BKC_S3_CA&credentials=$BKC_S3_CREDENTIALS"
	say "a bucket, with former versions of objects kept, and rules for what is left behind"
	run "pg_backupctl repo-setup --repo '$repo'"
fi

say "a cluster with a repository and continuous archiving: four lines of configuration, one restart"
run "cd $STAGE"
run "initdb -D prod -U postgres --auth=trust --data-checksums >/dev/null"
run "cat >>prod/postgresql.conf <<CONF
shared_preload_libraries = 'pg_backupctl'
pg_backupctl.repositories = 'main=$repo'
archive_mode = on
archive_library = 'pg_backupctl'
CONF"
as_user tee -a prod/postgresql.conf >/dev/null <<CONF
listen_addresses = ''
unix_socket_directories = '$PGHOST'
port = $PGPORT
CONF
run "mkdir slow_disk"
run "pg_ctl -D prod -l server.log -s start"

say "some data, a part of it in a tablespace"
run "pgbench -i -q -s $SCALE 2>&1 | tail -n 1"
run "pgbench -c 2 -t 2000 2>/dev/null | grep 'actually processed'"
sql "CREATE TABLESPACE slow_disk LOCATION '$STAGE/slow_disk'"
sql "CREATE TABLE old_orders TABLESPACE slow_disk AS SELECT i AS id, md5(i::text) AS customer, now() - i * interval '1 minute' AS ordered FROM generate_series(1, 300000) AS i"

say "the backup"
sql "CREATE EXTENSION pg_backupctl"
mark=$EPOCHREALTIME
show_sql "SELECT backup_now('full')"
as_user psql -X -q -v ON_ERROR_STOP=1 -c "SELECT backup_now('full')" >backup.out 2>&1 &
job=$!
echo "   meanwhile, in another session:"
sql_when 300 'copying files' "SELECT id, job, repository, phase, percent, done, total, rate, time_left FROM backup_progress" $job ||
	echo "   it was too quick to be seen there"
wait $job || { cat backup.out; failed "the backup"; }
cat backup.out
backup_time=$(seconds_since "$mark")
sql "SELECT id, label, status, repository, pg_size_pretty(original_size_bytes) AS original, pg_size_pretty(backup_size_bytes) AS stored, compression_ratio, start_lsn, stop_lsn FROM backup_catalog" -x
IFS='|' read -r size stored < <(as_user psql -X -q -A -t -c "SELECT original_size_bytes, backup_size_bytes FROM backup_catalog")

say "life goes on: these rows are in no backup, but in the WAL"
run "pgbench -c 2 -t 1000 2>/dev/null | grep 'actually processed'"
before=$(ask "$fingerprint") || failed "no fingerprint of the data"
moment=$(ask "SELECT now()")
sql "SELECT now(), count(*) FROM old_orders"

say "somebody drops a table that was needed; and life goes on"
sql "DROP TABLE old_orders"
run "pgbench -c 2 -t 1000 2>/dev/null | grep 'actually processed'"

say "what can be restored?  The open WAL segment is sent every 10 s (pg_backupctl.rpo_target)"
wait_until 60 "SELECT safe_until > '$moment'::timestamptz FROM backup_archiver"
sql "SELECT status, last_archived_file, backlog_segments, possible_loss, possible_loss_age FROM backup_archiver" -x
sql "SELECT timeline, earliest_time, latest_time, backups FROM backup_recovery_window"

say "back to the moment before, beside the cluster that goes on"
mark=$EPOCHREALTIME
run "pg_backupctl restore --repo '$repo' --pgdata past --target-time '$moment' --tablespace-map \$PWD/slow_disk=\$PWD/past_disk"
run "pg_ctl -D past -o '-p $((PGPORT + 1))' -l past.log -s start"
wait_until 60 "SELECT NOT pg_is_in_recovery()" -p $((PGPORT + 1))
past_time=$(seconds_since "$mark")
sql "SELECT count(*) FROM old_orders" -p $((PGPORT + 1))
same_rows "the rows are not those of that moment" "$before" "$(ask "$fingerprint" -p $((PGPORT + 1)))"
echo "   all tables have exactly the rows of $moment"

say "the table comes home"
run "pg_dump -p $((PGPORT + 1)) -t old_orders | psql -X -q -v ON_ERROR_STOP=1 >/dev/null"
run "pg_ctl -D past -s -m fast stop && rm -r past past_disk"
sql "SELECT count(*) FROM old_orders"

say "what would be lost if the server were lost?  In a moment, nothing"
before=$(ask "$fingerprint")
sql_when 60 '| 0 bytes' "SELECT status, backlog_segments, possible_loss, chunks FROM backup_archiver"

say "the disaster"
run "pg_ctl -D prod -s -m immediate stop"
run "rm -rf prod slow_disk"

say "what there is in the repository, and is it whole?  No server is needed for that"
run "pg_backupctl list --repo '$repo'"
mark=$EPOCHREALTIME
run "pg_backupctl verify --repo '$repo'"
verify_time=$(seconds_since "$mark")

say "the restore: of the successor this time, with all WAL there is"
mark=$EPOCHREALTIME
run "pg_backupctl restore --repo '$repo' --pgdata restored --take-over --tablespace-map \$PWD/slow_disk=\$PWD/new_disk"
restore_time=$(seconds_since "$mark")
run "pg_verifybackup restored"
mark=$EPOCHREALTIME
run "pg_ctl -D restored -l server.log -s start"
wait_until 60 "SELECT NOT pg_is_in_recovery()"
start_time=$(seconds_since "$mark")
sql "$fingerprint"
sql "SELECT spcname, pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'slow_disk'"
after=$(ask "$fingerprint")
same_rows "the restored rows are not those of the lost server" "$before" "$after"

say "it owns the repository now, and archiving goes on, on timeline 2"
sql "SELECT pg_switch_wal()"
wait_until 60 "SELECT status = 'archiving' AND last_archived_file LIKE '00000002%' AND archived_to IS NOT NULL FROM backup_archiver"
sql "SELECT status, last_archived_file, timeline FROM backup_archiver"

say "the result"
awk -v size="$size" -v stored="$stored" -v b="$backup_time" -v v="$verify_time" -v r="$restore_time" \
	-v s="$start_time" -v p="$past_time" 'BEGIN {
	mb = 1048576
	printf "   data directory       %8.0f MB\n", size / mb
	printf "   stored in repository %8.0f MB (%.2f : 1)\n", stored / mb, size / stored
	printf "   backup               %8.1f s  (%.0f MB/s)\n", b, size / mb / b
	printf "   point-in-time restore%8.1f s  (until the table was there again)\n", p
	printf "   verify               %8.1f s\n", v
	printf "   restore              %8.1f s  (%.0f MB/s)\n", r, size / mb / r
	printf "   start and recovery   %8.1f s\n", s
}'
echo "   row counts and checksums of $(wc -l <<<"$after") tables: identical, before and after the DROP TABLE"
run "pg_ctl -D restored -s -m fast stop"

. "$TOP/test/demo-automate.sh"

echo
echo "demo: everything worked, in $(seconds_since "$begun") s; the temporary folder is removed"
