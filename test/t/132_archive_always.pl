# A standby with archive_mode = always sends the same files into the same repository
# as its primary: each is stored once, by whoever comes first, and that is success for
# both; when it is promoted it goes on by itself.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node(
	'main',
	initdb => ['--wal-segsize=1'],
	conf => bkc_archiving() . "autovacuum = off\ncheckpoint_timeout = 1h\nwal_keep_size = 200MB\n");
my @all;

sub archived
{
	my ($server, $what, @files) = @_;

	bkc_archived($server, $what, @files);
	is($server->safe_psql('postgres', 'SELECT last_archived_wal FROM pg_stat_archiver'),
		$files[-1], "$what: reported");
	return;
}

# Asserts that the standby offers them, too; it does when it has received the next segment's start.
sub offered
{
	my ($server, $what, @files) = @_;

	ok( bkc_poll(
			sub {
				my %known = map { $_ => 1 } bkc_wal_status($server, 'ready'), bkc_wal_status($server, 'done');
				return !grep { !$known{$_} } @files;
			}),
		"$what: the standby offers them");
	return;
}

# Asserts that each is there once, with the bytes of the server's pg_wal.
sub stored_once
{
	my ($what, @files) = @_;
	my @wrong = grep { scalar(() = bkc_repo_objects($node, qr{/\Q$_\E(?!\.chunks)})) != 1 } @files;

	is_deeply(\@wrong, [], "$what: each is stored once");
	return;
}

$node->safe_psql('postgres', 'CREATE TABLE t (i int)');
bkc_backup($node);
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->append_conf('postgresql.conf', 'archive_mode = always');

# a standby waits until the owner has stored something that it has, too
archived($node, 'before the standby starts', bkc_segments($node, 1));
$standby->start;

# ---- the primary is first ----

my @files = bkc_segments($node, 5);
archived($node, 'the primary', @files);
$node->safe_psql('postgres', 'INSERT INTO t VALUES (1)');
$node->wait_for_catchup($standby);
offered($standby, 'after the primary', @files);
archived($standby, 'the standby after it', @files);
stored_once('both', @files);
is($standby->safe_psql('postgres', 'SELECT status, failures FROM backup_archiver'),
	'archiving|0', 'the standby archives, and nothing fails');

# ---- the standby is first ----

$node->safe_psql('postgres', 'ALTER SYSTEM SET pg_backupctl.enabled = off');
$node->reload;
@files = bkc_segments($node, 5);
$node->safe_psql('postgres', 'INSERT INTO t VALUES (2)');
$node->wait_for_catchup($standby);
offered($standby, 'before the primary', @files);
archived($standby, 'the standby first', @files);
is_deeply([ grep { $_ ge $files[0] } bkc_wal_status($node, 'ready') ], \@files, 'they wait on the primary');
$node->safe_psql('postgres', 'ALTER SYSTEM RESET pg_backupctl.enabled');
$node->reload;
archived($node, 'the primary after it', @files);
stored_once('the standby first', @files);

# ---- both at once, many times ----

@files = bkc_segments($node, 40);
$node->safe_psql('postgres', 'INSERT INTO t VALUES (3)');
$node->wait_for_catchup($standby);
offered($standby, 'at once', @files);
archived($node, 'at once, the primary', @files);
archived($standby, 'at once, the standby', @files);
stored_once('at once', @files);
is_deeply([ bkc_repo_objects($node, qr{conflict}) ], [], 'there is no conflict');
ok(!$standby->log_contains(qr/(?:WARNING|ERROR):  repository/), 'nothing was wrong on the standby');
ok(!$node->log_contains(qr/(?:WARNING|ERROR):  repository/), 'nor on the primary');
is(scalar(() = bkc_repo_objects($node, qr{/owner/\d+$})), 1, 'the standby has not claimed the repository');

# ---- the primary is lost ----

bkc_shipped($node);
$node->safe_psql('postgres', 'INSERT INTO t VALUES (4)');
$node->wait_for_catchup($standby);
my $sum = bkc_checksum($node);
ok(bkc_poll(sub { -e $standby->data_dir . '/pg_backupctl/standby' }), 'the standby has noted that it is one');
$node->stop('immediate');
$standby->promote;
@files = bkc_segments($standby, 3);
like($files[0], qr/^00000002/, 'a new timeline');
archived($standby, 'promoted', @files);
is($standby->safe_psql('postgres', 'SELECT status FROM backup_archiver'), 'archiving', 'it goes on by itself');
bkc_shipped($standby);
$standby->stop;

my $copy = bkc_restore($node, 'restored');
if (bkc_start_restored($copy))
{
	is(bkc_checksum($copy), $sum, 'restored to the end of timeline 2');
	$copy->stop;
}

done_testing();
