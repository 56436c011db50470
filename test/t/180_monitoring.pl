# What backup_health says goes from ok to warning and critical and back: no backup, an old one,
# an unusual size, failures, a verification that fails, a repository that is away, switched off.
# The metrics, the alert rules, the exporter's queries and the dashboard fit together.

use strict;
use warnings;

use BkcTest;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $share = dirname(abs_path(__FILE__)) . '/../share';
my $node = bkc_node(
	'main',
	small => 1,
	initdb => ['--wal-segsize=1'],
	conf => bkc_archiving() . "autovacuum = off\n");
my $repo = bkc_repo_dir($node);

sub check
{
	my ($name, $what) = @_;

	return $node->safe_psql('postgres', "SELECT $what FROM backup_health WHERE check_name = '$name'");
}

# Asserts that the check comes to that status.
sub becomes
{
	my ($name, $status, $what) = @_;

	return bkc_wait_for_sql($node, "SELECT status FROM backup_health WHERE check_name = '$name'", $status, "$name: $what");
}

sub threshold
{
	my ($name, $warning, $critical) = @_;

	$node->safe_psql('postgres',
		"UPDATE backup_threshold SET warning = $warning, critical = $critical WHERE check_name = '$name'");
	return;
}

# ---- nothing there yet ----

is(check('last_backup', 'status, value, advice IS NOT NULL'), 'critical|never|t', 'no backup is critical');
is(check('schedule', 'status, value'), 'warning|none', 'no schedule is a warning');
is(check('policy', 'status, value'), 'warning|none', 'no policy is a warning');
is($node->safe_psql('postgres', 'SELECT repository, tier IS NULL, last_success, completed, failed FROM backup_status'),
	'main|t|never|0|0', 'backup_status has the repository');

# ---- all is well ----

bkc_backup($node);
$node->safe_psql('postgres', <<'SQL');
SELECT schedule_backup('nightly', '0 1 * * *', time_zone => 'UTC'), backup_set_policy('classic');
SQL
bkc_shipped($node);
bkc_wait_for_sql($node, "SELECT count(*) FROM backup_health WHERE level > 0", 0, 'all is well');
is($node->safe_psql('postgres', 'SELECT count(*) FROM backup_health WHERE advice IS NOT NULL'),
	0, 'and there is nothing to do');
like($node->safe_psql('postgres', 'SELECT last_success FROM backup_status'), qr/^\d+ (?:second|minute)s? ago$/, 'the age in words');
like($node->safe_psql('postgres', 'SELECT next_run FROM backup_status'), qr/^in \d+ (?:second|minute|hour)s?$/, 'the next run in words');

# ---- thresholds ----

is(check('last_backup', 'warning, critical, threshold'), '30.0000|54.0000|30 / 54 hours', 'the schedule says how old a backup may be');
$node->safe_psql('postgres', "UPDATE backup_catalog SET finished_at = finished_at - interval '31 hours', backup_date = backup_date - interval '31 hours'");
becomes('last_backup', 'warning', 'a run was missed');
is(check('last_backup', 'value'), '31 hours ago', 'how old it is');
$node->safe_psql('postgres', "UPDATE backup_catalog SET finished_at = finished_at - interval '24 hours', backup_date = backup_date - interval '24 hours'");
becomes('last_backup', 'critical', 'two were');
$node->safe_psql('postgres', "SELECT schedule_backup('nightly', '0 1 * * Sun', time_zone => 'UTC')");
becomes('last_backup', 'ok', 'a weekly one is not late');
$node->safe_psql('postgres', "SELECT unschedule_backup('nightly')");
becomes('last_backup', 'critical', 'without schedule the threshold counts');
threshold('last_backup', 50, 60);
becomes('last_backup', 'warning', 'a threshold was changed');
threshold('last_backup', 'NULL', 'NULL');
becomes('last_backup', 'ok', 'no threshold, no alarm');
is($node->safe_psql('postgres', "SELECT string_agg(check_name, ' ') FROM backup_threshold WHERE changed"),
	'last_backup', 'it is marked as changed');

