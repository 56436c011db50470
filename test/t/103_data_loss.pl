# The data directory is lost under load, ten times in a row, at a random moment:
# everything that was committed more than rpo_target + 2 s before is in the
# repository.  The successor is restored from there and goes on.

use strict;
use warnings;

use BkcTest;
use File::Path qw(rmtree);
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $rounds = $ENV{BKC_LOSS_ROUNDS} // 10;
my $rpo = 1;
my $slack = 2;
my $node = bkc_node(
	'main',
	small => 1,
	initdb => ['--wal-segsize=1'],
	conf => bkc_archiving() . "pg_backupctl.rpo_target = ${rpo}s\n");
my $first = $node;

# One row after the other; what psql prints is committed.
sub start_acks
{
	my ($server, $file) = @_;
	my $script = "$file.sql";

	append_to_file($script,
		"INSERT INTO acks (at) VALUES (clock_timestamp()) RETURNING id, EXTRACT(epoch FROM at) \\watch 0.01\n");
	return IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $server->connstr('postgres'), '-o', $file, '-f', $script ],
		'<', \undef, '>&', '/dev/null');
}

# All processes of a server, the postmaster first.
sub processes
{
	my ($server) = @_;
	my $postmaster = (split /\n/, slurp_file($server->data_dir . '/postmaster.pid'))[0];

	return ($postmaster,
		split /\n/, qx{ps -o pid= --ppid $postmaster} =~ s/ //gr);
}

# As if the machine were gone.
sub lose
{
	my ($server) = @_;
	my @pids = processes($server);
	my $when = time;

	kill 'KILL', @pids;
	bkc_poll(sub { !bkc_alive(@pids) }) or die 'processes do not end';
	rmtree($server->data_dir);
	$server->_update_pid(0);
	return $when;
}

$node->safe_psql('postgres',
	'CREATE TABLE acks (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz)');
command_ok([ 'pgbench', '-iq', '-s', 1, $node->connstr('postgres') ], 'pgbench has its tables');
bkc_backup($node);

for my $round (1 .. $rounds)
{
	my $file = $first->basedir . "/acks$round";
	my $acks = start_acks($node, $file);
	my $load = bkc_load_start($node, '-R', 100);
	my ($killed, $next, %committed);

	usleep(int(1_000_000 * (3.5 + rand 4)));
	$killed = lose($node);
	$acks->finish;
	bkc_load_stop($load);
	for my $line (split /\n/, slurp_file($file))
	{
		$committed{$1} = $2 if $line =~ /^(\d+)\|(\d+\.\d+)$/;
	}

	# the repository is all there is
	$next = PostgreSQL::Test::Cluster->new("round$round");
	bkc_client_ok(
		[ 'restore', '--repo', bkc_repo_url($first), '--pgdata', $next->data_dir, '--take-over' ],
		"round $round: restore");
	bkc_start_restored($next) or last;

	my %there = map { $_ => 1 } split /\n/, $next->safe_psql('postgres', 'SELECT id FROM acks');
	my @due = grep { $committed{$_} < $killed - $rpo - $slack } keys %committed;
	my @missing = sort { $a <=> $b } grep { !$there{$_} } keys %committed;
	my $loss = @missing ? $killed - $committed{ $missing[0] } : 0;

	cmp_ok(scalar @due, '>', 0, "round $round: rows were committed early enough");
	is(scalar(grep { !$there{$_} } @due), 0, "round $round: all of them are there");
	is($next->safe_psql('postgres', 'SELECT sum(abalance) = sum(delta) FROM (SELECT abalance, 0 AS delta FROM pgbench_accounts UNION ALL SELECT 0, delta FROM pgbench_history) AS s'),
		't', "round $round: transactions are there as a whole");
	note(sprintf 'round %d: %d of %d rows lost, %.1f s', $round, scalar @missing,
		scalar keys %committed, $loss);

	# it goes on: the repository is its own
	bkc_wait_for_sql($next,
		q(SELECT status IN ('archiving', 'behind') AND shipped_to IS NOT NULL FROM backup_archiver),
		't', "round $round: the successor ships WAL");
	$node = $next;
}
$node->stop;

done_testing();
