# Crashes and failures of the archiver and of WAL helpers at every point: what was
# not reported is offered again, nothing is stored twice, and a restore to the end of
# the WAL has every row.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node(
	'main',
	small => 1,
	initdb => ['--wal-segsize=1'],
	conf => bkc_archiving() . "autovacuum = off\ncheckpoint_timeout = 1h\nwal_keep_size = 200MB\n");
my $conf = $node->data_dir . '/postgresql.auto.conf';
my @all;
my $rows = 0;

sub clear_fault_of_stopped
{
	append_to_file($conf, "pg_backupctl.fault = ''\n");
	return;
}

# Whole segments with rows in them, all ready at once; the fault point is set before.
sub make_backlog
{
	my ($fault, $n) = @_;

	# restarted, so that no helper of before is there
	append_to_file($conf, "pg_backupctl.enabled = off\npg_backupctl.fault = '$fault'\n");
	$node->reload;
	$node->poll_query_until('postgres', "SELECT current_setting('pg_backupctl.fault')", $fault) or die;
	bkc_poll(sub { $node->safe_psql('postgres',
		q(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_backupctl WAL helper')) == 0 }) or die;
	my @files;
	for (1 .. $n)
	{
		$rows++;
		$node->safe_psql('postgres', "INSERT INTO t VALUES ($rows, repeat('x', 1000))");
		push @files, bkc_segments($node, 1);
	}
	push @all, @files;
	append_to_file($conf, "pg_backupctl.enabled = on\n");
	$node->reload;
	return @files;
}

# Asserts that these segments are in the repository, each once and as in pg_wal.
sub stored
{
	my ($what, @files) = @_;
	my $sysid = $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');
	my $got = $node->basedir . '/got';
	my (@missing, @twice, @other);

	for my $file (@files)
	{
		my @objects = bkc_repo_objects($node, qr{/\Q$file\E(?!\.chunks)});

		push @missing, $file if @objects == 0;
		push @twice, @objects if @objects > 1;
		bkc_client('wal-get', '--repo', bkc_repo_url($node), '--cluster', $sysid, '--prefetch', 0, $file, $got);
		push @other, $file if slurp_file($got) ne slurp_file($node->data_dir . "/pg_wal/$file");
	}
	is("@missing|@twice|@other", '||', "$what: each segment is stored once, as it is");
	is_deeply([ bkc_repo_objects($node, qr{\.conflict-}) ], [], "$what: and nothing else");
	return;
}

$node->safe_psql('postgres', 'CREATE TABLE t (i int, x text)');
bkc_backup($node);

# ---- killed; that takes the server down ----

for my $fault ('archive-file=kill@2', 'archive-stored=kill', 'archive-file=sleep:500,helper-segment=kill@2', 'archive-file=sleep:500,helper-stored=kill',
	'store-commit=kill@3')
{
	my @files = make_backlog($fault, 8);

	ok(bkc_poll(sub { !-e $node->data_dir . '/postmaster.pid' }), "$fault: the server has crashed");
	$node->_update_pid(-1);
	clear_fault_of_stopped();
	$node->start;
	bkc_archived($node, $fault, @files);
	stored($fault, @files);
}

# ---- failures that pass ----

for my $fault ('archive-file=fail@2', 'archive-stored=fail@3', 'archive-file=sleep:300,helper-segment=fail@2',
	'archive-file=sleep:300,helper-stored=fail@2', 'store-write=fail@1', 'store-commit=nospace@2',
	'store-list=fail@1', 'store-read=fail@1')
{
	my @files = make_backlog($fault, 4);

	bkc_archived($node, $fault, @files);
	stored($fault, @files);
}

# ---- helpers are told to go ----

# the archiver must not be through before they have been started
my @files = make_backlog('archive-file=sleep:500,helper-segment=sleep:600000', 12);
bkc_wait_for_sql($node,
	q(SELECT count(*) = 2 FROM pg_stat_activity WHERE backend_type = 'pg_backupctl WAL helper'),
	't', 'two helpers');
my $from = -s $node->logfile;
is( $node->safe_psql('postgres',
		q(SELECT bool_and(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE backend_type = 'pg_backupctl WAL helper')),
	't',
	'they go when they are told to');
bkc_clear_fault($node);
bkc_archived($node, 'helpers ended', @files);
stored('helpers ended', @files);
ok(slurp_file($node->logfile, $from) !~ /PANIC|because of crash|terminated by signal|exited with exit code [^01]/,
	'the server does not mind');

# ---- the archiver is told to go while it hangs, and crashes of the server itself ----

@files = make_backlog('archive-file=sleep:600000', 12);
bkc_wait_for_sql($node,
	q(SELECT wait_event = 'Extension' FROM pg_stat_activity WHERE backend_type = 'archiver'),
	't', 'the archiver hangs');
kill_all($node);
clear_fault_of_stopped();
$node->start;
bkc_archived($node, 'the postmaster was killed', @files);
stored('the postmaster was killed', @files);

# ---- everything there is, restored ----

bkc_shipped($node);
my $sum = bkc_checksum($node);
$node->stop('immediate');
my $copy = bkc_restore($node, 'copy');
bkc_judge($copy, $sum);

sub kill_all
{
	my ($server) = @_;
	my @all = ($server->{_pid}, split /\n/,
		$server->safe_psql('postgres', q(SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid())));

	$server->kill9;
	ok(bkc_poll(sub { !grep { kill 0, $_ } @all }), 'no process stays when the postmaster is killed');
	return;
}

done_testing();
