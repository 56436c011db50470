# Two living servers with one identity, as storage snapshots make them: they
# find each other by their claims, and what one has shipped the other does not remove.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node(
	'main',
	small => 1,
	initdb => ['--wal-segsize=1'],
	conf => bkc_archiving() . "autovacuum = off\ncheckpoint_timeout = 1h\n");
my $i = 0;

sub insert
{
	my ($server) = @_;

	$server->safe_psql('postgres', 'INSERT INTO t VALUES (' . ++$i . ')');
	return;
}

sub pid_of
{
	my ($server, $type) = @_;

	return $server->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = '$type'");
}

# The reasons of all claims, in order.
sub reasons
{
	return join ' ', map { slurp_file(bkc_repo_dir($node) . "/$_") =~ /"reason":"([a-z]+)"/ ? $1 : '?' }
	  bkc_repo_objects($node, qr{/owner/\d{8}$});
}

# A storage snapshot of the data directory: file by file, but with the identity.
sub snapshot
{
	my ($name) = @_;
	my $twin = PostgreSQL::Test::Cluster->new($name);
	my $owner = $twin->data_dir . '/pg_backupctl/owner';

	system_or_bail('cp', '-a', $node->data_dir, $twin->data_dir);
	unlink $twin->data_dir . '/postmaster.pid';
	my ($id) = slurp_file($owner) =~ /^([0-9a-f]{32}) \d+$/ or die 'no identity';
	open my $fh, '>', $owner or die $!;
	print $fh "$id " . (stat $fh)[1] . "\n";
	close $fh;
	$twin->append_conf('postgresql.conf', 'port = ' . $twin->port);
	return $twin;
}

# Asserts that the server, while it writes, comes to that status with that message.
sub comes_to
{
	my ($server, $status, $pattern, $what) = @_;
	my $found = '';

	ok( bkc_poll(
			sub {
				insert($server);
				$found = $server->safe_psql('postgres',
					q(SELECT status || ': ' || coalesce(last_error, '') || ' ' || coalesce(streamer_error, '') FROM backup_archiver)
				);
				return $found =~ /^$status/ && $found =~ $pattern;
			}),
		$what)
	  or diag($found);
	return;
}

$node->safe_psql('postgres', 'CREATE TABLE t (i int)');
bkc_backup($node);
insert($node);
bkc_shipped($node);
is(reasons(), 'first', 'claimed once');
$node->restart;
insert($node);
bkc_shipped($node);
is(reasons(), 'first start', 'and once in the next life');
my $session = qr/"session":"([0-9a-f]{16})"/;
isnt(
	slurp_file(bkc_repo_dir($node) . '/' . (bkc_repo_objects($node, qr{/owner/00000001$}))[0]) =~ $session,
	undef, 'a claim names its session');

# ---- a snapshot of the idle server ----

# nothing is written by itself between the last chunk and the snapshot
$node->safe_psql('postgres', 'CHECKPOINT');
my @quiet = map { pid_of($node, $_) } ('background writer', 'checkpointer', 'walwriter');
kill 'STOP', @quiet;
my $streamer = pid_of($node, 'pg_backupctl WAL streamer');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($streamer)");
bkc_wait_for_sql($node,
	"SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'pg_backupctl WAL streamer' AND pid <> $streamer",
	't', 'a streamer that asks the repository now');
insert($node);
bkc_shipped($node);
my $twin = snapshot('twin');
$twin->start;
my $segment = $twin->safe_psql('postgres', 'SELECT pg_walfile_name(pg_current_wal_insert_lsn())');
insert($twin);
bkc_wait_for_sql($twin, q(SELECT status IN ('archiving', 'behind') AND shipped_to IS NOT NULL FROM backup_archiver),
	't', 'the snapshot cannot know that it is one');
is(reasons(), 'first start start', 'it has claimed the repository, as after any start');

# The original asked a moment ago: it still ships.
is($node->safe_psql('postgres', 'SELECT pg_walfile_name(pg_current_wal_insert_lsn())'),
	$segment, 'both are in the same segment');
my %before = map { $_ => 1 } bkc_repo_objects($node, qr{\Q$segment\E\.chunks/});
$node->safe_psql('postgres', 'INSERT INTO t SELECT generate_series(1, 100)');
bkc_shipped($node);
my @chunks = grep { !$before{$_} } bkc_repo_objects($node, qr{\Q$segment\E\.chunks/});
cmp_ok(scalar @chunks, '>', 0, 'the original has sent a chunk that the snapshot does not have');
kill 'CONT', @quiet;

# ---- the snapshot has the name first; it does not remove what it does not have ----

$twin->safe_psql('postgres', 'SELECT pg_switch_wal()');
insert($twin);
ok(bkc_poll(sub { $twin->log_contains(qr/chunks of WAL segment "$segment" are kept beside it/) }),
	'the snapshot finds that the chunks of its segment are not all its own');
my %after = map { $_ => 1 } bkc_repo_objects($node, qr{\Q$segment\E\.chunks/});
is_deeply([ grep { !$after{$_} } @chunks ], [], 'and keeps them');

# ---- they find each other ----

my $both = qr/two servers with the same identity write to repository "main"/;
comes_to($node, 'refused', $both, 'the original sees the claim of the other one');
is(reasons(), 'first start start twin', 'and says so in the repository');
comes_to($twin, 'refused', $both, 'so does the snapshot');
like(
	$node->safe_psql('postgres', 'SELECT last_error FROM backup_archiver'),
	qr/two servers with the same identity/, 'the reason is in the view');
bkc_backup_fails($node, q('full'), $both, 'no backup of the original');
bkc_backup_fails($twin, q('full'), $both, 'no backup of the snapshot');
$_->restart for ($node, $twin);
comes_to($node, 'refused', $both, 'the original after a restart');
comes_to($twin, 'refused', $both, 'the snapshot after a restart');
is(reasons(), 'first start start twin', 'no claim more');

# ---- the way out ----

$node->safe_psql('postgres', 'SELECT backup_take_over()');
is(reasons(), 'first start start twin takeover', 'the original is told to go on');
comes_to($twin, 'refused', qr/belongs to another data directory/, 'the snapshot is somebody else now');
comes_to($node, 'failing', qr/with other content/, 'the segment that the snapshot has stored is a conflict');
$node->safe_psql('postgres', "SELECT backup_wal_conflict_resolve('$segment', 'a snapshot was started')");
$node->safe_psql('postgres', 'SELECT pg_switch_wal()');
bkc_archived($node, 'after it is resolved');
insert($node);
bkc_shipped($node);
$node->restart;
comes_to($node, 'archiving', qr/./, 'and after a restart');
$twin->stop;

my $copy = bkc_restore($node, 'copy');
if (bkc_start_restored($copy))
{
	cmp_ok($copy->safe_psql('postgres', 'SELECT count(*) FROM t'), '>', 100, 'the original can be restored');
	$copy->stop;
}

done_testing();
