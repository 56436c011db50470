# What backup_archiver says: while all goes well, while a repository is away,
# while the streamer fails, switched off, on a standby, not preloaded.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node(
	'main',
	start => 0,
	initdb => ['--wal-segsize=1'],
	conf => bkc_archiving() . "autovacuum = off\ncheckpoint_timeout = 1h\nbgwriter_lru_maxpages = 0\n");
my $main = bkc_repo_dir($node);
my $second = $node->basedir . '/second';
mkdir $second or die "$second: $!";
$node->append_conf('postgresql.conf',
	"pg_backupctl.repositories = 'main=file://$main, second=file://$second'");
$node->start;
bkc_extension($node);
$node->safe_psql('postgres', 'CREATE TABLE t (i int)');

# One value of the view.
sub archiver
{
	my ($expression, $repository) = @_;

	return $node->safe_psql('postgres',
		"SELECT $expression FROM backup_archiver WHERE repository = '$repository'");
}

# Asserts that all this becomes true.
sub becomes
{
	my ($condition, $repository, $what) = @_;

	ok(bkc_poll(sub { archiver("coalesce($condition, false)", $repository) eq 't' }), $what)
	  or diag($node->safe_psql('postgres', 'SELECT jsonb_pretty(to_jsonb(a)) FROM backup_archiver a'));
	return;
}

# Make WAL and end the segment; its name.
sub end_segment
{
	return $node->safe_psql('postgres', <<'SQL');
INSERT INTO t SELECT generate_series(1, 100);
SELECT pg_walfile_name(pg_switch_wal());
SQL
}

# ---- all is well ----

is($node->safe_psql('postgres', 'SELECT string_agg(repository, $$,$$) FROM backup_archiver'),
	'main,second', 'a row for each repository, in the order of the setting');
my $segment = end_segment();
for my $repository ('main', 'second')
{
	becomes("last_archived_file = '$segment' AND pg_walfile_name(archived_to - 1) = '$segment'",
		$repository, "$repository: the last file, and archived up to its end");
	is( archiver(
			"concat_ws(' ', status, timeline, backlog_segments, backlog, failures, "
			  . "last_error IS NULL, failed_at IS NULL, retry_at IS NULL, disk_full_in IS NULL, "
			  . "oldest_waiting IS NULL)",
			$repository),
		'archiving 1 0 0 bytes 0 t t t t t',
		"$repository: nothing waits and nothing is wrong");
	is( archiver(
			"concat_ws(' ', clock_timestamp() - last_archived_time BETWEEN '0' AND '1 minute', "
			  . "files > 0, archived_bytes >= 1048576, stored_bytes BETWEEN 1 AND archived_bytes, "
			  . "rate_bytes > 0, rate LIKE '%/s', pg_wal_free_bytes > 0)",
			$repository),
		't t t t t t t',
		"$repository: times, counts and rates");
}

# What is shipped is not lost.
$node->safe_psql('postgres', 'INSERT INTO t VALUES (1)');
becomes("possible_loss_bytes = 0 AND possible_loss = '0 bytes' AND possible_loss_age = '0'",
	'main', 'nothing would be lost');
is(archiver('chunks > 0 AND chunk_bytes > 0', 'main'), 't', 'chunks are counted');

# ---- what is safe until when, while nobody looks ----

my $streamer = $node->safe_psql('postgres',
	"SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_backupctl WAL streamer'");
kill 'STOP', $streamer or die "could not stop the streamer: $!";
my $before = $node->safe_psql('postgres', 'SELECT clock_timestamp()');
$segment = end_segment();
becomes("pg_walfile_name(archived_to - 1) >= '$segment'", 'main', 'a segment without the streamer');
$node->safe_psql('postgres', 'INSERT INTO t VALUES (1)');
becomes("possible_loss_bytes > 0 AND safe_until <= '$before'",
	'main', 'when its last WAL was written is not said');
kill 'CONT', $streamer;
becomes("possible_loss_bytes = 0 AND safe_until > '$before'", 'main', '... before the streamer knows');

# ---- the streamer fails ----

bkc_set_fault($node, 'chunk-send=fail');
$node->safe_psql('postgres', 'INSERT INTO t VALUES (2)');
becomes("possible_loss_bytes > 0 AND streamer_error LIKE '%fault point%'",
	'main', 'a possible loss and why');
becomes("possible_loss_age BETWEEN '1.5 s' AND '1 minute'", 'main', '... which gets older');
is(archiver('status', 'main'), 'archiving', '... while whole segments are archived');
bkc_clear_fault($node);
becomes("possible_loss_bytes = 0 AND streamer_error IS NULL", 'main', '... until it goes on');

# ---- the archiver fails, but no repository is the reason ----

bkc_set_fault($node, 'archive-file=fail');
$segment = end_segment();
becomes("status = 'failing' AND failed_file = '$segment' AND failed_at IS NOT NULL "
	  . "AND last_error LIKE '%could not archive%server log%'",
	'main', 'a failure of the archiver itself');
is(archiver('status', 'second'), 'failing', '... concerns every repository');
like(
	$node->safe_psql('postgres',
		"SELECT finding FROM backup_check('main') WHERE check_name = 'archiver' AND status = 'failed'"),
	qr/could not archive "$segment"/,
	'... and backup_check says so');
bkc_clear_fault($node);
becomes("status = 'archiving' AND last_error IS NULL AND backlog_segments = 0", 'main', '... until it has passed');

