# A standby of the owner that is promoted goes on by itself; when it lacks WAL
# that the repository has, it does not.  A standby with archive_mode = always ships
# what it receives.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node(
	'main',
	small => 1,
	initdb => ['--wal-segsize=1'],
	conf => bkc_archiving() . "autovacuum = off\nwal_keep_size = 100MB\n");
my $i = 0;

sub insert
{
	my ($server) = @_;

	$server->safe_psql('postgres', 'INSERT INTO t VALUES (' . ++$i . ')');
	return;
}

# Claims, without those that tell of a start.
sub claims
{
	return scalar(
		grep { slurp_file(bkc_repo_dir($node) . "/$_") !~ /"reason":"start"/ }
		  bkc_repo_objects($node, qr{/owner/\d{8}$}));
}

sub mark
{
	my ($server) = @_;
	my $path = $server->data_dir . '/pg_backupctl/standby';

	return -e $path ? slurp_file($path) : '';
}

# Asserts that it is marked as a standby of that timeline.
sub marked
{
	my ($server, $timeline, $what) = @_;

	ok(bkc_poll(sub { mark($server) =~ /^\d+ \d+ $timeline$/m }), "$what is marked as a standby")
	  or diag(mark($server));
	return;
}

# Asserts that the server archives a segment that it writes now, and chunks.
sub archives
{
	my ($server, $what) = @_;
	my $file = $server->safe_psql('postgres', 'SELECT pg_walfile_name(pg_current_wal_insert_lsn())');

	insert($server);
	$server->safe_psql('postgres', 'SELECT pg_switch_wal()');
	ok(bkc_poll(sub { scalar(() = bkc_repo_objects($node, qr{/\Q$file\E$})) == 1 }),
		"$what: archives $file");
	insert($server);
	bkc_shipped($server);
	return;
}

sub new_standby
{
	my ($name, $primary, $conf) = @_;
	my $standby = PostgreSQL::Test::Cluster->new($name);

	$primary->backup($name);
	$standby->init_from_backup($primary, $name, has_streaming => 1);
	$standby->append_conf('postgresql.auto.conf', $conf) if defined $conf;
	$standby->start;

	# an idle primary sends nothing that would show that the connection stands
	insert($primary);
	return $standby;
}

$node->safe_psql('postgres', 'CREATE TABLE t (i int)');
bkc_backup($node);
archives($node, 'the primary');
my $standby = new_standby('standby', $node);
marked($standby, 1, 'the standby');
is(mark($node), '', 'the primary is not');
is($standby->safe_psql('postgres', 'SELECT status FROM backup_archiver'),
	'standby', 'the standby ships nothing');

# ---- a switchover, and back ----

insert($node);
bkc_shipped($node);
$node->stop;
$standby->promote;
archives($standby, 'the promoted standby');
is(claims(), 2, 'it has claimed the repository');
ok(bkc_poll(sub { mark($standby) eq '' }), 'its mark is used up');
is(bkc_backup($standby)->{status}, 'completed', 'it takes a backup');

$node->enable_streaming($standby);
$node->start;
marked($node, 2, 'the old primary');
$standby->wait_for_catchup($node, 'replay', $standby->lsn('insert'));
$standby->stop;
$node->promote;
archives($node, 'the old primary, promoted');
is(claims(), 3, 'three claims');
is(bkc_backup($node)->{status}, 'completed', 'it takes a backup');

# the other one starts as what it was: a primary
$standby->start;
insert($standby);
$standby->safe_psql('postgres', 'SELECT pg_switch_wal()');
bkc_wait_for_sql($standby, q(SELECT status = 'refused' FROM backup_archiver),
	't', 'a former primary is refused');
is(claims(), 3, 'and claims nothing');
$standby->stop('immediate');
$standby->clean_node;

# ---- a standby that has missed something ----

