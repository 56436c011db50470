# What happens at the target, and what a restored cluster is: promote, pause,
# shutdown; a standby that follows by wal-get alone; a successor with its mark.

use strict;
use warnings;

use BkcTest;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('main', small => 1, initdb => ['--wal-segsize=1'],
	conf => bkc_archiving() . "synchronous_standby_names = ''\n");
my $repo = bkc_repo_url($node);

sub rows
{
	my ($server) = @_;

	return $server->safe_psql('postgres',
		q(SELECT coalesce(string_agg(i::text, ',' ORDER BY i), '') FROM t));
}

sub insert
{
	my ($i) = @_;

	$node->safe_psql('postgres', "INSERT INTO t VALUES ($i)");
	return $node->safe_psql('postgres', 'SELECT clock_timestamp()');
}

$node->safe_psql('postgres', 'CREATE TABLE t (i int)');
my $backup = bkc_backup($node);
my $time1 = insert(1);
my $time2 = insert(2);
$node->safe_psql('postgres', 'SELECT pg_switch_wal()');
insert(3);
bkc_shipped($node);

# ---- pause ----

my $copy = bkc_restore($node, 'pause', args => [ '--target-time', $time1, '--target-action', 'pause' ]);
bkc_adopt($copy);
$copy->start;
bkc_wait_for_sql($copy, 'SELECT pg_get_wal_replay_pause_state()', 'paused', 'recovery pauses');
is(rows($copy), '1', 'pause: the rows are those of the target');

# looked at, and wanted a little more
$copy->stop;
$copy->append_conf('postgresql.auto.conf', "recovery_target_time = '$time2'\n");
$copy->start;
bkc_wait_for_sql($copy, 'SELECT pg_get_wal_replay_pause_state()', 'paused', 'and pauses again');
is(rows($copy), '1,2', 'at the later target');
$copy->safe_psql('postgres', 'SELECT pg_wal_replay_resume()');
bkc_wait_for_sql($copy, 'SELECT NOT pg_is_in_recovery()', 't', 'resumed: it is promoted');
is(rows($copy), '1,2', 'with the same rows');
$copy->stop;
$copy->clean_node;

# ---- shutdown ----

my $out;
$copy = PostgreSQL::Test::Cluster->new('shutdown');
$out = bkc_client_ok([ 'restore', '--repo', $repo, '--pgdata', $copy->data_dir, '--target-time',
		$time2, '--target-action', 'shutdown' ], 'restore of shutdown');
like($out, qr/^the server will shut down at the target/m, 'and says what will happen');
bkc_adopt($copy);
$copy->start(fail_ok => 1);
ok( bkc_poll(
		sub {
			slurp_file($copy->logfile) =~ /database system is shut down/
			  && !-e $copy->data_dir . '/postmaster.pid';
		}),
	'the server shuts down');
$copy->{_pid} = undef;
like(slurp_file($copy->logfile), qr/shutdown at recovery target/, 'at the target');
ok(-e $copy->data_dir . '/recovery.signal', 'still to be recovered');
$copy->append_conf('postgresql.auto.conf', "recovery_target_action = promote\n");
$copy->start;
bkc_wait_for_sql($copy, 'SELECT NOT pg_is_in_recovery()', 't', 'and goes on when told so');
is(rows($copy), '1,2', 'shutdown: the rows are those of the target');
$copy->stop;
$copy->clean_node;

# ---- nothing behind the target, and yet it pauses there ----

my $message = $node->safe_psql('postgres',
	q(SELECT pg_logical_emit_message(false, 'x', 'no transaction'), pg_switch_wal()));
my $idle = $node->safe_psql('postgres', 'SELECT clock_timestamp()');
$node->safe_psql('postgres', q(SELECT pg_logical_emit_message(false, 'x', 'no transaction')));
$node->safe_psql('postgres', 'SELECT pg_switch_wal()');
bkc_shipped($node);
bkc_wait_for_sql($node, "SELECT latest_time > '$idle' FROM backup_recovery_window");
$copy = bkc_restore($node, 'idle', args => [ '--target-time', $idle, '--target-action', 'pause' ]);
bkc_adopt($copy);
$copy->start;
bkc_wait_for_sql($copy, 'SELECT pg_get_wal_replay_pause_state()', 'paused',
	'recovery pauses at the end of WAL');
is(rows($copy), '1,2,3', 'idle: all rows');
$copy->stop;
$copy->clean_node;

# ---- a standby ----

my $standby = PostgreSQL::Test::Cluster->new('standby');
$out = bkc_client_ok([ 'restore', '--repo', $repo, '--pgdata', $standby->data_dir, '--standby' ],
	'restore of a standby');
like($out, qr/^this is a standby: it follows the repository by wal-get/m, 'says what it is');
ok(-e $standby->data_dir . '/standby.signal', 'standby.signal');
ok(!-e $standby->data_dir . '/recovery.signal', 'no recovery.signal');
command_ok([ 'pg_verifybackup', '--exit-on-error', $standby->data_dir ], 'pg_verifybackup');
bkc_adopt($standby);
$standby->start;
bkc_wait_for_sql($standby, 'SELECT count(*) FROM t', 3, 'the standby has all whole segments');
is($standby->safe_psql('postgres', 'SELECT pg_is_in_recovery()'), 't', 'and stays a standby');
insert(4);
$node->safe_psql('postgres', 'SELECT pg_switch_wal()');
bkc_wait_for_sql($standby, 'SELECT count(*) FROM t', 4, 'it follows');
$standby->safe_psql('postgres', 'SELECT pg_promote()');
$standby->safe_psql('postgres', 'INSERT INTO t VALUES (100)');
is(rows($standby), '1,2,3,4,100', 'and can be promoted');
$standby->stop;
$standby->clean_node;

# ---- the successor ----

bkc_shipped($node);
$node->stop;
my $successor = PostgreSQL::Test::Cluster->new('successor');
my ($status, $stdout) = bkc_client('restore', '--repo', $repo, '--pgdata', $successor->data_dir,
	'--take-over', '--json');
is($status, 0, 'restore of the successor');
my $json = decode_json($stdout);
ok(!$json->{clone} && !$json->{standby}, 'it is neither a clone nor a standby');
my $mark = $successor->data_dir . '/pg_backupctl/takeover';
is(slurp_file($mark), (stat $mark)[1] . "\n", 'the mark knows its own inode');
command_ok([ 'pg_verifybackup', '--exit-on-error', $successor->data_dir ], 'pg_verifybackup');
bkc_start_restored($successor);
is(rows($successor), '1,2,3,4', 'successor: all rows');
$successor->safe_psql('postgres', 'INSERT INTO t VALUES (5)');
bkc_shipped($successor);
ok(bkc_poll(sub { !-e $mark }), 'the mark is gone when the repository is claimed');
$successor->stop;

# a clone of it is no successor
$copy = bkc_restore($node, 'clone');
ok(!-e $copy->data_dir . '/pg_backupctl/takeover', 'a clone has no mark');
bkc_start_restored($copy);
is(rows($copy), '1,2,3,4,5', 'clone: all rows');
$copy->stop;

done_testing();
