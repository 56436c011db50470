# What cannot be recovered is refused before a byte is written, and the first
# missing segment is named; what was lost in flight is said and ends recovery.

use strict;
use warnings;

use BkcTest;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('main', small => 1, initdb => ['--wal-segsize=1'], conf => bkc_archiving());
my $repo = bkc_repo_url($node);
my $target = $node->basedir . '/target';
my $sysid = $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');

# Asserts that a restore is refused and leaves nothing behind.
sub refused
{
	my ($status, $pattern, $what, @args) = @_;
	my ($got, $stdout, $stderr) =
	  bkc_client('restore', '--repo', $repo, '--pgdata', $target, @args);

	ok($got == $status && $stderr =~ $pattern, "refused: $what")
	  or diag("status $got, stdout: $stdout\nstderr: $stderr");
	ok(!-e $target, 'nothing was written');
	return $stderr;
}

sub rows
{
	my ($server) = @_;

	return $server->safe_psql('postgres',
		q(SELECT coalesce(string_agg(i::text, ',' ORDER BY i), '') FROM t));
}

my $copies = 0;

sub leads_to
{
	my ($rows, $what, @args) = @_;
	my $copy = PostgreSQL::Test::Cluster->new('copy' . ++$copies);
	my ($status, $stdout, $stderr) =
	  bkc_client('restore', '--repo', $repo, '--pgdata', $copy->data_dir, @args);

	is($status, 0, "restore: $what") or diag($stderr);
	if (bkc_start_restored($copy))
	{
		is(rows($copy), $rows, "$what: rows $rows");
		$copy->stop;
	}
	$copy->clean_node;
	return $stdout . $stderr;
}

# ---- command lines ----

my $time = '2026-11-20 12:00:00+00';
refused(2, qr/has no time zone.*hint: Add one/s, 'no zone', '--target-time', '2026-11-20 12:00:00');
refused(2, qr/is not a point in time/, 'no time', '--target-time', 'yesterday');
refused(2, qr/is not a point in time/, 'no such day', '--target-time', '2026-02-30 12:00:00Z');
refused(2, qr/not a WAL location/, 'no location', '--target-lsn', 'x');
refused(2, qr/not a transaction number/, 'no transaction', '--target-xid', '-7');
refused(2, qr/1 to 63 bytes/, 'no name', '--target-name', '');
refused(2, qr/--target-time and --target-xid contradict/, 'two targets', '--target-time', $time,
	'--target-xid', 1000);
refused(2, qr/--target-name and --immediate contradict/, 'two targets', '--immediate',
	'--target-name', 'x');
refused(2, qr/--standby and a recovery target contradict/, 'a standby with a target', '--standby',
	'--target-time', $time);
refused(2, qr/--standby and --take-over contradict/, 'a standby that takes over', '--standby',
	'--take-over');
refused(2, qr/with a target only/, 'an action without a target', '--target-action', 'pause');
refused(2, qr/"promote", "pause" or "shutdown"/, 'an unknown action', '--target-action', 'stop',
	'--immediate');
refused(2, qr/is not a timeline/, 'no timeline', '--target-timeline', 'x');

# ---- before the first and behind the last ----

$node->safe_psql('postgres', 'CREATE TABLE t (i int)');
my $first = bkc_backup($node);
my %seg;
my (@time, %lsn);
for my $i (1 .. 6)
{
	$seg{"r$i"} = $node->safe_psql('postgres', 'SELECT pg_walfile_name(pg_current_wal_insert_lsn())');
	$node->safe_psql('postgres', "INSERT INTO t VALUES ($i)");
	$time[$i] = $node->safe_psql('postgres', 'SELECT clock_timestamp()');
	$lsn{"r$i"} = $node->safe_psql('postgres', 'SELECT pg_current_wal_insert_lsn()');
	$node->safe_psql('postgres', 'SELECT pg_switch_wal()');
}
$node->safe_psql('postgres', 'INSERT INTO t VALUES (7)');
$time[7] = $node->safe_psql('postgres', 'SELECT clock_timestamp()');
bkc_shipped($node);

refused(3, qr/no backup ends before 2020-01-01 00:00:00\+00.*The oldest of 1, $first->{label}, ended at/s,
	'a time before every backup', '--target-time', '2020-01-01 00:00:00Z');
refused(3, qr/no backup ends before 0\/10/, 'a location before every backup', '--target-lsn', '0/10');
refused(3, qr/WAL in the repository does not reach 2099-01-01 00:00:00\+00.*it ends at 0\/\w+, \d{4}-.*\+00/s,
	'a time in the future', '--target-time', '2099-01-01 00:00:00Z');
refused(3, qr/WAL in the repository does not reach FF\/1/, 'a location behind all WAL',
	'--target-lsn', 'FF/1');
refused(2, qr/backup $first->{label} ended after/, 'a backup that is too new', '--target-time',
	'2020-01-01 00:00:00Z', '--backup', $first->{label});
refused(3, qr/nothing of timeline 5/, 'an unknown timeline', '--target-timeline', 5);

# ---- a hole in the newest segments: they were on their way ----

sub object
{
	my ($segment) = @_;

	return sprintf '%s/%s/wal/%s/%s/%s', bkc_repo_dir($node), $sysid, substr($segment, 0, 8),
	  substr($segment, 8, 8), $segment;
}

$node->stop;
ok(-f object($seg{"r$_"}), "segment of row $_ is an object") for 1 .. 6;
rename object($seg{r5}), "$target.kept" or die $!;
my $out = leads_to('1,2,3,4', 'a hole in the newest WAL');
like($out, qr/warning: WAL segment $seg{r5} never reached the repository whole.*recovery ends at 0\/\w+ on timeline 1/,
	'and says so');
