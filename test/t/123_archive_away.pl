# A repository that is away for a while: nothing is reported archived, nothing is put
# into what stands in its place, it is tried again at the time that the view says, and
# everything is there in the end.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node(
	'main',
	small => 1,
	initdb => ['--wal-segsize=1'],
	conf => bkc_archiving() . "autovacuum = off\ncheckpoint_timeout = 1h\n");
my $repo = bkc_repo_dir($node);
my $away = $node->basedir . '/away';
my $rows = 0;

# Rows and whole segments.
sub write_wal
{
	my ($n) = @_;

	$rows++;
	$node->safe_psql('postgres', "INSERT INTO t VALUES ($rows)");
	return bkc_segments($node, $n);
}

sub archived_last
{
	return $node->safe_psql('postgres', 'SELECT last_archived_wal FROM pg_stat_archiver');
}

# Asserts that WAL written now waits, and that the view says so and why.
sub waits
{
	my ($error, $what) = @_;
	my $last = archived_last();
	my @files = write_wal(5);

	bkc_wait_for_sql($node,
		"SELECT status = 'failing' AND backlog_segments >= 5 AND last_error ~ \$\$$error\$\$ AND failed_file IS NOT NULL FROM backup_archiver",
		't', "$what: the view says that it fails, and why");
	is($node->safe_psql('postgres',
			"SELECT retry_at - failed_at BETWEEN '0.9 s' AND '64.1 s', coalesce(pg_walfile_name(archived_to - 1) < '$files[0]', true) FROM backup_archiver"),
		't|t', "$what: it says when it is tried again, and how far WAL is safe");

	# PostgreSQL recycles what is archived
	$node->safe_psql('postgres', 'CHECKPOINT');
	my %ready = map { $_ => 1 } bkc_wal_status($node, 'ready');
	is(scalar(grep { $ready{$_} && -e $node->data_dir . "/pg_wal/$_" } @files),
		5, "$what: all of it is kept");
	is(archived_last(), $last, "$what: nothing is reported archived");
	return @files;
}

# Asserts that everything is archived; the archiver must not have been waked by anybody.
sub comes_back
{
	my ($what, @files) = @_;

	bkc_archived($node, "$what is over", @files);
	bkc_wait_for_sql($node, q(SELECT status = 'archiving' AND retry_at IS NULL FROM backup_archiver),
		't', "$what is over: the view says so");
	for my $file (@files)
	{
		is(scalar(bkc_repo_objects($node, qr{/\Q$file\E$})), 1, "$what is over: $file is there");
	}
	return;
}

$node->safe_psql('postgres', 'CREATE TABLE t (i int)');
bkc_backup($node);
my @files = write_wal(1);
bkc_archived($node, 'at first', @files);

# ---- its folder is gone ----

rename $repo, $away or die $!;
@files = waits('does not exist|is not in repository|does not hold', 'gone');
ok(!-e $repo, 'gone: it is not begun anew');
rename $away, $repo or die $!;
comes_back('gone', @files);

# ---- another, empty folder is in its place, as when a disk is not mounted ----

rename $repo, $away or die $!;
mkdir $repo or die $!;
@files = waits('has been replaced|does not hold this cluster', 'not mounted');
is_deeply([ bkc_repo_objects($node) ], [], 'not mounted: nothing is put into the folder below');

# ... and a restarted server knows as well
$node->stop('immediate');
$node->start;
push @files, waits('does not hold this cluster any more', 'not mounted, restarted');
is_deeply([ bkc_repo_objects($node) ], [], 'not mounted, restarted: nothing is put into the folder below');
ok($node->log_contains(qr/HINT:.*Check that it is mounted.*backup_take_over\('main'\)/), 'the log says what to do');
rmdir $repo or die "$repo: $!";
rename $away, $repo or die $!;
comes_back('not mounted', @files);

# ---- no right to write into it; the archiver runs as the same user as this test ----

SKIP:
{
	skip 'root may write everywhere', 8 if $> == 0;
	my ($sysid) = grep { /^\d+$/ } slurp_dir($repo);
	chmod 0500, "$repo/$sysid/wal/00000001/00000000" or die $!;
	@files = waits('Permission denied', 'no right');
	chmod 0755, "$repo/$sysid/wal/00000001/00000000" or die $!;
	comes_back('no right', @files);
}

# ---- the disk is full ----

bkc_set_fault($node, 'store-write=nospace');
@files = waits('fault point store-write', 'full');
bkc_clear_fault($node);
comes_back('full', @files);

is($node->safe_psql('postgres', 'SELECT failures >= 2 FROM backup_archiver'), 't', 'failures are counted');

# ---- and all of it leads to the end ----

bkc_shipped($node);
$node->stop;
my $copy = bkc_restore($node, 'copy');
if (bkc_start_restored($copy))
{
	is($copy->safe_psql('postgres', 'SELECT count(*), max(i) FROM t'), "$rows|$rows", 'every row is there');
	$copy->stop;
}

done_testing();
