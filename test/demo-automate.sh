# demo-automate.sh
#		The last act of the demo, README: Automate it.  A cluster that backs itself
#		up every minute, removes what no rule keeps, and sends an alarm by mail
#		and webhook when its repository goes away, and word when it is back.
#		Sourced by demo.sh, whose functions it uses.
#
# The repository is a folder, also with S3=1: a folder is easily taken away.

# wait_for_file SECONDS TEXT FILE...: prints the first file that has it
wait_for_file()
{
	local tries=$(($1 * 5)) text=$2 pattern=$3 file

	for ((; tries > 0; tries--)); do
		for file in $pattern; do
			if [ -s "$file" ] && grep -qF -- "$text" "$file"; then
				echo "$file"
				return 0
			fi
		done
		sleep 0.2
	done
	return 1
}

# show_alarm TITLE TEXT_IN_MAIL TEXT_IN_JSON: waits for both, and shows them
show_alarm()
{
	local mail hook

	mail=$(wait_for_file 600 "$2" "$MAILS/*.eml") || failed "no mail came: $1"
	hook=$(wait_for_file 600 "$3" "$HOOKS/*.body") || failed "no webhook was called: $1"
	say "$1: the mail (its text decoded)"
	sed -n -e 's/\r$//' -e '/^$/q' -e '/^\(From\|To\|Subject\|Date\): /p' "$mail"
	echo
	sed -e 's/\r$//' "$mail" | sed '1,/^$/d' | base64 -d | tr -d '\r'
	say "$1: what the webhook got"
	/usr/bin/python3 -m json.tool "$hook"
}

# By hand, and not at the time of the scheduled one: only one can run.
backup_by_hand()
{
	local tries out=$STAGE/tmp/by_hand

	for tries in 1 2 3 4 5; do
		wait_until 300 "SELECT count(*) = 0 FROM backup_progress"
		if (sql "SELECT backup_now()" -t) >"$out" 2>&1; then
			cat "$out"
			return 0
		fi
		grep -qE 'is running already|is being started' "$out" || break
	done
	cat "$out"
	failed "no backup could be taken by hand"
}

say "automate it: a new cluster, three settings (one takes two lines) ..."
servers_sinks || failed "the mail server and the one for webhooks do not start"
run "initdb -D auto -U postgres --auth=trust --data-checksums >/dev/null"
run "cat >>auto/postgresql.conf <<CONF
shared_preload_libraries = 'pg_backupctl'
pg_backupctl.repositories = 'main=file://$STAGE/backups'
archive_mode = on
archive_library = 'pg_backupctl'
CONF"
as_user tee -a auto/postgresql.conf >/dev/null <<CONF
listen_addresses = ''
unix_socket_directories = '$PGHOST'
port = $PGPORT
CONF
run "pg_ctl -D auto -l server.log -s start"

say "... and five statements; with a backup every minute, and two kept, there is something to see"
sql "CREATE EXTENSION pg_backupctl"
sql "SELECT backup_set_policy(keep_last => 2)" -t
sql "SELECT schedule_backup('minutely', '* * * * *', tier => 'demo'),
       schedule_backup('verify', '0 12 * * sun', type => 'verify'),
       schedule_backup('expire', '0 6 * * sun', type => 'expire')" -t
sql "SELECT backup_notify_target('mail', 'email', 'smtp://localhost:$SMTP_PORT',
       settings => '{\"from\": \"postgres@db1.example.com\", \"to\": \"dba@example.com\", \"tls\": \"off\"}')" -t
sql "SELECT backup_notify_target('pager', 'webhook', '$HOOK_URL')" -t
sql "SELECT name, cron, type, state, next_run FROM backup_schedule"

say "two backups by hand, while we wait for the full minute"
backup_by_hand
backup_by_hand
wait_until 600 "SELECT last_success IS NOT NULL FROM (SELECT max(finished_at) AS last_success FROM backup_catalog
	WHERE status = 'completed' AND metadata->>'requested_by' = 'schedule') AS s"
sql "SELECT id, label, tier, status, pg_size_pretty(backup_size_bytes) AS stored, metadata->>'requested_by' AS by FROM backup_catalog ORDER BY id"

say "how do things stand?"
sql "SELECT repository, tier, last_success, size, trend, duration, completed, failed, next_run, wal FROM backup_status"
sql "SELECT status, check_name, repository, value, threshold, advice FROM backup_health"
[ "$(ask "SELECT count(*) > 10 AND bool_and(value IS NOT NULL) FROM backup_health")" = t ] || failed "backup_health has no answers"

say "what does the policy keep, and why?  (on Sundays this is done by itself)"
sql "SELECT kind, name, action, reason FROM backup_expire()"
[ "$(ask "SELECT count(*) > 0 FROM backup_expire() WHERE kind = 'backup' AND action = 'remove'")" = t ] || failed "there is nothing to remove"
oldest=$(ask "SELECT min(label) FROM backup_catalog WHERE status = 'completed'")
sql "SELECT action, count(*) FROM backup_expire(dry_run => false) WHERE kind = 'backup' GROUP BY action"
[ ! -e "backups/$(ls backups)/backups/$oldest" ] || failed "backup $oldest is still there"
sql "SELECT at, kind, result, actor, message FROM backup_event WHERE kind = 'expire'" -x

say "the repository goes away; the next scheduled backup finds out"
run "mv backups unplugged"
show_alarm "the alarm" "Subject: [pg_backupctl] warning: backup failed" '"recovery": false'
sql "SELECT status, check_name, repository, value, threshold, advice FROM backup_health WHERE status <> 'ok'"
sql "SELECT name, consecutive_failures, last_error FROM backup_schedule WHERE last_error IS NOT NULL" -x

say "it is back"
run "mv -T unplugged backups"
show_alarm "the recovery" "Subject: [pg_backupctl] recovered: backup is well again" '"recovery": true'
wait_until 300 "SELECT status = 'archiving' AND backlog_bytes = 0 FROM backup_archiver"
sql "SELECT repository, tier, last_success, size, trend, duration, completed, failed, next_run, wal FROM backup_status"
run "pg_ctl -D auto -s -m fast stop"
