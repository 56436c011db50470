# The open WAL segment in chunks: they appear when something was written, follow
# one another without a gap, go when the segment is whole, and begin anew after a
# crash.  An idle server sends nothing.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node(
	'main',
	small => 1,
	initdb => ['--wal-segsize=1'],
	conf => bkc_archiving() . "autovacuum = off\ncheckpoint_timeout = 1h\n");
my $number = 0;

sub insert
{
	$node->safe_psql('postgres', 'INSERT INTO t VALUES (' . ++$number . ')');
	return;
}

sub open_segment
{
	return $node->safe_psql('postgres', 'SELECT pg_walfile_name(pg_current_wal_flush_lsn())');
}

# The chunks of a segment: [generation, offset], in order.
sub chunks
{
	my ($segment) = @_;

	return map { m{/([0-9a-f]{16})-([0-9a-f]{8})$} ? [ $1, hex $2 ] : () }
	  bkc_repo_objects($node, qr{/\Q$segment\E\.chunks/});
}

sub generations
{
	my %seen = map { $_->[0] => 1 } chunks(@_);
	my @sorted = sort keys %seen;

	return @sorted;
}

sub streamer
{
	return $node->safe_psql('postgres',
		"SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_backupctl WAL streamer'");
}

# Kill the streamer in this way (an exit of its own, not a crash) and wait for the next one.
sub restart_streamer
{
	my $old = streamer();

	$node->safe_psql('postgres', "SELECT pg_terminate_backend($old)");
	return bkc_wait_for_sql(
		$node,
		"SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'pg_backupctl WAL streamer' AND pid <> $old",
		't',
		'another streamer');
}

# What a recovery would get: bytes of the segment as the repository has them and as pg_wal does.
sub same_bytes
{
	my ($segment, $what) = @_;
	my $out = $node->basedir . '/segment';
	my $lsn = $node->safe_psql('postgres', 'SELECT shipped_to FROM backup_archiver');
	my $len = $node->safe_psql('postgres', "SELECT file_offset FROM pg_walfile_name_offset('$lsn')");
	my ($status) = bkc_client('wal-get', '--repo', bkc_repo_url($node), '--cluster',
		$node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()'),
		'--timeline', hex substr($segment, 0, 8), $segment, $out);

	is($status, 0, "$what: wal-get puts the segment together") or return;

	# more may have been sent meanwhile
	my $end = $node->safe_psql('postgres',
		'SELECT file_offset FROM pg_walfile_name_offset(pg_current_wal_flush_lsn())');
	is(-s $out, 1024 * 1024, "$what: it has its full size");
	my $got = slurp_file($out);
	my $pg = slurp_file($node->data_dir . "/pg_wal/$segment");
	ok(substr($got, 0, $len) eq substr($pg, 0, $len), "$what: the bytes are those of pg_wal");
	ok(substr($got, $end) !~ /[^\0]/, "$what: zeros behind $end bytes");
	unlink $out;
	return;
}

$node->safe_psql('postgres', 'CREATE TABLE t (i int)');
bkc_backup($node);
$node->safe_psql('postgres', 'SELECT pg_switch_wal()');

# ---- chunks come, one after the other ----

insert();
bkc_shipped($node);
my $segment = open_segment();
for (1 .. 3)
{
	insert();
	bkc_shipped($node);
}
my @chunks = chunks($segment);
cmp_ok(scalar @chunks, '>=', 3, 'several chunks');
is(scalar(() = generations($segment)), 1, 'of one generation');
is($chunks[0]->[1], 0, 'from the beginning of the segment');
same_bytes($segment, 'several chunks');

# the server itself writes a little now and then
bkc_wait_for_sql($node, 'SELECT possible_loss_bytes FROM backup_archiver', 0, 'nothing can be lost');

# ---- nothing new, nothing sent ----

# The server itself writes a little now and then; what counts is a while in which it does not.
my ($from, $to);
ok( bkc_poll(
		sub {
			bkc_shipped($node);
			my $state = 'SELECT pg_current_wal_flush_lsn(), chunks, shipped_to FROM backup_archiver';
			($from, $to) = split /\n+/, $node->safe_psql('postgres', "$state; SELECT FROM pg_sleep(4); $state");
			my ($flushed, undef, $shipped) = split /\|/, $from;
			return $shipped eq $flushed && $to =~ /^\Q$flushed\E\|/;
		}),
	'nothing was written for four seconds');
is($to, $from, 'and nothing sent');

