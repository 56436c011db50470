# A repository that hangs does not keep the server from stopping; what could not be
# archived is archived after the next start.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $timeout = 2;
my $node = bkc_node(
	'main',
	small => 1,
	initdb => ['--wal-segsize=1'],
	conf => bkc_archiving()
	  . "autovacuum = off\ncheckpoint_timeout = 1h\npg_backupctl.shutdown_timeout = ${timeout}s\n");
my $conf = $node->data_dir . '/postgresql.auto.conf';
my $rows = 0;

sub insert
{
	$rows++;
	$node->safe_psql('postgres', "INSERT INTO t VALUES ($rows)");
	return;
}

sub log_end
{
	return -s $node->logfile;
}

# Stop in that mode, in time; returns the log of it.
sub stops
{
	my ($mode, $seconds, $what) = @_;
	my $from = log_end();
	my $began = time;

	$node->stop($mode);
	my $took = time - $began;
	cmp_ok($took, '<', $seconds, sprintf '%s: stopped within %d s (%.1f s)', $what, $seconds, $took);
	return slurp_file($node->logfile, $from);
}

# Start without any fault point and see everything archived.
sub catches_up
{
	my ($what, @files) = @_;

	append_to_file($conf, "pg_backupctl.fault = ''\n");
	$node->start;
	my %ready = map { $_ => 1 } bkc_wal_status($node, 'ready'), bkc_wal_status($node, 'done');
	is(scalar(grep { !$ready{$_} } @files), 0, "$what: nothing is lost meanwhile");
	bkc_archived($node, $what, @files);
	is(scalar(bkc_repo_objects($node, qr{/\Q$_\E$})), 1, "$what: $_ is there once") for @files[ 0, -1 ];
	return;
}

$node->safe_psql('postgres', 'CREATE TABLE t (i int)');
bkc_backup($node);
bkc_segments($node, 1);
bkc_archived($node, 'before');

# ---- a good repository: the last cycle archives what there is ----

bkc_set_fault($node, 'archive-file=fail,helper-segment=fail');
insert();
my @files = bkc_segments($node, 8);
append_to_file($conf, "pg_backupctl.fault = ''\n");
$node->reload;
stops('fast', $timeout + 5, 'a good repository');
is_deeply([ bkc_wal_status($node, 'ready') ], [], 'a good repository: nothing is left');
is(scalar(bkc_repo_objects($node, qr{/\Q$_\E$})), 1, "a good repository: $_ is there") for @files[ 0, 7 ];
$node->start;

# ---- it hangs, with uploads under way when the server is stopped ----

for my $point ('store-commit', 'archive-file')
{
	bkc_set_fault($node, "$point=sleep:600000");
	insert();
	@files = bkc_segments($node, 20);
	ok( bkc_poll(
			sub {
				$node->safe_psql('postgres', <<'SQL') eq 't';
SELECT wait_event = 'Extension' FROM pg_stat_activity WHERE backend_type = 'archiver'
SQL
			}),
		"$point: the archiver hangs");
	my $log = stops('fast', $timeout + 5, "$point hangs");
	like($log, qr/Time for archiving during shutdown \(pg_backupctl\.shutdown_timeout\) is up/,
		"$point hangs: the log says that WAL is left");
	cmp_ok(scalar(bkc_wal_status($node, 'ready')), '>=', 20, "$point hangs: it waits");
	catches_up("$point hung", @files);
}

# ---- it is slow: the total counts, not each file ----

bkc_set_fault($node, 'archive-file=fail,helper-segment=fail');
@files = bkc_segments($node, 20);
append_to_file($conf, "pg_backupctl.fault = 'store-commit=sleep:450'\n");
$node->reload;
stops('fast', $timeout + 5, 'a slow repository');
my $left = bkc_wal_status($node, 'ready');
cmp_ok($left, '<', 21, "a slow repository: some are archived, $left are left");
cmp_ok($left, '>', 5, 'a slow repository: not all');
catches_up('a slow repository', @files);

# ---- it fails at once ----

bkc_set_fault($node, 'store-open-write=fail');
insert();
@files = bkc_segments($node, 20);
stops('fast', $timeout + 5, 'a repository that fails');
cmp_ok(scalar(bkc_wal_status($node, 'ready')), '>=', 20, 'a repository that fails: WAL waits');
catches_up('a repository that failed', @files);

# ---- no time at all ----

bkc_set_fault($node, 'store-commit=sleep:600000');
append_to_file($conf, "pg_backupctl.shutdown_timeout = 0\n");
$node->reload;
@files = bkc_segments($node, 20);
stops('smart', 5, 'no time at all');
catches_up('no time at all', @files);

# ---- everything is in the repository ----

bkc_shipped($node);
$node->stop;
my $copy = bkc_restore($node, 'copy');
if (bkc_start_restored($copy))
{
	is($copy->safe_psql('postgres', 'SELECT count(*), max(i) FROM t'), "$rows|$rows", 'every row is there');
	$copy->stop;
}

done_testing();
