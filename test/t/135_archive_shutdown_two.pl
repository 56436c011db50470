# Shutdown with two repositories, one of which takes in nothing: the other one gets
# everything, in the time that is left to it, and the total holds.

use strict;
use warnings;

use BkcHang;
use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $timeout = 6;
my $node = bkc_node(
	'main',
	start => 0,
	initdb => ['--wal-segsize=1'],
	conf => bkc_archiving()
	  . <<"CONF");
autovacuum = off
checkpoint_timeout = 1h
wal_keep_size = 300MB
pg_backupctl.shutdown_timeout = ${timeout}s
pg_backupctl.wal_workers = 0
CONF
my %dir = (main => bkc_repo_dir($node), second => $node->basedir . '/second');
my $conf = $node->data_dir . '/postgresql.auto.conf';
my $rows = 0;
my $sysid;

# Those of the files that the repository has.
sub has
{
	my ($repository, @files) = @_;

	return grep { -e "$dir{$repository}/$sysid/wal/00000001/00000000/$_" } @files;
}

# A backlog that nobody has begun with; the archiver will when it is stopped.
sub backlog
{
	bkc_set_fault($node, 'archive-file=fail');
	$rows++;
	$node->safe_psql('postgres', "INSERT INTO t VALUES ($rows)");
	my @files = bkc_segments($node, 20);
	append_to_file($conf, "pg_backupctl.fault = ''\n");
	return @files;
}

# Asserts that it stops in time, and that the second has everything then.
sub stops
{
	my ($what, @files) = @_;
	my $from = -s $node->logfile;
	my $began = time;

	$node->reload;
	$node->stop;
	my $took = time - $began;
	cmp_ok($took, '<', $timeout + 5, sprintf '%s: stopped in time (%.1f s)', $what, $took);
	is_deeply([ has('second', @files) ], \@files, "$what: the second has every segment");
	is_deeply([ has('main', @files) ], [], "$what: the first has none");
	my %ready = map { $_ => 1 } bkc_wal_status($node, 'ready');
	is(scalar(grep { $ready{$_} } @files), 20, "$what: they wait");
	return slurp_file($node->logfile, $from);
}

sub catches_up
{
	my ($what, @files) = @_;

	bkc_hang_end($dir{main});
	bkc_hang_start($node, $dir{main});
	bkc_archived($node, "$what is over", @files);
	is_deeply([ has('main', @files) ], \@files, "$what is over: the first has them, too");
	return;
}

for my $order ([qw(main second)], [qw(second main)])
{
	my $what = "$order->[0] comes first";

	$node->append_conf('postgresql.conf',
		q(pg_backupctl.repositories = ') . join(', ', map { "$_=file://$dir{$_}" } @$order) . q('));
	bkc_hang_start($node, $dir{main});
	if (!defined $sysid)
	{
		bkc_extension($node);
		$sysid = $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');
		$node->safe_psql('postgres', 'CREATE TABLE t (i int)');
		bkc_backup($node, q('full', repository => 'second'));
	}
	bkc_segments($node, 1);
	bkc_archived($node, "$what: at first");

	# ---- nobody knows of it ----

	my @files = backlog();
	bkc_hang($dir{main}, 'slow');
	my $log = stops("$what, it hangs", @files);
	like($log, qr/Time for archiving during shutdown \(pg_backupctl\.shutdown_timeout\) is up/, "$what, it hangs: the log says that WAL is left");
	catches_up("$what, it hangs", @files);

	# ---- it fails at once ----

	@files = backlog();
	rename $dir{main}, "$dir{main}-away" or die $!;
	stops("$what, it is away", @files);
	rename "$dir{main}-away", $dir{main} or die $!;
	catches_up("$what, it is away", @files);
	$node->stop;
}

# ---- what the second has leads to the last row ----

my $copy = bkc_restore($node, 'copy', repo => "file://$dir{second}");
if (bkc_start_restored($copy))
{
	is($copy->safe_psql('postgres', 'SELECT count(*), max(i) FROM t'), "$rows|$rows", 'every row is there');
	$copy->stop;
}

done_testing();
