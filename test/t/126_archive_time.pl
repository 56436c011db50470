# Time limits of the archiver: one file ends after archive_timeout and is tried again
# with growing pauses; an upload that hangs holds nobody else up.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = bkc_node(
	'main',
	small => 1,
	initdb => ['--wal-segsize=1'],
	conf => bkc_archiving() . <<'CONF');
autovacuum = off
checkpoint_timeout = 1h
pg_backupctl.wal_workers = 0
CONF

sub setting
{
	my ($name, $value) = @_;

	$node->safe_psql('postgres', "ALTER SYSTEM SET $name = '$value'");
	$node->reload;
	$node->poll_query_until('postgres', "SELECT current_setting('$name')", $value) or die $name;
	return;
}

sub process_waits
{
	my ($type, $what) = @_;

	return bkc_wait_for_sql($node,
		"SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = '$type' AND wait_event = 'Extension'",
		't', $what);
}

sub helpers
{
	return $node->safe_psql('postgres',
		q(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_backupctl WAL helper'));
}

my @first = bkc_segments($node, 1);
bkc_archived($node, 'at first', @first);

# ---- a file's time limit ----

setting('pg_backupctl.archive_timeout', '1s');
bkc_set_fault($node, 'store-write=sleep:600000');
my @files = bkc_segments($node, 2);
bkc_wait_for_sql($node,
	"SELECT failures > 0 AND last_error ~ 'time is up for sending WAL file \"$files[0]\"' AND failed_file = '$files[0]' FROM backup_archiver",
	't', 'time is up for a file, and the view says so');
is(helpers(), 0, 'no helper was there');
ok($node->log_contains(qr/WARNING: .*repository "main": time is up for sending WAL file "$files[0]"/),
	'the log says so, too');
is_deeply([ bkc_repo_objects($node, qr{/$files[0]}) ], [], 'nothing is left in the repository');
bkc_clear_fault($node);
bkc_archived($node, 'after a time-out', @files);
is($node->safe_psql('postgres', 'SELECT status FROM backup_archiver'), 'archiving', 'and all is well');
setting('pg_backupctl.archive_timeout', '5min');

# ---- growing pauses, kept also when PostgreSQL itself sleeps for a minute ----

bkc_set_fault($node, 'store-open-write=fail');
my $before = $node->safe_psql('postgres', 'SELECT failures FROM backup_archiver');
my $from = -s $node->logfile;
my $began = time;
@files = bkc_segments($node, 1);
bkc_wait_for_sql($node, "SELECT failures >= $before + 3 FROM backup_archiver",
	't', 'tried three times');
my $took = time - $began;
cmp_ok($took, '>', 2.8, sprintf 'in 1 + 2 seconds (%.1f)', $took);
cmp_ok($took, '<', 15, '... and not later');
is( $node->safe_psql('postgres', 'SELECT round(extract(epoch FROM retry_at - failed_at)) FROM backup_archiver'),
	4, 'the next pause is 4 seconds');
is(scalar(() = slurp_file($node->logfile, $from) =~ /WARNING: .*repository "main": fault point/g),
	3, 'each try has a line in the log');
bkc_clear_fault($node);
bkc_archived($node, 'after the pause', @files);

# ---- nobody waits for an upload that hangs ----

setting('pg_backupctl.wal_workers', 2);
my $location = $node->basedir . '/tablespace';
mkdir $location or die $!;
$node->safe_psql('postgres', "CREATE TABLESPACE s LOCATION '$location'");
for my $point ('store-write', 'store-commit')
{
	# on the way of DROP DATABASE and DROP TABLESPACE, each process has to answer
	$node->safe_psql('postgres', 'CREATE DATABASE d TEMPLATE postgres');
	setting('pg_backupctl.enabled', 'off');
	@files = bkc_segments($node, 6);
	bkc_set_fault($node, "$point=sleep:600000");
	setting('pg_backupctl.enabled', 'on');
	process_waits('archiver', "$point: the archiver hangs");
	process_waits('pg_backupctl WAL helper', "$point: a helper hangs");
	for my $sql ('DROP DATABASE d', 'DROP TABLESPACE s', "CREATE TABLESPACE s LOCATION '$location'", 'CHECKPOINT')
	{
		$began = time;
		$node->safe_psql('postgres', $sql);
		cmp_ok(time - $began, '<', 5, "$point: $sql is not held up");
	}
	is($node->safe_psql('postgres', q(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'archiver' AND wait_event = 'Extension')),
		1, "$point: the archiver still hangs");

	# the end of both is not waited for, either
	$node->stop('immediate');
	append_to_file($node->data_dir . '/postgresql.auto.conf', "pg_backupctl.fault = ''\n");
	$node->start;
	bkc_archived($node, "$point: after an immediate stop", @files);
}

# ---- a new setting reaches an archiver that has failed ----

my $url = bkc_repo_url($node);
setting('pg_backupctl.wal_workers', 0);
rename bkc_repo_dir($node), bkc_repo_dir($node) . '-moved' or die $!;
@files = bkc_segments($node, 3);
bkc_wait_for_sql($node, q(SELECT status = 'failing' FROM backup_archiver), 't', 'the repository was moved');
$began = time;
setting('pg_backupctl.repositories', "main=$url-moved");
bkc_archived($node, 'at its new place', @files);
cmp_ok(time - $began, '<', 15, 'at once');

done_testing();