# ---- another streamer of the same life goes on where the last one ended ----

my ($generation) = generations($segment);
restart_streamer();
insert();
bkc_shipped($node);
is(join(' ', generations($segment)), $generation, 'another streamer, the same generation');
same_bytes($segment, 'another streamer');

# ---- a whole segment, and its chunks go ----

$node->safe_psql('postgres', 'SELECT pg_switch_wal()');
ok(bkc_poll(sub { !chunks($segment) }), 'the chunks of a whole segment go')
  or diag(join "\n", bkc_repo_objects($node, qr{/wal/}));
is(scalar(bkc_repo_objects($node, qr{/\Q$segment\E$})), 1, 'the segment is there');
insert();
bkc_shipped($node);
isnt(open_segment(), $segment, 'another segment is open');
$segment = open_segment();
is(scalar(() = generations($segment)), 1, 'it has chunks');

# ---- many segments at once: only the newest has chunks in the end ----

$node->safe_psql('postgres',
	q(INSERT INTO t SELECT i FROM generate_series(1000, 200000) AS i; DELETE FROM t WHERE i >= 1000));
bkc_shipped($node);
$segment = open_segment();
ok( bkc_poll(sub { !bkc_repo_objects($node, qr{/(?!\Q$segment\E)[0-9A-F]{24}\.chunks/}) }),
	'only the open segment has chunks');

# ---- a crash: a new generation from the beginning ----

# in a segment that has room for what the server writes by itself
$node->safe_psql('postgres', 'SELECT pg_switch_wal()');
insert();
bkc_shipped($node);
$segment = open_segment();
($generation) = generations($segment);
$node->stop('immediate');
$node->start;
insert();
bkc_shipped($node);
is(open_segment(), $segment, 'still the same segment');
my @generations = generations($segment);
is(scalar @generations, 2, 'two generations after a crash');
is($generations[0], $generation, 'the old one');
my ($first) = grep { $_->[0] eq $generations[1] } chunks($segment);
is($first->[1], 0, 'and one from the beginning');
same_bytes($segment, 'after a crash');

# ---- a chunk that was stored without being noted ----

$node->safe_psql('postgres', 'SELECT pg_switch_wal()');
bkc_set_fault($node, 'chunk-stored=fail@2');
for (1 .. 4)
{
	insert();
	bkc_shipped($node);
}
$segment = open_segment();
same_bytes($segment, 'stored, not noted');
like($node->safe_psql('postgres', 'SELECT count(*) FROM backup_archiver WHERE streamer_error IS NULL'),
	qr/^1$/, 'the error has passed');

# ---- chunks beside a whole segment, left by a crash, are found ----

bkc_set_fault($node, 'chunk-remove=kill');
$node->psql('postgres', 'SELECT pg_switch_wal()');
ok(bkc_poll(sub { !-e $node->data_dir . '/postmaster.pid' }),
	'the streamer was killed before it removed chunks');
$node->_update_pid(-1);
ok(chunks($segment) > 0, 'they are still there');
$node->append_conf('postgresql.auto.conf', "pg_backupctl.fault = ''");
$node->start;
insert();
bkc_shipped($node);
ok(bkc_poll(sub { !chunks($segment) }), 'the next streamer removes them');

# ---- switched off ----

$node->safe_psql('postgres', 'ALTER SYSTEM SET pg_backupctl.rpo_target = 0');
$node->reload;
bkc_wait_for_sql($node, 'SHOW pg_backupctl.rpo_target', '0', 'rpo_target is 0');
my $before = $node->safe_psql('postgres', 'SELECT chunks FROM backup_archiver');
insert();
$node->safe_psql('postgres', 'SELECT pg_sleep(2)');
is($node->safe_psql('postgres', 'SELECT chunks FROM backup_archiver'), $before, 'no chunks any more');
$node->safe_psql('postgres', 'SELECT pg_switch_wal()');
bkc_shipped($node);
ok(bkc_poll(sub { !bkc_repo_objects($node, qr{\.chunks/}) }), 'the last ones have gone');

# ---- recovery gets what was shipped last ----

$node->safe_psql('postgres', 'ALTER SYSTEM RESET pg_backupctl.rpo_target');
$node->reload;
insert();
bkc_shipped($node);
$node->stop('immediate');
my $copy = bkc_restore($node, 'copy');
if (bkc_start_restored($copy))
{
	is($copy->safe_psql('postgres', 'SELECT max(i), count(*) FROM t'),
		"$number|$number", 'every row is there');
}

done_testing();
