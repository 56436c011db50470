# Set-ups that cannot work: no preloading, no repository, no database or the
# wrong one, no extension.  Errors tell what to do, the server runs, and the
# log does not fill up.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

# ---- not preloaded ----

my $node = bkc_node('main', start => 0);
$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', "'auto_explain'");
$node->start;
bkc_extension($node);
for my $call (
	q(SELECT backup_now('full')),
	'CALL backup_run()',
	'SELECT backup_cancel(1)',
	'SELECT backup_verify()',
	'SELECT * FROM backup_progress')
{
	my ($status, undef, $stderr) = $node->psql('postgres', $call);

	isnt($status, 0, "not preloaded: $call");
	like($stderr, qr/ERROR:  pg_backupctl is not loaded by the server/, 'says so');
	like(
		$stderr,
		qr/HINT:  .*shared_preload_libraries = 'auto_explain, pg_backupctl'.*restart the server/,
		'with the line to write');
}
is($node->safe_psql('postgres', "SELECT register_backup('other', 'somewhere', 1)"),
	1, 'not preloaded: other tools can be registered');
is($node->safe_psql('postgres', 'SELECT count(*) FROM backup_catalog'),
	1, 'and the catalog be read');
$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', "'auto_explain, pg_backupctl'");
$node->restart;
is(bkc_backup($node)->{status}, 'completed', 'with that line it works');

# ---- no repository, an unknown one ----

$node->safe_psql('postgres', q(ALTER SYSTEM SET pg_backupctl.repositories = ''));
$node->reload;
$node->poll_query_until('postgres', q(SELECT current_setting('pg_backupctl.repositories') = ''));
bkc_backup_fails(
	$node, q('full'),
	qr/ERROR:  no repository is defined.*HINT:  Set pg_backupctl\.repositories.*reload/s,
	'no repository');
$node->safe_psql('postgres', q(ALTER SYSTEM RESET pg_backupctl.repositories));
$node->reload;
$node->poll_query_until('postgres', q(SELECT current_setting('pg_backupctl.repositories') <> ''));
bkc_backup_fails(
	$node,
	q('full', repository => 'dr'),
	qr/ERROR:  repository "dr" is not defined.*DETAIL:  Defined repositories: main\..*HINT:/s,
	'an unknown repository');
$node->stop;

# ---- another database ----

my $other = bkc_node('other', extension => 0, conf => "pg_backupctl.database = 'backups'");
my $log;

# Lines of ours in the log, settle's among them.
sub lines_of_ours
{
	my @lines = grep { /LOG|WARNING|ERROR|FATAL/ && !/statement:/ } split /\n/,
	  slurp_file($other->logfile, $log);

	return grep { /pg_backupctl|"backups"|background worker/ } @lines;
}

# The database is missing: the launcher stays, and what it says is bounded.
bkc_wait_for_sql($other,
	q(SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'pg_backupctl launcher'),
	't', 'no such database: the launcher is there');
ok($other->wait_for_log(qr/database "backups" does not exist/),
	'no such database: the log says so');
$log = 0;
cmp_ok(scalar(lines_of_ours()), '<=', 4, 'no such database: in a few lines')
  or diag(join "\n", lines_of_ours());
for my $n (1 .. 3)
{
	$other->reload;
	bkc_wait_for_sql($other, 'SELECT true');
}
ok( bkc_poll(
		sub {
			!grep { /settle/ } split /\n/,
			  $other->safe_psql('postgres', 'SELECT backend_type FROM pg_stat_activity');
		}),
	'no such database: settling has ended');
cmp_ok(scalar(lines_of_ours()), '<=', 20, 'no such database: each reload adds a few lines')
  or diag(join "\n", lines_of_ours());

my ($status, undef, $stderr) = $other->psql('postgres', 'CREATE EXTENSION pg_backupctl');
like(
	$stderr,
	qr/pg_backupctl belongs in(?:to)? database "backups", not in(?:to)? "postgres".*HINT:/s,
	'the wrong database: refused');

$other->safe_psql('postgres', 'CREATE DATABASE backups');
$other->safe_psql('backups',  'CREATE EXTENSION pg_backupctl');
$other->reload;
ok(bkc_poll(sub { -f $other->data_dir . '/pg_backupctl/owner' }),
	'the database is there: after a reload settling has caught up');
is($other->safe_psql('backups', "SELECT backup_now('full'); SELECT status FROM backup_catalog"),
	"1\ncompleted", 'the database is there: a backup works');
is($other->safe_psql('postgres', "SELECT count(*) FROM pg_proc WHERE proname = 'backup_now'"),
	0, 'nothing of it is elsewhere');

# It is dropped again: nothing of ours holds it.
$other->safe_psql('postgres', 'DROP DATABASE backups');
$other->stop;
$log = -s $other->logfile;
$other->start;
ok($other->wait_for_log(qr/database "backups" does not exist/, $log), 'dropped: the log says so');
cmp_ok(scalar(lines_of_ours()), '<=', 4, 'dropped: in a few lines')
  or diag(join "\n", lines_of_ours());

# The database is there, the extension is not.
$other->safe_psql('postgres', 'CREATE DATABASE backups');
$other->stop;
$log = -s $other->logfile;
$other->start;
bkc_wait_for_sql($other,
	q(SELECT string_agg(backend_type, ', ' ORDER BY backend_type COLLATE "C") FROM pg_stat_activity WHERE backend_type LIKE 'pg_backupctl %'),
	'pg_backupctl WAL streamer, pg_backupctl launcher',
	'no extension: only what is always there');
is_deeply([ grep { /ERROR|FATAL|WARNING/ } lines_of_ours() ], [], 'no extension: that is no error');
ok($other->stop('fast'), 'and it stops');

done_testing();
