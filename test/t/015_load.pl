# Backups while pgbench writes and another session creates, rewrites, moves and
# drops tables and databases.  Nothing waits for the backup, and each restored
# cluster is whole.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('main', conf => <<'CONF');
checkpoint_timeout = 30s
max_wal_size = 64MB
full_page_writes = on
autovacuum_naptime = 1s
log_statement = none
CONF
my $base = $node->basedir;

mkdir "$base/space" or die $!;
$node->safe_psql('postgres', "CREATE TABLESPACE space LOCATION '$base/space'");
$node->command_ok([ 'pgbench', '-i', '-s', 3, '-q', 'postgres' ], 'pgbench tables');
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE rounds (id serial PRIMARY KEY, lsn pg_lsn DEFAULT pg_current_wal_insert_lsn());
CREATE TABLE moved AS SELECT i, md5(i::text) AS text FROM generate_series(1, 20000) AS i;
CREATE INDEX moved_i ON moved (i);
CREATE TABLE emptied (i int, text text);
SQL

my $script = "$base/ddl.sql";
append_to_file($script, <<'SQL');
CREATE TABLE made AS SELECT i, repeat(md5(i::text), 3) AS text FROM generate_series(1, 3000) AS i;
CREATE INDEX made_i ON made (i);
CREATE UNLOGGED TABLE made_unlogged AS SELECT * FROM made;
CREATE DATABASE by_log TEMPLATE template0 STRATEGY wal_log;
INSERT INTO emptied SELECT i, repeat('x', i % 100) FROM generate_series(1, 2000) AS i;
ALTER TABLE moved SET TABLESPACE space;
ALTER INDEX moved_i SET TABLESPACE space;
DELETE FROM made WHERE i % 3 = 0;
VACUUM FULL made;
CREATE DATABASE by_copy TEMPLATE template0 STRATEGY file_copy TABLESPACE space;
TRUNCATE emptied;
VACUUM FULL pgbench_branches;
CLUSTER moved USING moved_i;
ALTER TABLE made_unlogged SET LOGGED;
DROP DATABASE by_log;
ALTER TABLE moved SET TABLESPACE pg_default;
ALTER INDEX moved_i SET TABLESPACE pg_default;
REINDEX TABLE moved;
ALTER DATABASE by_copy SET TABLESPACE pg_default;
DROP TABLE made, made_unlogged;
DROP DATABASE by_copy;
INSERT INTO rounds DEFAULT VALUES;
SQL

my $load = bkc_load_start($node);
my $ddl = bkc_load_start($node, '-c', 1, '-f', $script);
my @backups;

# slow enough that the DDL passes the list several times
bkc_set_fault($node, 'copy-file=sleep:3');
for my $options ('{"jobs": 1}', '{"jobs": 2}', '{"jobs": 4, "checkpoint": "spread"}')
{
	push @backups, bkc_backup($node, "'full', options => '$options'");
}
bkc_clear_fault($node);
unlike(bkc_load_stop($load), qr/error|aborted/i, 'pgbench ran without an error');
unlike(bkc_load_stop($ddl), qr/error|aborted/i, 'so did the DDL');

for my $backup (@backups)
{
	my $rounds = $node->safe_psql('postgres', <<"SQL");
SELECT count(*) FROM rounds WHERE lsn BETWEEN '$backup->{start_lsn}' AND '$backup->{stop_lsn}'
SQL
	note("$backup->{label}: $rounds rounds of DDL; metadata $backup->{metadata}");
	cmp_ok($rounds, '>', 0, 'the DDL did not wait for the backup');
	like($backup->{metadata}, qr/"checksum_failures": 0/, 'no page was taken for damaged');
}
$node->stop;

for my $i (0 .. $#backups)
{
	my $backup = $backups[$i];
	my $copy = bkc_restore($node, "copy$i",
		args => [ '--backup', $backup->{label}, '--tablespace-map', "$base/space=$base/space$i" ]);

	bkc_client_ok([ 'verify', '--repo', bkc_repo_url($node), '--backup', $backup->{label} ],
		"verify of backup $i");
	bkc_judge($copy, undef, running => 1);
	is($copy->safe_psql('postgres', <<'SQL'), 't|t|t', 'the balances agree');
WITH b AS (SELECT sum(bbalance) AS s FROM pgbench_branches),
	t AS (SELECT sum(tbalance) AS s FROM pgbench_tellers),
	a AS (SELECT sum(abalance) AS s FROM pgbench_accounts),
	h AS (SELECT sum(delta) AS s FROM pgbench_history)
SELECT b.s = t.s, t.s = a.s, a.s = h.s FROM b, t, a, h
SQL
	is($copy->safe_psql('postgres', 'SELECT count(*), sum(i) FROM moved'), '20000|200010000',
		'the moved table is whole');
	is($copy->safe_psql('postgres',
		"SELECT max(lsn) <= '$backup->{stop_lsn}'::pg_lsn + 16 * 1024 * 1024 FROM rounds"),
		't', 'the restored state is that of the end of the backup');
	$copy->stop;
	command_ok([ 'pg_checksums', '--check', '-D', $copy->data_dir ], 'pg_checksums');
}

done_testing();
