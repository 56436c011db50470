# A standby that was restored by the client has never been in the repository.  Promoted while the
# disk is not mounted it must not take the empty mount point for a repository to be begun;
# nor must the successor of a lost cluster.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node(
	'main',
	small => 1,
	initdb => ['--wal-segsize=1'],
	conf => bkc_archiving() . "autovacuum = off\nwal_keep_size = 100MB\n");
my $repo = bkc_repo_dir($node);
my $i = 0;

sub insert
{
	my ($server) = @_;

	$server->safe_psql('postgres', 'INSERT INTO t VALUES (' . ++$i . ')');
	return;
}

sub segment
{
	my ($server) = @_;

	return bkc_end_segment($server, 'INSERT INTO t VALUES (' . ++$i . ')');
}

# A line for the configuration of a standby.
sub follows
{
	my ($primary) = @_;

	return sprintf "primary_conninfo = '%s'\n", $primary->connstr =~ s/'/''/gr;
}

# The repository is not mounted (or again).
sub unmount
{
	rename $repo, "$repo.away" or die $!;
	mkdir $repo or die $!;
	chmod 0700, $repo or die $!;
	return;
}

sub mount
{
	system_or_bail('rm', '-rf', $repo);
	rename "$repo.away", $repo or die $!;
	return;
}

# Asserts that nothing is begun, and that the view, the log and a backup say why.
sub refuses
{
	my ($server, $what) = @_;
	my $pattern = qr/repository "main" does not hold this cluster, and a successor does not begin it by itself/;

	segment($server);
	bkc_wait_for_sql($server,
		q(SELECT status = 'failing' AND last_error ~ 'does not hold this cluster, and a successor' FROM backup_archiver),
		't', "$what: the view says that it waits");
	ok( bkc_poll(
			sub {
				$server->log_contains(qr/$pattern.*\n.*DETAIL:.*mounted.*\n.*HINT:.*SELECT backup_take_over\('main'\)/);
			}),
		"$what: the log says why, and what to do");
	bkc_backup_fails($server, q('full'), qr/repository "main" does not hold this cluster/, "$what: no backup");
	my ($stdout, $stderr) = ('', '');
	$server->psql('postgres', 'SELECT backup_take_over()', stdout => \$stdout, stderr => \$stderr);
	like($stderr, $pattern, "$what: nor is it begun by who does not name it");
	is_deeply([ bkc_repo_objects($node, qr{^\d}) ], [], "$what: nothing was written");
	return;
}

# Asserts that the server archives a segment that it writes now.
sub archives
{
	my ($server, $what) = @_;
	my $file = segment($server);

	ok(bkc_poll(sub { bkc_repo_objects($node, qr{/\Q$file\E$}) }), "$what: archives $file");
	insert($server);
	bkc_shipped($server);
	return;
}

$node->safe_psql('postgres', 'CREATE TABLE t (i int)');
bkc_backup($node);
bkc_archived($node, 'the primary', segment($node));

# ---- a standby ----

my $standby = bkc_restore($node, 'standby', args => ['--standby']);
bkc_adopt($standby);
$standby->append_conf('postgresql.auto.conf', follows($node) . "archive_mode = on\npg_backupctl.enabled = on\n");
$standby->start;
insert($node);
ok(bkc_poll(sub { -e $standby->data_dir . '/pg_backupctl/standby' }), 'the standby is marked');
ok(!glob($standby->data_dir . '/pg_backupctl/repository.*'), 'it has never been in the repository');
bkc_shipped($node);
$node->wait_for_catchup($standby, 'replay', $node->lsn('flush'));

# it streams: with wal-get there would be no promotion before the disk is back
$standby->safe_psql('postgres', q(ALTER SYSTEM SET restore_command = ''));
$standby->restart;
bkc_wait_for_sql($standby, q(SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'), 1, 'it streams alone');
$node->stop;
unmount();
$standby->promote;
refuses($standby, 'a promoted standby');
ok(-e $standby->data_dir . '/pg_backupctl/standby', 'its mark is not used up');
mount();
archives($standby, 'mounted again');
is(scalar(() = grep { slurp_file("$repo/$_") =~ /"reason":"promoted"/ } bkc_repo_objects($node, qr{/owner/\d{8}$})),
	1, 'it has claimed the repository as what it is');
ok(bkc_poll(sub { !-e $standby->data_dir . '/pg_backupctl/standby' }), 'then the mark is used up');
is(bkc_backup($standby)->{status}, 'completed', 'it takes a backup');
bkc_shipped($standby);
$standby->stop;

# ---- the successor of a lost cluster ----

my $successor = bkc_restore($node, 'successor', args => ['--take-over']);
unmount();
# recovery finds the disk elsewhere
$successor->append_conf('postgresql.auto.conf',
	qq(restore_command = 'pg_backupctl wal-get --repo file://$repo.away "%f" "%p"'\n));
bkc_start_restored($successor);
refuses($successor, 'a successor');
mount();
archives($successor, 'the successor, mounted again');
bkc_shipped($successor);

# ---- a repository that the cluster has never used ----

my $next = PostgreSQL::Test::Cluster->new('next');
$successor->backup('next');
$next->init_from_backup($successor, 'next', has_streaming => 1);
$next->append_conf('postgresql.auto.conf',
	follows($successor) . "recovery_target_timeline = 'latest'\nrestore_command = ''\n");
$next->start;
insert($successor);
ok(bkc_poll(sub { -e $next->data_dir . '/pg_backupctl/standby' }), 'another standby is marked');
$successor->wait_for_catchup($next, 'replay', $successor->lsn('flush'));
$successor->stop;
my $new = $next->basedir . '/new';
$next->append_conf('postgresql.auto.conf', "pg_backupctl.repositories = 'main=file://$new'\n");
$next->reload;
$next->promote;
segment($next);
bkc_wait_for_sql($next,
	q(SELECT status = 'failing' AND last_error ~ 'does not hold this cluster, and a successor' FROM backup_archiver),
	't', 'a promoted standby and a new repository');
is($next->safe_psql('postgres', q(SELECT backup_take_over('main'))), 't', 'who names it begins it');
my $file = segment($next);
ok(bkc_poll(sub { glob "$new/*/wal/*/*/$file" or glob "$new/*/wal/*/$file" }), '... and WAL goes there');
is(bkc_backup($next)->{status}, 'completed', 'so do backups');
$next->stop;

done_testing();
