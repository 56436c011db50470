# A bucket that does not answer beside a folder that does: the folder gets everything while the bucket
# is away, nothing hangs, and the bucket gets what it has missed when it is back.

use strict;
use warnings;

use BkcTest;
use BkcS3;
use PostgreSQL::Test::Utils;
use Test::More;

my $bucket = bkc_s3_bucket();
my $proxy = bkc_s3_proxy();
my $url = bkc_s3_url($bucket, port => $proxy->{port},
	more => '&part_size=5MB&stall_timeout=5');
my $node = bkc_node('main', start => 0);

$node->append_conf('postgresql.conf',
	bkc_archiving() . "pg_backupctl.repositories = 'far=$url, main=" . bkc_repo_url($node) . "'\n"
	  . "pg_backupctl.shutdown_timeout = 5s\n");
$node->start;
bkc_extension($node);
$node->safe_psql('postgres', 'CREATE TABLE numbers AS SELECT i FROM generate_series(1, 10000) AS i');
bkc_backup($node, "'full', repository => '$_'") for qw(far main);
bkc_archived($node, 'both answer', bkc_segments($node, 1));

# Asserts that these segments come into the folder.
sub in_folder
{
	my ($what, @files) = @_;

	return ok(
		bkc_poll(
			sub {
				my %there = map { m{/([0-9A-F]{24})$} ? ($1 => 1) : () } bkc_repo_objects($node);
				return !grep { !$there{$_} } @files;
			},
			$PostgreSQL::Test::Utils::timeout_default),
		"$what: the folder has the segments");
}

# Segments in the bucket.
sub in_bucket
{
	return map { m{/([0-9A-F]{24})$} ? $1 : () } bkc_s3_objects($bucket);
}

# ---- it does not answer ----

for my $case ([ 'it hangs', { blackhole => 1 } ],
	[ 'it is overloaded', { status => 503, headers => { 'Retry-After' => 10 } } ])
{
	my ($what, $fault) = @$case;

	bkc_s3_proxy_set($proxy, $fault);
	my %before = map { $_ => 1 } in_bucket();
	my @files = bkc_segments($node, 4);
	in_folder($what, @files);
	bkc_wait_for_sql($node,
		"SELECT last_error IS NOT NULL FROM backup_archiver WHERE repository = 'far'",
		't', "$what: the view has the reason");
	is(bkc_backup($node, q('full', repository => 'main'))->{status}, 'completed',
		"$what: backups into the folder go on");
	is_deeply([ grep { !$before{$_} } in_bucket() ], [], "$what: the bucket has none of them");

	# a server that hung would not stop before pg_ctl gives up
	ok($node->stop('fast', fail_ok => 1), "$what: the server stops");
	$node->start;
	bkc_s3_proxy_set($proxy, {});
	bkc_archived($node, "$what, and is back", @files);
}

# ---- what it has missed ----

my $sum = bkc_checksum($node);
bkc_shipped($node);
for my $repo ($url, bkc_repo_url($node))
{
	like(bkc_client_ok([ 'check', '--repo', $repo ], 'check'), qr/no gap, no damage found/, 'check finds no fault');
}
$node->stop;
bkc_judge(bkc_restore($node, 'from_far', repo => $url), $sum);
bkc_judge(bkc_restore($node, 'from_near'), $sum);

done_testing();