$standby = new_standby('late', $node);
marked($standby, 3, 'another standby');
$standby->stop;
archives($node, 'the primary goes on alone');
my $lost = $i;
bkc_shipped($node);
$node->stop('immediate');
$standby->append_conf('postgresql.conf', "primary_conninfo = ''");
$standby->start;
$standby->promote;
bkc_wait_for_sql($standby, q(SELECT status = 'refused' FROM backup_archiver),
	't', 'promoted without the last WAL, it is refused');
ok( $standby->log_contains(
		qr/repository "main" holds WAL that this promoted server does not have.*\n.*DETAIL:.*holds WAL of timeline 3 up to .* less.*\n.*HINT:.*backup_take_over\('main'\)/),
	'the log says why and what to do');
is(claims(), 3, 'nothing is claimed');
ok(!bkc_repo_objects($node, qr{00000004\.history$}), 'not even its history is stored');
bkc_backup_fails($standby, q('full'), qr/holds WAL that this promoted server does not have/,
	'no backup either');
$standby->safe_psql('postgres', 'SELECT backup_take_over()');
archives($standby, 'it has taken over');
is(claims(), 4, 'that is a claim');
is($standby->safe_psql('postgres', "SELECT count(*) FROM t WHERE i = $lost"), 0, 'the row is lost');

# ... but not in the repository
my $copy = bkc_restore($node, 'copy', args => [ '--target-timeline', 3 ]);
if (bkc_start_restored($copy))
{
	is($copy->safe_psql('postgres', "SELECT count(*) FROM t WHERE i = $lost"), 1,
		'the repository has it');
	$copy->stop;
}

# ---- a standby that archives ----

my $primary = $standby;
$primary->safe_psql('postgres', 'ALTER SYSTEM SET pg_backupctl.rpo_target = 0');
$primary->reload;
my $always = new_standby('always', $primary, "archive_mode = always\npg_backupctl.rpo_target = 1s\n");
marked($always, 4, 'a standby that archives');
$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');
insert($primary);

sub always_shipped
{
	my $lsn = $primary->safe_psql('postgres', 'SELECT pg_current_wal_flush_lsn()');

	return bkc_wait_for_sql($always, "SELECT shipped_to >= '$lsn' FROM backup_archiver",
		't', "it ships what it receives, up to $lsn");
}

sub generations
{
	my $segment = $primary->safe_psql('postgres', 'SELECT pg_walfile_name(pg_current_wal_flush_lsn())');
	my %seen = map { m{/([0-9a-f]{16})-[0-9a-f]{8}$} ? ($1 => 1) : () }
	  bkc_repo_objects($node, qr{/\Q$segment\E\.chunks/});

	return scalar keys %seen;
}

always_shipped();
is(generations(), 1, 'in chunks');

# the walreceiver begins anew: so do the chunks
my $receiver = $always->safe_psql('postgres', 'SELECT pid FROM pg_stat_wal_receiver');
kill 'TERM', $receiver;
bkc_wait_for_sql($always,
	"SELECT count(*) = 1 FROM pg_stat_wal_receiver WHERE pid <> $receiver AND status = 'streaming'",
	't', 'another walreceiver');
insert($primary);
always_shipped();
is(generations(), 2, 'a new generation with a new walreceiver');

# promoted under its primary's eyes, with all that was shipped
insert($primary);
always_shipped();
$primary->wait_for_catchup($always, 'replay', $primary->lsn('flush'));
$primary->stop('immediate');
$always->promote;
archives($always, 'a standby that archived, promoted');
is(claims(), 5, 'it has claimed the repository');

my $last = bkc_restore($node, 'last');
if (bkc_start_restored($last))
{
	is( $last->safe_psql('postgres', 'SELECT count(*), max(i) FROM t'),
		$always->safe_psql('postgres', 'SELECT count(*), max(i) FROM t'),
		'every row is there on the last timeline');
	$last->stop;
}

done_testing();
