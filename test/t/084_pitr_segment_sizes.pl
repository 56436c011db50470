# Recovery to a target with WAL segments of other sizes than the usual one: the
# open segment from chunks, whole ones, and what is read to find the target.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

for my $size (1, 64, 128)						# 128 MB are not held in memory
{
	my $node = bkc_node("n$size", small => 1, initdb => ["--wal-segsize=$size"],
		conf => bkc_archiving() . "min_wal_size = @{[2 * $size]}MB\nmax_wal_size = @{[4 * $size]}MB\n");
	my (@time, $lsn);
	my $leads_to = sub {
		my ($rows, $what, @args) = @_;
		my $copy = bkc_restore($node, "copy$size", args => \@args);

		if (bkc_start_restored($copy))
		{
			is($copy->safe_psql('postgres', q(SELECT string_agg(i::text, ',' ORDER BY i) FROM t)),
				$rows, "$size MB, $what: rows $rows");
			is($copy->safe_psql('postgres', 'SHOW wal_segment_size'),
				$size == 1 ? '1MB' : "${size}MB", 'of that size');
			$copy->stop;
		}
		$copy->clean_node;
	};

	$node->safe_psql('postgres', 'CREATE TABLE t (i int)');
	bkc_backup($node);
	for my $i (1 .. 3)
	{
		$node->safe_psql('postgres', "INSERT INTO t VALUES ($i)");
		($time[$i], $lsn) = split /\|/,
		  $node->safe_psql('postgres', 'SELECT clock_timestamp(), pg_current_wal_insert_lsn()');
		$node->safe_psql('postgres', 'SELECT pg_switch_wal()') if $i == 1;
	}
	bkc_shipped($node);
	$leads_to->('1', 'a time in a whole segment', '--target-time', $time[1]);
	$leads_to->('1,2', 'a time in the open segment', '--target-time', $time[2]);
	$leads_to->('1,2,3', 'a location', '--target-lsn', $lsn);
	$node->stop('immediate');
	$leads_to->('1,2,3', 'the end, after a crash');
	$node->clean_node;
}

# ---- a cluster whose segments have got another size ----

my $node = bkc_node('changed', small => 1, initdb => ['--wal-segsize=1'],
	conf => bkc_archiving() . "min_wal_size = 8MB\nmax_wal_size = 16MB\n");
my $repo = bkc_repo_url($node);

$node->safe_psql('postgres', 'CREATE TABLE t (i int)');
my $before = bkc_backup($node);
$node->safe_psql('postgres', 'INSERT INTO t VALUES (1)');
my $time = $node->safe_psql('postgres', 'SELECT clock_timestamp()');
$node->safe_psql('postgres', 'SELECT pg_switch_wal()');
$node->safe_psql('postgres', 'INSERT INTO t VALUES (2); SELECT pg_switch_wal()');
bkc_shipped($node);
$node->stop;
command_ok(
	[ 'pg_resetwal', '--wal-segsize=4', '-l', '000000010000000000000040', '-D', $node->data_dir ],
	'another segment size');
$node->start;
$node->safe_psql('postgres', q(SELECT backup_take_over('main')));
my $after = bkc_backup($node);
$node->safe_psql('postgres', 'INSERT INTO t VALUES (3)');
bkc_shipped($node);
for my $case ([ '1', 'the old size', '--target-time', $time ], [ '1,2,3', 'the new size' ])
{
	my ($rows, $what, @args) = @$case;
	my $copy = PostgreSQL::Test::Cluster->new('copy_of_' . $what =~ s/ /_/gr);

	my ($status, $stdout, $stderr) =
	  bkc_client('restore', '--repo', $repo, '--pgdata', $copy->data_dir, @args);

	is($status, 0, "restore of $what") or diag($stderr);
	unlike($stderr, qr/warning/, 'no segment of the other size is taken for a later one');
	if (bkc_start_restored($copy))
	{
		is($copy->safe_psql('postgres', q(SELECT string_agg(i::text, ',' ORDER BY i) FROM t)),
			$rows, "$what: rows $rows");
		$copy->stop;
	}
}
$node->stop;

done_testing();
