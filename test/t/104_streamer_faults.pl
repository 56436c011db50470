# What goes wrong in the WAL streamer: errors, a repository that does not
# answer, one of two that is away, crashes at each step.  What was said to be shipped
# can be restored.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = bkc_node(
	'main',
	small => 1,
	initdb => ['--wal-segsize=1'],
	conf => bkc_archiving() . "autovacuum = off\n");
my $repo = bkc_repo_url($node);
my $i = 0;

sub insert
{
	$node->safe_psql('postgres', 'INSERT INTO t VALUES (' . ++$i . ')');
	return;
}

sub error_is
{
	my ($pattern, $what, $repository) = @_;

	$repository //= 'main';
	return bkc_wait_for_sql($node,
		"SELECT streamer_error ~ '$pattern' FROM backup_archiver WHERE repository = '$repository'",
		't', $what);
}

$node->safe_psql('postgres', 'CREATE TABLE t (i int)');
bkc_backup($node);
insert();
bkc_shipped($node);

# ---- an error passes ----

bkc_set_fault($node, 'chunk-send=fail');
insert();
error_is('chunk-send', 'an error is shown');
bkc_clear_fault($node);
bkc_shipped($node);
is($node->safe_psql('postgres', 'SELECT streamer_error FROM backup_archiver'), '', 'it has passed');
ok($node->log_contains(qr/repository "main": WAL chunks are sent again/), 'the log says so');

# ---- a repository that does not answer ----

bkc_set_fault($node, 'chunk-send=sleep:600000');
insert();
error_is('time is up for sending WAL chunks', 'a time limit ends it');
insert();
my $began = time;
$node->stop;
cmp_ok(time - $began, '<', 8, 'a stop does not wait for it');
$node->append_conf('postgresql.auto.conf', "pg_backupctl.fault = ''");
$node->start;
insert();
bkc_shipped($node);

# ---- two repositories, one of them away ----

my $second = $node->basedir . '/second';
mkdir $second or die $!;
$node->safe_psql('postgres',
	"ALTER SYSTEM SET pg_backupctl.repositories = 'second=file://$second, main=$repo'");
$node->reload;
insert();
$node->safe_psql('postgres', 'SELECT pg_switch_wal()');
insert();
bkc_shipped($node);
rename $second, "$second.away" or die $!;
mkdir $second or die $!;
for (1 .. 3)
{
	insert();
	my $lsn = $node->safe_psql('postgres', 'SELECT pg_current_wal_flush_lsn()');
	bkc_wait_for_sql($node,
		"SELECT shipped_to >= '$lsn' FROM backup_archiver WHERE repository = 'main'",
		't', 'the other one gets what is written');
	$node->safe_psql('postgres', 'SELECT pg_switch_wal()');
}
insert();
error_is('does not hold this cluster any more', 'the one is refused', 'second');
is_deeply([ glob "$second/*" ], [], 'nothing was written below its mount point');
rmdir $second or die $!;
rename "$second.away", $second or die $!;
insert();
bkc_shipped($node);
$node->safe_psql('postgres', "ALTER SYSTEM SET pg_backupctl.repositories = 'main=$repo'");
$node->reload;

# ---- the archiver does nothing ----

my $archiver =
  $node->safe_psql('postgres', q(SELECT pid FROM pg_stat_activity WHERE backend_type = 'archiver'));
kill 'STOP', $archiver or die $!;
for (1 .. 3)
{
	insert();
	$node->safe_psql('postgres', 'SELECT pg_switch_wal()');
	insert();
	bkc_shipped($node);
}
kill 'CONT', $archiver;

# ---- crashes ----

$node->append_conf('postgresql.conf', 'restart_after_crash = on');
$node->reload;
for my $fault ('chunk-send=kill', 'chunk-stored=kill', 'chunk-remove=kill')
{
	my $log = -s $node->logfile;

	insert();
	bkc_shipped($node);
	bkc_set_fault($node, "$fault\@1");
	$node->psql('postgres', 'INSERT INTO t VALUES (' . ++$i . ')');
	$node->psql('postgres', 'SELECT pg_switch_wal()') if $fault =~ /remove/;

	# the postmaster starts an archiver that has died when somebody knocks
	ok( bkc_poll(
			sub {
				eval { $node->psql('postgres', 'SELECT 1') };
				return $node->log_contains(qr/was terminated by signal 9/, $log);
			}),
		"$fault: a crash");
	$node->append_conf('postgresql.auto.conf', "pg_backupctl.fault = ''");
	kill 'HUP', $node->{_pid};
	ok( bkc_poll(
			sub {
				$node->psql('postgres', 'SELECT 1') == 0
				  && $node->safe_psql('postgres', 'SHOW pg_backupctl.fault') eq '';
			}),
		"$fault: the server is back");
	insert();
	bkc_shipped($node);
}
# after a crash the archiver may be some seconds late
ok( bkc_poll(sub { !grep { /\.ready$/ } slurp_dir($node->data_dir . '/pg_wal/archive_status') }, 90),
	'nothing waits for the archiver');
ok( bkc_poll(
		sub {
			my %folders = map { m{/([0-9A-F]{24})\.chunks/} ? ($1 => 1) : () } bkc_repo_objects($node);
			return keys %folders <= 1;
		}),
	'only the open segment has chunks');

# ---- what was shipped is there ----

bkc_shipped($node);
$node->stop('immediate');
my $copy = bkc_restore($node, 'copy');
if (bkc_start_restored($copy))
{
	is($copy->safe_psql('postgres', 'SELECT count(*), max(i) FROM t'), "$i|$i", 'every row is there');
}

done_testing();
