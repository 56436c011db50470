# A clock that has jumped stops retention, also after a restart or a crash, until it is set back or
# somebody says that it is right.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = bkc_node('main', small => 1, conf => "restart_after_crash = on\n");

# The machine's clock is set so many seconds ahead of the right time.
sub set_clock
{
	my ($ahead) = @_;

	$node->safe_psql('postgres', sprintf "ALTER SYSTEM SET pg_backupctl.test_clock = '%.6f %.6f 1 %d'", time, time + $ahead, $ahead);
	$node->reload;
	return;
}

# By so many minutes.
sub jumped
{
	my ($expected, $what) = @_;

	return bkc_wait_for_sql($node, "SELECT COALESCE(round(extract(epoch FROM backup_clock_jump()) / 60)::text, 'no')", $expected, $what);
}

# Whether retention works; nothing is asked before the catalog is in sync after a start.
sub refused
{
	my ($pattern, $what) = @_;
	my ($status, $stdout, $stderr);

	bkc_poll(
		sub {
			($status, $stdout, $stderr) = $node->psql('postgres', 'SELECT name FROM backup_expire(false)');
			return ($stderr // '') !~ /sync is pending|is not known yet/;
		});
	return ok(defined $pattern ? $status != 0 && $stderr =~ $pattern : $status == 0, $what) || diag("$status $stdout $stderr");
}

sub mark
{
	return -e $node->data_dir . '/pg_backupctl/clock';
}

bkc_backup($node) for 1 .. 3;
$node->safe_psql('postgres', "SELECT backup_set_policy(keep_last => 3)");
refused(undef, 'retention works');
set_clock(1800);
refused(undef, 'half an hour is no jump');
set_clock(0);
jumped('no', 'nor is the way back');

# ---- ahead ----

$node->safe_psql('postgres', "SELECT backup_set_policy(keep_last => 1)");
set_clock(7200);
jumped(120, 'two hours are one');
refused(qr/the clock of this machine has jumped by (7200|7199) seconds.*backup_clock_is_right\(\)/s, 'retention stops');
ok(bkc_poll(\&mark), 'that is noted in the data directory');

$node->restart;
jumped(120, 'a restart does not make it forgotten');
refused(qr/the clock of this machine has jumped by/, 'retention does not work');
is($node->safe_psql('postgres', "SELECT status FROM backup_health WHERE check_name = 'clock'"), 'critical', 'monitoring says so');

my $launcher = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_backupctl launcher'");
kill 'KILL', $launcher;
bkc_wait_for_sql($node, "SELECT pid <> $launcher FROM pg_stat_activity WHERE backend_type = 'pg_backupctl launcher'", 't', 'the server crashes');
jumped(120, 'nor does a crash');
refused(qr/the clock of this machine has jumped by/, 'retention does not work');
is(scalar(bkc_repo_objects($node, qr{/manifest$})), 3, 'nothing was removed by all that');

# ---- set right ----

set_clock(0);
jumped('no', 'it is set back');
ok(bkc_poll(sub { !mark() }), 'the mark goes');
$node->restart;
jumped('no', 'and does not come again');

set_clock(-86400);
jumped(-1440, 'a day back');
ok(bkc_poll(\&mark), 'noted');
refused(qr/lies in the future/, 'retention stops');

# ---- somebody says that it is right ----

set_clock(0);
jumped('no', 'set right');
set_clock(10800);
jumped(180, 'another jump');
ok(bkc_poll(\&mark), 'noted');
is($node->safe_psql('postgres', 'SELECT backup_clock_is_right(), backup_clock_is_right()'), 't|f', 'it is right');
ok(!mark(), 'the mark is gone at once');
$node->restart;
jumped('no', 'it is right after a restart, too');
refused(undef, 'retention works');
is(scalar(bkc_repo_objects($node, qr{/manifest$})), 1, 'and has removed what it should');

# ---- a copy of the data directory is another machine's ----

set_clock(0);
jumped(-180, 'a jump');
ok(bkc_poll(\&mark), 'noted');
$node->stop;
system_or_bail('cp', '-a', $node->data_dir . '/pg_backupctl/clock', $node->data_dir . '/clock');
unlink $node->data_dir . '/pg_backupctl/clock';
rename $node->data_dir . '/clock', $node->data_dir . '/pg_backupctl/clock' or die "could not rename: $!";
$node->start;
bkc_wait_for_sql($node, "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_backupctl launcher'", 1, 'started with a copy of the mark');
refused(undef, 'which is none');
$node->stop;

done_testing();
