# What wal-get fetches ahead in a recovery: whatever happens to the process in the
# background, the recovery is right, and nothing of it stays.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node(
	'main',
	small  => 1,
	initdb => ['--wal-segsize=1'],
	conf   => bkc_archiving() . "max_wal_size = 1GB\n");
my $url = bkc_repo_url($node);

$node->safe_psql('postgres', 'CREATE TABLE t (i int, text text)');
bkc_backup($node);
$node->safe_psql('postgres',
	"INSERT INTO t SELECT i, repeat(md5(i::text), 30) FROM generate_series(1, 20000) AS i");
bkc_shipped($node);
my $sum = bkc_checksum($node);
my $segments = $node->safe_psql('postgres', q(SELECT ((pg_current_wal_lsn() - '0/0') / 1024 / 1024)::int));
cmp_ok($segments, '>', 20, 'enough segments');
$node->stop('immediate');

my $target = sprintf('0/%X', ($segments - 10) * 1024 * 1024);
my $round = 0;

# A restored server whose restore_command has these words before and behind the program's name.
sub restored
{
	my ($before, $behind) = @_;
	my $copy = bkc_restore($node, 'copy' . ++$round);

	bkc_adopt($copy);
	$copy->append_conf('postgresql.auto.conf',
		"restore_command = '$before pg_backupctl wal-get --repo $url --timeline 1 $behind %f %p'");
	return $copy;
}

sub spool
{
	my ($copy) = @_;

	return $copy->data_dir . '/pg_wal/pg_backupctl-prefetch';
}

# The process in the background, as its lock file has it.
sub background
{
	my ($copy) = @_;
	my ($lock) = glob(spool($copy) . '/*/lock');
	my ($pid) = defined $lock && -s $lock ? slurp_file($lock) =~ /^(\d+)$/m : ();

	return defined $pid && bkc_alive($pid) ? $pid : '';
}

sub recovers
{
	my ($copy, $what) = @_;

	bkc_judge($copy, $sum, manifest => 0);
	ok(!-e spool($copy), "$what: the spool is gone");
	is_deeply([ grep { /pg_backupctl/ } slurp_dir($copy->data_dir . '/pg_wal') ],
		[], "$what: nothing is left in pg_wal");
	$copy->clean_node;
	return;
}

# ---- plain, off, few, many; with a shell in between ----

recovers(restored('', $_), "options: $_") for '', '--prefetch 0', '--prefetch 1', '--prefetch 100';
my $copy = restored('', '');
$copy->append_conf('postgresql.auto.conf',
	"restore_command = 'cd .; pg_backupctl wal-get --repo $url --timeline 1 %f %p; exit \$?'");
recovers($copy, 'inside a longer command');

# ---- the process in the background fails in every way ----

for my $fault (
	'wal-get-prefetch=fail', 'wal-get-prefetch=kill', 'wal-get-prefetch=exit@2',
	'wal-get-prefetch=nospace@2')
{
	recovers(restored("PG_BACKUPCTL_FAULT=$fault", ''), $fault);
}

# ---- the server goes while segments are being fetched ----

for my $how ('immediate', 'fast', 'kill9')
{
	my $copy = restored('PG_BACKUPCTL_FAULT=wal-get-prefetch=sleep:60000', '');
	my $pid;

	# it recovers without help and pauses at its end, as long as the process sleeps
	$copy->append_conf('postgresql.auto.conf', <<"CONF");
recovery_target_action = 'pause'
recovery_target_lsn = '$target'
CONF
	$copy->start;
	bkc_wait_for_sql($copy, 'SELECT pg_get_wal_replay_pause_state()', 'paused', "$how: it pauses");
	$pid = background($copy);
	ok($pid ne '', "$how: there is a process in the background") or next;
	$how eq 'kill9' ? $copy->kill9 : $copy->stop($how);
	bkc_gone("$how: wal-get", $pid);
	ok(!-e spool($copy), "$how: the spool is gone");
	$copy->append_conf('postgresql.auto.conf', <<"CONF");
recovery_target_lsn = ''
recovery_target_action = 'promote'
restore_command = 'pg_backupctl wal-get --repo $url --timeline 1 %f %p'
CONF
	recovers($copy, $how);
}

# ---- wal-get itself is killed before its file has its name: the server stops ----

$copy = restored('PG_BACKUPCTL_FAULT=wal-get-fetched=kill', '');
is($copy->start(fail_ok => 1), 0, 'wal-get is killed: the server stops');
like(slurp_file($copy->logfile), qr/could not restore file "\S+" from archive/, 'it could not ask');
$copy->append_conf('postgresql.auto.conf',
	"restore_command = 'pg_backupctl wal-get --repo $url --timeline 1 %f %p'");
recovers($copy, 'after it was killed');

done_testing();
