# Schedules on a live server whose clock runs faster: runs on time, catching up once, what was
# missed, waiting for another backup, a crash in the middle, retries, and reasons for not running.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use POSIX qw(strftime);
use Test::More;
use Time::HiRes qw(time);

my $node = bkc_node('main', small => 1);

# From now on it is that time for the scheduler, and goes so fast.
sub clock
{
	my ($fake, $speed) = @_;
	my $seconds = $node->safe_psql('postgres', "SELECT extract(epoch FROM timestamptz '$fake')");

	$node->safe_psql('postgres',
		sprintf "ALTER SYSTEM SET pg_backupctl.test_clock = '%.6f %.6f %d'", time, $seconds, $speed);
	$node->reload;
	return;
}

sub schedule
{
	my ($what) = @_;

	return $node->safe_psql('postgres', "SELECT $what FROM backup_schedule WHERE name = 'nightly'");
}

sub becomes
{
	my ($condition, $what) = @_;

	return bkc_wait_for_sql($node, "SELECT $condition FROM backup_schedule WHERE name = 'nightly'", 't', $what);
}

$node->safe_psql('postgres', "ALTER DATABASE postgres SET timezone = 'UTC'");

# ---- on time ----

clock('2026-03-01 00:30:00+00', 600);
is($node->safe_psql('postgres', "SELECT schedule_backup('nightly', '0 1 * * *', tier => 'daily', retention => '1 year') IS NOT NULL"),
	't', 'a schedule is made');
becomes("last_run = '2026-03-01 01:00+00' AND last_result = 'completed'", 'it runs at one');
becomes("next_run = '2026-03-02 01:00+00'", 'and again the next day');
is($node->safe_psql('postgres', "SELECT status, tier, retention_date > now() + '364 days', metadata->>'requested_by' FROM backup_catalog"),
	'completed|daily|t|schedule', 'the backup has what the schedule says');
is($node->safe_psql('postgres', "SELECT kind, result, actor, schedule FROM backup_event WHERE kind = 'backup'"),
	'backup|ok|schedule|nightly', 'an event tells of it');
clock('2026-03-02 00:59:30+00', 60);
becomes("last_run = '2026-03-02 01:00+00' AND last_result = 'completed'", 'it did');
is(schedule('consecutive_failures, last_error IS NULL, last_id IS NOT NULL'), '0|t|t', 'without failure');

# ---- every minute: once each ----

clock('2026-03-02 02:00:01+00', 1);
$node->safe_psql('postgres', "SELECT schedule_backup('minutely', '* * * * *')");
bkc_wait_for_sql($node, "SELECT next_run FROM backup_schedule WHERE name = 'minutely'", '2026-03-02 02:01:00+00', 'one for every minute is planned');
clock('2026-03-02 02:01:01+00', 1);
bkc_wait_for_sql($node, "SELECT last_result = 'completed' AND next_run = last_run + '1 minute' FROM backup_schedule WHERE name = 'minutely'",
	't', 'it runs, and waits for the next minute');
is($node->safe_psql('postgres', <<'SQL'), 't', 'it has run once a minute');
SELECT (SELECT count(*) FROM backup_catalog WHERE tier IS NULL)
	= extract(epoch FROM last_run - '2026-03-02 02:00+00') / 60 FROM backup_schedule WHERE name = 'minutely'
SQL
$node->safe_psql('postgres', "SELECT unschedule_backup('minutely')");
bkc_wait_for_sql($node, "SELECT count(*) FROM backup_progress", 0, 'none runs any more');

# ---- down for a week, then a clock that jumps ahead, and back ----

my $count = 'SELECT count(*) FROM backup_catalog';
my $before = $node->safe_psql('postgres', $count);
$node->stop;
$node->append_conf('postgresql.auto.conf', sprintf "pg_backupctl.test_clock = '%.6f %d 1'\n",
	time, 1772323200 + 9 * 86400 + 7200);    # 2026-03-10 02:00
$node->start;
becomes("last_run = '2026-03-10 01:00+00' AND last_result = 'completed'", 'only the latest missed run is made');
is($node->safe_psql('postgres', $count), $before + 1, 'once');
becomes("next_run = '2026-03-11 01:00+00'", 'and the plan goes on');

clock('2026-03-10 00:30:00+00', 1);
$node->safe_psql('postgres', "UPDATE backup_schedule_entry SET catch_up = catch_up");
becomes("next_run = '2026-03-11 01:00+00'", 'a clock set back repeats nothing');
is($node->safe_psql('postgres', $count), $before + 1, 'not once');

$node->safe_psql('postgres', "SELECT schedule_backup('nightly', '0 1 * * *', catch_up => '0')");
clock('2026-03-10 03:00:00+00', 1);
becomes("next_run = '2026-03-11 01:00+00'", 'planned anew');
clock('2026-03-14 04:00:00+00', 1);
becomes("last_result = 'missed'", 'without catch_up it is missed');
becomes("next_run = '2026-03-15 01:00+00'", 'and the next one planned');
is($node->safe_psql('postgres', "SELECT count(*) FROM backup_event WHERE severity = 'warning' AND message LIKE '%missed the run of 2026-03-14%'"),
	1, 'which an event tells');

