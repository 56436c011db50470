# WAL helpers: a backlog goes in parallel, never far ahead of what is missing, what is
# reported is contiguous; without helpers and without free worker slots it goes as well,
# and helpers leave when there is nothing to do.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $node = bkc_node(
	'main',
	small => 1,
	initdb => ['--wal-segsize=1'],
	conf => bkc_archiving() . "autovacuum = off\ncheckpoint_timeout = 1h\nwal_keep_size = 500MB\n");
my $helpers = q(FROM pg_stat_activity WHERE backend_type = 'pg_backupctl WAL helper');
my $rows = 0;

sub setting
{
	my ($name, $value) = @_;

	$node->safe_psql('postgres', "ALTER SYSTEM SET $name = '$value'");
	$node->reload;
	$node->poll_query_until('postgres', "SELECT current_setting('$name')", $value) or die $name;
	return;
}

sub backlog
{
	my ($n) = @_;

	setting('pg_backupctl.enabled', 'off');
	$node->poll_query_until('postgres', "SELECT count(*) = 0 $helpers") or die 'helpers stay';
	my @files = bkc_segments($node, $n);
	$rows++;
	$node->safe_psql('postgres', "INSERT INTO t VALUES ($rows)");
	push @files, bkc_segments($node, 1);
	return @files;
}

# Those of the files that are in the repository.
sub stored
{
	my %there = map { m{/([0-9A-F]{24})$} ? ($1 => 1) : () } bkc_repo_objects($node);

	return grep { $there{$_} } @_;
}

sub helper_pids
{
	return split /\n/, $node->safe_psql('postgres', "SELECT pid $helpers");
}

$node->safe_psql('postgres', 'CREATE TABLE t (i int)');
bkc_backup($node);
bkc_archived($node, 'at first');

# ---- a backlog ----

