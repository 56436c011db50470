# Retention: reasons, what goes and what stays, a dry run that is the real one, crashes at each step,
# what is kept restores to any point of the window, and the safety nets.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = bkc_node('main', small => 1, initdb => ['--wal-segsize=1'], conf => bkc_archiving() . "restart_after_crash = on\n");
$node->safe_psql('postgres', 'CREATE TABLE t (i int, text text)');

my (@labels, @sums);

# A backup, then WAL.
sub backup
{
	my ($arguments) = @_;

	push @sums, bkc_checksum($node);
	push @labels, bkc_backup($node, $arguments // ())->{label};
	$node->safe_psql('postgres', "INSERT INTO t SELECT i, md5(i::text) FROM generate_series(1, 1000) AS i");
	bkc_segments($node, 3);
	return $labels[-1];
}

sub rows
{
	my ($dry_run, $repository) = @_;

	return $node->safe_psql('postgres',
		"SELECT kind, name, action, reason FROM backup_expire($dry_run) ORDER BY kind, name");
}

sub backups_there
{
	my %label = map { m{/backups/([^/]+)/manifest} ? ($1 => 1) : () } bkc_repo_objects($node);

	return join ' ', sort keys %label;
}

# ---- without a policy ----

backup() for 1 .. 2;
bkc_shipped($node);
unlike(rows('true'), qr/\|remove\|/, 'without a policy everything stays');
like(rows('true'), qr/^backup\|\Q$labels[0]\E\|keep\|.*no policy/m, 'and that is the reason');
is($node->safe_psql('postgres', "SELECT count(*) FROM backup_expire(dry_run => false) WHERE action = 'remove'"), 0, 'also when it is meant');

# ---- a policy ----

like($node->safe_psql('postgres', "SELECT backup_set_policy('classic')"), qr/^\(\*,0,7,4,12,7,/, 'the classic plan');
is($node->safe_psql('postgres', "SELECT (backup_set_policy(keep_last => 2, pitr_window => '0')).keep_last"), 2, 'a plan of our own replaces it');
backup() for 3 .. 4;
$node->safe_psql('postgres', "INSERT INTO t VALUES (0, 'last')");
bkc_shipped($node);
my @before = bkc_repo_objects($node);
my $dry = rows('true');
like($dry, qr/^backup\|\Q$labels[0]\E\|remove\|no rule keeps it/m, 'the first goes');
like($dry, qr/^backup\|\Q$labels[1]\E\|remove\|/m, 'and the second');
like($dry, qr/^backup\|\Q$labels[2]\E\|keep\|last 2/m, 'the third stays');
like($dry, qr/^backup\|\Q$labels[3]\E\|keep\|last 2.*newest good backup/m, 'the newest for more reasons');
like($dry, qr/^wal\|\S+ to \S+\|remove\|/m, 'WAL goes');
like($dry, qr/^wal\|\S+( to \S+)?\|keep\|/m, 'and WAL stays');
is_deeply([ bkc_repo_objects($node) ], \@before, 'a dry run removes nothing');

is(rows('false'), $dry, 'the real one says the same');
is(backups_there(), "$labels[2] $labels[3]", 'two backups are left');
is($node->safe_psql('postgres', 'SELECT label FROM backup_catalog ORDER BY label'), "$labels[2]\n$labels[3]", 'so the catalog says');
my ($removed) = $dry =~ /^wal\|(\S+)(?: to \S+)?\|remove/m;
ok(!(grep { m{/\Q$removed\E} } bkc_repo_objects($node)), 'the first segment is gone');
is($node->safe_psql('postgres', "SELECT result, message ~ 'removed 2 backups', jsonb_array_length(detail->'repositories'->'main') > 4 FROM backup_event WHERE kind = 'expire' ORDER BY id DESC LIMIT 1"),
	'ok|t|t', 'one event tells of it');
is($node->safe_psql('postgres', "SELECT count(*) FROM backup_expire(dry_run => false) WHERE action = 'remove'"), 0, 'nothing is left to remove');

# ---- what is kept restores ----

my $sum = bkc_checksum($node);
bkc_shipped($node);
like(bkc_client_ok([ 'check', '--repo', bkc_repo_url($node) ], 'check'), qr/no damage found/, 'check finds no damage');
my %expected = ($labels[2] => $sums[2], $labels[3] => $sum);
for my $label (@labels[ 2, 3 ])
{
	# of the older one just what makes it consistent is left
	my $copy = bkc_restore($node, "copy_$label", args => [ '--backup', $label, $label eq $labels[2] ? '--immediate' : () ]);
	bkc_judge($copy, $expected{$label});
	$copy->clean_node;
}

# ---- own retention, and being the only one ----

backup(q('full', retention => '7 years'));
backup() for 1 .. 2;
$dry = rows('true');
like($dry, qr/^backup\|\Q$labels[4]\E\|keep\|retention date \d{4}-/m, 'a retention date keeps it');
$node->safe_psql('postgres', "SELECT backup_set_policy(keep_within => '1 second', pitr_window => '0')");
ok(bkc_poll(sub { (() = rows('true') =~ /\|remove\|/g) >= 3 }), 'what is older than a second may go');
like(rows('true'), qr/^backup\|\Q$labels[6]\E\|keep\|.*newest good backup/m, 'but the newest stays');

# ---- crashes ----

$node->safe_psql('postgres', "SELECT backup_set_policy(keep_last => 1, pitr_window => '0')");
for my $point (qw(expire-backup expire-row removal expire-wal))
{
	backup();
	if ($point eq 'removal')
	{
		# in the middle of one backup's objects; this point is passed again right after the restart
		bkc_set_fault($node, 'store-remove=sleep:60000@2');
		my $there = backups_there();
		my $job = bkc_start($node, 'SELECT count(*) FROM backup_expire(dry_run => false)');
		ok(bkc_poll(sub { backups_there() ne $there }), 'a manifest is gone');
		$node->stop('immediate');
		bkc_join_fails($job, qr/terminating connection|server closed/, "$point: the server crashes");
		$node->append_conf('postgresql.auto.conf', "pg_backupctl.fault = ''\n");
		$node->start;
	}
	else
	{
		bkc_set_fault($node, "$point=kill");
		my ($status) = $node->psql('postgres', 'SELECT count(*) FROM backup_expire(dry_run => false)');
		isnt($status, 0, "$point: the server crashes");
		bkc_wait_up($node);
		bkc_clear_fault($node);
	}
	bkc_wait_for_sql($node, "SELECT count(*) FROM backup_progress", 0, 'it is up');
	unlike(rows('false'), qr/^$/, "$point: the next run goes through");
	unlike(rows('true'), qr/\|remove\|/, "$point: and nothing is left to do");
	is($node->safe_psql('postgres', "SELECT string_agg(label, ' ' ORDER BY label) FROM backup_catalog WHERE status = 'completed'"),
		backups_there(), "$point: catalog and repository agree");
	is(backups_there(), "$labels[4] $labels[-1]", "$point: what is to stay is there");
}
$sum = bkc_checksum($node);
bkc_shipped($node);
bkc_judge(bkc_restore($node, 'last'), $sum);

# ---- safety nets ----

# the clock is wrong: the newest backup lies in the future
$node->safe_psql('postgres', sprintf "ALTER SYSTEM SET pg_backupctl.test_clock = '%.3f %d 1'", time, time - 86400);
$node->reload;
bkc_wait_for_sql($node, "SELECT setting <> '' FROM pg_settings WHERE name = 'pg_backupctl.test_clock'", 't', 'a wrong clock');
my ($status, $stdout, $stderr) = $node->psql('postgres', 'SELECT backup_expire(dry_run => false)');
like($stderr, qr/began at .*, which lies in the future.*clock that may be wrong/s, 'nothing is removed by a wrong clock');
$node->safe_psql('postgres', "ALTER SYSTEM RESET pg_backupctl.test_clock; ALTER SYSTEM SET pg_backupctl.enabled = off");
$node->reload;
bkc_wait_for_sql($node, "SELECT setting FROM pg_settings WHERE name = 'pg_backupctl.enabled'", 'off', 'off');
($status, $stdout, $stderr) = $node->psql('postgres', 'SELECT backup_expire(dry_run => false)');
like($stderr, qr/nothing is removed while pg_backupctl.enabled is off/, 'nor while it is off');
$node->safe_psql('postgres', "ALTER SYSTEM RESET pg_backupctl.enabled");
$node->reload;

# one whose manifest cannot be read is judged by nobody
backup() for 1 .. 2;
my ($manifest) = grep { m{/\Q$labels[-2]\E/manifest$} } bkc_repo_objects($node);
bkc_flip_byte(bkc_repo_dir($node) . "/$manifest", -20);
like(rows('true'), qr/^backup\|\Q$labels[-2]\E\|keep\|/m, 'what cannot be read is not touched');
rows('false');
like(backups_there(), qr/\Q$labels[-2]\E/, 'it is still there');

# a backup that the catalog does not know stays, and its WAL
$node->safe_psql('postgres', "DELETE FROM backup_catalog WHERE label = '$labels[-1]'");
backup() for 1 .. 2;
like(rows('true'), qr/^backup\|\Q$labels[-3]\E\|keep\|not in the catalog/m, 'what the catalog does not know is not touched');
$node->stop;

done_testing();
