# Backups that rely on the archive: of an old one that is kept retention leaves just the WAL that
# makes it consistent, and whoever looks for gaps does not call that one.  In the recovery window it is.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = bkc_node('main', small => 1, initdb => ['--wal-segsize=1'], conf => bkc_archiving());

# From now on it is that many seconds later for schedules and retention.
sub clock
{
	my ($later) = @_;
	my $now = time;

	$node->safe_psql('postgres',
		sprintf "ALTER SYSTEM SET pg_backupctl.test_clock = '%.6f %.6f 1'", $now, $now + $later);
	$node->reload;
	return bkc_wait_for_sql($node,
		"SELECT setting LIKE '" . sprintf('%.6f', $now) . " %' FROM pg_settings WHERE name = 'pg_backupctl.test_clock'",
		't', "it is $later seconds later");
}

sub gaps
{
	return $node->safe_psql('postgres',
		"SELECT status || ': ' || finding FROM backup_check() WHERE check_name = 'gap'");
}

# What the job of that name, whose turn is now, says.
my $checks = 0;

sub wal_check
{
	$checks++;
	$node->safe_psql('postgres',
		"UPDATE backup_schedule_entry SET catch_up = catch_up; SELECT schedule_backup('wal', '* * * * *', type => 'wal-check')");
	clock(3600 * 24 * 30 * $checks);
	bkc_wait_for_sql($node, "SELECT count(*) >= $checks FROM backup_event WHERE kind = 'wal-check'", 't', 'the job has run');
	return $node->safe_psql('postgres', "SELECT severity || ': ' || message FROM backup_event WHERE kind = 'wal-check' ORDER BY id DESC LIMIT 1");
}

my (@labels, @sums);
for my $i (1 .. 3)
{
	$node->safe_psql('postgres', "CREATE TABLE t$i AS SELECT i, md5(i::text) FROM generate_series(1, 20000) AS i");
	push @sums, bkc_checksum($node);
	push @labels, bkc_backup($node, q('full', options => '{"wal": "archive"}'))->{label};
	bkc_segments($node, 3);
}
bkc_shipped($node);
is($node->safe_psql('postgres', "SELECT backup_hold(id, 'case 4711') FROM backup_catalog WHERE label = '$labels[0]'"), '1', 'the oldest is held');

# ---- before the window ----

$node->safe_psql('postgres', "SELECT backup_set_policy(keep_last => 1, pitr_window => '1 hour')");
like(gaps(), qr/^ok: the WAL has no gaps$/, 'no gap before');
clock(7200);
my $rows = $node->safe_psql('postgres', 'SELECT kind, name, action FROM backup_expire(false)');
like($rows, qr/^backup\|\Q$labels[0]\E\|keep$/m, 'it stays');
like($rows, qr/^backup\|\Q$labels[1]\E\|remove$/m, 'the one behind it goes');
like($rows, qr/^wal\|\S+( to \S+)?\|remove\nwal\|\S+( to \S+)?\|keep$/m, 'and WAL between what is kept');
is(gaps(), 'ok: the WAL has no gaps', 'backup_check() does not call that a gap');

# who may only call it may know that, too
$node->safe_psql('postgres', 'CREATE ROLE checker LOGIN; GRANT EXECUTE ON FUNCTION backup_check TO checker');
is($node->safe_psql('postgres', "SET SESSION AUTHORIZATION checker; SELECT status FROM backup_check() WHERE check_name = 'gap'"),
	'ok', 'nor for a role without rights on the policy');
is(wal_check(), 'info: main: the WAL has no gaps', 'neither does the job');

# ---- the window is wide now ----

$node->safe_psql('postgres', "SELECT backup_set_policy(keep_last => 1, pitr_window => '10 years')");
like(gaps(), qr/^warning: timeline 1 lacks \d+ WAL segments?, .* can be restored$/, 'within the window it is a gap for backup_check()');
like(wal_check(), qr/^critical: main: 1 gap in the WAL, the first is /, 'and for the job');

# ---- what is kept restores ----

is($node->safe_psql('postgres', "SELECT backup_verify(id) FROM backup_catalog ORDER BY label"), "passed\npassed", 'both are whole');
my $sum = bkc_checksum($node);
bkc_shipped($node);
$node->stop;
for my $kept ([ $labels[0], $sums[0], '--immediate' ], [ $labels[2], $sum ])
{
	my ($label, $expected, @more) = @$kept;
	my $copy = bkc_restore($node, "copy_$label", args => [ '--backup', $label, @more ]);

	bkc_judge($copy, $expected, manifest => 0);
}

# ---- a gap between the base of the window and the window ----

$node = bkc_node('other', small => 1, initdb => ['--wal-segsize=1'], conf => bkc_archiving());
$checks = 0;
my $stop = bkc_backup($node)->{stop_lsn};
bkc_segments($node, 5);
bkc_shipped($node);
my $missing = $node->safe_psql('postgres', "SELECT pg_walfile_name('$stop'::pg_lsn + 2 * 1024 * 1024)");
my ($object) = bkc_repo_objects($node, qr{/wal/.*/$missing$});
ok(unlink(bkc_repo_dir($node) . "/$object"), "$missing is lost");
$node->safe_psql('postgres', "SELECT backup_set_policy(keep_last => 1, pitr_window => '7 days')");
clock(3600 * 24 * 8);
like(gaps(), qr/^failed: timeline 1 lacks 1 WAL segment, "$missing" to /, 'the window cannot be restored, says backup_check()');
is(wal_check(), "critical: main: 1 gap in the WAL, the first is $missing to $missing (1 segments)", 'and the job');
bkc_backup($node);
is(gaps(), 'ok: the WAL has no gaps', 'when a later backup is the base, the gap is past');

done_testing();