leads_to('1,2,3', 'a time before the hole', '--target-time', $time[3]);
leads_to('1,2,3', 'a location before the hole', '--target-lsn', $lsn{r3});
leads_to('1,2,3,4', 'where the hole begins', '--target-lsn', $lsn{r4});
refused(3, qr/WAL segment $seg{r5}, which is needed for \d{4}-.*, is not in the repository.*whole up to 0\/\w+ on timeline 1.*then 1 segment is missing/s,
	'a time behind the hole', '--target-time', $time[6]);
refused(3, qr/WAL segment $seg{r5}, which is needed for $lsn{r6}, is not in the repository/,
	'a location behind the hole', '--target-lsn', $lsn{r6});
leads_to('', 'the backup alone', '--immediate');
rename "$target.kept", object($seg{r5}) or die $!;
leads_to('1,2,3,4,5,6,7', 'whole again');

# ---- the hole's first segment had chunks ----

$node->start;
my $open = $node->safe_psql('postgres', 'SELECT pg_walfile_name(pg_current_wal_insert_lsn())');
$node->safe_psql('postgres', 'INSERT INTO t VALUES (71)');
bkc_shipped($node);
my $chunks = object($open) . '.chunks';
ok(-d $chunks, 'the open segment has chunks');
is(system('cp', '-r', $chunks, "$target.chunks"), 0, 'they are kept');
for my $i (72 .. 74)
{
	$node->safe_psql('postgres', "INSERT INTO t VALUES ($i)");
	$node->safe_psql('postgres', 'SELECT pg_switch_wal()');
}
ok(bkc_poll(sub { -f object($open) && !-d $chunks }), 'the whole segment has taken their place');
$node->stop;
rename object($open), "$target.kept" or die $!;
rename "$target.chunks", $chunks or die $!;
$out = leads_to('1,2,3,4,5,6,7,71', 'a hole that begins with chunks');
like($out, qr/warning: WAL segment $open never reached the repository whole/, 'and says so');
leads_to('1,2,3,4,5,6,7', 'a time that they reach', '--target-time', $time[7]);
refused(3, qr/WAL segment $open, which is needed for 2098/, 'a time that they do not reach',
	'--target-time', '2098-01-01 00:00:00Z');
is(system('rm', '-r', $chunks), 0, 'removed');
rename "$target.kept", object($open) or die $!;

# ---- an old gap is none ----

$node->start;
$node->safe_psql('postgres', 'INSERT INTO t VALUES (0); SELECT pg_switch_wal()') for 1 .. 20;
$node->safe_psql('postgres', 'DELETE FROM t WHERE i = 0');
my $behind = $node->safe_psql('postgres', 'SELECT clock_timestamp()');
$node->safe_psql('postgres', 'INSERT INTO t VALUES (8)');
$node->stop;
rename object($seg{r2}), "$target.kept" or die $!;
my $stderr = refused(3, qr/WAL segment $seg{r2}, which is needed for a recovery to the end, is not in the repository/,
	'a gap');
like($stderr, qr/hint: .*--target-time or --target-lsn.*--immediate/, 'with a hint');
refused(3, qr/WAL segment $seg{r2}, which/, 'a time behind the gap', '--target-time', $behind);
refused(3, qr/WAL segment $seg{r2}, which/, 'a transaction', '--target-xid', 1000);
refused(3, qr/WAL segment $seg{r2}, which/, 'a name', '--target-name', 'x');
leads_to('1', 'a time before the gap', '--target-time', $time[1]);
$out = leads_to('1', 'a loss that is accepted', '--accept-loss');
like($out, qr/warning: WAL segment $seg{r2} is missing: recovery ends at .* and what is there of \d+ later segments is left out/,
	'and says what is lost');
leads_to('', 'the backup alone', '--immediate');
my ($status, $stdout) = bkc_client('restore', '--repo', $repo, '--pgdata', $target, '--json');
is($status, 3, 'the gap in JSON');
like(decode_json($stdout)->{error}{message}, qr/$seg{r2}/, 'names the segment, too');
rename "$target.kept", object($seg{r2}) or die $!;
leads_to('1,2,3,4,5,6,7,8,71,72,73,74', 'whole again');

# ---- a segment that cannot be believed ----

bkc_flip_byte(object($seg{r4}), -100);
refused(4, qr/$seg{r4}/, 'a damaged segment where the target is', '--target-lsn', $lsn{r4});
bkc_flip_byte(object($seg{r4}), -100);
leads_to('1,2,3,4', 'mended', '--target-lsn', $lsn{r4});

# ---- a backup without WAL of its own ----

$node->start;
my $lean = bkc_backup($node, q('full', options => '{"wal": "archive"}'));
$node->safe_psql('postgres', 'INSERT INTO t VALUES (9)');
bkc_shipped($node);
$node->stop;
leads_to('1,2,3,4,5,6,7,8,71,72,73,74', 'its end', '--backup', $lean->{label}, '--immediate');
leads_to('1,2,3,4,5,6,7,8,9,71,72,73,74', 'all WAL', '--backup', $lean->{label});
my $needs = $node->start && $node->safe_psql('postgres', "SELECT pg_walfile_name('$lean->{start_lsn}')");
$node->stop;
rename object($needs), "$target.kept" or die $!;
refused(3, qr/WAL segment $needs, which is needed for the backup itself, is not in the repository/,
	'WAL of the backup itself is missing', '--backup', $lean->{label}, '--immediate');

done_testing();
