# What a promoted standby has found out about lost WAL, or has still to find out, survives
# restarts and crashes, and a claim whose answer was lost.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

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

# A primary and its marked standby, where the primary had three segments that it could not archive.
# Returns both, their names and the repository's folder for them.  The primary is dead then.
sub lost_primary
{
	my ($name) = @_;
	my $node = bkc_node(
		$name,
		small => 1,
		initdb => ['--wal-segsize=1'],
		conf => bkc_archiving() . "autovacuum = off\nwal_keep_size = 100MB\n");
	my $standby = PostgreSQL::Test::Cluster->new("${name}_standby");

	$i = 0;
	$node->safe_psql('postgres', 'CREATE TABLE t (i int)');
	bkc_backup($node);
	$node->backup('base');
	$standby->init_from_backup($node, 'base', has_streaming => 1);
	$standby->start;
	my $first = segment($node);
	bkc_archived($node, "$name: the primary", $first);
	ok(bkc_poll(sub { -e $standby->data_dir . '/pg_backupctl/standby' }), "$name: the standby is marked");
	bkc_set_fault($node, 'archive-file=fail, helper-segment=fail, chunk-send=fail');
	my @files = map { segment($node) } 1 .. 3;
	insert($node);
	$node->wait_for_catchup($standby, 'replay', $node->lsn('flush'));
	$node->stop('immediate');
	my ($object) = bkc_repo_objects($node, qr{/\Q$first\E$});
	return ($node, $standby, bkc_repo_dir($node) . '/' . $object =~ s{/[^/]+$}{}r, @files);
}

sub missing
{
	my ($node, @files) = @_;

	return grep { !bkc_repo_objects($node, qr{/\Q$_\E$}) } @files;
}

sub marks
{
	my ($server) = @_;

	return scalar(() = glob $server->data_dir . '/pg_backupctl/hole.*');
}

# Asserts that the server knows of the hole, without having written anything.
sub knows
{
	my ($server, $what, @lost) = @_;

	is( $server->safe_psql('postgres',
			q(SELECT status, possible_loss IS NULL AND possible_loss_bytes IS NULL, split_part(last_error, ': ', 1) FROM backup_archiver)),
		qq(hole|t|WAL from before the promotion is lost, segments "$lost[0]" to "$lost[-1]"),
		"$what: the view says it");
	return;
}

# ---- a hole that was found ----

my ($node, $standby, $folder, @files) = lost_primary('found');
unlink $standby->data_dir . "/pg_wal/$_" or die $! for @files;
$standby->promote;
bkc_wait_for_sql($standby, q(SELECT status FROM backup_archiver), 'hole', 'the view says that WAL is lost');
knows($standby, 'at first', @files);
$standby->restart;
knows($standby, 'after a restart', @files);
segment($standby);
bkc_shipped($standby);
knows($standby, 'after archiving', @files);
$standby->stop('immediate');
rename bkc_repo_dir($node), bkc_repo_dir($node) . '.away' or die $!;
$standby->start;
bkc_wait_for_sql($standby, q(SELECT status IN ('hole', 'failing') AND possible_loss_bytes IS NULL FROM backup_archiver),
	't', 'after a crash, and with the repository away');
rename bkc_repo_dir($node) . '.away', bkc_repo_dir($node) or die $!;
segment($standby);
bkc_archived($standby, 'it is back');
bkc_wait_for_sql($standby, q(SELECT status FROM backup_archiver), 'hole', '... and so is the hole');
knows($standby, 'at last', @files);
is(bkc_backup($standby)->{status}, 'completed', 'a backup');
bkc_wait_for_sql($standby,
	q(SELECT status = 'archiving' AND possible_loss_bytes IS NOT NULL AND last_error IS NULL FROM backup_archiver),
	't', '... is the new beginning');
is(marks($standby), 0, 'nothing is left to be remembered');
$standby->restart;
segment($standby);
bkc_shipped($standby);
is($standby->safe_psql('postgres', 'SELECT status FROM backup_archiver'), 'archiving', '... after a restart, too');
$standby->stop;

# ---- one that was closed by hand meanwhile ----

($node, $standby, $folder, @files) = lost_primary('closed');
my $aside = $standby->basedir . '/aside';
mkdir $aside or die $!;
rename $standby->data_dir . "/pg_wal/$_", "$aside/$_" or die $! for @files;
$standby->promote;
bkc_wait_for_sql($standby, q(SELECT status FROM backup_archiver), 'hole', 'WAL is lost');
$standby->stop;
rename "$aside/$_", $standby->data_dir . "/pg_wal/$_" or die $! for @files;
$standby->start;
segment($standby);
ok(bkc_poll(sub { !missing($node, @files) }), 'what has come back by the next start is sent');
bkc_wait_for_sql($standby, q(SELECT status FROM backup_archiver), 'archiving', 'and no hole is left');
is(marks($standby), 0, 'nor is anything to be remembered');
$standby->stop;

# ---- one that was still to be looked for ----

($node, $standby, $folder, @files) = lost_primary('due');
chmod 0500, $folder or die $!;
$standby->promote;
bkc_wait_for_sql($standby,
	q(SELECT status = 'failing' AND possible_loss_bytes IS NULL AND concat(last_error, streamer_error) ~ 'could not look for WAL that the old primary had not archived' FROM backup_archiver),
	't', 'the old primary\'s WAL cannot be sent');
$standby->stop('immediate');
chmod 0700, $folder or die $!;
is(scalar(missing($node, @files)), 3, 'nothing was sent');
$standby->start;
segment($standby);
ok(bkc_poll(sub { !missing($node, @files) }), 'after a crash it is sent');
insert($standby);
bkc_shipped($standby);
$standby->stop;
my $copy = bkc_restore($node, 'copy');
if (bkc_start_restored($copy))
{
	is($copy->safe_psql('postgres', 'SELECT count(*), max(i) FROM t'), "$i|$i", 'every row can be restored');
	$copy->stop;
}

# ---- a claim whose answer was lost ----

($node, $standby, $folder, @files) = lost_primary('answer');
bkc_set_fault($standby, 'owner-claimed=fail');
$standby->promote;
segment($standby);
ok(bkc_poll(sub { !missing($node, @files) }), 'the claim has failed and is there: what is missing is sent');
ok($standby->log_contains(qr/owner-claimed/), 'it has failed');
is(scalar(() = grep { slurp_file(bkc_repo_dir($node) . "/$_") =~ /"reason":"promoted"/ }
		bkc_repo_objects($node, qr{/owner/\d{8}$})),
	1, 'and was not made again');
$standby->stop;

done_testing();
