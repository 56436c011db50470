# Timelines: both sides of a fork, the successor of a cluster, recovery through
# three timelines, each judged by its rows.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('one', small => 1, initdb => ['--wal-segsize=1'], conf => bkc_archiving());
my $repo = bkc_repo_url($node);

# One transaction; returns the time behind it.
sub insert
{
	my ($server, $i) = @_;

	$server->safe_psql('postgres', "INSERT INTO t VALUES ($i)");
	return $server->safe_psql('postgres', 'SELECT clock_timestamp()');
}

sub rows
{
	my ($server) = @_;

	return $server->safe_psql('postgres',
		q(SELECT coalesce(string_agg(i::text, ',' ORDER BY i), '') FROM t));
}

# Asserts that a restore leads to these rows.  Returns (output, node); the node is
# stopped and gone unless there is a name for it.
my $copies = 0;

sub leads_to
{
	my ($rows, $what, $name, @args) = @_;
	my $copy = PostgreSQL::Test::Cluster->new($name // 'copy' . ++$copies);
	my $out = bkc_client_ok([ 'restore', '--repo', $repo, '--pgdata', $copy->data_dir, @args ],
		"restore of $what");

	if (bkc_start_restored($copy))
	{
		is(rows($copy), $rows, "$what: rows $rows");
		return ($out, $copy) if defined $name;
		$copy->stop;
	}
	$copy->clean_node;
	return $out;
}

sub timeline
{
	my ($server) = @_;

	return $server->safe_psql('postgres', 'SELECT timeline_id FROM pg_control_checkpoint()');
}

# ---- timeline 1, and a successor that forks off in its middle ----

$node->safe_psql('postgres', 'CREATE TABLE t (i int)');
my $first = bkc_backup($node);
my $time1 = insert($node, 1);
$node->safe_psql('postgres', 'SELECT pg_switch_wal()');
my $time2 = insert($node, 2);
insert($node, 3);
$node->stop;

my ($out, $two) = leads_to('1', 'the successor', 'two', '--target-time', $time1, '--take-over');
is(timeline($two), 2, 'on timeline 2');
my $time21 = insert($two, 21);
$two->safe_psql('postgres', 'SELECT pg_switch_wal()');
insert($two, 22);
bkc_shipped($two);

$out = leads_to('1,21,22', 'the latest timeline');
like($out, qr/ to \S+ on timeline 2 \(.*is complete$/m, 'says that it is timeline 2');
like($out, qr/^it is the only backup on the way to timeline 2$/m, 'and why the backup');
leads_to('1,2,3', 'timeline 1', undef, '--target-timeline', 1);
leads_to('1,2,3', "the backup's timeline", undef, '--target-timeline', 'current');
leads_to('1', 'a time before the fork', undef, '--target-time', $time1);
leads_to('1,2', 'a time behind the fork on timeline 1', undef, '--target-time', $time2,
	'--target-timeline', 1);
leads_to('1', 'the same time on timeline 2', undef, '--target-time', $time2);
leads_to('1,21', 'a time on timeline 2', undef, '--target-time', $time21, '--target-timeline', 2);

# ---- a backup on timeline 2, and a third timeline ----

my $second = bkc_backup($two);
is($second->{timeline}, 2, 'a backup on timeline 2');
insert($two, 23);
$two->stop;
($out, my $three) = leads_to('1,21,22,23', 'the next successor', 'three', '--take-over');
like($out, qr/backup $second->{label},/, 'from the newest backup');
is(timeline($three), 3, 'on timeline 3');
my $time31 = insert($three, 31);
insert($three, 32);
bkc_shipped($three);
leads_to('1,21,22,23,31,32', 'timeline 3');
leads_to('1,21,22,23,31', 'a time on timeline 3', undef, '--target-time', $time31);
$out = leads_to('1,21,22,23,31,32', 'three timelines', undef, '--backup', $first->{label});
like($out, qr/^recovery goes to timeline 3$/m, 'and says where it goes');
leads_to('1,21,22,23,31', 'three timelines to a time', undef, '--backup', $first->{label},
	'--target-time', $time31);
leads_to('1,21', 'the middle one', undef, '--backup', $first->{label}, '--target-time', $time21);
leads_to('1,21,22,23', 'the other side of the second fork', undef, '--target-timeline', 2);
leads_to('1,2,3', 'timeline 1 as before', undef, '--target-timeline', 1);

# ---- back to the past: the newest backup is not on the way any more ----

$three->stop;
($out, my $four) = leads_to('1', 'the past', 'four', '--target-time', $time1, '--take-over');
is(timeline($four), 4, 'on timeline 4');
insert($four, 41);
bkc_shipped($four);
$out = leads_to('1,41', 'timeline 4');
like($out, qr/backup $first->{label},/, 'from the backup that leads to it');
leads_to('1,21,22,23,31,32', 'timeline 3 as before', undef, '--target-timeline', 3);
$four->stop;

# ---- what does not fit ----

bkc_client_fails([ 'restore', '--repo', $repo, '--pgdata', $node->basedir . '/x', '--backup',
		$second->{label}, '--target-timeline', 4 ],
	qr/backup $second->{label} does not lead to timeline 4/, 'a backup of another way');
bkc_client_fails([ 'restore', '--repo', $repo, '--pgdata', $node->basedir . '/x',
		'--target-timeline', 9 ],
	qr/holds nothing of timeline 9.*Its timelines: 1, 2, 3, 4\./s, 'an unknown timeline');
ok(!-e $node->basedir . '/x', 'nothing was written');

done_testing();
