# What may happen while retention is at work: a backup becomes complete while it makes its plan, a
# release is rolled back, another server takes the repository over.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('main', small => 1, initdb => ['--wal-segsize=1'], conf => bkc_archiving());
my (@labels, %sums);

sub backup
{
	my ($arguments) = @_;
	my $sum = bkc_checksum($node);

	push @labels, bkc_backup($node, $arguments // ())->{label};
	$sums{ $labels[-1] } = $sum;
	$node->safe_psql('postgres', "INSERT INTO t SELECT i, md5(i::text) FROM generate_series(1, 1000) AS i");
	bkc_segments($node, 3);
	return;
}

sub manifests
{
	my %label = map { m{/backups/([^/]+)/manifest$} ? ($1 => 1) : () } bkc_repo_objects($node);

	return join ' ', sort keys %label;
}

sub names
{
	return join ' ', sort @_;
}

# Begin to expire, and call the code while that waits at the fault point, as the condition on view
# backup_progress tells; returns what bkc_start() does.
sub while_expiring
{
	my ($point, $condition, $code) = @_;
	my ($job, $leader);

	my ($name, $count) = split /@/, $point;

	bkc_set_fault($node, "$name=sleep:2000" . ($count ? "\@$count" : ''));
	$job = bkc_start($node, 'SELECT kind, name, action, reason FROM backup_expire(false)');
	ok( bkc_poll(
			sub {
				$leader = $node->safe_psql('postgres',
					"SELECT p.pid FROM backup_progress p JOIN pg_stat_activity a ON a.pid = p.pid WHERE p.job = 'expire' AND $condition AND a.wait_event = 'Extension'");
			}),
		"$point: retention is there");
	kill 'STOP', $leader or die "could not stop the leader: $!";
	eval { $code->(); };
	kill 'CONT', $leader;
	die $@ if $@;
	bkc_clear_fault($node);
	return $job;
}

$node->safe_psql('postgres', 'CREATE TABLE t (i int, text text)');
$node->safe_psql('postgres', "SELECT backup_set_policy(keep_last => 1, pitr_window => '0')");

# ---- a backup becomes complete ----

# whose WAL is in the archive alone, between one list of the repository and the next
for my $point ('expire-listed@1', 'expire-listed@2')
{
	backup(q('full', options => '{"wal": "archive"}'));
	bkc_shipped($node);
	my $job = while_expiring($point, "p.phase = 'planning'", sub { backup(q('full', options => '{"wal": "archive"}')) });
	is((bkc_join($job))[0], 0, "$point: retention goes through") or diag($job->{err});
	is(manifests(), names(@labels[ -2, -1 ]), "$point: the new backup stays, and the one that was the newest");
	is($node->safe_psql('postgres', "SELECT backup_verify(id) FROM backup_catalog WHERE label = '$labels[-1]'"), 'passed', "$point: with its WAL");
}

# one that is at work when the first list is made
my $sum = bkc_checksum($node);
my $leader;
bkc_set_fault($node, 'leader-wal=sleep:2000');
my $backup = bkc_start($node, q(SELECT backup_now('full', options => '{"wal": "archive"}')));
ok( bkc_poll(
		sub {
			$leader = $node->safe_psql('postgres',
				"SELECT p.pid FROM backup_progress p JOIN pg_stat_activity a ON a.pid = p.pid WHERE p.job = 'backup' AND phase = 'waiting for WAL archive' AND wait_event = 'Extension'");
		}),
	'a backup has all but its manifest');
kill 'STOP', $leader;
my $retention = while_expiring('expire-listed@1', "p.phase = 'planning'", sub { kill 'CONT', $leader; is((bkc_join($backup))[0], 0, 'it becomes complete') or diag($backup->{err}); });
is((bkc_join($retention))[0], 0, 'retention goes through') or diag($retention->{err});
push @labels, bkc_catalog($node)->{label};
$sums{ $labels[-1] } = $sum;
is(manifests(), names(@labels[ -2, -1 ]), 'it stays, and the one before it');
is($node->safe_psql('postgres', "SELECT backup_verify(id) FROM backup_catalog WHERE label = '$labels[-1]'"), 'passed', 'with its WAL');

# ---- a release that is rolled back ----

$node->safe_psql('postgres', "SELECT backup_hold(id, 'case 4711') FROM backup_catalog WHERE label = '$labels[-1]'");
my $held = $labels[-1];
$node->safe_psql('postgres', "BEGIN; SELECT backup_release(id) FROM backup_catalog WHERE label = '$held'; ROLLBACK");
is($node->safe_psql('postgres', "SELECT held FROM backup_catalog WHERE label = '$held'"), 't', 'a release that was rolled back is none');
is($node->safe_psql('postgres', 'SELECT updated, missing FROM backup_catalog_sync()'), '0|0', 'the catalog stays as it is');
is($node->safe_psql('postgres', "SELECT held, metadata->>'hold_reason' FROM backup_catalog WHERE label = '$held'"), 't|case 4711', 'held, for its reason');
backup() for 1 .. 2;
like($node->safe_psql('postgres', "SELECT action, reason FROM backup_expire(false) WHERE name = '$held'"), qr/^keep\|held: case 4711/, 'retention keeps it');
is(manifests(), names($held, $labels[-1]), 'and nothing else but the newest');

# ---- another server takes over ----

backup() for 1 .. 3;
bkc_shipped($node);
my $clone = bkc_restore($node, 'clone');
bkc_start_restored($clone);
$clone->safe_psql('postgres', 'ALTER SYSTEM SET pg_backupctl.enabled = on');
$clone->reload;
bkc_wait_for_sql($clone, 'SHOW pg_backupctl.enabled', 'on');
my @wal = bkc_repo_objects($node, qr{/wal/.*/[0-9A-F]{24}$});
my $job = while_expiring('expire-backup', "p.label IS NOT NULL", sub { is($clone->safe_psql('postgres', q(SELECT backup_take_over('main'))), 't', 'it is taken over'); });
bkc_join_fails($job, qr/repository "main" belongs to another data directory/, 'the old owner stops');
is(manifests(), names($held, @labels[ -3 .. -1 ]), 'it has removed what it had begun to, and nothing else');
my %there = map { $_ => 1 } bkc_repo_objects($node);
is(scalar(grep { !$there{$_} } @wal), 0, 'and no WAL');

# ---- what is kept restores ----

bkc_wait_for_sql($clone, 'SELECT count(*) FROM backup_jobs()', 0, 'the new owner is at rest');
$clone->stop;
$node->stop;
for my $label ($held, @labels[ -3, -2 ])
{
	my $copy = bkc_restore($node, "copy_$label", args => [ '--backup', $label, '--immediate' ]);

	bkc_judge($copy, $sums{$label}, manifest => $label ne $held);
	$copy->clean_node;
}

done_testing();
