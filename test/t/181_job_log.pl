# The server's log: a line at each job's start and end, always in the same form; a line for each
# failure; and nothing at all while there is nothing to do.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = bkc_node('main', small => 1, initdb => ['--wal-segsize=1'], conf => bkc_archiving() . "log_statement = none\nlog_connections = off\nlog_disconnections = off\nlog_checkpoints = off\nautovacuum = off\n");
my $repo = bkc_repo_dir($node);
my $label = qr/\d{8}T\d{6}Z-full-[0-9a-f]{4}/;
my $seconds = qr/seconds=\d+\.\d/;
my $at = 0;

# Asserts what the log says of jobs since the last look, one pattern a line.
sub says
{
	my ($what, @patterns) = @_;
	my $text = slurp_file($node->logfile, $at);
	my @lines = map { /(\w+:  pg_backupctl: (?:job|schedule) .*)$/ ? $1 : () } split /\n/, $text;

	$at = -s $node->logfile;
	is(scalar @lines, scalar @patterns, "$what: so many lines") or diag(join "\n", @lines);
	like($lines[$_] // '', qr/^$patterns[$_]/, "$what: line " . ($_ + 1)) for 0 .. $#patterns;
	return;
}

sub counts
{
	my ($kind, $result) = @_;

	return $node->safe_psql('postgres', "SELECT jobs FROM backup_job_counts() WHERE job = '$kind' AND result = '$result'");
}

my $user = $node->safe_psql('postgres', 'SELECT session_user');
my $by = qr/by="\Q$user\E"/;

# ---- one of each ----

my $backup = bkc_backup($node);
says('a backup',
	qr/LOG:  pg_backupctl: job start kind=backup repository=main type=full $by$/,
	qr/LOG:  pg_backupctl: job end kind=backup result=completed $seconds repository=main id=$backup->{id} label=$backup->{label} $by: backup $backup->{label} completed: .* stored .*$/);
is(counts('backup', 'completed'), 1, 'it is counted');

$node->safe_psql('postgres', 'SELECT backup_verify()');
says('a verification',
	qr/LOG:  pg_backupctl: job start kind=verify $by$/,
	qr/LOG:  pg_backupctl: job end kind=verify result=completed $seconds repository=main id=$backup->{id} label=$backup->{label} $by: backup .* verified/);
$node->safe_psql('postgres', 'SELECT * FROM backup_catalog_sync()');
says('a sync',
	qr/LOG:  pg_backupctl: job start kind=sync $by$/,
	qr/LOG:  pg_backupctl: job end kind=sync result=completed $seconds $by: main: 0 backups added/);
$node->safe_psql('postgres', "SELECT backup_set_policy('classic'); SELECT * FROM backup_expire(dry_run => false)");
says('an expiry',
	qr/LOG:  pg_backupctl: job start kind=expire $by$/,
	qr/LOG:  pg_backupctl: job end kind=expire result=completed $seconds $by: main: removed 0 backups/);

# names of roles are quoted
$node->safe_psql('postgres', q(CREATE ROLE "a ""b"" c" SUPERUSER; SET SESSION AUTHORIZATION "a ""b"" c"; SELECT backup_verify()));
says('a name',
	qr/LOG:  pg_backupctl: job start kind=verify by="a \\"b\\" c"$/,
	qr/LOG:  pg_backupctl: job end kind=verify result=completed .* by="a \\"b\\" c": backup/);

# a schedule, which starts one job and not two
$node->safe_psql('postgres', sprintf(
	"ALTER SYSTEM SET pg_backupctl.test_clock = '%.6f %d 1'", time, 1772323200 + 3590));    # 2026-03-01 00:59:50
$node->reload;
$node->safe_psql('postgres', q(SELECT schedule_backup('gaps', '*/5 * * * *', 'wal-check', time_zone => 'UTC')));
bkc_wait_for_sql($node, "SELECT last_result FROM backup_schedule", 'completed', 'the schedule has run');
says('a check by a schedule',
	qr/LOG:  pg_backupctl: job start kind=wal-check schedule=gaps by="schedule"$/,
	qr/LOG:  pg_backupctl: job end kind=wal-check result=completed $seconds schedule=gaps by="schedule": main: the WAL has no gaps$/);

# ---- failures ----

bkc_set_fault($node, 'leader-copied=fail');
bkc_backup_fails($node, '', qr/./, 'a backup fails');
bkc_clear_fault($node);
like(slurp_file($node->logfile, $at), qr/ERROR:  .*leader-copied/, 'its error is in the log');
says('a failed backup',
	qr/LOG:  pg_backupctl: job start kind=backup /,
	qr/WARNING:  pg_backupctl: job end kind=backup result=failed $seconds repository=main id=\d+ label=$label $by: .*leader-copied/);
is(counts('backup', 'failed'), 1, 'it is counted');

my ($pack) = sort { -s "$repo/$b" <=> -s "$repo/$a" } bkc_repo_objects($node, qr{/\Q$backup->{label}\E/data/});
bkc_flip_byte("$repo/$pack", 5000);
$node->safe_psql('postgres', 'SELECT backup_verify()');
bkc_flip_byte("$repo/$pack", 5000);
says('a damaged backup',
	qr/LOG:  pg_backupctl: job start kind=verify /,
	qr/WARNING:  pg_backupctl: job end kind=verify result=failed .*: backup $backup->{label} is damaged/);
is(counts('verify', 'failed'), 1, 'it is counted as a failure');

# one that cannot start, by a schedule
$node->safe_psql('postgres', "SELECT unschedule_backup('gaps'), schedule_backup('x', '\@hourly', 'wal-check', retries => 0)");
$node->safe_psql('postgres', "UPDATE backup_schedule_entry SET repository = 'gone', next_run = '2026-03-01 01:00+00', starts_at = '2026-03-01 01:00+00'");
$node->safe_psql('postgres', "SELECT schedule_backup('y', '\@yearly', 'wal-check')");
bkc_wait_for_sql($node, "SELECT last_result FROM backup_schedule WHERE name = 'x'", 'failed', 'it could not start');
says('one that could not start', qr/WARNING:  pg_backupctl: schedule x: repository "gone" is not defined$/);
is($node->safe_psql('postgres', "SELECT count(*) FROM backup_event WHERE schedule = 'x' AND result = 'failed'"), 1, 'an event tells of it');
$node->safe_psql('postgres', "SELECT unschedule_backup('x'), unschedule_backup('y')");

# ---- nothing to do ----

# Alarms have somewhere to go, and schedules something to wait for; a clock that runs fast makes
# the scheduler look every moment.  Each kind of housekeeping is seen to have ended some times.
$node->safe_psql('postgres', "SELECT schedule_backup('later', '0 0 29 2 *')");
$node->safe_psql('postgres', "SELECT backup_notify_target('ops', 'webhook', 'http://127.0.0.1:9/', settings => '{\"tls\": \"off\"}', min_severity => 'critical')");
bkc_settled($node, 'all is settled');
$node->safe_psql('postgres', sprintf(
	"ALTER SYSTEM SET pg_backupctl.test_clock = '%.6f %d 3600'", time, 1772323200 + 7200));
$node->reload;
bkc_wait_for_sql($node, "SELECT next_run IS NOT NULL FROM backup_schedule", 't', 'the schedule is planned');
bkc_wait_for_sql($node, "SELECT status FROM backup_archiver", 'archiving', 'WAL is archived');
$at = -s $node->logfile;

my %before = map { $_ => counts($_, 'completed') } qw(schedule notify);
for my $round (1 .. 3)
{
	# a new event that no target wants
	$node->safe_psql('postgres', "INSERT INTO backup_event (kind, message) VALUES ('hold', 'x')");
	bkc_wait_for_sql($node, "SELECT jobs >= $before{notify} + $round FROM backup_job_counts() WHERE job = 'notify' AND result = 'completed'",
		't', "alarms were looked at, round $round");
}
bkc_wait_for_sql($node, "SELECT jobs >= $before{schedule} + 10 FROM backup_job_counts() WHERE job = 'schedule' AND result = 'completed'",
	't', 'schedules were looked at ten times');
is(slurp_file($node->logfile, $at), '', 'an idle server writes nothing into its log');
is($node->safe_psql('postgres', "SELECT sum(jobs) FROM backup_job_counts() WHERE job IN ('settle', 'schedule', 'notify') AND result <> 'completed'"),
	0, 'no housekeeping has failed');
$node->stop;

done_testing();
