# One repository is away while the archiver stands at a file that is no segment: the
# history of a backup, or of a timeline.  The other one gets everything that waits behind
# it, each timeline's history before its segments.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($node, %dir, $away, $sysid);
my $rows = 0;

# A new server with two repositories, and a backup in the second.
sub begin
{
	my ($name, $workers) = @_;

	$node = bkc_node(
		$name,
		start => 0,
		initdb => ['--wal-segsize=1'],
		conf => bkc_archiving() . <<"CONF");
autovacuum = off
checkpoint_timeout = 1h
wal_keep_size = 300MB
pg_backupctl.wal_workers = $workers
CONF
	%dir = (main => bkc_repo_dir($node), second => $node->basedir . '/second');
	$away = $node->basedir . '/away';
	$node->append_conf('postgresql.conf',
		"pg_backupctl.repositories = 'main=file://$dir{main}, second=file://$dir{second}'");
	$node->start;
	bkc_extension($node);
	$sysid = $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');
	$node->safe_psql('postgres', 'CREATE TABLE t (i int)');
	bkc_backup($node, q('full', repository => 'second'));
	bkc_segments($node, 1);
	bkc_archived($node, "$name: at first");
	return;
}

sub insert
{
	my ($server) = @_;

	$rows++;
	$server->safe_psql('postgres', "INSERT INTO t VALUES ($rows)");
	return;
}

# Those of the files that the repository has, and the histories of their timelines before them.
sub has
{
	my ($repository, @files) = @_;
	my $wal = "$dir{$repository}/$sysid/wal";
	my @found = grep { -e "$wal/" . substr($_, 0, 8) . '/' . substr($_, 8, 8) . "/$_" } @files;
	my %timelines = map { substr($_, 0, 8) => 1 } @found;

	delete $timelines{'00000001'};
	my @lost = grep { !-e "$wal/$_.history" } keys %timelines;
	die "segments without the history of @lost" if @lost;
	return @found;
}

sub second_has
{
	my ($what, @files) = @_;

	return ok(bkc_poll(sub { has('second', @files) == @files }, 90), "$what: the second has every segment")
	  || diag(join ' ', 'has:', has('second', @files));
}

sub becomes
{
	my ($server, $condition, $repository, $what) = @_;

	return bkc_wait_for_sql($server,
		"SELECT coalesce($condition, false) FROM backup_archiver WHERE repository = '$repository'",
		't', $what);
}

# Asserts that the second gets a backlog, what comes later, and the open segment; returns the segments.
sub second_gets_all
{
	my ($server, $what) = @_;
	my @files = bkc_segments($server, 20);

	second_has($what, @files);
	insert($server);
	push @files, bkc_segments($server, 2);
	second_has("$what, later", @files);
	insert($server);
	my $lsn = $server->safe_psql('postgres', 'SELECT pg_current_wal_flush_lsn()');
	becomes($server, "shipped_to >= '$lsn'", 'second', "$what: and the open segment");
	becomes($server, "backlog_segments = 0 AND retry_at IS NULL", 'second', "$what: nothing waits for the second");
	becomes($server, "status = 'failing' AND backlog_segments >= 22", 'main', "$what: all of it waits for the first");
	my %done = map { $_ => 1 } bkc_wal_status($server, 'done');
	is_deeply([ grep { $done{$_} } @files ], [], "$what: nothing is reported");
	return @files;
}

# Asserts that all is archived when the first is back, and that the second alone leads to the last row.
sub back
{
	my ($server, $what, @files) = @_;

	rename $away, $dir{main} or die $!;
	bkc_archived($server, "$what, the first is back");
	is_deeply([ has('main', @files) ], \@files, "$what, the first is back: it has every segment");
	becomes($server, "status = 'archiving' AND backlog_segments = 0", $_, "$what, the first is back: nothing waits for $_")
	  for 'main', 'second';
	bkc_shipped($server);
	$server->stop;
	my $copy = bkc_restore($node, "copy_$what", repo => "file://$dir{second}");
	if (bkc_start_restored($copy))
	{
		is($copy->safe_psql('postgres', 'SELECT count(*), max(i) FROM t'), "$rows|$rows", "$what: every row is there");
		$copy->stop;
	}
	$rows = 0;
	return;
}

# ---- the history of a backup ----

for my $workers (2, 0)
{
	my $what = "backup_$workers";

	begin($what, $workers);
	my ($history) = grep { /\.backup$/ } bkc_wal_status($node, 'done');
	my $status = $node->data_dir . '/pg_wal/archive_status';

	# as when the backup ends while the first is away; and nobody remembers where the archiver was
	$node->stop;
	rename $dir{main}, $away or die $!;
	rename "$status/$history.done", "$status/$history.ready" or die $!;
	$node->start;
	bkc_wait_for_sql($node, "SELECT failed_file = '$history' FROM backup_archiver WHERE repository = 'main'",
		't', "$what: the archiver stands at $history");
	my @files = second_gets_all($node, $what);
	back($node, $what, @files);
}

# ---- a promotion ----

for my $workers (2, 0)
{
	my $what = "promotion_$workers";

	begin($what, $workers);
	$node->backup('base');
	my $standby = PostgreSQL::Test::Cluster->new("${what}_standby");
	$standby->init_from_backup($node, 'base', has_streaming => 1);
	$standby->start;
	insert($node);
	ok(bkc_poll(sub { -e $standby->data_dir . '/pg_backupctl/standby' }), "$what: the standby is marked");
	bkc_shipped($node);
	$node->wait_for_catchup($standby, 'replay', $node->lsn('flush'));
	$node->stop;
	rename $dir{main}, $away or die $!;
	$standby->promote;
	becomes($standby, "failed_file = '00000002.history'", 'main', "$what: the archiver stands at the history");
	my @files = second_gets_all($standby, $what);
	like($files[0], qr/^00000002/, "$what: on timeline 2");
	back($standby, $what, @files);
}

# ---- a promotion with a backlog, and another one ----

begin('twice', 2);
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('twice_standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', 'archive_mode = always');

# a standby waits until the owner has stored something that it has, too
bkc_archived($node, 'twice: before the standby starts', bkc_segments($node, 1));
$standby->start;
insert($node);
ok(bkc_poll(sub { -e $standby->data_dir . '/pg_backupctl/standby' }), 'twice: the standby is marked');
$node->safe_psql('postgres', 'ALTER SYSTEM SET pg_backupctl.enabled = off');
$node->reload;
rename $dir{main}, $away or die $!;
my @files = bkc_segments($node, 20);
insert($node);
$node->wait_for_catchup($standby, 'replay', $node->lsn('flush'));
second_has('twice: timeline 1, by the standby', @files);
$node->stop;
$standby->promote;
push @files, second_gets_all($standby, 'twice: timeline 2');
$standby->stop;
$standby->append_conf('postgresql.conf', "restore_command = 'false'\nrecovery_target_timeline = 'current'");
append_to_file($standby->data_dir . '/recovery.signal', '');
$standby->start;
$standby->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'still in recovery';
push @files, second_gets_all($standby, 'twice: timeline 3');
is(join(' ', sort keys %{ { map { substr($_, 0, 8) => 1 } @files } }),
	'00000001 00000002 00000003', 'twice: three timelines');
back($standby, 'twice', @files);

done_testing();
