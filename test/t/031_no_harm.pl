# A slow backup holds up nothing: DROP DATABASE, CREATE DATABASE, vacuum and
# checkpoints go on, no snapshot and no transaction is held, and it ends at once
# when it is told to.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('main', conf => "pg_backupctl.max_rate = 300kB\n");

$node->safe_psql('postgres',
	'CREATE TABLE t AS SELECT i, sha512(i::text::bytea) FROM generate_series(1, 50000) AS i');
$node->safe_psql('postgres', 'CREATE DATABASE doomed');
my $dboid = $node->safe_psql('postgres', q(SELECT oid FROM pg_database WHERE datname = 'doomed'));

# a session that waits, but without a snapshot
my $waiting = bkc_start($node, 'CALL backup_run()');
bkc_wait_for_sql($node,
	"SELECT bytes_done > 0 AND workers > 0 FROM backup_progress WHERE job = 'backup'");
my $id = bkc_catalog($node)->{id};

is($node->safe_psql('postgres', <<'SQL'), 0, 'no process of it holds a transaction or a snapshot');
SELECT count(*) FROM pg_stat_activity
WHERE backend_type LIKE 'pg_backupctl%' AND (xact_start IS NOT NULL OR backend_xmin IS NOT NULL)
SQL
is($node->safe_psql('postgres',
	q(SELECT count(*) FROM pg_stat_activity WHERE application_name = 'waiter' AND backend_xmin IS NOT NULL)),
	0, 'nor does the session that waits in CALL backup_run()');
is($node->safe_psql('postgres',
	'SELECT count(*) FROM pg_replication_slots WHERE xmin IS NOT NULL OR catalog_xmin IS NOT NULL'),
	0, 'nor the slot');
my $xid = $node->safe_psql('postgres', 'SELECT txid_current()');
cmp_ok($node->safe_psql('postgres', 'SELECT txid_snapshot_xmin(txid_current_snapshot())'), '>',
	$xid,
	'the horizon moves on');

my $limit = 'SET statement_timeout = 30000';
for my $statement ('DROP DATABASE doomed', 'CREATE DATABASE made STRATEGY file_copy',
	'CREATE DATABASE made2 STRATEGY wal_log',
	'CHECKPOINT', 'VACUUM FULL t', 'DROP TABLE t', 'DROP DATABASE made', 'VACUUM FREEZE')
{
	my ($status, $stdout, $stderr) = $node->psql('postgres', "$limit;\n$statement;");
	is($status, 0, "$statement is not held up") or diag($stderr);
}
ok(!-e $node->data_dir . "/base/$dboid", 'the folder of the dropped database is gone');
is($node->safe_psql('postgres', "SELECT phase FROM backup_progress WHERE id = $id"),
	'copying files',
	'the backup was at work all the time');

# told to end, it ends
my @pids = split /\n/, $node->safe_psql('postgres',
	"SELECT pid FROM pg_stat_activity WHERE backend_type IN ('pg_backupctl backup', 'pg_backupctl copy')");
cmp_ok(scalar(@pids), '>=', 2, 'leader and workers');
is($node->safe_psql('postgres', "SELECT backup_cancel($id)"), 't', 'backup_cancel');
ok(bkc_poll(sub { !grep { kill 0, $_ } @pids }, 10), 'all its processes have ended');
is(bkc_backup_end($node, $id)->{status}, 'cancelled', 'the catalog says so');
bkc_join_fails($waiting, qr/cancel/, 'and the waiting session');

# without the limit a new one goes through
$node->safe_psql('postgres', 'ALTER SYSTEM SET pg_backupctl.max_rate = 0');
$node->reload;
bkc_wait_for_sql($node, 'SHOW pg_backupctl.max_rate', '0', 'no limit');
my $sum = bkc_checksum($node);
is(bkc_backup($node)->{status}, 'completed', 'a backup without a limit');
$node->stop;
bkc_judge(bkc_restore($node, 'copy'), $sum);

done_testing();
