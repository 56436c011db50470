# The client's check: gaps, holes that are young, backups that lack their WAL,
# damage, timelines, for people and as JSON.

use strict;
use warnings;

use BkcTest;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('prod', small => 1, initdb => ['--wal-segsize=1'], conf => bkc_archiving());
my $repo = bkc_repo_dir($node);
my $sysid = $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');

# Run check; asserts the exit status, of --json too, and the patterns in what it
# prints.  Returns the only cluster's JSON object.
sub check
{
	my ($dir, $expected, $what, @patterns) = @_;
	my ($status, $stdout, $stderr) = bkc_client('check', '--repo', "file://$dir");

	is($status, $expected, "$what: exit status $expected") or diag($stdout . $stderr);
	like($stdout, $_, "$what: says so") for @patterns;
	($status, $stdout, $stderr) = bkc_client('check', '--repo', "file://$dir", '--json');
	is($status, $expected, "$what: the same with --json");
	my $object = decode_json($stdout);
	is($object->{exit_status}, $expected, "$what: which says it, too");
	return ($object->{clusters} // [])->[0];
}

# n segments more, each with something in it.
sub segments
{
	my ($server, $n) = @_;

	$server->safe_psql('postgres',
		join(' ', map { 'INSERT INTO t SELECT max(i) + 1 FROM t; SELECT pg_switch_wal();' } 1 .. $n));
	bkc_shipped($server);
	$server->poll_query_until('postgres',
		q(SELECT NOT EXISTS (SELECT FROM pg_ls_archive_statusdir() WHERE name ~ '\.ready$')))
	  or die 'WAL is not archived';
	return;
}

# A copy of the repository in which a test can break things.
my $copies = 0;

sub copy_of
{
	my ($from) = @_;
	my $to = $node->basedir . '/copy' . ++$copies;

	system_or_bail('cp', '-r', $from, $to);
	return $to;
}

sub wal_object
{
	my ($dir, $segment) = @_;

	return sprintf '%s/%s/wal/%s/%s/%s', $dir, $sysid, substr($segment, 0, 8),
	  substr($segment, 8, 8), $segment;
}

# The whole segments of a timeline in the repository, in order.
sub stored
{
	my ($dir, $timeline) = @_;

	return sort map { m{/([0-9A-F]{24})$} ? $1 : () } glob "$dir/$sysid/wal/$timeline/*/*";
}

check($repo, 3, 'nothing there yet');
like((bkc_client('check', '--repo', "file://$repo", '--cluster', 'x'))[2], qr/--cluster "x"/,
	'a cluster that is no number');

# ---- all is well ----

$node->safe_psql('postgres', 'CREATE TABLE t (i int); INSERT INTO t VALUES (1)');
my $first = bkc_backup($node);
segments($node, 25);
my @segments = stored($repo, '00000001');
my $cluster = check($repo, 0, 'a repository that is whole',
	qr/^cluster $sysid \(prod\)$/m, qr/^  owner: \S*\Q${\ $node->data_dir}\E on host /m,
	qr/^  backups: 1 complete$/m, qr/^  timeline 1: \d+ WAL segments, /m,
	qr/^    can be restored: .* to .*, from 1 backup$/m, qr/no gap/);
my $timeline = $cluster->{timelines}[0];
is($cluster->{findings}, 0, 'nothing found');
is($cluster->{owner}{data_directory}, $node->data_dir, 'the owner');
is($cluster->{backups}[0]{label}, $first->{label}, 'the backup');
is($timeline->{segments}, scalar @segments, 'all segments are counted');
is_deeply($timeline->{gaps}, [], 'there is no gap');
is(scalar @{ $timeline->{recovery_windows} }, 1, 'there is one window');
is($timeline->{recovery_windows}[0]{first_backup}, $first->{label}, '... from the backup on');

is((bkc_client('check', '--repo', "file://$repo", '--cluster', '1'))[0], 3, 'another cluster');
check($repo, 0, 'the cluster by its number');

# ---- gaps ----

my $copy = copy_of($repo);
unlink wal_object($copy, $segments[-4]) or die;
$cluster = check($copy, 0, 'a young hole', qr/hole: segment $segments[-4] is missing; .*on its way/);
ok($cluster->{timelines}[0]{gaps}[0]{young}, 'which JSON says, too');

$copy = copy_of($repo);
unlink wal_object($copy, $_) or die for @segments[ 5, 6, -4 ];
$cluster = check($copy, 4, 'a gap',
	qr/GAP: 2 segments are missing, $segments[5] to $segments[6]$/m,
	qr/not to be restored: times after \S+ \S+; take a new backup/, qr/hole: segment/,
	qr/^  1 finding$/m);
my $gap = $cluster->{timelines}[0]{gaps}[0];
is("$gap->{first_segment} $gap->{last_segment} $gap->{segments}",
	"$segments[5] $segments[6] 2", 'JSON names it');
ok(!$gap->{young}, '... it is not young');
ok($gap->{after_time} le $gap->{before_time}, '... with times');
is($gap->{restorable_again_time}, undef, '... and no time from which on all is well');

# the repository itself gets a gap, and a backup behind it
unlink wal_object($repo, $segments[5]) or die;
my $second = bkc_backup($node);
segments($node, 1);
$cluster = check($repo, 4, 'a backup behind a gap', qr/GAP: segment $segments[5] is missing$/m,
	qr/not to be restored: times after .* until .* \(backup $second->{label}\)/);
is($cluster->{timelines}[0]{gaps}[0]{restorable_again_backup},
	$second->{label}, 'the gap ends with the backup');
is(join(' ', map { $_->{first_backup} } @{ $cluster->{timelines}[0]{recovery_windows} }),
	"$first->{label} $second->{label}", 'two windows');

# ---- backups ----

my $third = bkc_backup($node, q('full', options => '{"wal": "archive"}'));
segments($node, 1);
$copy = copy_of($repo);
my $start = $node->safe_psql('postgres', "SELECT pg_walfile_name('$third->{start_lsn}')");
unlink wal_object($copy, $start) or die;
$cluster = check($copy, 4, 'a backup without its WAL',
	qr/INCOMPLETE backup $third->{label}: .*segment $start is missing/,
	qr/backups: 2 complete, 1 incomplete/);
is($cluster->{backups}[2]{missing_segment}, $start, 'JSON names the segment');

$copy = copy_of($repo);
bkc_flip_byte("$copy/$sysid/backups/$first->{label}/manifest", 200);
unlink "$copy/$sysid/backups/$second->{label}/manifest" or die;
$cluster = check($copy, 4, 'damaged and unfinished backups', qr/DAMAGED backup $first->{label}: /,
	qr/unfinished backup $second->{label}: begun .* on host /,
	qr/backups: 1 complete, 1 unfinished, 1 damaged/);
is(join(' ', map { $_->{state} } @{ $cluster->{backups} }), 'damaged unfinished complete',
	'JSON says the same');

$copy = copy_of($repo);
bkc_flip_byte("$copy/$sysid/cluster", 170);
bkc_flip_byte((glob "$copy/$sysid/owner/*")[0], 170);
check($copy, 4, 'damaged documents', qr{DAMAGED object $sysid/cluster}, qr/DAMAGED owner: /);

# ---- timelines ----

$node->stop;
my $successor = bkc_restore($node, 'successor', args => ['--take-over']);
bkc_start_restored($successor);
segments($successor, 2);
$cluster = check($repo, 4, 'two timelines', qr/^  timeline 1: /m, qr/^  timeline 2: \d+ WAL segments/m);
is(join(' ', map { $_->{timeline} } @{ $cluster->{timelines} }), '1 2', 'both are there');
$timeline = $cluster->{timelines}[1];
ok(!$timeline->{history_missing}, 'the history is there');
is(scalar @{ $timeline->{gaps} }, 0, 'nothing is missing at the fork');
is($timeline->{recovery_windows}[0]{first_backup},
	$second->{label}, 'the first timeline\'s backups lead to the second');
is($timeline->{recovery_windows}[0]{backups}, 2, '... those behind the gap');
$successor->stop;

$copy = copy_of($repo);
unlink "$copy/$sysid/wal/00000002.history" or die;
$cluster = check($copy, 4, 'a lost history', qr/MISSING: its history file/);
ok($cluster->{timelines}[1]{history_missing}, 'JSON says it, too');
is_deeply($cluster->{timelines}[1]{recovery_windows}, [], 'and nothing leads there');

$copy = copy_of($repo);
unlink wal_object($copy, (stored($copy, '00000002'))[0]) or die;
$cluster = check($copy, 4, 'a hole at the fork');
is($cluster->{timelines}[1]{gaps}[0]{segments}, 1, 'the new timeline\'s first segment is missing');

# ---- a repository that cannot be read ----

is((bkc_client({ fault => 'store-list=fail' }, 'check', '--repo', "file://$repo"))[0],
	5, 'could not list');
is((bkc_client({ fault => 'store-read=cancel' }, 'check', '--repo', "file://$repo"))[0],
	8, 'cancelled');

done_testing();
