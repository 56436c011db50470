# A standby of a copy must not write into the owner's repository, though a
# server in recovery has no identity to show: it proves by content whom it follows.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node(
	'main',
	small => 1,
	initdb => ['--wal-segsize=1'],
	conf => bkc_archiving() . "pg_backupctl.enabled = off\nautovacuum = off\nwal_keep_size = 100MB\nwal_retrieve_retry_interval = 1s\n");
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

sub objects
{
	my @names = bkc_repo_objects($node, qr{/wal/|/owner/});

	return @names;
}

sub new_standby
{
	my ($name, $primary) = @_;
	my $standby = PostgreSQL::Test::Cluster->new($name);

	$primary->backup($name);
	$standby->init_from_backup($primary, $name, has_streaming => 1);
	$standby->append_conf('postgresql.auto.conf', 'archive_mode = always');
	$standby->start;
	insert($primary);
	return $standby;
}

# Asserts that it is refused with such a message.
sub refused
{
	my ($standby, $pattern, $what) = @_;

	bkc_wait_for_sql($standby, q(SELECT status = 'refused' FROM backup_archiver), 't', "$what: refused");
	return ok(
		bkc_poll(
			sub {
				$standby->safe_psql('postgres',
					q(SELECT concat(last_error, ' ', streamer_error) FROM backup_archiver)) =~ $pattern;
			}),
		"$what: the view says why");
}

# ---- nobody has claimed the repository ----

$node->safe_psql('postgres', 'CREATE TABLE t (i int)');
my $early = new_standby('early', $node);
$early->append_conf('postgresql.auto.conf', 'pg_backupctl.enabled = on');
$early->reload;
segment($node);
bkc_wait_for_sql($early, q(SELECT concat(last_error, ' ', streamer_error) ~ 'does not hold this cluster' FROM backup_archiver),
	't', 'a standby begins no repository');
is_deeply([ bkc_repo_objects($node) ], [], 'nothing is in there');
$node->safe_psql('postgres', 'ALTER SYSTEM SET pg_backupctl.enabled = on');
$node->reload;
my $own = segment($node);
ok(bkc_poll(sub { bkc_repo_objects($node, qr{/\Q$own\E$}) }), 'the primary archives');
bkc_archived($early, 'then its standby has sent, or found there, all that it has');
bkc_wait_for_sql($early, q(SELECT status FROM backup_archiver), 'archiving', 'its status says so');
$early->stop;

# ---- a standby of a copy ----

bkc_backup($node);
bkc_shipped($node);
$node->stop;
my $copy = PostgreSQL::Test::Cluster->new('copy');
system_or_bail('cp', '-a', $node->data_dir, $copy->data_dir);
$copy->append_conf('postgresql.conf', 'port = ' . $copy->port);
$node->start;
insert($node);
bkc_shipped($node);
$copy->start;
my $foreign = new_standby('foreign', $copy);
my @before = objects();
segment($copy) for 1 .. 3;
bkc_wait_for_sql($copy, q(SELECT status = 'refused' FROM backup_archiver), 't', 'the copy is refused');
refused($foreign, qr/not known yet whether this standby follows the owner/, 'its standby');
is_deeply([ objects() ], \@before, 'nothing of either came into the repository');

# The owner goes on; so does its row of names.
my @mine = map { segment($node) } 1 .. 2;
ok(bkc_poll(sub { bkc_repo_objects($node, qr{/\Q$mine[1]\E$}) }), 'the owner archives under those names');
refused($foreign, qr/does not follow the owner/, 'the standby, that has others of the same name');
bkc_archived($node, 'the owner was not hindered');
ok(!bkc_repo_objects($node, qr/conflict/), 'there are no conflicts');

$_->stop for ($foreign, $copy, $node);

done_testing();
