# A whole day of a server that runs itself, its clock sped up: backups, verification, a look for
# gaps and retention at their times and no others, while the server is at work; and what is left at
# its end restores.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use POSIX qw(strftime);
use Test::More;
use Time::HiRes qw(time);

my $node = bkc_node('main', small => 1, initdb => ['--wal-segsize=1'], conf => bkc_archiving());
my $day = strftime('%Y-%m-%d', gmtime(time + 2 * 86400));
my $before = strftime('%Y-%m-%d', gmtime(time + 86400));

# From now on it is that time for schedules and retention, and goes so fast.
sub clock
{
	my ($fake, $speed) = @_;
	my $seconds = $node->safe_psql('postgres', "SELECT extract(epoch FROM timestamptz '$fake+00')");

	$node->safe_psql('postgres', sprintf "ALTER SYSTEM SET pg_backupctl.test_clock = '%.6f %.6f %d'", time, $seconds, $speed);
	$node->reload;
	return;
}

sub manifests
{
	my %label = map { m{/backups/([^/]+)/manifest$} ? ($1 => 1) : () } bkc_repo_objects($node);

	return join ' ', sort keys %label;
}

$node->command_ok([ 'pgbench', '-i', '-q', '-s', '1', 'postgres' ], 'pgbench -i');
my @old = map { bkc_backup($node)->{label} } 1 .. 3;
clock("$before 23:45:00", 1);
$node->safe_psql('postgres', <<'SQL');
ALTER DATABASE postgres SET timezone = 'UTC';
SELECT backup_set_policy(keep_last => 3, pitr_window => '0');
SELECT schedule_backup('full', '0 3,9,15,21 * * *', tier => 'daily', time_zone => 'UTC');
SELECT schedule_backup('verify', '0 5 * * *', type => 'verify', time_zone => 'UTC');
SELECT schedule_backup('gaps', '0 */8 * * *', type => 'wal-check', time_zone => 'UTC');
SELECT schedule_backup('expire', '0 6 * * *', type => 'expire', time_zone => 'UTC');
SELECT schedule_backup('late', '30 23 * * *', type => 'expire', time_zone => 'UTC');
SQL
bkc_wait_for_sql($node, "SELECT min(next_run) = '$day 00:00+00' AND count(*) = 5 FROM backup_schedule WHERE next_run < '$day 23:59+00'", 't',
	'a day is planned');
my $events = $node->safe_psql('postgres', 'SELECT max(id) FROM backup_event');
my $load = bkc_load_start($node, '-R', '40');

# ---- the day ----

clock("$before 23:55:00", 1200);
bkc_wait_for_sql($node, "SELECT last_run = '$day 23:30+00' AND last_result = 'completed' FROM backup_schedule WHERE name = 'late'", 't', 'the day is over');
clock("$day 23:45:00", 1);
bkc_wait_for_sql($node, 'SELECT count(*) FROM backup_progress', 0, 'all is quiet');
bkc_load_stop($load);

is($node->safe_psql('postgres', "SELECT schedule, kind, result, count(*) FROM backup_event WHERE id > $events AND schedule IS NOT NULL AND kind <> 'schedule' GROUP BY 1, 2, 3 ORDER BY 1"),
	"expire|expire|ok|1\nfull|backup|ok|4\ngaps|wal-check|ok|3\nlate|expire|ok|1\nverify|verify|ok|1", 'everything ran as often as it should');
is($node->safe_psql('postgres', "SELECT name, last_run, consecutive_failures, next_run FROM backup_schedule ORDER BY name") =~ s/\+00//gr, join("\n",
		"expire|$day 06:00:00|0|NEXT 06:00:00", "full|$day 21:00:00|0|NEXT 03:00:00", "gaps|$day 16:00:00|0|NEXT 00:00:00",
		"late|$day 23:30:00|0|NEXT 23:30:00", "verify|$day 05:00:00|0|NEXT 05:00:00") =~ s/NEXT/strftime('%Y-%m-%d', gmtime(time + 3 * 86400))/ger,
	'for the times that were planned, and goes on tomorrow');
is($node->safe_psql('postgres', "SELECT count(*) FROM backup_health WHERE check_name IN ('last backup', 'wal gap', 'verification') AND status = 'critical'"), 0,
	'monitoring sees nothing bad');

# ---- what is left ----

my @kept = split / /, manifests();
is(scalar(@kept), 3, 'the last three backups are left');
is(scalar(grep { my $l = $_; grep { $_ eq $l } @old } @kept), 0, 'none of those before');
is($node->safe_psql('postgres', "SELECT string_agg(label, ' ' ORDER BY label) FROM backup_catalog WHERE status = 'completed' AND tier = 'daily'"), manifests(),
	'so the catalog says');
my $sum = bkc_checksum($node);
bkc_shipped($node);
like(bkc_client_ok([ 'check', '--repo', bkc_repo_url($node) ], 'check'), qr/no damage found/, 'check finds no damage');
$node->stop;
bkc_judge(bkc_restore($node, 'now'), $sum);
my $copy = bkc_restore($node, 'oldest', args => [ '--backup', $kept[0], '--immediate' ]);
bkc_judge($copy);

done_testing();
