# What a restored cluster holds and what it is: everything that was committed
# before the backup's end, a new timeline, a clone that takes no backups; and
# with --take-over the successor that goes on.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('main', conf => "archive_mode = on\narchive_command = 'true'\n");

$node->safe_psql('postgres', <<'SQL');
CREATE TABLE numbers AS SELECT i, md5(i::text) AS hash FROM generate_series(1, 20000) AS i;
CREATE INDEX ON numbers (hash);
CREATE TABLE ticks (id bigint PRIMARY KEY, lsn pg_lsn);
CREATE SEQUENCE tick;
CREATE MATERIALIZED VIEW summary AS SELECT count(*) FROM numbers;
CREATE TABLE wide AS SELECT i, repeat(md5(i::text), 1000) AS text FROM generate_series(1, 50) AS i;
SQL
$node->safe_psql('postgres',
	"CREATE DATABASE \"strange name, 'ä'\" TEMPLATE template0 ENCODING 'UTF8'");
$node->safe_psql("strange name, 'ä'", 'CREATE TABLE here AS SELECT 1 AS a');
$node->safe_psql('postgres', 'CREATE DATABASE second');
$node->safe_psql('second',
	'CREATE TABLE letters AS SELECT chr(97 + i % 26) FROM generate_series(1, 1000) AS i');

# ---- committed before the backup's end: in ----

# Each row says where WAL was before it was inserted, so the row before it had
# been committed by then.
my $script = $node->basedir . '/tick.sql';
append_to_file($script,
	"INSERT INTO ticks VALUES (nextval('tick'), pg_current_wal_insert_lsn());\n");
my $load = bkc_load_start($node, '-c', 1, '-f', $script);
bkc_set_fault($node, 'leader-copied=sleep:300');
my $backup = bkc_backup($node);
bkc_load_stop($load);
bkc_clear_fault($node);

ok( $node->safe_psql('postgres', <<"SQL") > 0, 'rows were committed while the backup ran');
SELECT count(*) FROM ticks WHERE lsn BETWEEN '$backup->{start_lsn}' AND '$backup->{stop_lsn}'
SQL
my $must = $node->safe_psql('postgres', <<"SQL");
SELECT coalesce(max(a.id), 0) FROM ticks a JOIN ticks b ON b.id = a.id + 1 WHERE b.lsn <= '$backup->{stop_lsn}'
SQL
my $copy = bkc_restore($node, 'copy', args => [ '--backup', $backup->{label} ]);
bkc_judge($copy, undef, running => 1);
my ($count, $max) = split /\|/, $copy->safe_psql('postgres', 'SELECT count(*), max(id) FROM ticks');
cmp_ok($max, '>=', $must, 'what was committed before the end of the backup is there');
is($count, $max, 'and nothing between is missing');

# ---- a clone ----

is($copy->safe_psql('postgres', 'SELECT timeline_id FROM pg_control_checkpoint()'),
	2, 'a new timeline');
is($copy->safe_psql('postgres', 'SHOW pg_backupctl.enabled'), 'off', 'pg_backupctl is off');
is($copy->safe_psql('postgres', 'SHOW archive_mode'), 'off', 'archiving is off');
is( $copy->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()'),
	$node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()'),
	'the same system identifier');
my @before = bkc_repo_objects($node);
bkc_backup_fails($copy, q('full'), qr/pg_backupctl is switched off on this server/,
	'a clone takes no backup');
$copy->stop;
is_deeply([ bkc_repo_objects($node) ], \@before, 'a clone writes nothing into the repository');
ok(!-e $copy->data_dir . '/recovery.signal', 'recovery.signal is gone');

# ---- the rows at a known place ----

my $sum = bkc_checksum($node);
my $second = bkc_backup($node);
bkc_judge(bkc_restore($node, 'latest'), $sum);

# ---- the successor ----

$node->stop;
my $successor = bkc_restore($node, 'successor', args => ['--take-over']);
bkc_judge($successor, $sum, running => 1);
is($successor->safe_psql('postgres', 'SHOW pg_backupctl.enabled'), 'on', 'pg_backupctl is on');
is($successor->safe_psql('postgres', 'SHOW archive_mode'), 'on', 'archiving is on');
$successor->safe_psql('postgres',
	'DELETE FROM numbers WHERE i % 2 = 0; CREATE TABLE since (a int)');
my $sum2 = bkc_checksum($successor);
my $third = bkc_backup($successor);
is($third->{status}, 'completed', 'the successor takes backups');
is($third->{timeline}, 2, 'on its timeline');
$successor->stop;

my $again = bkc_restore($node, 'again', args => [ '--backup', $third->{label} ]);
bkc_judge($again, $sum2, running => 1);
is($again->safe_psql('postgres', 'SELECT timeline_id FROM pg_control_checkpoint()'),
	3, 'its restore is on the next timeline');
$again->stop;

# The first backups are as good as they were.
bkc_judge(bkc_restore($node, 'old', args => [ '--backup', $second->{label} ]), $sum);

done_testing();
