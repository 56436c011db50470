# A bucket that does not answer beside a folder that does: the folder gets everything in time,
# nothing hangs, and the bucket gets what it has missed when it is back.

use strict;
use warnings;

use BkcTest;
use BkcS3;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $bucket = bkc_s3_bucket();
my $proxy = bkc_s3_proxy();
my $url = bkc_s3_url($bucket, port => $proxy->{port},
	more => '&part_size=5MB&stall_timeout=2&connect_timeout=2');
my $node = bkc_node('main', start => 0);

$node->append_conf('postgresql.conf',
	bkc_archiving() . "pg_backupctl.repositories = 'far=$url, main=" . bkc_repo_url($node) . "'\n");
$node->start;
bkc_extension($node);
$node->safe_psql('postgres', 'CREATE TABLE numbers AS SELECT i FROM generate_series(1, 10000) AS i');
bkc_backup($node, "'full', repository => '$_'") for qw(far main);
bkc_archived($node, 'both answer', bkc_segments($node, 1));

# Asserts that these segments come into the folder within so many seconds.
sub in_folder
{
	my ($what, $seconds, @files) = @_;
	my $began = time;
	my $end;

	ok( bkc_poll(
			sub {
				my %there = map { m{/([0-9A-F]{24})$} ? ($1 => 1) : () } bkc_repo_objects($node);
				return !grep { !$there{$_} } @files;
			},
			$seconds),
		"$what: the folder has them");
	note(sprintf '%.1f s', time - $began);
	return;
}

# ---- it does not answer ----

for my $case ([ 'it hangs', { blackhole => 1 } ],
	[ 'it is overloaded', { status => 503, headers => { 'Retry-After' => 30 } } ])
{
	my ($what, $fault) = @$case;

	bkc_s3_proxy_set($proxy, $fault);
	my @files = bkc_segments($node, 4);
	in_folder($what, 60, @files);
	ok(bkc_poll(
			sub {
				$node->safe_psql('postgres',
					"SELECT last_error IS NOT NULL FROM backup_archiver WHERE repository = 'far'") eq 't';
			}, 90),
		"$what: the view has the reason");
	is(bkc_backup($node, q('full', repository => 'main'))->{status}, 'completed',
		"$what: backups into the folder go on");

	my $began = time;
	$node->stop('fast');
	cmp_ok(time - $began, '<', 40, sprintf '%s: the server stops, in %.1f s', $what, time - $began);
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