# A segment takes a fifth of a second in every process, so that one can look on.
my @files = backlog(60);
my %number = map { $files[$_] => $_ } 0 .. $#files;
bkc_set_fault($node, 'archive-file=sleep:80,store-commit=sleep:200');
setting('pg_backupctl.wal_workers', 4);
setting('pg_backupctl.enabled', 'on');
my ($most, $widest, $wrong, $ahead, $took) = (0, 0, 0, 0);
my $began = time;
my %seen;
for (;;)
{
	# in this order: what is reported now was stored before
	my %ready = map { $_ => 1 } bkc_wal_status($node, 'ready');
	my ($prefix, $last, $n) = split /\|/,
	  $node->safe_psql('postgres',
		"SELECT pg_walfile_name(archived_to - 1), (SELECT last_archived_wal FROM pg_stat_archiver), (SELECT count(*) $helpers) FROM backup_archiver");
	my %stored = map { $_ => 1 } stored(@files);
	my $top = 0;

	$most = $n if $n > $most;
	for my $i (0 .. $#files)
	{
		$top = $i if $stored{ $files[$i] };
		$wrong++ if !$ready{ $files[$i] } && !$stored{ $files[$i] };
		$wrong++ if $files[$i] le $prefix && !$stored{ $files[$i] };
	}
	my ($first) = grep { !$stored{ $files[$_] } } 0 .. $#files;
	my $n_ahead = grep { $ready{$_} && $stored{$_} } @files;
	$ahead = $n_ahead if $n_ahead > $ahead;
	$took = time - $began if !defined $first && !defined $took;
	$widest = $top - $first + 1 if defined $first && $top - $first + 1 > $widest;
	last if !grep { $ready{$_} } @files;
	last if time - $began > 60;
	usleep(30_000);
}
is($most, 4, 'four helpers worked');
is($wrong, 0, 'nothing was reported that was not there');
cmp_ok($ahead, '>', 5, "helpers were ahead of the archiver, up to $ahead segments");
cmp_ok($widest, '<=', 16, "a hole of $widest segments at the most");
cmp_ok($took, '<', 61 * 0.2 / 2, sprintf 'in parallel: %.1f s instead of %.1f s', $took, 61 * 0.2);
bkc_archived($node, 'the backlog', @files);
is(scalar stored(@files), 61, 'all is there');
is($node->safe_psql('postgres', 'SELECT pg_walfile_name(archived_to - 1), backlog_segments, failures FROM backup_archiver'),
	"$files[60]|0|0", 'and the view says so');

# ---- holes when a process of them hangs: not wider, however long it takes ----

@files = backlog(40);
bkc_set_fault($node, 'archive-file=sleep:600000@2,store-commit=sleep:10');
setting('pg_backupctl.enabled', 'on');
ok(bkc_poll(sub { scalar stored(@files) == 41 }), 'the archiver hangs, helpers send everything')
  or diag(scalar stored(@files));
is_deeply([ bkc_wal_status($node, 'ready') ], [ @files[ 1 .. 40 ] ], '... and none is reported but the first');
# an object is there a moment before its helper has said so
bkc_wait_for_sql($node, 'SELECT pg_walfile_name(archived_to - 1), backlog_segments FROM backup_archiver',
	"$files[0]|0", '... nor counted');
$node->stop('immediate');
append_to_file($node->data_dir . '/postgresql.auto.conf', "pg_backupctl.fault = ''\n");
$node->start;
my %before = map { $_ => (stat bkc_repo_dir($node) . "/$_")[1] } bkc_repo_objects($node, qr{/[0-9A-F]{24}$});
bkc_archived($node, 'offered again after a crash', @files);
is(scalar(grep { (stat bkc_repo_dir($node) . "/$_")[1] != $before{$_} } keys %before), 0, '... and found to be there');

# ---- a helper that hangs: the others do not go further than the window ----

@files = backlog(40);
setting('pg_backupctl.wal_workers', 3);
bkc_set_fault($node, 'store-commit=sleep:300');
setting('pg_backupctl.enabled', 'on');
ok(bkc_poll(sub { helper_pids() == 3 && stored(@files) > 3 }), 'three helpers are at work');
my ($hanging) = helper_pids();
kill 'STOP', $hanging or die $!;
my ($missing, @stored);
ok( bkc_poll(
		sub {
			@stored = stored(@files);
			my %stored = map { $_ => 1 } @stored;
			($missing) = grep { !$stored{ $files[$_] } } 0 .. $#files;
			return @stored == $missing + 15;
		}),
	'one is stopped: 15 segments behind its own are sent') or diag("@stored");
$node->safe_psql('postgres', 'SELECT pg_sleep(1)');
is_deeply([ stored(@files) ], [ map { $files[$_] } grep { $_ != $missing } 0 .. $missing + 15 ], '... and no more');
is($node->safe_psql('postgres', 'SELECT pg_walfile_name(archived_to - 1) FROM backup_archiver'),
	$files[ $missing - 1 ], '... and what is before it is archived');
is((bkc_wal_status($node, 'ready'))[0], $files[$missing], '... and no more');
kill 'CONT', $hanging or die $!;
bkc_clear_fault($node);
bkc_archived($node, 'it goes on', @files);

# ---- fewer helpers, none, no slots ----

@files = backlog(20);
setting('pg_backupctl.wal_workers', 0);
setting('pg_backupctl.enabled', 'on');
bkc_archived($node, 'no helpers', @files);
is(scalar helper_pids(), 0, 'there was none');
is(scalar stored(@files), 21, 'and all is there');

@files = backlog(20);
append_to_file($node->data_dir . '/postgresql.auto.conf', "max_worker_processes = 3\npg_backupctl.wal_workers = 2\npg_backupctl.enabled = on\n");
$node->restart;
bkc_archived($node, 'no free worker slot', @files);
push @files, bkc_segments($node, 20);
bkc_archived($node, 'no free worker slot, running', @files);
is(scalar stored(@files), 41, 'no free worker slot: all is there');
ok(!$node->log_contains(qr/WARNING:  repository|PANIC/), 'and nothing was wrong');

# ---- what was sent leads to the last row ----

bkc_shipped($node);
$node->stop;
my $copy = bkc_restore($node, 'copy');
if (bkc_start_restored($copy))
{
	is($copy->safe_psql('postgres', 'SELECT count(*), max(i) FROM t'), "$rows|$rows", 'every row is there');
	$copy->stop;
}

done_testing();
