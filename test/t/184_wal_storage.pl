# What archived WAL takes and costs: measured by expire and by wal-check, shown by backup_storage,
# the forecast and the metrics.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = bkc_node('main', small => 1, initdb => ['--wal-segsize=1'],
	conf => bkc_archiving() . "pg_backupctl.rpo_target = 0\nautovacuum = off\n");
my $repo = bkc_repo_dir($node);

sub storage
{
	my ($what) = @_;

	return $node->safe_psql('postgres', "SELECT $what FROM backup_storage WHERE kind = 'wal'");
}

# As the folder says: number and bytes of files below wal/.
sub in_folder
{
	my @objects = bkc_repo_objects($node, qr{^\d+/wal/});
	my $bytes = 0;

	$bytes += -s "$repo/$_" for @objects;
	return @objects . "|$bytes";
}

bkc_backup($node);
bkc_segments($node, 3);
bkc_archived($node, 'some WAL');
is(storage('count(*)'), 0, 'it was not measured yet');
is($node->safe_psql('postgres', 'SELECT string_agg(kind, chr(32)) FROM backup_storage'), 'backups', 'only the backups are there');

# ---- expire ----

$node->safe_psql('postgres', "INSERT INTO backup_price (storage_class, price_per_gib_month, currency) VALUES ('file', 0.5, 'EUR')");
$node->safe_psql('postgres', 'SELECT * FROM backup_expire(dry_run => false)');
is(storage('objects, bytes'), in_folder(), 'expire has measured it');
is(storage("storage_class, tier IS NULL, backups IS NULL, measured_at > now() - interval '1 minute', cost_per_month > 0, currency"),
	'file|t|t|t|t|EUR', 'it has a time, and a price');
my $at = storage('measured_at');

# ---- wal-check ----

bkc_segments($node, 2);
bkc_archived($node, 'more WAL');
$node->safe_psql('postgres', sprintf(
	"ALTER SYSTEM SET pg_backupctl.test_clock = '%.6f %d 1'", time, 1772323200 + 3590));    # 2026-03-01 00:59:50
$node->reload;
$node->safe_psql('postgres', "SELECT schedule_backup('gaps', '0 1 * * *', 'wal-check', time_zone => 'UTC')");
bkc_wait_for_sql($node, 'SELECT last_result FROM backup_schedule', 'completed', 'wal-check has run');
is(storage('objects, bytes'), in_folder(), 'it has measured, too');
is(storage("measured_at > '$at'"), 't', 'later');

# ---- what is made of it ----

is($node->safe_psql('postgres', "SELECT bytes = (SELECT bytes FROM backup_storage WHERE kind = 'wal'), backups IS NULL, currency FROM backup_cost_forecast('classic') WHERE rule = 'wal'"),
	't|t|EUR', 'the forecast has it');
like($node->safe_psql('postgres', 'SELECT backup_metrics()'), qr/^pg_backupctl_storage_bytes\{class="file",kind="wal",repository="main",tier=""\} [1-9]\d*$/m, 'so have the metrics');
$node->stop;

done_testing();
