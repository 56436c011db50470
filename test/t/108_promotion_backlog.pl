# A primary dies with WAL that it had not archived.  Its standby, promoted, has
# that WAL and sends it; what it does not have any more is named.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $i = 0;

sub insert
{
	my ($server) = @_;

	$server->safe_psql('postgres', 'INSERT INTO t VALUES (' . ++$i . ')');
	return;
}

sub segment
{
	my ($server) = @_;

	return bkc_end_segment($server, 'INSERT INTO t VALUES (' . ++$i . ')');
}

# A primary and its marked standby, where the primary has five segments, not archived, that the
# standby has received; returns both and the segments' names.  The primary is dead then.
sub lost_primary
{
	my ($name) = @_;
	my $node = bkc_node(
		$name,
		small => 1,
		initdb => ['--wal-segsize=1'],
		conf => bkc_archiving() . "autovacuum = off\nwal_keep_size = 100MB\n");
	my $standby = PostgreSQL::Test::Cluster->new("${name}_standby");
	my @files;

	$node->safe_psql('postgres', 'CREATE TABLE t (i int)');
	bkc_backup($node);
	$node->backup('base');
	$standby->init_from_backup($node, 'base', has_streaming => 1);
	$standby->start;
	insert($node);
	my $first = segment($node);
	ok(bkc_poll(sub { bkc_repo_objects($node, qr{/\Q$first\E$}) }), "$name: the primary archives");
	ok(bkc_poll(sub { -e $standby->data_dir . '/pg_backupctl/standby' }), "$name: the standby is marked");

	bkc_set_fault($node, 'archive-file=fail, helper-segment=fail, chunk-send=fail');
	push @files, segment($node) for 1 .. 5;
	insert($node);
	$node->wait_for_catchup($standby, 'replay', $node->lsn('flush'));
	$node->stop('immediate');
	is_deeply([ grep { my $f = $_; grep { m{/\Q$f\E$} } bkc_repo_objects($node) } @files ],
		[], "$name: the last segments are not in the repository");
	return ($node, $standby, @files);
}

sub there
{
	my ($node, @files) = @_;

	return grep { my $f = $_; !bkc_repo_objects($node, qr{/\Q$f\E$}) } @files;
}

# ---- all of it is still there ----

my ($node, $standby, @files) = lost_primary('all');
$standby->promote;
segment($standby);
ok(bkc_poll(sub { !there($node, @files) }), 'the promoted standby sends what was not archived');
insert($standby);
bkc_shipped($standby);
ok($standby->log_contains(qr/5 WAL segments that the old primary had not archived were sent/), 'the log says so');
ok(!$standby->log_contains(qr/lacks \d+ WAL segments/), 'nothing is missing');
$standby->stop;
my $copy = bkc_restore($node, 'copy');
if (bkc_start_restored($copy))
{
	is($copy->safe_psql('postgres', 'SELECT count(*), max(i) FROM t'), "$i|$i", 'every row can be restored');
	$copy->stop;
}

# ---- some of it is gone ----

$i = 0;
($node, $standby, @files) = lost_primary('some');
unlink $standby->data_dir . "/pg_wal/$files[$_]" or die $! for (1, 2);
$standby->promote;
segment($standby);
ok(bkc_poll(sub { !there($node, @files[ 0, 3, 4 ]) }), 'what is there is sent');
ok( bkc_poll(
		sub {
			$standby->log_contains(
				qr/repository "main" lacks 2 WAL segments from before this server was promoted.*\n.*DETAIL:.*"$files[1]".*"$files[2]".*\n.*HINT:.*Take a backup now/);
		}),
	'what is missing is named');
is(scalar(there($node, @files[ 1, 2 ])), 2, 'it is missing indeed');
insert($standby);
bkc_shipped($standby);
is(bkc_backup($standby)->{status}, 'completed', 'a backup');
$standby->stop;
$copy = bkc_restore($node, 'later');
if (bkc_start_restored($copy))
{
	is($copy->safe_psql('postgres', 'SELECT count(*), max(i) FROM t'), "$i|$i", 'from then on all can be restored');
	$copy->stop;
}

done_testing();
