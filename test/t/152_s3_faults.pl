# Each request of a backup, of archiving and of a restore fails once: what passes is overcome,
# what does not ends the work with its reason, and what is said to be stored is.

use strict;
use warnings;

use BkcTest;
use BkcS3;
use PostgreSQL::Test::Utils;
use Test::More;

my $bucket = bkc_s3_bucket();
my $proxy = bkc_s3_proxy();

# (URL through the proxy, URL without it) of a repository
sub urls
{
	my ($prefix) = @_;

	return (
		bkc_s3_url($bucket, prefix => $prefix, port => $proxy->{port},
			more => '&part_size=5MB&stall_timeout=1&connect_timeout=2'),
		bkc_s3_url($bucket, prefix => $prefix));
}

my ($url, $direct) = urls('one');

# Taken in turn, request after request.
my @passing = (
	{ status => 503, headers => { 'Retry-After' => 1 }, body => '<Error><Code>SlowDown</Code></Error>' },
	{ drop_reply => 1 },
	{ refuse => 1, rst => 1 },
	{ reply_status => 500 },
	{ cut_up => 50 },
	{ down_ms => 300 },
	{ cut_down => 20 },
	{ corrupt_up => 10 },
	{ blackhole => 1 },
);
my @final = (
	{ status => 404, body => '<html>who are you?</html>' },
	{ status => 403, body => '<Error><Code>AccessDenied</Code></Error>' },
	{ status => 200, body => 'welcome to our hotel' },
);

# From now on request number $n (from 0) fails that way, once.
sub fail_request
{
	my ($n, $fault) = @_;

	bkc_s3_proxy_set($proxy, { %$fault, skip => $n, times => 1 });
	return join ', ', map { "$_ $fault->{$_}" } sort grep { !ref $fault->{$_} } keys %$fault;
}

# Requests since then, for messages.
sub requests
{
	return join "\n", map { join ' ', @{$_}{qw(number method target status fault)} } bkc_s3_proxy_log($proxy);
}

my $node = bkc_node('main', repositories => "main=$url", small => 1);
bkc_backup($node);

# ---- backups ----

# What shrinks little enough that a pack is uploaded in parts.
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE noise AS SELECT string_agg(sha512(random()::text::bytea)::text, '') AS t
FROM generate_series(1, 120000) AS i GROUP BY i % 1000;
CHECKPOINT;
SQL
my $sum = bkc_checksum($node);

bkc_s3_proxy_set($proxy, {});
bkc_backup($node);
my $count = bkc_s3_proxy_log($proxy);
cmp_ok($count, '>=', 15, "a backup makes $count requests");
cmp_ok(scalar(grep { $_->{target} =~ /partNumber/ } bkc_s3_proxy_log($proxy)), '>=', 2, 'and some in parts');

my (@bad, %ended);

for my $n (0 .. $count - 1)
{
	for my $fault ($passing[ $n % @passing ], $final[ $n % @final ])
	{
		my $what = fail_request($n, $fault);
		my ($stdout, $stderr) = ('', '');
		my $status = $node->psql('postgres', 'SELECT backup_now()', stdout => \$stdout, stderr => \$stderr);
		my $passing = $fault == $passing[ $n % @passing ];

		$ended{ $status == 0 ? 'completed' : 'failed' }++;
		next if $status == 0;
		push @bad, "request $n, $what: $stderr\n" . requests()
		  if $passing || $stderr !~ /S3 answered|http:|ETag/;
	}
}
is_deeply(\@bad, [], 'backups overcome what passes, and say why when it does not')
  or diag(map { "$_\n" } @bad);
note(join ', ', map { "$ended{$_} $_" } sort keys %ended);
cmp_ok($ended{failed} // 0, '>', 2, 'some did fail');

bkc_s3_proxy_set($proxy, {});
bkc_s3_settled($bucket, 'backups');
is($node->safe_psql('postgres', "SELECT count(*) FROM backup_catalog WHERE status = 'running'"), 0,
	'no backup is left running');
bkc_client_ok([ 'verify', '--repo', $direct ], 'all backups that are there pass verify');

# ---- archiving, to another repository ----

($url, $direct) = urls('two');
$node->append_conf('postgresql.conf', bkc_archiving() . "pg_backupctl.repositories = 'main=$url'\n");
$node->restart;
my $backup = bkc_backup($node);
bkc_archived($node, 'without fault', bkc_segments($node, 1));
bkc_shipped($node);
my @files;
for my $n (0 .. 2 * $#passing + 1)
{
	fail_request($n / 2, $passing[ $n % @passing ]);
	push @files, bkc_segments($node, 1);
	bkc_shipped($node);
}
bkc_archived($node, 'with faults that pass', @files);
is( $node->safe_psql('postgres', 'SELECT failed_count FROM pg_stat_archiver'),
	0, 'the archiver never failed');
for my $n (0 .. 2 * $#final + 1)
{
	fail_request($n / 2, $final[ $n % @final ]);
	push @files, bkc_segments($node, 1);
	bkc_archived($node, 'with a fault that does not pass', $files[-1]);
}
bkc_s3_proxy_set($proxy, {});
my %there = map { m{^two/.*/wal/.*/([0-9A-F]{24})$} ? ($1 => 1) : () } bkc_s3_objects($bucket);
is_deeply([ grep { !$there{$_} } @files ], [], 'the segments are in the bucket');
$sum = bkc_checksum($node);
bkc_shipped($node);
like(bkc_client_ok([ 'check', '--repo', $direct ], 'check'), qr/no gap, no damage found/, 'check finds no fault');
$node->stop;

# ---- restores ----

my @arguments = ('restore', '--repo', $url, '--backup', $backup->{label});
bkc_s3_proxy_set($proxy, {});
my $copy = bkc_restore($node, 'copy', repo => $url, args => [ '--backup', $backup->{label} ]);
$count = bkc_s3_proxy_log($proxy);
cmp_ok($count, '>=', 5, "a restore makes $count requests");
@bad = ();
for my $n (0 .. $count - 1)
{
	for my $fault ($passing[ $n % @passing ], $n % 2 ? () : $final[ $n / 2 % @final ])
	{
		my $what = fail_request($n, $fault);
		my $to = "$PostgreSQL::Test::Utils::tmp_check/restored";
		my ($status, $stdout, $stderr) = bkc_client(@arguments, '--pgdata', $to);
		my $passing = $fault == $passing[ $n % @passing ];

		if ($status != 0)
		{
			push @bad, "request $n, $what: $stderr\n" . requests()
			  if $passing || $stderr !~ /S3 answered|http:|ETag/;
		}
		elsif (system_log('pg_verifybackup', '-q', '-n', '--exit-on-error', $to) != 0)
		{
			push @bad, "request $n, $what: pg_verifybackup";
		}
		PostgreSQL::Test::Utils::system_or_bail('rm', '-rf', $to);
	}
}
is_deeply(\@bad, [], 'restores overcome what passes, and say why when it does not')
  or diag(map { "$_\n" } @bad);

# the WAL of the copy is fetched while one request in ten fails
bkc_s3_proxy_set($proxy, { drop_reply => 1, p => 0.1 });
bkc_judge($copy, $sum);

done_testing();
