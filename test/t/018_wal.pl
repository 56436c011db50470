# WAL of a backup under all kinds of server settings: archiving off, on and
# failing, no replication slots, no WAL senders, small and large segments; WAL
# that is recycled too early is a clean failure.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

# Restart with these settings, back up while several segments are written,
# restore and judge.  Returns the backup's row.
my $round = 0;

sub backup_and_restore
{
	my ($node, $what, $conf) = @_;
	my ($backup, $copy);

	$round++;
	$node->append_conf('postgresql.conf', $conf);
	$node->restart;
	$node->safe_psql('postgres', "CREATE TABLE w$round (i int, text text)");
	$backup = bkc_backup_during(
		$node,
		sub {
			for my $i (1 .. 4)
			{
				$node->safe_psql('postgres',
					"INSERT INTO w$round SELECT i, repeat(md5(i::text), 20) FROM generate_series(1, 1000) AS i; SELECT pg_switch_wal()");
			}
		});
	is($backup->{status}, 'completed', "$what: backup") or diag($backup->{error});
	$copy = bkc_restore($node, "copy$round");
	bkc_judge($copy, bkc_checksum($node), running => 1);
	is($copy->safe_psql('postgres', "SELECT count(*) FROM w$round"), 4000, "$what: all rows");
	$copy->stop;
	$copy->clean_node;
	return $backup;
}

my $node = bkc_node('main',
	conf => "checkpoint_timeout = 1h\nmax_wal_senders = 5\nmax_replication_slots = 5\n");

backup_and_restore($node, 'archiving off', "archive_mode = off\n");
backup_and_restore($node, 'archiving on', "archive_mode = on\narchive_command = 'true'\n");
backup_and_restore($node, 'failing archive_command', "archive_command = 'false'\n");
is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_replication_slots'), 0, 'no slot is left');
backup_and_restore($node, 'archiving to the repository',
	"archive_command = ''\n" . bkc_archiving());
backup_and_restore($node, 'wal_level logical', "archive_library = ''\narchive_command = 'true'\nwal_level = logical\n");
backup_and_restore($node, 'no slots, no senders, wal_keep_size',
	"wal_level = replica\nmax_wal_senders = 0\nmax_replication_slots = 0\nwal_keep_size = 1GB\n");

# ---- too low ----

$node->append_conf('postgresql.conf', "wal_level = minimal\narchive_mode = off\n");
$node->restart;
like(bkc_backup_fails($node, q('full'), qr/wal_level is too low for a backup/,
	'wal_level minimal is refused'),
	qr/HINT:.*replica/, 'with a hint');
$node->append_conf('postgresql.conf', "wal_level = replica\n");
$node->restart;
is(bkc_backup($node)->{status}, 'completed', 'and works again with replica');
$node->stop;

# ---- segments of 1 MB; what is recycled while nobody looks ----

my $small = bkc_node('small', initdb => ['--wal-segsize=1'], conf => <<'CONF');
min_wal_size = 2MB
max_wal_size = 2MB
checkpoint_timeout = 1h
CONF
my $write = sub {
	$small->safe_psql('postgres', <<'SQL') for 1 .. 5;
INSERT INTO w SELECT i, repeat(md5(i::text), 20) FROM generate_series(1, 4000) AS i;
CHECKPOINT;
SQL
};

$small->safe_psql('postgres', 'CREATE TABLE w (i int, text text)');
my $backup = bkc_backup_during($small, $write);
is($backup->{status}, 'completed', 'a slot keeps the WAL until it is stored');
my $segments = $small->safe_psql('postgres',
	"SELECT ('$backup->{stop_lsn}'::pg_lsn - '$backup->{start_lsn}') / 1024 / 1024");
cmp_ok($segments, '>', 10, 'many segments');
bkc_judge(bkc_restore($small, 'small_copy'), bkc_checksum($small));

$small->append_conf('postgresql.conf', "max_replication_slots = 0\nmax_wal_senders = 0\n");
$small->restart;
my @before = grep { /backups/ } bkc_repo_objects($small);
$backup = bkc_backup_during($small, $write);
is($backup->{status}, 'failed', 'without a slot it is recycled, and the backup fails');
like($backup->{error}, qr/WAL segment "[0-9A-F]{24}" was removed before the backup could store it/,
	'and says why');
like(slurp_file($small->logfile), qr/HINT:  Increase max_replication_slots/, 'and what to do');
bkc_wait_for_sql($small, "SELECT NOT EXISTS (SELECT FROM backup_jobs())");
is_deeply([ grep { /backups/ } bkc_repo_objects($small) ], \@before, 'nothing is left of it');
$small->safe_psql('postgres', "ALTER SYSTEM SET wal_keep_size = '200MB'");
$small->reload;
bkc_wait_for_sql($small, 'SHOW wal_keep_size', '200MB', 'as the hint says');
is(bkc_backup_during($small, $write)->{status}, 'completed', 'the next one works');
bkc_judge(bkc_restore($small, 'small_next'), bkc_checksum($small));
$small->stop;

# ---- segments of 64 MB ----

my $large = bkc_node('large', initdb => ['--wal-segsize=64']);
$large->safe_psql('postgres', 'CREATE TABLE t AS SELECT generate_series(1, 1000) AS i');
bkc_backup($large);
$large->stop;
bkc_judge(bkc_restore($large, 'large_copy'), undef);

done_testing();
