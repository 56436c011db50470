# A standby that is fed by wal-get alone: whole segments, with a repository that
# is away for a while, and its promotion.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node(
	'main',
	small  => 1,
	initdb => ['--wal-segsize=1'],
	conf   => bkc_archiving());
my $repo = bkc_repo_dir($node);

sub insert
{
	my ($first, $last) = @_;

	for my $i ($first .. $last)
	{
		$node->safe_psql('postgres',
			"INSERT INTO t SELECT $i, repeat(md5(i::text), 20) FROM generate_series(1, 500) AS i; SELECT pg_switch_wal()");
	}
	return;
}

sub follows
{
	my ($standby, $last) = @_;

	return bkc_wait_for_sql($standby, 'SELECT coalesce(max(i), 0) FROM t', $last, "it follows to $last");
}

$node->safe_psql('postgres', 'CREATE TABLE t (i int, text text)');
bkc_backup($node);
insert(1, 12);
bkc_shipped($node);

my $standby = bkc_restore($node, 'standby', args => ['--standby']);
bkc_adopt($standby);
$standby->append_conf('postgresql.auto.conf', "wal_retrieve_retry_interval = '100ms'\n");
$standby->start;
follows($standby, 12);
insert(13, 30);
follows($standby, 30);

# the open segment is not for standbys
$node->safe_psql('postgres', 'INSERT INTO t VALUES (31)');
bkc_shipped($node);
is($standby->safe_psql('postgres', 'SELECT max(i) FROM t'), 30, 'whole segments only');

# ---- the repository is away ----

rename $repo, "$repo.away" or die $!;
my $offset = -s $standby->logfile;
ok($standby->wait_for_log(qr/pg_backupctl: error: \S+: repository .* is empty/, $offset),
	'wal-get says that it could not ask');
is($standby->safe_psql('postgres', 'SELECT max(i) FROM t'), 30, 'and the standby lives on');
rename "$repo.away", $repo or die $!;
insert(32, 34);
follows($standby, 34);

# ---- damaged for a while: it waits for it ----

my ($segment) = $node->safe_psql('postgres', 'SELECT pg_walfile_name(pg_current_wal_insert_lsn())');
$standby->stop;
insert(35, 40);
bkc_shipped($node);
my ($object) = bkc_repo_objects($node, qr{/wal/.*/$segment$});
bkc_flip_byte("$repo/$object", -20);
$offset = -s $standby->logfile;
$standby->start;
ok($standby->wait_for_log(qr/pg_backupctl: error: $segment: .* is damaged/, $offset),
	'a damaged segment is not handed out');
is($standby->safe_psql('postgres', 'SELECT max(i) FROM t'), 34, 'it waits there');
bkc_flip_byte("$repo/$object", -20);
follows($standby, 40);

# ---- promotion ----

my $sum = bkc_checksum($node);
$node->stop;
$offset = -s $standby->logfile;
ok( bkc_poll(
		sub { bkc_checksum($standby) eq $sum }),
	'it has all that the primary has archived');
$standby->promote;
is(bkc_checksum($standby), $sum, 'and after its promotion');
$standby->safe_psql('postgres', 'INSERT INTO t VALUES (100)');
ok( bkc_poll(
		sub {
			!grep { !/^\.\.?$|^lock$/ } map { slurp_dir($_) }
			  glob($standby->data_dir . '/pg_wal/pg_backupctl-prefetch/*');
		}),
	'no segment is left in the spool');
$standby->stop;

done_testing();
