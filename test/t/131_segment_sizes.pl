# WAL segments of 1 MB and of 64 MB: a backlog with helpers, wal-get, and a recovery to
# a point in its middle.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

for my $size (1, 64)
{
	my $node = bkc_node("n$size", small => 1, initdb => ["--wal-segsize=$size"],
		conf => bkc_archiving()
		  . "autovacuum = off\ncheckpoint_timeout = 1h\nmin_wal_size = @{[2 * $size]}MB\nmax_wal_size = @{[20 * $size]}MB\nwal_keep_size = @{[20 * $size]}MB\n");
	my $what = "$size MB";
	my $sysid = $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');
	my $got = $node->basedir . '/got';
	my (@files, @lsn);

	$node->safe_psql('postgres', 'CREATE TABLE t (i int, x text)');
	bkc_backup($node);

	# a backlog of segments, some of them full
	$node->safe_psql('postgres', 'ALTER SYSTEM SET pg_backupctl.enabled = off');
	$node->reload;
	my $n = $size == 1 ? 12 : 4;
	for my $i (1 .. $n)
	{
		my $rows = $size == 1 ? 3000 : 60000;
		$node->safe_psql('postgres',
			"INSERT INTO t SELECT $i, repeat(md5(i::text), 4) FROM generate_series(1, $rows) i") if $i % 2;
		$node->safe_psql('postgres', "INSERT INTO t VALUES ($i, '')");
		push @lsn, $node->safe_psql('postgres', 'SELECT pg_current_wal_insert_lsn()');
		bkc_segments($node, 1);
	}
	@files = bkc_wal_status($node, 'ready');
	cmp_ok(scalar @files, '>=', $n, "$what: a backlog");
	my $first = $node->safe_psql('postgres', "SELECT pg_walfile_name('$lsn[0]')");
	is(-s $node->data_dir . "/pg_wal/$first", $size * 1024 * 1024, "$what: of that size");
	$node->safe_psql('postgres', 'ALTER SYSTEM SET pg_backupctl.enabled = on');
	$node->reload;
	bkc_archived($node, $what, @files);

	for my $file (grep { /^[0-9A-F]{24}$/ } @files)
	{
		my ($exit) = bkc_client('wal-get', '--repo', bkc_repo_url($node), '--cluster', $sysid, '--prefetch', 0, $file, $got);
		ok($exit == 0 && -s $got == $size * 1024 * 1024
			  && slurp_file($got) eq slurp_file($node->data_dir . "/pg_wal/$file"),
			"$what: wal-get $file gives its bytes");
	}
	unlink $got;

	# into the middle, and to the end of what is there
	my $middle = int($n / 2);
	my $expected = $node->safe_psql('postgres', "SELECT count(*), max(i) FROM t WHERE i <= $middle");
	my $all = bkc_checksum($node);
	bkc_shipped($node);
	$node->stop('immediate');
	my $copy = bkc_restore($node, "middle$size", args => [ '--target-lsn', $lsn[ $middle - 1 ] ]);
	if (bkc_start_restored($copy))
	{
		is($copy->safe_psql('postgres', 'SELECT count(*), max(i) FROM t'), $expected, "$what: a location in the middle");
		$copy->stop;
	}
	$copy->clean_node;
	$copy = bkc_restore($node, "end$size");
	if (bkc_start_restored($copy))
	{
		is(bkc_checksum($copy), $all, "$what: everything");
		$copy->stop;
	}
	$copy->clean_node;
	$node->clean_node;
}

done_testing();
