# A fork whose child is lost, or not yet there: no recovery goes on along the
# timeline that was left.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $base = PostgreSQL::Test::Utils::tempdir();
my $node = bkc_node('one', small => 1, initdb => ['--wal-segsize=1'], conf => bkc_archiving());
my $repo = bkc_repo_url($node);

sub insert
{
	my ($server, $i) = @_;

	$server->safe_psql('postgres', "INSERT INTO t VALUES ($i)");
	return $server->safe_psql('postgres', 'SELECT clock_timestamp()');
}

sub rows
{
	my ($server) = @_;

	return $server->safe_psql('postgres', q(SELECT string_agg(i::text, ',' ORDER BY i) FROM t));
}

# A restored copy whose command is written by hand.
sub by_hand
{
	my ($name, $options, $timeline, @args) = @_;
	my $copy = bkc_restore($node, $name, args => \@args);

	bkc_adopt($copy);
	$copy->append_conf('postgresql.auto.conf', <<CONF);
restore_command = 'pg_backupctl wal-get --retry 0 --repo $repo $options %f %p'
recovery_target_timeline = '$timeline'
CONF
	return $copy;
}

# ---- a successor that forks off before what shall be undone, and its WAL is lost ----

$node->safe_psql('postgres', 'CREATE TABLE t (i int)');
bkc_backup($node);
my $time = insert($node, 1);
insert($node, 2);
$node->safe_psql('postgres', 'SELECT pg_switch_wal()');
insert($node, 3);
$node->safe_psql('postgres', 'SELECT pg_switch_wal()');
$node->stop;

my $two =
  bkc_restore($node, 'two', args => [ '--target-time', $time, '--take-over' ]);
bkc_start_restored($two);
insert($two, 21);
bkc_shipped($two);
$two->safe_psql('postgres', 'SELECT pg_switch_wal()');
insert($two, 22);
bkc_shipped($two);
$two->stop;

my ($history) = bkc_repo_objects($node, qr{/wal/00000002\.history$});
my $dir = bkc_repo_dir($node) . '/' . $history =~ s/\.history$//r;
rename $dir, "$base/wal2" or die $!;

my $copy = bkc_restore($node, 'restored');
bkc_start_restored($copy);
is(rows($copy), '1', 'restore: what was undone does not come back');
$copy->clean_node;

$copy = by_hand('given', '--timeline 2', 2);
bkc_start_restored($copy);
is(rows($copy), '1', '--timeline 2: nor here');
$copy->clean_node;

# ---- without --timeline ----

$copy = by_hand('latest', '', 'latest');
is($copy->start(fail_ok => 1), 0, 'without --timeline the server stops');
like(slurp_file($copy->logfile),
	qr/WAL segment \S+ reaches behind \S+, where timeline 2 left timeline 1\n.*\n.*Add --timeline N to the restore_command/,
	'and says what to do');
$copy->clean_node;

$copy = by_hand('abandoned', '--timeline 1', 1);
bkc_start_restored($copy);
is(rows($copy), '1,2,3', '--timeline 1: the abandoned timeline');
is($copy->safe_psql('postgres', 'SELECT timeline_id FROM pg_control_checkpoint()'),
	3, 'which goes on as timeline 3');
$copy->clean_node;

# ---- a standby waits at the fork ----

my $standby = bkc_restore($node, 'standby', args => ['--standby']);
bkc_adopt($standby);
$standby->append_conf('postgresql.auto.conf', "wal_retrieve_retry_interval = '100ms'\n");
$standby->start;
bkc_wait_for_sql($standby, 'SELECT max(i) FROM t', 1, 'it comes to the fork');
rename "$base/wal2", $dir or die $!;
bkc_wait_for_sql($standby, 'SELECT max(i) FROM t', 22, 'and goes on along the child');
is(rows($standby), '1,21,22', 'without what was undone');
$standby->stop;

# ---- a history that is lost ----

rename bkc_repo_dir($node) . "/$history", "$base/history" or die $!;
chdir $base or die $!;
is((bkc_client('wal-get', '--retry', 0, '--repo', $repo, '00000002.history', 'target'))[0],
	254, 'a history whose timeline has WAL is not absent');
rename "$base/history", bkc_repo_dir($node) . "/$history" or die $!;
bkc_client_ok([ 'wal-get', '--repo', $repo, '00000002.history', 'target' ], 'and then it is there');
chdir '/' or die $!;

# the way that does not need it is open, and its number stays taken
$copy = bkc_restore($node, 'lost', args => [ '--target-timeline', 1 ]);
rename bkc_repo_dir($node) . "/$history", "$base/history" or die $!;
bkc_start_restored($copy);
is(rows($copy), '1,2,3', 'the timeline below it can be restored');
is($copy->safe_psql('postgres', 'SELECT timeline_id FROM pg_control_checkpoint()'),
	3, 'and nobody becomes timeline 2 again');

done_testing();
