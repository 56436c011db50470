# WAL helpers are ahead of the archiver: a primary may die with a segment missing and later
# ones there.  Its standby, promoted, looks behind the first that is there, and sends what
# is missing or names it.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Cluster;
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

sub path_of
{
	my ($node, $file) = @_;
	my ($object) = bkc_repo_objects($node, qr{/\Q$file\E$});

	return defined $object ? bkc_repo_dir($node) . "/$object" : undef;
}

# A primary and its marked standby; the last five segments are archived but for the second and
# the third, as if these had been on their way.  What is older than the backup is not there, as if
# archiving had been begun then.  Returns both and the names of the five and of what is older.
# The primary is dead then.
sub lost_primary
{
	my ($name) = @_;
	my $node = bkc_node(
		$name,
		small => 1,
		initdb => ['--wal-segsize=1'],
		conf => bkc_archiving() . "autovacuum = off\nwal_keep_size = 100MB\n");
	my $standby = PostgreSQL::Test::Cluster->new("${name}_standby");

	$node->safe_psql('postgres', 'CREATE TABLE t (i int)');
	my @older = map { segment($node) } 1 .. 2;
	bkc_archived($node, "$name: before the backup", @older);
	bkc_backup($node);
	$node->backup('base');
	$standby->init_from_backup($node, 'base', has_streaming => 1);
	$standby->start;
	ok(bkc_poll(sub { -e $standby->data_dir . '/pg_backupctl/standby' }), "$name: the standby is marked");
	my @files = map { segment($node) } 1 .. 5;
	insert($node);
	bkc_archived($node, "$name: the primary", @files);
	bkc_shipped($node);
	$node->wait_for_catchup($standby, 'replay', $node->lsn('flush'));
	$node->stop('immediate');
	unlink path_of($node, $_) or die $! for @files[ 1, 2 ];
	unlink map { bkc_repo_dir($node) . "/$_" }
	  grep { m{/([0-9A-F]{24})$} && $1 le $older[-1] } bkc_repo_objects($node);
	return ($node, $standby, \@files, \@older);
}

# ---- all of it is still there ----

my ($node, $standby, $files, $older) = lost_primary('all');
$standby->promote;
segment($standby);
ok(bkc_poll(sub { path_of($node, $files->[1]) && path_of($node, $files->[2]) }),
	'the promoted standby sends what was on its way');
insert($standby);
bkc_shipped($standby);
ok($standby->log_contains(qr/: 2 WAL segments that the old primary had not archived were sent/), 'the log says so');
ok(!$standby->log_contains(qr/lacks \d+ WAL segments/), 'nothing is missing');
is(scalar(grep { defined path_of($node, $_) } @$older),
	0, 'what is older than all that is there was not asked for');
bkc_wait_for_sql($standby, q(SELECT status = 'archiving' AND possible_loss_bytes IS NOT NULL FROM backup_archiver),
	't', 'all is well');
$standby->stop;
my $copy = bkc_restore($node, 'copy');
if (bkc_start_restored($copy))
{
	is($copy->safe_psql('postgres', 'SELECT count(*), max(i) FROM t'), "$i|$i", 'every row can be restored');
	$copy->stop;
}

# ---- it is gone, and more that the repository has ----

$i = 0;
($node, $standby, $files, $older) = lost_primary('gone');
unlink $standby->data_dir . "/pg_wal/$_" or die $! for @$files[ 0 .. 3 ];
$standby->promote;
segment($standby);
bkc_wait_for_sql($standby, q(SELECT status FROM backup_archiver), 'hole', 'the view says what cannot be sent');
like(
	$standby->safe_psql('postgres', 'SELECT last_error FROM backup_archiver'),
	qr/segments "$files->[1]" to "$files->[2]"/,
	'... and names it');
ok( $standby->log_contains(
		qr/lacks 2 WAL segments from before this server was promoted.*\n.*DETAIL:.*"$files->[1]".*"$files->[2]"/),
	'what the repository has is not counted');
is(bkc_backup($standby)->{status}, 'completed', 'a backup');
bkc_wait_for_sql($standby, q(SELECT status FROM backup_archiver), 'archiving', '... is the new beginning');

# ---- the same hole behind the next fork ----

my $next = PostgreSQL::Test::Cluster->new('next');
$standby->backup('next');
$next->init_from_backup($standby, 'next', has_streaming => 1);
$next->start;
ok(bkc_poll(sub { -e $next->data_dir . '/pg_backupctl/standby' }), 'the next standby is marked');
insert($standby);
bkc_shipped($standby);
$standby->wait_for_catchup($next, 'replay', $standby->lsn('flush'));
$standby->stop('immediate');
$next->promote;
segment($next);
insert($next);
bkc_shipped($next);
is($next->safe_psql('postgres', 'SELECT status FROM backup_archiver'),
	'archiving', 'a hole that a backup was taken behind is none any more');
ok(!$next->log_contains(qr/lacks \d+ WAL segments/), 'and not told again');
$next->stop;

done_testing();
