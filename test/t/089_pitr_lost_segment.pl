# The segment before the open one is lost: chunks say that it was there, so it is a gap for check,
# restore and wal-get, and never one that may still be on its way.

use strict;
use warnings;

use BkcTest;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('main', small => 1, initdb => ['--wal-segsize=1'], conf => bkc_archiving());
my $repo = bkc_repo_url($node);
my $target = $node->basedir . '/target';
my $sysid = $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');
my @segments;

sub insert
{
	my ($server, $i) = @_;

	push @segments,
	  $server->safe_psql('postgres', 'SELECT pg_walfile_name(pg_current_wal_insert_lsn())');
	$server->safe_psql('postgres', "INSERT INTO t VALUES ($i)");
	return $server->safe_psql('postgres', 'SELECT clock_timestamp()');
}

sub rows
{
	my ($server) = @_;

	return $server->safe_psql('postgres', q(SELECT string_agg(i::text, ',' ORDER BY i) FROM t));
}

# Of its timeline only the newest segment has chunks.
sub settled
{
	my ($server, $what) = @_;
	my $timeline = substr $segments[-1], 0, 8;

	bkc_shipped($server);
	return ok(
		bkc_poll(
			sub {
				my %open = map { m{/($timeline[0-9A-F]{16})\.chunks/} ? ($1 => 1) : () } bkc_repo_objects($node);
				return join(' ', sort keys %open) eq $segments[-1];
			}),
		$what);
}

sub object
{
	my ($segment) = @_;
	my ($name) = bkc_repo_objects($node, qr{/wal/.*/$segment$});

	return bkc_repo_dir($node) . "/$name";
}

sub refused
{
	my ($pattern, $what, @args) = @_;
	my ($status, $stdout, $stderr) =
	  bkc_client('restore', '--repo', $repo, '--pgdata', $target, @args);

	ok($status == 3 && $stderr =~ $pattern, "refused: $what")
	  or diag("status $status, stdout: $stdout\nstderr: $stderr");
	ok(!-e $target, 'nothing was written');
	return $stderr;
}

# check finds that segment missing, and nothing else.
sub found
{
	my ($segment, $what) = @_;
	my ($status, $stdout) = bkc_client('check', '--repo', $repo);

	is($status, 4, "$what: check finds it");
	like($stdout, qr/^    GAP: segment $segment is missing\n      not to be restored: times after .*; take a new backup\n/m,
		"$what: and names it");
	like($stdout, qr/^  1 finding$/m, "$what: nothing else");
	($status, $stdout) = bkc_client('check', '--repo', $repo, '--json');
	my ($gap) = map { @{ $_->{gaps} } } @{ decode_json($stdout)->{clusters}[0]{timelines} };
	ok(!$gap->{young} && $gap->{before_time} gt $gap->{after_time}, "$what: JSON has the times");
	return;
}

$node->safe_psql('postgres', 'CREATE TABLE t (i int)');
bkc_backup($node);
my $before = insert($node, 1);
$node->safe_psql('postgres', 'SELECT pg_switch_wal()');
insert($node, 2);
$node->safe_psql('postgres', 'SELECT pg_switch_wal()');
my $behind = insert($node, 3);
settled($node, 'only the open segment has chunks');
$node->stop('immediate');
is((bkc_client('check', '--repo', $repo))[0], 0, 'all is well');
my $lost = object($segments[1]);
rename $lost, "$target.kept" or die $!;

# ---- a gap ----

found($segments[1], 'a lost segment');
my $stderr = refused(
	qr/WAL segment $segments[1], which is needed for a recovery to the end, is not in the repository.*then 1 segment is missing, and of the later ones 1 is there, whole or in part/s,
	'to the end');
like($stderr, qr/hint: .*--accept-loss/, 'with a hint');
refused(qr/WAL segment $segments[1], which is needed for \d{4}-/, 'a time behind it', '--target-time', $behind);

my $copy = PostgreSQL::Test::Cluster->new('accepted');
(my $status, my $stdout, $stderr) =
  bkc_client('restore', '--repo', $repo, '--pgdata', $copy->data_dir, '--accept-loss');
is($status, 0, 'a loss that is accepted') or diag($stderr);
like($stderr, qr/warning: WAL segment $segments[1] is missing: recovery ends at .*, and what is there of 1 later segment is left out/,
	'and says what is lost');
bkc_start_restored($copy);
is(rows($copy), '1', 'accepted: what was before it');
$copy->stop;

$copy = bkc_restore($node, 'time', args => [ '--target-time', $before ]);
bkc_start_restored($copy);
is(rows($copy), '1', 'a time before it can be restored');
$copy->stop;

my @get = ('wal-get', '--repo', $repo, '--cluster', $sysid, '--retry', 0);
($status, $stdout, $stderr) = bkc_client(@get, $segments[1], "$target.get");
is($status, 254, 'wal-get does not say that it does not exist');
like($stderr, qr/WAL segment $segments[1] is missing, but a later one is there: $segments[2]/,
	'but that it is missing');
rename "$target.kept", $lost or die $!;

# ---- before a fork, behind which there are only chunks ----

my $successor = bkc_restore($node, 'successor', args => ['--take-over']);
bkc_start_restored($successor);
is(rows($successor), '1,2,3', 'whole again');
insert($successor, 4);
settled($successor, 'the successor has sent chunks only');
$successor->stop('immediate');
like($segments[-1], qr/^00000002/, 'on its timeline');
is((bkc_client('check', '--repo', $repo))[0], 0, 'all is well again');
rename $lost, "$target.kept" or die $!;
found($segments[1], 'lost before the fork');
refused(qr/WAL segment $segments[1], which is needed for a recovery to the end, is not in the repository/,
	'over the fork');
($status, $stdout, $stderr) = bkc_client(@get, '--timeline', 2, $segments[1], "$target.get");
is($status, 254, 'wal-get knows of the other timeline');
rename "$target.kept", $lost or die $!;
$copy = bkc_restore($node, 'whole');
bkc_start_restored($copy);
is(rows($copy), '1,2,3,4', 'and all rows once more');
$copy->stop;

done_testing();
