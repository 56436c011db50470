# The server is stopped in the middle of a backup, in every way there is.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = bkc_node('main', small => 1);

$node->safe_psql('postgres',
	'CREATE TABLE numbers AS SELECT i, md5(i::text) AS hash FROM generate_series(1, 20000) AS i');

# Stops the server and starts it again; asserts that this does not take long.
sub stopped
{
	my ($what, $mode, $fault, %hold) = @_;
	my $job   = bkc_hold($node, $fault, %hold);
	my $id    = $node->safe_psql('postgres', 'SELECT max(id) FROM backup_catalog');
	my @pids  = bkc_backup_pids($node);
	my $began = time;

	ok( PostgreSQL::Test::Utils::system_log('pg_ctl', '-D', $node->data_dir, '-m', $mode, '-W',
			'stop') == 0,
		"$what: told to stop");
	bkc_gone($what, @pids);
	ok(bkc_poll(sub { !-e $node->data_dir . '/postmaster.pid' }, 20),
		"$what: the server has stopped");
	note(sprintf '%s: %.2f s', $what, time - $began);
	bkc_join($job);
	is_deeply([ grep { /label|map/ } bkc_leftovers($node) ],
		[], "$what: no backup_label in the stopped data directory");
	$node->_update_pid(-1);
	$node->start;
	bkc_aftermath($node, $what, restore => $mode eq 'fast' && $fault =~ /frame/);
	return $id;
}

my $alone = q('full', wait => false, options => '{"jobs": 2}');

for my $mode ('fast', 'immediate')
{
	for my $held (
		[ 'leader-begin',   when => 'true' ],
		[ 'leader-started', when => q(phase = 'waiting for checkpoint') ],
		[ 'leader-listed',  when => q(phase = 'listing files') ],
		['copy-frame'],
		[ 'leader-wal', when => q(phase = 'storing WAL') ])
	{
		my ($point, %hold) = @$held;
		my $what = "$mode shutdown at $point";
		my $id = stopped($what, $mode, "$point=sleep:60000" . ($point eq 'copy-frame' ? '@50' : ''),
			%hold);

		bkc_row_is($node, $id, 'failed', qr/^interrupted$/, $what);
	}
}

# Nobody waits: a smart shutdown has nothing to wait for.
for my $mode ('smart', 'fast')
{
	my $what = "$mode shutdown without a waiting session";
	my $id   = stopped($what, $mode, 'copy-frame=sleep:60000@50', arguments => $alone);

	bkc_row_is($node, $id, 'failed', qr/^interrupted$/, $what);
}

# A smart shutdown waits for the session that waits, and so for the backup.
my $job = bkc_hold($node, 'copy-frame=sleep:2000@50');
my $id  = $node->safe_psql('postgres', 'SELECT max(id) FROM backup_catalog');

ok($node->stop('smart'), 'smart shutdown with a waiting session');
is((bkc_join($job))[0], 0, 'smart shutdown: the backup was let through');
$node->start;
bkc_row_is($node, $id, 'completed', qr/^$/, 'smart shutdown');
bkc_aftermath($node, 'smart shutdown', restore => 0);

# While settling, and with the launcher waiting.
bkc_set_fault($node, 'settle-sweep=sleep:60000,leader-copied=fail');
isnt($node->psql('postgres', 'SELECT backup_now()'), 0, 'a backup fails');
bkc_wait_for_sql($node, q(SELECT count(*) = 1 FROM backup_jobs() WHERE job = 'settle'),
	undef, 'settle is at work');
my $began = time;
ok($node->stop('fast'), 'fast shutdown while settling');
ok(time - $began < 5,   'is fast');
$node->append_conf('postgresql.auto.conf', "pg_backupctl.fault = ''");
$node->start;
bkc_settled($node, 'after the shutdown while settling');

# Nothing in the log that looks like a crash of ours; immediate shutdowns are none.
unlike(
	slurp_file($node->logfile),
	qr/PANIC|TRAP|terminated by signal (?!3)|segfault/,
	'nothing has crashed');
done_testing();
