# A backup is cancelled in each of its phases, in each way there is.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

# Without checksums, hint bits and forced page images the WAL tells whether
# the server still believes to be in a backup.
my $node = bkc_node('main', small => 1, checksums => 0, conf => <<'CONF');
wal_log_hints = off
full_page_writes = off
checkpoint_timeout = 1h
max_wal_size = 10GB
autovacuum = off
CONF

$node->safe_psql('postgres', <<'SQL');
CREATE TABLE pages AS SELECT 1 AS a;
CREATE TABLE numbers AS SELECT i, md5(i::text) AS hash FROM generate_series(1, 50000) AS i;
SQL
bkc_backup($node);

sub page_images
{
	$node->safe_psql('postgres', 'CHECKPOINT');
	my $plan = $node->safe_psql('postgres',
		'EXPLAIN (ANALYZE, WAL, COSTS off, TIMING off) INSERT INTO pages VALUES (2)');

	return $plan =~ /fpi=(\d+)/ ? $1 : 0;
}

my $waiter =
  "FROM pg_stat_activity WHERE application_name = 'waiter' AND backend_type = 'client backend'";
my %ways = (
	'backup_cancel' =>
	  [ 'SELECT backup_cancel(id) FROM backup_progress', qr/the job was cancelled/ ],
	'pg_cancel_backend of the leader' =>
	  [ "SELECT pg_cancel_backend(pid) FROM backup_progress", qr/the job was cancelled/ ],
	'pg_cancel_backend of the session' =>
	  [ "SELECT pg_cancel_backend(pid) $waiter", qr/canceling statement due to user request/ ],
	'pg_terminate_backend of the session' => [
		"SELECT pg_terminate_backend(pid) $waiter",
		qr/terminating connection due to administrator command/ ],
	'Ctrl-C' => [ undef, qr/canceling statement due to user request/ ]);

my $jobs   = q('full', options => '{"jobs": 2}');
my @phases = (
	{ name => 'start', fault => 'leader-row=sleep:60000', when => q(phase = 'starting') },
	{   name      => 'checkpoint',
		fault     => '',
		when      => q(phase = 'waiting for checkpoint'),
		arguments => q('full', options => '{"checkpoint": "spread"}'),
		before    => 'UPDATE numbers SET i = i' },
	{ name => 'listing', fault => 'leader-listed=sleep:60000', when => q(phase = 'listing files') },
	{   name  => 'copying',
		fault => 'copy-frame=sleep:60000@50',
		when  => q(phase = 'copying files' AND workers = 2) },
	{ name => 'stopping', fault => 'leader-stopped=sleep:60000', when => q(phase = 'stopping') },
	{ name => 'WAL',      fault => 'wal-segment=sleep:60000',    when => q(phase = 'storing WAL') },
	{   name  => 'manifest',
		fault => 'store-commit=sleep:60000@4',
		when  => q(phase = 'writing manifest') });

sub cancelled
{
	my ($phase, $way) = @_;
	my $what = "$phase->{name}, $way";
	my ($sql, $message) = @{ $ways{$way} };
	my ($job, $id, @pids);

	$node->safe_psql('postgres', $phase->{before}) if $phase->{before};
	$job = bkc_hold(
		$node, $phase->{fault},
		when      => $phase->{when},
		arguments => $phase->{arguments} // $jobs);
	$id   = $node->safe_psql('postgres', 'SELECT id FROM backup_progress');
	@pids = bkc_backup_pids($node);
	if (defined $sql)
	{
		is($node->safe_psql('postgres', $sql), 't', "$what: cancelled");
	}
	else
	{
		$job->{handle}->signal('INT');
	}
	bkc_gone($what, @pids);
	bkc_join_fails($job, $message, "$what: the session learns it");
	bkc_settled($node, $what);
	bkc_row_is($node, $id, 'cancelled', qr/cancelled/, $what);
	return;
}

for my $phase (@phases)
{
	cancelled($phase, $_) for sort keys %ways;
	bkc_aftermath($node, $phase->{name}, restore => $phase->{name} =~ /copying|manifest/);
	is(page_images(), 0, "$phase->{name}: the server is not in a backup");
}

# That the check above would see something:
my $job = bkc_hold($node, 'copy-frame=sleep:60000@50');
cmp_ok(page_images(), '>', 0, 'there are page images while a backup runs');
$node->safe_psql('postgres', 'SELECT backup_cancel(id) FROM backup_progress');
bkc_join_fails($job, qr/cancelled/, 'and it is cancelled');

# statement_timeout of the waiting session ends the backup, too.
my $before = bkc_catalog($node)->{id};
$job = bkc_start($node, "SELECT backup_now($jobs)", settings => '-c statement_timeout=3s');
bkc_join_fails($job, qr/canceling statement due to statement timeout/,
	'statement_timeout: the session learns it');
bkc_settled($node, 'statement_timeout');
my $row = bkc_row_is($node, undef, 'cancelled', qr/cancelled/, 'statement_timeout');
is($row->{id}, $before + 1, 'statement_timeout: it is the row of this one');
is(page_images(), 0, 'statement_timeout: the server is not in a backup');

# CALL backup_run() ends the backup in the same ways, and holds no snapshot meanwhile.
for my $way ('pg_cancel_backend of the session', 'pg_terminate_backend of the session')
{
	my ($sql, $message) = @{ $ways{$way} };
	my @pids;

	$job = bkc_hold($node, 'copy-frame=sleep:60000@50', sql => "CALL backup_run($jobs)");
	is( $node->safe_psql('postgres', "SELECT backend_xmin IS NULL AND backend_xid IS NULL $waiter"),
		't', 'backup_run: the session holds no snapshot');
	@pids = bkc_backup_pids($node);
	is($node->safe_psql('postgres', $sql), 't', "backup_run, $way: cancelled");
	bkc_gone("backup_run, $way", @pids);
	bkc_join_fails($job, $message, "backup_run, $way: the session learns it");
	bkc_settled($node, "backup_run, $way");
	bkc_row_is($node, undef, 'cancelled', qr/cancelled/, "backup_run, $way");
}

# A detached backup goes on without its session.
$job = bkc_hold($node, 'copy-frame=sleep:1000@50',
	arguments => q('full', wait => false, options => '{"jobs": 2}'));
is((bkc_join($job))[0], 0, 'wait => false: the session is gone');
bkc_wait_for_sql($node, 'SELECT status FROM backup_catalog ORDER BY id DESC LIMIT 1',
	'completed', 'wait => false: the backup is completed');

# Nothing to cancel.
is($node->safe_psql('postgres', 'SELECT backup_cancel(max(id)) FROM backup_catalog'),
	'f', 'a backup that is over');
is($node->safe_psql('postgres', 'SELECT backup_cancel(0)'),    'f', 'a backup that never was');
is($node->safe_psql('postgres', 'SELECT backup_cancel(NULL)'), '',  'no backup');

bkc_aftermath($node, 'at the end', restore => 0);
done_testing();
