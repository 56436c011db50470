# A primary dies with a backup at work that a schedule has begun, and its standby is promoted.  The
# catalog, schedules, policy and holds go on there by themselves; the old primary, started again,
# removes and adds nothing; everything that is kept restores.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use POSIX qw(strftime);
use Test::More;
use Time::HiRes qw(time);

my $node = bkc_node(
	'main',
	small => 1,
	initdb => ['--wal-segsize=1'],
	conf => bkc_archiving() . "autovacuum = off\nwal_keep_size = 100MB\nrestart_after_crash = on\n");
my $day = strftime('%Y-%m-%d', gmtime(time + 86400));
my $next = strftime('%Y-%m-%d', gmtime(time + 2 * 86400));
my $rows = 0;
my (@labels, %sums);

# From now on it is that time for the server's schedules and retention.
sub clock
{
	my ($server, $fake) = @_;
	my $seconds = $server->safe_psql('postgres', "SELECT extract(epoch FROM timestamptz '$fake+00')");

	$server->safe_psql('postgres', sprintf "ALTER SYSTEM SET pg_backupctl.test_clock = '%.6f %.6f 1'", time, $seconds);
	$server->reload;
	return;
}

sub insert
{
	my ($server) = @_;

	$rows += 1000;
	$server->safe_psql('postgres', "INSERT INTO t SELECT i, md5(i::text) FROM generate_series(1, 1000) AS i");
	bkc_segments($server, 2);
	return;
}

sub backup
{
	my ($server) = @_;
	my $sum = bkc_checksum($server);

	push @labels, bkc_backup($server)->{label};
	$sums{ $labels[-1] } = $sum;
	insert($server);
	return;
}

sub manifests
{
	my %label = map { m{/backups/([^/]+)/manifest$} ? ($1 => 1) : () } bkc_repo_objects($node);

	return join ' ', sort keys %label;
}

sub schedule
{
	my ($server, $name, $condition, $what) = @_;

	return bkc_wait_for_sql($server, "SELECT $condition FROM backup_schedule WHERE name = '$name'", 't', $what);
}

# ---- a primary with all that runs by itself ----

$node->safe_psql('postgres', 'CREATE TABLE t (i int, text text)');
clock($node, "$day 00:30:00");
$node->safe_psql('postgres', <<'SQL');
ALTER DATABASE postgres SET timezone = 'UTC';
SELECT backup_set_policy(keep_last => 2, pitr_window => '0');
SELECT schedule_backup('nightly', '0 1 * * *', tier => 'daily');
SELECT schedule_backup('cleaning', '0 2 * * *', type => 'expire');
SQL
backup($node) for 1 .. 3;
for my $call (q(backup_hold(id, 'case 4711')), 'backup_verify(id)')
{
	like($node->safe_psql('postgres', "SELECT $call FROM backup_catalog WHERE label = '$labels[0]'"), qr/^(1|passed)$/, "$call of the oldest");
}
schedule($node, 'nightly', "next_run = '$day 01:00+00'", 'the next run is planned');

my $standby = PostgreSQL::Test::Cluster->new('standby');
$node->backup('base');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
insert($node);
ok(bkc_poll(sub { -e $standby->data_dir . '/pg_backupctl/standby' }), 'the standby is marked');
is($standby->safe_psql('postgres', "SELECT state FROM backup_schedule WHERE name = 'nightly'"),
	'waiting: this server is a standby', 'it runs no schedule, and says why');

# ---- it dies in the middle of the nightly backup ----

bkc_set_fault($node, 'leader-copied=sleep:600000');
clock($node, "$day 01:00:01");
bkc_wait_for_sql($node, "SELECT count(*) FROM backup_progress WHERE phase = 'copying files' AND files_done = files_total AND files_total > 0", 1,
	'the nightly backup is at work');
my $running = bkc_catalog($node);
is($running->{status}, 'running', 'so its row says');
insert($node);
bkc_shipped($node);
$node->wait_for_catchup($standby, 'replay', $node->lsn('flush'));
my $sum = bkc_checksum($node);
my $events = $node->safe_psql('postgres', 'SELECT max(id) FROM backup_event');
$node->stop('immediate');

# ---- the standby goes on ----

$standby->promote;
bkc_wait_for_sql($standby, "SELECT status FROM backup_catalog WHERE id = $running->{id}", 'failed', 'the row of the former life is closed');
my $row = bkc_row_is($standby, $running->{id}, 'failed', qr/^interrupted/, 'what was running');
is($row->{label}, $running->{label}, 'it is that backup');
bkc_wait_for_sql($standby, "SELECT count(*) FROM backup_jobs() WHERE job = 'settle'", 0, 'that is done');
is($standby->safe_psql('postgres', 'SELECT * FROM backup_catalog_sync()'), 'main|0|0|0|0', 'the catalog is in sync');
is($standby->safe_psql('postgres', "SELECT label, status, held, verification_status FROM backup_catalog WHERE status <> 'failed' ORDER BY label"),
	"$labels[0]|completed|t|passed\n$labels[1]|completed|f|not verified\n$labels[2]|completed|f|not verified", 'with hold and verification');