# ---- a repository is away ----

chmod 0, $second or die "chmod: $!";
my $first_lost = end_segment();
my @lost = ($first_lost, map { end_segment() } 1 .. 3);
becomes("status = 'failing' AND backlog_segments >= 4", 'second', 'the repository that is away');
is( archiver(
		"concat_ws(' ', failures > 0, last_error LIKE '%second%', failed_at IS NOT NULL, "
		  . "retry_at > failed_at, oldest_waiting >= '0', backlog_bytes = backlog_segments * 1048576, "
		  . "possible_loss_bytes > 3 * 1048576)",
		'second'),
	't t t t t t t',
	'... its trouble');
like(archiver('failed_file', 'second'), qr/^[0-9A-F]{24}$/, '... names a file');
becomes("wal_rate_bytes > 0", 'second', 'WAL is made');
becomes("disk_full_in > '0'", 'second', '... and will fill the disk');
becomes("status = 'archiving' AND failures = 0 AND backlog_segments = 0 AND possible_loss_bytes = 0 "
	  . "AND disk_full_in IS NULL", 'main', 'the other repository is well and gets its WAL');
ok((grep { /$lost[3]$/ } bkc_repo_objects($node, qr{/wal/})), '... all of it');

chmod 0700, $second or die "chmod: $!";
becomes("status = 'archiving' AND backlog_segments = 0 AND pg_walfile_name(archived_to - 1) >= '$lost[3]'",
	'second', 'it is back and gets what it missed');
is( archiver(
		"concat_ws(' ', failures > 0, last_error IS NOT NULL, retry_at IS NULL, disk_full_in IS NULL)",
		'second'),
	't t t t',
	'... the error stays to be read');
becomes("archived_to >= (SELECT m.archived_to FROM backup_archiver m WHERE m.repository = 'main')",
	'second', '... and nothing is missing');

# ---- switched off ----

$node->safe_psql('postgres', 'ALTER SYSTEM SET pg_backupctl.enabled = off');
$node->reload;
becomes("status = 'off'", 'main', 'switched off');
my $waiting = end_segment();
end_segment();
becomes("backlog_segments >= 2 AND status = 'off'", 'main', '... WAL waits');
becomes("backlog_segments >= 2 AND status = 'off'", 'second', '... for both');
$node->safe_psql('postgres', 'ALTER SYSTEM RESET pg_backupctl.enabled');
$node->reload;
becomes("status = 'archiving' AND backlog_segments = 0 AND pg_walfile_name(archived_to - 1) > '$waiting'",
	'main', 'switched on again');

# ---- the library may be named with its place ----

$node->safe_psql('postgres', q(ALTER SYSTEM SET archive_library = '$libdir/pg_backupctl'));
$node->reload;
bkc_wait_for_sql($node, 'SHOW archive_library', '$libdir/pg_backupctl');
$segment = end_segment();
becomes("status = 'archiving' AND last_archived_file >= '$segment'", 'main', '$libdir/pg_backupctl is ours');
is( $node->safe_psql('postgres', "SELECT status FROM backup_check('main') WHERE check_name = 'archive_library'"),
	'ok', '... for backup_check, too');
is(bkc_backup($node, q(options => '{"wal": "archive"}'))->{status},
	'completed', '... and a backup can rely on it');
$node->safe_psql('postgres', 'ALTER SYSTEM RESET archive_library');
$node->reload;
bkc_wait_for_sql($node, 'SHOW archive_library', 'pg_backupctl');

# ---- on a standby ----

$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
is( $standby->safe_psql('postgres',
		'SELECT DISTINCT status, backlog_segments, possible_loss IS NULL FROM backup_archiver'),
	'standby|0|t',
	'a standby leaves it to its primary');
$standby->append_conf('postgresql.conf', 'archive_mode = always');
$standby->restart;
$segment = end_segment();
ok( bkc_poll(
		sub {
			my $to = $standby->safe_psql('postgres',
				"SELECT min(archived_to) FROM backup_archiver HAVING bool_and(status = 'archiving')");

			return $to ne '' && $node->safe_psql('postgres', "SELECT pg_walfile_name('$to'::pg_lsn - 1)") ge $segment;
		}),
	'unless archive_mode is always')
  or diag($standby->safe_psql('postgres', 'SELECT jsonb_pretty(to_jsonb(a)) FROM backup_archiver a'));
$standby->stop;

# ---- archiving belongs to somebody else, or to nobody ----

$node->safe_psql('postgres', "ALTER SYSTEM SET archive_library = ''");
$node->safe_psql('postgres', "ALTER SYSTEM SET archive_command = 'true'");
$node->reload;
becomes("status = 'not configured'", 'main', 'archive_library names something else');

$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;
for my $query (
	'SELECT * FROM backup_archiver',
	'SELECT * FROM backup_recovery_window',
	'SELECT backup_take_over()',
	"SELECT backup_wal_conflict_resolve('$segment', 'because')")
{
	my ($status, $stdout, $stderr) = $node->psql('postgres', $query);

	ok( $status != 0
		  && $stderr =~ /pg_backupctl is not loaded by the server/
		  && $stderr =~ /HINT: .*shared_preload_libraries = 'pg_backupctl'/,
		"$query without the library")
	  or diag($stderr);
}
is($node->safe_psql('postgres', 'SELECT check_name, status FROM backup_check()'),
	'preload|failed', 'backup_check says so, too');
$node->stop;

done_testing();