# ---- why not ----

$node->safe_psql('postgres', 'ALTER SYSTEM SET pg_backupctl.enabled = off');
$node->reload;
becomes("state = 'waiting: pg_backupctl.enabled is off'", 'the view says that pg_backupctl is off');
clock('2026-03-15 01:05:00+00', 1);
$node->safe_psql('postgres', 'ALTER SYSTEM SET pg_backupctl.enabled = on');
$node->reload;
becomes("last_run = '2026-03-15 01:00+00' AND last_result = 'completed'", 'it runs when that is over');

# ---- another backup is running ----

bkc_hold($node, 'leader-copied=sleep:8000',
	when => q(phase = 'copying files' AND files_done = files_total AND files_total > 0));
clock('2026-03-16 01:00:01+00', 1);
becomes("state = 'due' AND last_result = 'waiting' AND last_error LIKE '%backup%running already%'", 'it waits for another backup');
bkc_clear_fault($node);
becomes("last_run = '2026-03-16 01:00+00' AND last_result = 'completed'", 'and runs after that');

$node->safe_psql('postgres', "SELECT schedule_backup('nightly', '0 1 * * *', when_busy => 'skip')");
bkc_hold($node, 'leader-copied=sleep:8000',
	when => q(phase = 'copying files' AND files_done = files_total AND files_total > 0));
clock('2026-03-17 01:00:01+00', 1);
becomes("last_result = 'skipped' AND next_run = '2026-03-18 01:00+00'", 'or skips the run');
bkc_clear_fault($node);
bkc_wait_for_sql($node, "SELECT count(*) FROM backup_catalog WHERE status = 'running'", 0, 'the other one ends');

# ---- a failure, tried again ----

$node->safe_psql('postgres', "SELECT schedule_backup('nightly', '0 1 * * *', retries => 1)");
bkc_set_fault($node, 'leader-copied=fail');
clock('2026-03-18 01:00:01+00', 1);
becomes("last_result = 'failed' AND consecutive_failures = 1 AND retry_at > '2026-03-18 01:01:00+00'", 'a failure is to be tried again');
is(schedule('state'), 'failed, to be tried again', 'the view says so');
is($node->safe_psql('postgres', "SELECT result, severity FROM backup_event WHERE kind = 'backup' ORDER BY id DESC LIMIT 1"),
	'failed|warning', 'so does the event');
clock('2026-03-18 01:02:30+00', 1);
becomes("last_result = 'failed' AND consecutive_failures = 2 AND retry_at IS NULL", 'as often as it was said');
bkc_clear_fault($node);
clock('2026-03-19 01:00:01+00', 1);
becomes("last_result = 'completed' AND consecutive_failures = 0", 'and the next night all is well');

# ---- a crash in the middle ----

bkc_set_fault($node, 'leader-copied=sleep:60000');
clock('2026-03-20 01:00:01+00', 1);
bkc_wait_for_sql($node, "SELECT count(*) FROM backup_progress WHERE phase = 'copying files' AND files_done = files_total AND files_total > 0", 1, 'it runs');
$node->stop('immediate');
$node->append_conf('postgresql.auto.conf', "pg_backupctl.fault = ''\n");
$node->start;
becomes("last_result = 'failed' AND retry_at IS NOT NULL", 'a run that a crash has ended has failed');
clock('2026-03-20 01:10:00+00', 1);
becomes("last_run = '2026-03-20 01:00+00' AND last_result = 'completed' AND last_error IS NULL", 'and is made again');
is($node->safe_psql('postgres', "SELECT count(*) FROM backup_event WHERE message LIKE '%interrupted%'"), 1, 'an event tells of the crash');

# ---- other kinds ----

# nothing is removed by a clock before the newest backup, or long after it
my $day = strftime('%Y-%m-%d', gmtime(time + 2 * 86400));

$node->safe_psql('postgres', <<'SQL');
SELECT schedule_backup('nightly', '0 1 * * *', enabled => false);
SELECT schedule_backup('check', '0 2 * * *', type => 'verify');
SELECT schedule_backup('wal', '0 2 * * *', type => 'wal-check');
SELECT schedule_backup('expire', '0 2 * * *', type => 'expire');
SQL
bkc_wait_for_sql($node, 'SELECT count(*) FROM backup_schedule WHERE next_run IS NOT NULL AND enabled', 3, 'all are planned');
clock("$day 02:00:01+00", 1);
bkc_wait_for_sql($node, "SELECT count(*) FROM backup_schedule WHERE last_result = 'completed' AND last_run = '$day 02:00+00'", 3, 'all ran');
is($node->safe_psql('postgres', "SELECT verification_status FROM backup_catalog WHERE status = 'completed' ORDER BY id DESC LIMIT 1"),
	'passed', 'the newest backup is verified');
is(schedule("state, last_run"), 'disabled|2026-03-20 01:00:00+00', 'what is disabled does not run');

# ---- removed ----

is($node->safe_psql('postgres', "SELECT unschedule_backup('nightly'), unschedule_backup('nightly')"), 't|f', 'removed');
is($node->safe_psql('postgres', 'SELECT count(*) FROM backup_schedule'), 3, 'the others are there');
$node->stop;

done_testing();
