# The number of a timeline that is gone is not given away while there are
# higher ones: restores follow the highest number, and that must be the newest.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('one', small => 1, initdb => ['--wal-segsize=1'], conf => bkc_archiving());
my $sysid = $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');
my $wal = bkc_repo_dir($node) . "/$sysid/wal";

# One transaction; returns the time behind it.
sub insert
{
	my ($server, $i) = @_;

	$server->safe_psql('postgres', "INSERT INTO t VALUES ($i)");
	return $server->safe_psql('postgres', 'SELECT clock_timestamp()');
}

# Asserts that a restore leads to these rows.
my $copies = 0;

sub leads_to
{
	my ($rows, $what, @args) = @_;
	my $copy = bkc_restore($node, 'copy' . ++$copies, args => \@args);

	if (bkc_start_restored($copy))
	{
		is($copy->safe_psql('postgres', q(SELECT string_agg(i::text, ',' ORDER BY i) FROM t)),
			$rows, "$what: rows $rows");
		$copy->stop;
	}
	$copy->clean_node;
	return;
}

# Asserts that the cluster goes on on that timeline, from there on with that row.
sub succeeds
{
	my ($name, $timeline, $row, @args) = @_;
	my $server = bkc_restore($node, $name, args => [ '--take-over', @args ]);

	bkc_start_restored($server);
	is($server->safe_psql('postgres', 'SELECT timeline_id FROM pg_control_checkpoint()'),
		$timeline, "$name is on timeline $timeline");
	insert($server, $row);
	bkc_shipped($server);
	$server->stop;
	return $server;
}

# ---- two tries of a recovery; the first is thrown away ----

$node->safe_psql('postgres', 'CREATE TABLE t (i int)');
bkc_backup($node);
my $time = insert($node, 1);
insert($node, 2);
bkc_shipped($node);
$node->stop;
succeeds('two', 2, 20, '--target-time', $time);
succeeds('three', 3, 30, '--target-timeline', 1);
leads_to('1,2,30', 'the latest timeline');
system_or_bail('rm', '-r', "$wal/00000002", "$wal/00000002.history");
leads_to('1,2,30', 'without timeline 2');

# ---- a third, from where both began ----

my $four = succeeds('four', 4, 40, '--target-timeline', 1, '--target-time', $time);
like(slurp_file($four->logfile),
	qr/warning: there is no history 00000002\.history, but repository .* holds timeline 3\n.*the number of timeline 2 is taken as used/,
	'wal-get says why');
ok(!-e "$wal/00000002.history" && !-e "$wal/00000002", 'nothing of timeline 2 comes back');
leads_to('1,40', 'the newest successor');
leads_to('1,2,30', 'the one before', '--target-timeline', 3);

# ---- only WAL tells of the higher one ----

unlink "$wal/00000004.history", "$wal/00000003.history" or die $!;
succeeds('five', 5, 50, '--target-timeline', 1);
leads_to('1,2,50', 'and the newest after that');

done_testing();