is(bkc_checksum($standby), $sum, 'no row is lost');

# its clock is still that of half past midnight
schedule($standby, 'nightly', "last_run = '$day 01:00+00' AND last_result = 'failed' AND retry_at IS NOT NULL", 'the nightly run has failed');
is($standby->safe_psql('postgres', "SELECT count(*) FROM backup_event WHERE id > $events AND kind = 'backup' AND schedule = 'nightly' AND result = 'failed'"), 1,
	'an event tells of it');
$sum = bkc_checksum($standby);
clock($standby, "$day 01:10:00");
schedule($standby, 'nightly', "last_run = '$day 01:00+00' AND last_result = 'completed'", 'and is made again');
push @labels, $standby->safe_psql('postgres', "SELECT label FROM backup_catalog WHERE status = 'completed' ORDER BY id DESC LIMIT 1");
$sums{ $labels[-1] } = $sum;
is($standby->safe_psql('postgres', "SELECT timeline, tier FROM backup_catalog WHERE label = '$labels[-1]'"), '2|daily', 'on the new timeline');
insert($standby);
schedule($standby, 'nightly', "next_run = '$next 01:00+00'", 'the next one is planned');
bkc_shipped($standby);
clock($standby, "$day 02:00:01");
schedule($standby, 'cleaning', "last_run = '$day 02:00+00' AND last_result = 'completed'", 'retention has its turn');
is(manifests(), "$labels[0] $labels[2] $labels[3]", 'what no rule keeps is gone, what is held is there');
is($standby->safe_psql('postgres', "SELECT string_agg(label, ' ' ORDER BY label) FROM backup_catalog WHERE status = 'completed'"),
	manifests(), 'so the catalog says');
is($standby->safe_psql('postgres', "SELECT reason FROM backup_expire() WHERE name = '$labels[0]'") =~ s/.*(case 4711).*/$1/r, 'case 4711', 'for that reason');

# ---- the old primary comes back ----

bkc_shipped($standby);
my @objects = grep { !m{/\Q$running->{label}\E/} } bkc_repo_objects($node, qr{/(?:backups|wal|owner)/});
$node->append_conf('postgresql.auto.conf', "pg_backupctl.fault = ''\n");
$node->start;
bkc_segments($node, 2);
bkc_wait_for_sql($node, q(SELECT status FROM backup_archiver), 'refused', 'it is refused');
bkc_backup_fails($node, q('full'), qr/repository "main" belongs to another data directory/, 'it takes no backup');
my ($status, $stdout, $stderr) = $node->psql('postgres', 'SELECT * FROM backup_expire(false)');
like($stderr, qr/repository "main" belongs to another data directory/, 'it removes nothing');
($status, $stdout, $stderr) = $node->psql('postgres', "SELECT backup_hold(id, 'mine') FROM backup_catalog WHERE label = '$labels[2]'");
clock($node, "$next 02:00:01");
schedule($node, 'cleaning', "last_run = '$next 02:00+00' AND last_result = 'failed'", 'its schedules do not either');
schedule($node, 'nightly', "last_run = '$next 01:00+00' AND last_result = 'failed' AND last_error LIKE '%belongs to another%'", 'and say why');
bkc_wait_for_sql($node, "SELECT count(*) FROM backup_progress", 0, 'all is quiet');
bkc_wait_for_sql($node, "SELECT count(*) FROM backup_catalog WHERE status = 'running'", 0, 'no row is open');
is_deeply([ grep { !m{/\Q$running->{label}\E/|/notes/} } bkc_repo_objects($node, qr{/(?:backups|wal|owner)/}) ],
	[ grep { !m{/notes/} } @objects ], 'the repository is as it was');
ok(!bkc_repo_objects($node, qr{/\Q$running->{label}\E/}), 'but for its own unfinished backup');
$node->stop;

# ---- what is kept restores ----

is($standby->safe_psql('postgres', 'SELECT * FROM backup_catalog_sync()') =~ s/\|\d+\|(\d+\|\d+)$/|$1/r, 'main|0|0|0', 'in sync');
$sum = bkc_checksum($standby);
bkc_shipped($standby);
$standby->stop;
for my $label (@labels[ 0, 2, 3 ])
{
	my $copy = bkc_restore($node, "copy_$label", args => [ '--backup', $label, '--immediate' ]);

	bkc_judge($copy, $sums{$label});
	$copy->clean_node;
}
bkc_judge(bkc_restore($node, 'last'), $sum);

done_testing();
