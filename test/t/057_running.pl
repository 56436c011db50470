# What others see of a running backup, and what they can do meanwhile.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('main');

$node->safe_psql('postgres', <<'SQL');
CREATE TABLE numbers AS SELECT i, md5(i::text) AS hash FROM generate_series(1, 20000) AS i;
CREATE ROLE watcher LOGIN;
GRANT pg_monitor TO watcher;
SQL
$node->safe_psql('postgres',        "CREATE DATABASE $_") for qw(dropped template_source);
$node->safe_psql('template_source', 'CREATE TABLE t AS SELECT generate_series(1, 100)');

my $job = bkc_hold($node, 'copy-frame=sleep:60000@50',
	when => q(phase = 'copying files' AND workers = 2 AND files_done > 50));
my $row = bkc_catalog($node);

is($row->{status},      'running', 'the row says running');
is($row->{finished_at}, '',        'the row has no end');

# ---- a second one ----

for my $arguments (q('full'), q('full', wait => false))
{
	my $err = bkc_backup_fails(
		$node, $arguments,
		qr/ERROR:  a backup of this cluster is running already/,
		"a second backup is refused ($arguments)");

	like(
		$err,
		qr/DETAIL:  Backup $row->{id}, \Q$row->{label}\E: copying files, \d+ % of the bytes/,
		'it tells the id and the progress');
	like($err, qr/HINT:.*backup_progress.*backup_cancel\($row->{id}\)/,
		'it tells what can be done');
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM backup_catalog'), 1,
	'no second row is there');

# ---- what can be seen ----

is( $node->safe_psql('postgres', <<'SQL', extra_params => [ '-U', 'watcher' ]),
SELECT id, job, label, repository, phase,
	percent BETWEEN 0 AND 100, files_done BETWEEN 50 AND files_total,
	bytes_done BETWEEN 1 AND bytes_total, rate LIKE '%/s', time_left >= '0', elapsed >= '0',
	workers
FROM backup_progress
SQL
	"$row->{id}|backup|$row->{label}|main|copying files|t|t|t|t|t|t|2",
	'pg_monitor sees the view backup_progress');
is( $node->safe_psql('postgres', <<'SQL', extra_params => [ '-U', 'watcher' ]),
SELECT p.phase, p.backup_streamed BETWEEN 1 AND p.backup_total, p.tablespaces_total,
	a.backend_type, a.datname
FROM pg_stat_progress_basebackup AS p
	JOIN pg_stat_activity AS a USING (pid)
	JOIN backup_progress AS b USING (pid)
SQL
	'streaming database files|t|1|pg_backupctl backup|postgres',
	'pg_stat_progress_basebackup shows it');
is( $node->safe_psql('postgres', <<'SQL'),
SELECT backend_type, datname, state, query ~ (SELECT label FROM backup_progress), count(*)
FROM pg_stat_activity WHERE backend_type LIKE 'pg_backupctl %'
GROUP BY 1, 2, 3, 4 ORDER BY backend_type COLLATE "C"
SQL
	join("\n",
		'pg_backupctl WAL streamer||idle|f|1',
		'pg_backupctl backup|postgres|active|t|1',
		'pg_backupctl copy||active|t|2',
		'pg_backupctl launcher||idle|f|1'),
	'pg_stat_activity shows leader, workers, launcher and WAL streamer');
is($node->safe_psql('postgres', "SELECT temporary, active, slot_type FROM pg_replication_slots"),
	't|t|physical', 'its temporary slot is there');

# No process but the waiting session has a snapshot or a transaction.
is($node->safe_psql('postgres', <<'SQL'),
SELECT count(*) FROM pg_stat_activity
WHERE backend_type LIKE 'pg_backupctl %'
	AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL OR xact_start IS NOT NULL)
SQL
	0,
	'no process of the backup holds a snapshot or a transaction');

# ---- what can be done ----

my %timeout = (timeout => 20, timed_out => \my $timed_out);

for my $sql (
	'DROP DATABASE dropped',
	'CREATE DATABASE copied TEMPLATE template_source',
	'CREATE DATABASE copied_files TEMPLATE template_source STRATEGY file_copy',
	'ALTER DATABASE template_source RENAME TO renamed',
	'DROP DATABASE renamed',
	'VACUUM FULL numbers',
	'CHECKPOINT')
{
	my $stderr;
	is($node->psql('postgres', $sql, stderr => \$stderr, %timeout), 0, "meanwhile: $sql")
	  or diag($stderr);
}
is($node->safe_psql('copied', 'SELECT count(*) FROM t'), 100, 'the copied database is right');

# The catalog can be written meanwhile.
is($node->safe_psql('postgres', "SELECT register_backup('other', 'somewhere', 1)"),
	2, 'meanwhile: register_backup');

# ---- its end ----

is($node->safe_psql('postgres', 'SELECT backup_cancel(id) FROM backup_progress'), 't', 'cancelled');
bkc_join_fails($job, qr/the job was cancelled/, 'the session learns it');
bkc_clear_fault($node);
bkc_settled($node, 'after the cancel');
is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_replication_slots'), 0,
	'the slot is gone');
is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_stat_progress_basebackup'),
	0, 'the progress is gone');

# Databases come and go under a backup that is completed.
$job = bkc_hold($node, 'copy-frame=sleep:3000@50');
$node->safe_psql('postgres', 'DROP DATABASE copied');
$node->safe_psql('postgres', 'CREATE DATABASE late TEMPLATE copied_files STRATEGY file_copy');
$node->safe_psql('late',     'INSERT INTO t VALUES (1)');
my ($status, undef, $err) = bkc_join($job);
is($status, 0, 'a backup is completed while databases come and go') or diag($err);
my $checksum = bkc_checksum($node);
$node->stop;
my $copy = bkc_restore($node, 'copy');
bkc_judge($copy, undef, running => 1);
is( $copy->safe_psql(
		'postgres',
		"SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database WHERE NOT datistemplate"
	),
	'copied_files late postgres',
	'the restored databases are those at the end of the backup');
is(bkc_checksum($copy), $checksum, 'with all their rows');

done_testing();
