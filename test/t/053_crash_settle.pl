# Settling itself is interrupted: what it has not done is done next time.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('main', small => 1, conf => 'restart_after_crash = on');

# A backup that the next start has to settle; its begin object and packs are stored.
sub leave_unfinished
{
	my ($next_fault) = @_;
	my $row;

	$node->adjust_conf('postgresql.conf', 'restart_after_crash', 'off');
	$node->reload;
	bkc_set_fault($node, 'leader-wal=kill');
	isnt($node->psql('postgres', 'SELECT backup_now()'), 0, 'a backup is interrupted');
	ok(bkc_poll(sub { !-e $node->data_dir . '/postmaster.pid' }), 'the server is down');
	$node->_update_pid(-1);
	ok(scalar(grep { /^object .*pack$/ } bkc_leftovers($node)), 'there are packs left');
	$node->append_conf('postgresql.auto.conf', "pg_backupctl.fault = '$next_fault'");
	return;
}

for my $point ('settle-row', 'settle-sweep', 'store-remove', 'store-list')
{
	my $fault = "$point=kill";
	my $row;

	leave_unfinished($fault);
	PostgreSQL::Test::Utils::system_log('pg_ctl', '-W', '-D', $node->data_dir, '-l',
		$node->logfile, 'start');
	ok( bkc_poll(
			sub {
				slurp_file($node->logfile) =~
				  /\(PID \d+\) was terminated by signal 9.*was terminated by signal 9/s;
			}),
		"$fault: settling is killed");
	ok(bkc_poll(sub { !-e $node->data_dir . '/postmaster.pid' }), "$fault: the server is down");
	$node->append_conf('postgresql.auto.conf', "pg_backupctl.fault = ''");
	$node->rotate_logfile;
	$node->start;
	bkc_settled($node, $fault);
	bkc_row_is($node, undef, 'failed', qr/^interrupted$/, $fault);
	bkc_aftermath($node, $fault, restore => 0);
}

# A failure is tried again, and a backup need not wait for that.
leave_unfinished('settle-sweep=fail');
$node->start;
$node->wait_for_log(qr/could not sweep repository "main": fault point settle-sweep/);
bkc_row_is($node, undef, 'failed', qr/^interrupted$/, 'settle-sweep=fail');
is(bkc_backup($node)->{status}, 'completed', 'settle-sweep=fail: a new backup works meanwhile');
ok(scalar(grep { /^object .*pack$/ } bkc_leftovers($node)),
	'settle-sweep=fail: the packs are left');
bkc_clear_fault($node);
bkc_settled($node, 'settle-sweep=fail');

# Switched off: rows are settled, but nothing is removed from the repository.
leave_unfinished('');
$node->append_conf('postgresql.conf', 'pg_backupctl.enabled = off');
$node->start;
bkc_wait_for_sql($node, "SELECT status = 'failed' FROM backup_catalog ORDER BY id DESC LIMIT 1");
bkc_wait_for_sql($node, 'SELECT count(*) = 0 FROM backup_jobs()');
ok(scalar(grep { /^object .*pack$/ } bkc_leftovers($node)), 'enabled = off: the packs are left');
bkc_backup_fails(
	$node, q('full'),
	qr/pg_backupctl is switched off on this server.*HINT:  Set pg_backupctl.enabled to on/s,
	'enabled = off: no backup');
$node->append_conf('postgresql.conf', 'pg_backupctl.enabled = on');
$node->restart;
bkc_settled($node, 'enabled = on again');
bkc_aftermath($node, 'at the end');

done_testing();
