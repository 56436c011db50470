# Each request of a backup, of archiving and of a restore fails once: what passes is overcome,
# what does not ends the work with its reason, and what is said to be stored is.
#
# Each request gets one fault that passes and one that does not, in rotation; all of them with
# BKC_SWEEP=all in the environment.  How many requests there are may differ from run to run: then a
# fault comes to another request than before, or to none, which is right as well.

use strict;
use warnings;

use BkcTest;
use BkcS3;
use PostgreSQL::Test::Utils;
use Test::More;

my $all = ($ENV{BKC_SWEEP} // '') eq 'all';
my $bucket = bkc_s3_bucket();
my $proxy = bkc_s3_proxy();

# (URL through the proxy, URL without it) of a repository
sub urls
{
	my ($prefix) = @_;

	return (
		bkc_s3_url($bucket, prefix => $prefix, port => $proxy->{port},
			more => '&part_size=5MB&stall_timeout=5'),
		bkc_s3_url($bucket, prefix => $prefix));
}

my ($url, $direct) = urls('one');

my @passing = (
	{ status => 503, headers => { 'Retry-After' => 1 }, body => '<Error><Code>SlowDown</Code></Error>' },
	{ drop_reply => 1 },
	{ refuse => 1, rst => 1 },
	{ reply_status => 500 },
	{ cut_up => 50 },
	{ down_ms => 300 },
	{ cut_down => 20 },
	{ corrupt_up => 10 },
	{ trickle => 50, trickle_max => 1000, delay_ms => 20 },
	{ status => 400, body => '<Error><Code>ExpiredToken</Code></Error>' },
);
my @final = (
	{ status => 404, body => '<html>who are you?</html>' },
	{ status => 403, body => '<Error><Code>AccessDenied</Code></Error>' },
	{ status => 200, body => 'welcome to our hotel' },
);

# It passes, too, but costs the stall limit: for one request of a sweep.
my $blackhole = { blackhole => 1 };
my %passes = map { $_ => 1 } @passing, $blackhole;

my $turn = 0;

# The next ones in turn.
sub faults
{
	return (@passing, $blackhole, @final) if $all;
	$turn++;
	return ($passing[ $turn % @passing ], $final[ $turn % @final ]);
}

# From now on request number $n (from 0) fails that way, once.
sub fail_request
{
	my ($n, $fault) = @_;

	bkc_s3_proxy_set($proxy, { %$fault, skip => $n, times => 1 });
	return "request $n, "
	  . join ', ', map { "$_ $fault->{$_}" } sort grep { !ref $fault->{$_} } keys %$fault;
}

# Has the request come that was to fail?
sub was_hit
{
	return scalar grep { $_->{fault} ne '-' } bkc_s3_proxy_log($proxy);
}

# Requests since then, for messages.
sub requests
{
	return join "\n", map { join ' ', @{$_}{qw(number method target status fault)} } bkc_s3_proxy_log($proxy);
}

# Run $work->($passes) with faults for every request of what makes about $count of them.  It returns
# what was wrong, or nothing.  Asserts that it never was.  Few requests have their turn again until
# every fault has been used.
sub sweep
{
	my ($name, $count, $work) = @_;
	my $rounds = $all ? 1 : 1 + int($#passing / $count);
	my @todo = map { my $n = $_; map { [ $n, $_ ] } faults() } (0 .. $count - 1) x $rounds;
	my (@bad, %hits);

	push @todo, [ int($count / 2), $blackhole ] if !$all;
	for (@todo)
	{
		my ($n, $fault) = @$_;
		my $what = fail_request($n, $fault);
		my $wrong = $work->($passes{$fault});

		push @bad, "$what: $wrong\n" . requests() if defined $wrong;
		$hits{ $passes{$fault} ? 'pass' : 'do not' }++ if was_hit();
	}
	bkc_s3_proxy_set($proxy, {});
	is_deeply(\@bad, [], "$name: what passes is overcome, what does not is told")
	  or diag(map { "$_\n" } @bad);
	cmp_ok($hits{$_} // 0, '>', 2, "$name: faults that $_ came") for 'pass', 'do not';
	note("$name: " . @todo . " faults for $count requests; came: "
		  . join ', ', map { "$hits{$_} that $_" } sort keys %hits);
	return;
}

# An end with an error is right when the fault does not pass, and its reason is told.
sub wrong_end
{
	my ($passes, $stderr) = @_;

	return "failed: $stderr" if $passes;
	return $stderr =~ /S3 answered|http:|ETag/ ? undef : "says $stderr";
}

my $node = bkc_node('main', repositories => "main=$url", small => 1);
bkc_backup($node);

# ---- backups ----

# What does not shrink, so that a pack is uploaded in parts.
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE noise AS SELECT string_agg(sha512(random()::text::bytea), '') AS t
FROM generate_series(1, 90000) AS i GROUP BY i % 1000;
CHECKPOINT;
SQL

bkc_s3_proxy_set($proxy, {});
bkc_backup($node);
my @requests = bkc_s3_proxy_log($proxy);
cmp_ok(scalar(@requests), '>=', 10, 'a backup makes ' . @requests . ' requests');
cmp_ok(scalar(grep { $_->{target} =~ /partNumber/ } @requests), '>=', 2, 'and some in parts');

my %ended;
sweep(
	'backups',
	scalar(@requests),
	sub {
		my ($passes) = @_;
		my ($stdout, $stderr) = ('', '');
		my $status = $node->psql('postgres', 'SELECT backup_now()', stdout => \$stdout, stderr => \$stderr);

		$ended{ $status == 0 ? 'completed' : 'failed' }++;
		return $status == 0 ? undef : wrong_end($passes, $stderr);
	});
cmp_ok($ended{$_} // 0, '>', 2, "some $_") for qw(completed failed);

# the next one clears what they have left behind; what is there, and only that, counts as a backup
bkc_backup($node);
bkc_s3_settled($bucket, 'backups');
bkc_wait_for_sql($node, "SELECT count(*) = 0 FROM backup_catalog WHERE status = 'running'", 't',
	'backups: none is left running');
is( $node->safe_psql('postgres',
		q(SELECT string_agg(label, E'\n' ORDER BY label COLLATE "C") FROM backup_catalog WHERE status = 'completed')),
	join("\n", map { m{/backups/([^/]+)/manifest$} } bkc_s3_objects($bucket, qr{/manifest$})),
	'backups: those in the bucket are those that have completed');
bkc_client_ok([ 'verify', '--repo', $direct ], 'backups: all of them pass verify');

# ---- archiving, to another repository ----

($url, $direct) = urls('two');
$node->append_conf('postgresql.conf', bkc_archiving() . "pg_backupctl.repositories = 'main=$url'\n");
$node->restart;
my $backup = bkc_backup($node);
bkc_archived($node, 'without fault', bkc_segments($node, 1));
bkc_shipped($node);

# One segment, and what was written behind it.
my @files;

sub push_wal
{
	my @new = bkc_segments($node, 1);

	push @files, @new;
	my $ok = bkc_poll(
		sub {
			my %ready = map { $_ => 1 } bkc_wal_status($node, 'ready');
			return !grep { $ready{$_} } @new;
		}, 180)
	  && bkc_poll(
		sub {
			return $node->safe_psql('postgres',
				'SELECT GREATEST(shipped_to, archived_to) >= pg_current_wal_flush_lsn() FROM backup_archiver') eq 't';
		}, 180);
	return $ok ? undef : 'WAL does not arrive';
}

# a segment, a chunk behind it, and the removal of chunks: what comes when, is left to the server
my $failed = 0;
sweep(
	'archiving',
	4,
	sub {
		my ($passes) = @_;
		my $wrong = push_wal();
		my $now = $node->safe_psql('postgres', 'SELECT failed_count FROM pg_stat_archiver');

		$wrong //= 'the archiver failed' if $passes && $now > $failed;
		$failed = $now;
		return $wrong;
	});
my %there = map { m{^two/.*/wal/.*/([0-9A-F]{24})$} ? ($1 => 1) : () } bkc_s3_objects($bucket);
is_deeply([ grep { !$there{$_} } @files ], [], 'archiving: the segments are in the bucket');
my $sum = bkc_checksum($node);
bkc_shipped($node);
like(bkc_client_ok([ 'check', '--repo', $direct ], 'archiving: check'), qr/no gap, no damage found/,
	'archiving: check finds no fault');
$node->stop;

# ---- restores ----

my @arguments = ('restore', '--repo', $url, '--backup', $backup->{label});
my $to = PostgreSQL::Test::Utils::tempdir() . "/restored";

sub try_restore
{
	my ($passes) = @_;
	my ($status, $stdout, $stderr) = bkc_client(@arguments, '--pgdata', $to);
	my $wrong;

	$wrong = wrong_end($passes, $stderr) if $status != 0;
	$wrong = 'pg_verifybackup' if $status == 0
	  && system_log('pg_verifybackup', '-q', '-n', '--exit-on-error', $to) != 0;
	PostgreSQL::Test::Utils::system_or_bail('rm', '-rf', $to);
	return $wrong;
}

bkc_s3_proxy_set($proxy, {});
my $copy = bkc_restore($node, 'copy', repo => $url, args => [ '--backup', $backup->{label} ]);
sweep('restores', scalar(bkc_s3_proxy_log($proxy)), \&try_restore);

# without TLS nothing but our own checks notices a bit that changes on the way
bkc_s3_proxy_set($proxy, { match => '^GET .*\.pack', corrupt_down => 2_000_000, times => 1 });
my ($status, $stdout, $stderr) = bkc_client(@arguments, '--pgdata', $to);
ok( $status == 0 ? system_log('pg_verifybackup', '-q', '-n', '--exit-on-error', $to) == 0
	: $stderr =~ /damaged|corrupt|does not match|checksum/,
	'restores: a bit that changes is noticed')
  or diag("status $status: $stderr");
ok(was_hit(), 'restores: a bit was changed');

# the WAL of the copy is fetched while one request in ten fails
bkc_s3_proxy_set($proxy, { drop_reply => 1, p => 0.1 });
bkc_judge($copy, $sum);

done_testing();
