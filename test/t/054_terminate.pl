# Processes of a backup are terminated or cancelled by an administrator.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('main', small => 1);

$node->safe_psql('postgres',
	'CREATE TABLE numbers AS SELECT i, md5(i::text) AS hash FROM generate_series(1, 20000) AS i');
my $postmaster = $node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()');

sub signalled
{
	my ($what, $sql, %opt) = @_;
	my $job = bkc_hold(
		$node, $opt{fault} // 'copy-frame=sleep:60000@50',
		when      => $opt{when},
		arguments => $opt{arguments});
	my $id   = $node->safe_psql('postgres', 'SELECT max(id) FROM backup_catalog');
	my @pids = bkc_backup_pids($node);

	is($node->safe_psql('postgres', $sql), 't', "$what: signalled");
	bkc_gone($what, @pids);
	if ($opt{message})
	{
		bkc_join_fails($job, $opt{message}, "$what: the waiting session learns it");
	}
	else
	{
		my ($status, $out, $err) = bkc_join($job);
		is("$status $err", '0 ', "$what: nobody waited");
	}
	bkc_aftermath($node, $what, restore => $opt{restore} // 0);
	bkc_row_is($node, $id, $opt{status} // 'failed', $opt{error}, $what);
	return;
}

my $leader = "FROM pg_stat_activity WHERE backend_type = 'pg_backupctl backup'";
my $worker = "FROM pg_stat_activity WHERE backend_type = 'pg_backupctl copy' ORDER BY pid LIMIT 1";

signalled(
	'terminated leader', "SELECT pg_terminate_backend(pid) $leader",
	message => qr/the job was terminated/,
	error   => qr/^interrupted$/,
	restore => 1);
signalled(
	'terminated leader without a waiting session', "SELECT pg_terminate_backend(pid) $leader",
	arguments => q('full', wait => false, options => '{"jobs": 2}'),
	error     => qr/^interrupted$/);
signalled(
	'cancelled leader', "SELECT pg_cancel_backend(pid) $leader",
	message => qr/the job was cancelled/,
	status  => 'cancelled',
	error   => qr/cancelled/);
signalled(
	'terminated worker', "SELECT pg_terminate_backend(pid) $worker",
	message => qr/a copy worker of the backup was terminated/,
	error   => qr/a copy worker of the backup was terminated/);
signalled(
	'cancelled worker', "SELECT pg_cancel_backend(pid) $worker",
	message => qr/cancel/,
	status  => 'cancelled',
	error   => qr/cancel/);

# A leader that waits: for a checkpoint, within a store, for its last files.
signalled(
	"terminated at $_->[0]", "SELECT pg_terminate_backend(pid) $leader",
	fault   => "$_->[0]=sleep:60000",
	when    => $_->[1],
	message => qr/the job was terminated/,
	error   => qr/^interrupted$/)
  for (
	[ 'leader-begin',   'true' ],
	[ 'leader-stopped', q(phase = 'stopping') ],
	[ 'leader-wal',     q(phase = 'storing WAL') ]);

# Once the manifest is stored the backup is there.
signalled(
	'terminated after the manifest', "SELECT pg_terminate_backend(pid) $leader",
	fault => 'leader-manifest=sleep:60000',
	when  => <<'SQL', message => qr/the job was terminated/, status => 'completed', error => qr/^$/);
phase = 'writing manifest' AND 'manifest' IN (
	SELECT pg_ls_dir(format('%s/../repo/%s/backups/%s', current_setting('data_directory'),
		(SELECT system_identifier FROM pg_control_system()), label)))
SQL

# The launcher comes back, and is not needed meanwhile.
my $launcher = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_backupctl launcher'";
my $pid      = $node->safe_psql('postgres', $launcher);
my $job      = bkc_hold($node, 'copy-frame=sleep:60000@50');

is($node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)"),
	't', 'the launcher is terminated');
bkc_wait_for_sql($node, "SELECT count(*) = 0 FROM ($launcher) AS l", undef, 'the launcher is gone');
is($node->safe_psql('postgres', 'SELECT backup_cancel(id) FROM backup_progress'),
	't', 'a backup is cancelled meanwhile');
bkc_join_fails($job, qr/cancelled/, 'the waiting session learns it');
bkc_clear_fault($node);
is(bkc_backup($node)->{status}, 'completed', 'a backup works without the launcher');
bkc_wait_for_sql($node, "SELECT count(*) = 1 FROM ($launcher) AS l", undef, 'the launcher is back');
bkc_settled($node, 'with the new launcher');

is($node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()'),
	$postmaster, 'the server has never restarted');
unlike(slurp_file($node->logfile), qr/reinitializing|PANIC|TRAP|terminated by signal/, 'nor reset');
bkc_aftermath($node, 'at the end');

done_testing();
