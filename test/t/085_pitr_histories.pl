# Timelines of which not everything has arrived: a history without WAL, WAL
# without its history, a history that is damaged.  Recovery never goes on along
# a timeline that was left.

use strict;
use warnings;

use BkcTest;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('one', small => 1, initdb => ['--wal-segsize=1'], conf => bkc_archiving());
my $repo = bkc_repo_dir($node);
my $sysid = $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');
my $target = $node->basedir . '/target';

sub insert
{
	my ($server, $i) = @_;

	$server->safe_psql('postgres', "INSERT INTO t VALUES ($i)");
	return $server->safe_psql('postgres', 'SELECT clock_timestamp()');
}

# A copy of the repository in which a test can break things.
my $copies = 0;

sub copy_of
{
	my $to = $node->basedir . '/repo' . ++$copies;

	system_or_bail('cp', '-r', $repo, $to);
	return $to;
}

sub leads_to
{
	my ($dir, $rows, $what, @args) = @_;
	my $copy = PostgreSQL::Test::Cluster->new('copy' . ++$copies);
	my $out = bkc_client_ok([ 'restore', '--repo', "file://$dir", '--pgdata', $copy->data_dir, @args ],
		"restore of $what");

	if (bkc_start_restored($copy))
	{
		is( $copy->safe_psql('postgres',
				q(SELECT coalesce(string_agg(i::text, ',' ORDER BY i), '') FROM t)),
			$rows, "$what: rows $rows");
		$copy->stop;
	}
	$copy->clean_node;
	return $out;
}

sub refused
{
	my ($dir, $status, $pattern, $what, @args) = @_;
	my ($got, $stdout, $stderr) =
	  bkc_client('restore', '--repo', "file://$dir", '--pgdata', $target, @args);

	ok($got == $status && $stderr =~ $pattern, "refused: $what")
	  or diag("status $got, stdout: $stdout\nstderr: $stderr");
	ok(!-e $target, 'nothing was written');
	return;
}

# ---- timeline 1 goes on behind the fork, the successor is lost at once ----

$node->safe_psql('postgres', 'CREATE TABLE t (i int)');
my $first = bkc_backup($node);
my $before = insert($node, 0);
my $time = insert($node, 1);
for my $i (2 .. 4)
{
	insert($node, $i);
	$node->safe_psql('postgres', 'SELECT pg_switch_wal()') if $i < 4;
}
bkc_shipped($node);
insert($node, 5);
bkc_shipped($node);
my $open = copy_of();
my @chunks = sort glob "$open/$sysid/wal/00000001/*/*.chunks/*";
$node->stop;
my $two = bkc_restore($node, 'two', args => [ '--target-time', $time, '--take-over' ]);
bkc_start_restored($two);
insert($two, 100);
bkc_shipped($two);
$two->stop;
my ($fork) = slurp_file($two->data_dir . '/pg_wal/00000002.history') =~ /^1\t(\S+)/m;
leads_to($repo, '0,1,100', 'both timelines');

my $copy = copy_of();
system_or_bail('rm', '-r', "$copy/$sysid/wal/00000002");
my $out = leads_to($copy, '0,1', 'a timeline that has a history only');
like($out, qr/ to \Q$fork\E on timeline 1 .*is complete$/m, 'says that it ends at the fork');
leads_to($copy, '0', 'the same, to a time', '--target-time', $before);
refused($copy, 3, qr/does not reach/, 'a time of which no WAL has arrived', '--target-time', $time);
leads_to($copy, '0,1,2,3,4,5', 'the timeline that was left', '--target-timeline', 1);
my ($status, $stdout) = bkc_client('check', '--repo', "file://$copy");
like($stdout, qr/^  timeline 2: no archived WAL\n    it left timeline 1 at \Q$fork\E, /ms,
	'check shows that timeline');
($status, $stdout) = bkc_client('check', '--repo', "file://$copy", '--json');
my $timeline = decode_json($stdout)->{clusters}[0]{timelines}[1];
is("$timeline->{timeline} $timeline->{parent} $timeline->{fork_lsn}", "2 1 $fork", '... in JSON, too');
like(bkc_client_ok([ 'list', '--repo', "file://$copy" ], 'list'),
	qr/^  WAL on timeline 2: none yet, only its history$/m, 'list shows it');

# ---- the open segment: what chunks say is not what is in them ----

ok(@chunks > 1, 'the open segment has more than one chunk');
leads_to($open, '0,1,2,3,4,5', 'chunks');
bkc_flip_byte($chunks[-1], -20);
my $successor = PostgreSQL::Test::Cluster->new('damaged');
($status, $stdout, my $stderr) =
  bkc_client('restore', '--repo', "file://$open", '--pgdata', $successor->data_dir, '--json');
is($status, 0, 'restore of WAL whose last chunk is damaged');
like($stderr, qr/warning: what the repository has of WAL segment \w+ is damaged from \S+ on/,
	'says so, with --json, too');
bkc_start_restored($successor);
is($successor->safe_psql('postgres', q(SELECT string_agg(i::text, ',' ORDER BY i) FROM t)),
	'0,1,2,3,4', 'and ends before it');
$successor->stop;

# ---- WAL whose history is missing, or damaged ----

for my $damage ('missing', 'damaged')
{
	my $history = ($copy = copy_of()) . "/$sysid/wal/00000002.history";

	$damage eq 'missing' ? unlink $history : bkc_flip_byte($history, -10);
	refused($copy, 4, qr/history of timeline 2 is $damage.*hint: Say --target-timeline 1/s,
		"a history that is $damage");
	refused($copy, 4, qr/history of timeline 2 is $damage/, '... with a time', '--target-time', $time);
	refused($copy, 4, qr/history of timeline 2 is $damage/, '... with a backup', '--backup',
		$first->{label});
	refused($copy, 4, qr/history of timeline 2 is $damage.*hint: A server/s, '... for a standby',
		'--standby');
	bkc_client_ok([ 'restore', '--repo', "file://$copy", '--pgdata', "$target-$damage",
			'--target-timeline', 1 ], "timeline 1 although a history is $damage");
	leads_to($copy, '0,1,2,3,4,5', "it starts although a history is $damage", '--target-timeline', 1);
}

done_testing();
