# A cluster whose timeline has a high number and no history, because pg_resetwal
# gave it: its open segment is sent, and it can be restored and gone on from.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('one', start => 0, initdb => ['--wal-segsize=1'], conf => bkc_archiving());

sub insert
{
	my ($server, $i) = @_;

	$server->safe_psql('postgres', "INSERT INTO t VALUES ($i)");
	return $server->safe_psql('postgres', 'SELECT clock_timestamp()');
}

# Asserts that the restored server comes to these rows and goes on on that timeline.
sub comes_to
{
	my ($copy, $rows, $timeline) = @_;
	my $name = $copy->name;

	bkc_start_restored($copy) or return;
	is($copy->safe_psql('postgres', q(SELECT string_agg(i::text, ',' ORDER BY i) FROM t)),
		$rows, "$name: rows $rows");
	is($copy->safe_psql('postgres', 'SELECT timeline_id FROM pg_control_checkpoint()'),
		$timeline, "$name goes on as timeline $timeline");
	return;
}

sub leads_to
{
	my ($name, $rows, $timeline, @args) = @_;
	my $copy = bkc_restore($node, $name, args => \@args);

	comes_to($copy, $rows, $timeline);
	$copy->stop;
	$copy->clean_node;
	return;
}

command_ok([ 'pg_resetwal', '-l', '000000020000000000000040', '-D', $node->data_dir ],
	'timeline 2 begins without a history');
$node->start;
bkc_extension($node);
$node->safe_psql('postgres', 'CREATE TABLE t (i int)');
insert($node, 1);
my $backup = bkc_backup($node);
is($backup->{timeline}, 2, 'a backup on timeline 2');
my $time = insert($node, 2);
insert($node, 3);
bkc_shipped($node);
ok(scalar(bkc_repo_objects($node, qr{/wal/00000002/.*\.chunks/})), 'in chunks');
is(scalar(bkc_repo_objects($node, qr{\.history$})), 0, 'there is no history');

leads_to('clone', '1,2,3', 3);
leads_to('number', '1,2,3', 3, '--target-timeline', 2);
leads_to('current', '1,2,3', 3, '--target-timeline', 'current');
leads_to('past', '1,2', 3, '--target-time', $time);

# ---- its successor has one ----

$node->stop;
my $three = bkc_restore($node, 'three', args => ['--take-over']);
comes_to($three, '1,2,3', 3);
insert($three, 4);
bkc_shipped($three);
leads_to('latest', '1,2,3,4', 4);
leads_to('before', '1,2,3', 4, '--target-timeline', 2);
$three->stop;

# ---- it is lost, and that is not the same ----

my ($history) = bkc_repo_objects($node, qr{/wal/00000003\.history$});
my $copy = bkc_restore($node, 'lost');
unlink bkc_repo_dir($node) . "/$history" or die $!;
bkc_adopt($copy);
is($copy->start(fail_ok => 1), 0, 'a history that was there is not absent');
like(slurp_file($copy->logfile), qr/timeline 3 has WAL in repository .* but its history 00000003\.history is missing/,
	'and wal-get says so');

done_testing();
