# A repository in which calls of the operating system do not return holds up nobody but
# those who are in it: the other repository gets everything, whoever hangs, and the views
# say what is wrong.

use strict;
use warnings;

use BkcHang;
use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node(
	'main',
	start => 0,
	initdb => ['--wal-segsize=1'],
	conf => bkc_archiving() . "autovacuum = off\ncheckpoint_timeout = 1h\nwal_keep_size = 300MB\n");
my %dir = (main => bkc_repo_dir($node), second => $node->basedir . '/second');
my $helpers = q(FROM pg_stat_activity WHERE backend_type = 'pg_backupctl WAL helper');
my $rows = 0;
my $sysid;

sub setting
{
	my ($name, $value) = @_;

	$node->safe_psql('postgres', "ALTER SYSTEM SET $name = '$value'");
	$node->reload;
	$node->poll_query_until('postgres', "SELECT current_setting('$name')", $value) or die $name;
	return;
}

# Those of the files that the repository has.
sub has
{
	my ($repository, @files) = @_;

	return grep { -e "$dir{$repository}/$sysid/wal/00000001/00000000/$_" } @files;
}

sub all_have
{
	my ($repository, $what, @files) = @_;

	return ok(bkc_poll(sub { has($repository, @files) == @files }, 60), "$what: $repository has every segment")
	  || diag(join ' ', 'has:', has($repository, @files));
}

sub becomes
{
	my ($condition, $repository, $what) = @_;

	return bkc_wait_for_sql($node,
		"SELECT coalesce($condition, false) FROM backup_archiver WHERE repository = '$repository'",
		't', $what);
}

sub insert
{
	$rows++;
	$node->safe_psql('postgres', "INSERT INTO t VALUES ($rows)");
	return;
}

sub backlog
{
	my ($n) = @_;

	setting('pg_backupctl.enabled', 'off');
	$node->poll_query_until('postgres', "SELECT count(*) = 0 $helpers") or die 'helpers stay';
	insert();
	return bkc_segments($node, $n);
}

sub pid_of
{
	my ($type) = @_;

	return $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = '$type'");
}

# Asserts that the process comes to hang in the first repository.
sub hangs
{
	my ($type, $what) = @_;

	return ok(bkc_poll(sub { my $pid = pid_of($type); grep { $_ eq $pid } bkc_hang_pids($dir{main}) }),
		"$what: it hangs");
}

sub over
{
	my ($what, @files) = @_;

	bkc_hang_end($dir{main});
	bkc_archived($node, "$what is over", @files);
	for my $repository ('main', 'second')
	{
		is_deeply([ has($repository, @files) ], \@files, "$what is over: all are in $repository");
	}
	becomes("status = 'archiving' AND retry_at IS NULL", 'main', "$what is over: the view says so");
	bkc_shipped($node);
	return;
}

$node->append_conf('postgresql.conf',
	"pg_backupctl.repositories = 'main=file://$dir{main}, second=file://$dir{second}'");
bkc_hang_start($node, $dir{main});
bkc_extension($node);
$sysid = $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');
$node->safe_psql('postgres', 'CREATE TABLE t (i int)');
bkc_backup($node, q('full', repository => 'second'));
bkc_archived($node, 'at first');

# ---- helpers hang; with one helper, too, somebody is left ----

for my $workers (2, 1, 4)
{
	my $what = "$workers helpers";
	my @files = backlog(10);

	setting('pg_backupctl.wal_workers', $workers);
	bkc_hang($dir{main});
	setting('pg_backupctl.enabled', 'on');
	all_have('second', $what, @files);

	# also what comes then, and in the open segment; more than a window holds
	insert();
	push @files, bkc_segments($node, 25);
	all_have('second', "$what, later", @files);
	insert();
	my $lsn = $node->safe_psql('postgres', 'SELECT pg_current_wal_flush_lsn()');
	becomes("shipped_to >= '$lsn'", 'second', "$what: the open segment, too");

	is_deeply([ has('main', @files) ], [], "$what: it hangs all the while");
	cmp_ok(scalar bkc_hang_pids($dir{main}), '<=', $workers, "$what: not everybody hangs");
	becomes("status = 'failing' AND last_error ~ 'main' AND backlog_segments = 35 AND retry_at > failed_at", 'main', "$what: the view says what is wrong");
	becomes("status IN ('archiving', 'behind') AND failures = 0 AND backlog_segments = 0", 'second', "$what: nothing is wrong with the other");
	over($what, @files);
}
setting('pg_backupctl.wal_workers', 2);

# ---- the streamer and the archiver themselves, while there is no helper ----

ok(bkc_poll(sub { $node->safe_psql('postgres', "SELECT count(*) $helpers") == 0 }), 'no helper');
setting('pg_backupctl.archive_timeout', '2s');
bkc_hang($dir{main});
insert();
hangs('pg_backupctl WAL streamer', 'streamer');
my @files = bkc_segments($node, 1);
hangs('archiver', 'archiver');
push @files, bkc_segments($node, 10);
all_have('second', 'streamer and archiver', @files);
becomes("status = 'failing' AND last_error ~ 'a process has been at one WAL file since'", 'main', 'streamer and archiver: the view says what is wrong');
push @files, bkc_segments($node, 25);
all_have('second', 'streamer and archiver, later', @files);
setting('pg_backupctl.archive_timeout', '5min');
over('streamer and archiver', @files);

# ---- what was sent leads to the last row ----

$node->stop;
my $copy = bkc_restore($node, 'copy', repo => "file://$dir{second}");
if (bkc_start_restored($copy))
{
	is($copy->safe_psql('postgres', 'SELECT count(*), max(i) FROM t'), "$rows|$rows", 'every row is there');
	$copy->stop;
}

done_testing();