threshold('verification', 2, 30);
becomes('verification', 'warning', 'never verified for two days');
$node->safe_psql('postgres', 'SELECT backup_verify()');
becomes('verification', 'ok', 'verified');

# ---- changed rows survive dump and restore ----

$node->safe_psql('postgres', "INSERT INTO backup_price (storage_class, price_per_gib_month, currency) VALUES ('file', 0.01, 'EUR'), ('STANDARD', 0.02, 'EUR')");
my $rows = q(SELECT 'threshold', t::text FROM backup_threshold t UNION ALL SELECT 'price', p::text FROM backup_price p ORDER BY 1, 2);
my $before = $node->safe_psql('postgres', $rows);
my $dump = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, '--extension=pg_backupctl', 'postgres' ], 'dump');
unlike(slurp_file($dump), qr/archive_lag|DEEP_ARCHIVE/, 'defaults are not dumped');
$node->safe_psql('postgres', 'DROP EXTENSION pg_backupctl');
$node->command_ok([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-f', $dump, 'postgres' ], 'restore of the dump');
is($node->safe_psql('postgres', $rows), $before, 'the same thresholds and prices');
is($node->safe_psql('postgres', "SELECT count(*) FROM backup_price WHERE storage_class = 'STANDARD'"), 1, 'once');

# ---- sizes and durations ----

for my $tier (1 .. 4)
{
	bkc_backup($node, "tier => 'it''s \"\\\\ $tier'");
}
is(check('backup_size', 'status, value_number < 1.5'), 'ok|t', 'sizes are alike');
$node->safe_psql('postgres', 'UPDATE backup_catalog SET backup_size_bytes = backup_size_bytes * 2 WHERE id = (SELECT max(id) FROM backup_catalog)');
becomes('backup_size', 'warning', 'twice as large');
$node->safe_psql('postgres', 'UPDATE backup_catalog SET backup_size_bytes = backup_size_bytes / 20 WHERE id = (SELECT max(id) FROM backup_catalog)');
becomes('backup_size', 'critical', 'a tenth');
$node->safe_psql('postgres', 'UPDATE backup_catalog SET backup_size_bytes = backup_size_bytes * 10 WHERE id = (SELECT max(id) FROM backup_catalog)');
becomes('backup_size', 'ok', 'as usual');
$node->safe_psql('postgres', "UPDATE backup_catalog SET backup_date = backup_date - interval '1 hour' WHERE id = (SELECT max(id) FROM backup_catalog)");
becomes('backup_duration', 'critical', 'an hour longer');
$node->safe_psql('postgres', "UPDATE backup_catalog SET backup_date = backup_date + interval '1 hour' WHERE id = (SELECT max(id) FROM backup_catalog)");
becomes('backup_duration', 'ok', 'as long as ever');

# ---- failures ----

bkc_set_fault($node, 'leader-copied=fail');
bkc_backup_fails($node, '', qr/./, 'a backup fails');
like(check('failed_backups', 'status, value, advice'), qr/^warning\|1\|see error in backup_catalog: ./, 'one failure is a warning');
bkc_backup_fails($node, '', qr/./, 'and again');
bkc_backup_fails($node, '', qr/./, 'and again');
becomes('failed_backups', 'critical', 'three in a row');
bkc_clear_fault($node);
my $good = bkc_backup($node);
becomes('failed_backups', 'ok', 'a good one');

# ---- a verification that fails ----

my ($pack) = sort { -s "$repo/$b" <=> -s "$repo/$a" } bkc_repo_objects($node, qr{/\Q$good->{label}\E/data/});
bkc_flip_byte("$repo/$pack", 5000);
is($node->safe_psql('postgres', "SELECT backup_verify($good->{id})"), 'failed', 'a damaged backup');
becomes('verification', 'critical', 'the newest backup is bad');
like(check('verification', 'value, advice'), qr/^1 backup failed it\|take a new backup/, 'what to do');
bkc_backup($node);
becomes('verification', 'warning', 'an older one is');
bkc_flip_byte("$repo/$pack", 5000);
is($node->safe_psql('postgres', "SELECT backup_verify($good->{id})"), 'passed', 'repaired');
becomes('verification', 'ok', 'all are good');

# ---- the repository is away ----

rename $repo, "$repo.away" or die "rename: $!";
bkc_segments($node, 2);
becomes('archiving', 'warning', 'the repository is away');
threshold('archiving', 0, 0);
becomes('archiving', 'critical', 'for too long');
threshold('archive_lag', 1, 10000);
becomes('archive_lag', 'warning', 'segments wait');
threshold('possible_loss', 1, 10000);
becomes('possible_loss', 'warning', 'what was committed is nowhere');
rename "$repo.away", $repo or die "rename: $!";
threshold('archiving', 1, 15);
threshold('possible_loss', 300, 3600);
bkc_archived($node, 'the repository is back');
becomes('archiving', 'ok', 'it is back');
becomes('archive_lag', 'ok', 'nothing waits');
becomes('possible_loss', 'ok', 'all is there');

# ---- WAL gaps, as the last wal-check has found ----

is(check('wal_gap', 'status, value'), 'ok|never looked for', 'WAL was not looked at');
$node->safe_psql('postgres', "INSERT INTO backup_event (kind, severity, result, repository, message) VALUES ('wal-check', 'critical', 'failed', 'main', 'x')");
becomes('wal_gap', 'critical', 'a gap');
$node->safe_psql('postgres', "INSERT INTO backup_event (kind, repository, message) VALUES ('wal-check', 'main', 'x')");
becomes('wal_gap', 'ok', 'none any more');

# ---- switched off ----

$node->safe_psql('postgres', 'ALTER SYSTEM SET pg_backupctl.enabled = off');
$node->reload;
becomes('enabled', 'warning', 'switched off');
is($node->safe_psql('postgres', 'SELECT wal FROM backup_status LIMIT 1'), 'off', 'backup_status says so');
$node->safe_psql('postgres', 'ALTER SYSTEM SET pg_backupctl.enabled = on');
$node->reload;
becomes('enabled', 'ok', 'switched on');

# ---- on a standby ----

my $standby = PostgreSQL::Test::Cluster->new('standby');
$node->backup('base');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
is($standby->safe_psql('postgres', "SELECT status, value FROM backup_health WHERE check_name IN ('archiving', 'possible_loss')"),
	"ok|standby\nok|standby", 'a standby says that it is one');
is($standby->safe_psql('postgres', 'SELECT count(*) > 20, (SELECT sum(completed) FROM backup_status) FROM string_to_table(backup_metrics(), chr(10))'),
	't|6', 'and has status and metrics');
$standby->stop;

# ---- storage ----

is($node->safe_psql('postgres', "SELECT sum(backups), bool_and(storage_class = 'file' AND currency = 'EUR' AND cost_per_month > 0), sum(bytes) = (SELECT sum(backup_size_bytes) FROM backup_catalog WHERE status = 'completed') FROM backup_storage"),
	'6|t|t', 'backup_storage counts and has a price');

# ---- metrics ----

my $metrics = $node->safe_psql('postgres', 'SELECT backup_metrics()');
my %family = map { $_ => 1 } $metrics =~ /^# TYPE (\S+) /mg;
my %series = map { $_ => 1 } $metrics =~ /^(\w+)(?:\{| )/mg;
ok(keys %family >= 14, 'there are metrics');
like($metrics, qr/\n# EOF\n\z/, 'the end is marked');
like($metrics, qr/^pg_backupctl_health\{check="last_backup",repository="main"\} 0$/m, 'a check');
like($metrics, qr/^pg_backupctl_archived_files_total\{repository="main"\} [1-9]\d*$/m, 'a counter');
like($metrics, qr/^pg_backupctl_last_size_bytes\{repository="main",tier="it's \\"\\\\\\\\ 4"\} \d+$/m, 'labels are escaped');
is(join("\n", grep { !/^# (?:TYPE \w+ (?:gauge|counter)|UNIT \w+ \w+|HELP \w+ [^\\]+|EOF)$|^\w+(?:\{\w+="(?:[^"\\]|\\[\\n"])*"(?:,\w+="(?:[^"\\]|\\[\\n"])*")*\})? -?\d+(?:\.\d+)?$/ } split /\n/, $metrics),
	'', 'every line has the form');
is(join(' ', grep { my ($f, $u) = /^# UNIT (\S+) (\S+)/; defined $f && $f !~ /_\Q$u\E$/ } split /\n/, $metrics),
	'', 'a unit is the end of the name');

# Every file that names metrics names those.
for my $file ('prometheus/alerts.yaml', 'grafana/pg_backupctl.json')
{
	my $text = slurp_file("$share/$file");
	my %names = map { $_ => 1 } $text =~ /\b(pg_backupctl_[a-z_]+)\b(?![.\/])/g;
	my @unknown = grep { !$series{$_} && !/^pg_backupctl_(?:wal_disk_full|next_run_timestamp)_seconds$|^pg_backupctl_queries$/ } sort keys %names;

	is("@unknown", '', "$file: its metrics exist");
}
ok(decode_json(slurp_file("$share/grafana/pg_backupctl.json"))->{panels}, 'the dashboard is JSON');

# ---- the exporter's queries ----

$node->safe_psql('postgres', 'CREATE ROLE monitor LOGIN IN ROLE pg_monitor');
my ($name, $query, %columns);
for (split /\n/, slurp_file("$share/prometheus/pg_backupctl_queries.yaml"))
{
	$name = $1 if /^(\w+):$/;
	$query = $1 if /^  query: "(.*)"$/;
	next if !/^    - (\w+):$/ && !/^        usage: "(\w+)"$/;
	/^    - (\w+):$/ ? ($columns{$name}{last} = $1) : ($columns{$name}{usage}{ $columns{$name}{last} } = $1);
	$columns{$name}{query} = $query;
}
ok(keys %columns >= 8, 'there are queries');
for my $key (sort keys %columns)
{
	my $usage = $columns{$key}{usage};
	my $names = $node->safe_psql('postgres', "SET ROLE monitor; SELECT * FROM (VALUES (1)) one LEFT JOIN ($columns{$key}{query}) q ON true LIMIT 1",
		extra_params => ['--no-psqlrc', '-P', 'tuples_only=off', '-P', 'footer=off']);
	my (undef, @have) = split /\|/, (split /\n/, $names)[0];
	my @metrics = map { $key . '_' . $_ } grep { $usage->{$_} ne 'LABEL' } sort keys %$usage;

	is(join(' ', sort @have), join(' ', sort keys %$usage), "$key: the columns are those of the query");
	is(join(' ', grep { !$series{$_} && !/_full_seconds$|_run_timestamp_seconds$|_schedule_failures$/ } @metrics), '', "$key: backup_metrics() has the same");
}

# ---- promtool ----

SKIP:
{
	if (!grep { -x "$_/promtool" } split /:/, $ENV{PATH})
	{
		fail('promtool is missing: make deps') if $ENV{CI};
		skip 'promtool is missing: install Debian\'s package prometheus (make deps)', 3;
	}
	my $out = '';

	# It reads Prometheus' older text format, where a counter's family has the name of its
	# samples: there it misses the help of those, and must find nothing else (1 is no metrics at all).
	IPC::Run::run([ 'promtool', 'check', 'metrics' ], '<', \$metrics, '>&', \$out);
	ok($? >> 8 != 1 && !(grep { !/^pg_backupctl_(?:archived_files|archive_failures|jobs)_total no help text$/ } split /\n/, $out), 'promtool takes the metrics')
	  or diag("status $?: $out");
	ok(IPC::Run::run([ 'promtool', 'check', 'rules', "$share/prometheus/alerts.yaml" ], '>&', \$out), 'promtool takes the alert rules')
	  or diag($out);

	# ... which tell of what they shall, and only of that
	my $tests = $node->basedir . '/alerts_test.yaml';
	append_to_file($tests, <<"YAML");
rule_files: [$share/prometheus/alerts.yaml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {series: 'pg_backupctl_health{check="last_backup",repository="main",instance="a"}', values: '0x10 2x50'}
      - {series: 'pg_backupctl_health{check="policy",repository="main",instance="a"}', values: '1x60'}
      - {series: 'pg_backupctl_health{check="space",repository="main",instance="a"}', values: '0x60'}
      - {series: 'pg_backupctl_last_success_timestamp_seconds{repository="main",tier="daily",instance="a"}', values: '-691200x60'}
      - {series: 'pg_backupctl_last_success_timestamp_seconds{repository="main",tier="",instance="b"}', values: '-999999x60'}
      - {series: 'pg_backupctl_last_success_timestamp_seconds{repository="main",tier="daily",instance="b"}', values: '0x60'}
      - {series: 'pg_backupctl_wal_disk_full_seconds{repository="main",instance="a"}', values: '90000x60'}
    promql_expr_test:
      - expr: count by (alertname, check, instance) (ALERTS{alertstate="firing"})
        eval_time: 9m
        exp_samples:
          - {labels: '{alertname="PgBackupctlNoRecentBackup", instance="a"}', value: 1}
      - expr: count by (alertname, check, instance) (ALERTS{alertstate="firing"})
        eval_time: 30m
        exp_samples:
          - {labels: '{alertname="PgBackupctlCritical", check="last_backup", instance="a"}', value: 1}
          - {labels: '{alertname="PgBackupctlWarning", check="policy", instance="a"}', value: 1}
          - {labels: '{alertname="PgBackupctlNoRecentBackup", instance="a"}', value: 1}
  - interval: 1m
    input_series:
      - {series: 'pg_backupctl_wal_disk_full_seconds{repository="main",instance="a"}', values: '600x60'}
    promql_expr_test:
      - expr: count by (alertname) (ALERTS{alertstate="firing"})
        eval_time: 30m
        exp_samples:
          - {labels: '{alertname="PgBackupctlNoMetrics"}', value: 1}
          - {labels: '{alertname="PgBackupctlWalDiskFull"}', value: 1}
YAML
	ok(IPC::Run::run([ 'promtool', 'test', 'rules', $tests ], '>&', \$out), 'the alert rules tell')
	  or diag($out);
}

# ---- the storage class of a bucket, from its URL; a second repository ----

$node->safe_psql('postgres', 'ALTER SYSTEM SET pg_backupctl.enabled = off');
$node->safe_psql('postgres', "ALTER SYSTEM SET pg_backupctl.repositories = 'main=file://$repo, cold=s3://bucket/x?region=eu-central-1&storage_class=GLACIER_IR'");
$node->reload;
$node->safe_psql('postgres', <<'SQL');
INSERT INTO backup_catalog (backup_type, label, repository, backup_location, status, finished_at, backup_size_bytes)
VALUES ('full', 'x', 'cold', 's3://bucket/x', 'completed', now(), 1073741824000), ('full', 'y', 'co.d', 's3://bucket/x', 'completed', now(), 1073741824000);
INSERT INTO backup_copy (backup_id, repository, status) SELECT id, repository, 'completed' FROM backup_catalog WHERE repository LIKE 'co%';
SQL
bkc_wait_for_sql($node, "SELECT storage_class, monthly_cost FROM backup_storage WHERE repository = 'cold'", 'GLACIER_IR|4.00 USD', 'the URL tells the storage class');
is($node->safe_psql('postgres', "SELECT storage_class FROM backup_storage WHERE repository = 'co.d'"), 'STANDARD', 'of that repository only');
is($node->safe_psql('postgres', "SELECT DISTINCT repository, wal FROM backup_status ORDER BY 1"), "co.d|\ncold|off\nmain|off", 'backup_status has both');
is($node->safe_psql('postgres', "SELECT repository, status FROM backup_health WHERE check_name = 'last_backup' ORDER BY 1"), "cold|ok\nmain|ok", 'so has backup_health');
$node->stop;

done_testing();
