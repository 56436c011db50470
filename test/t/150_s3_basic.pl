# A repository in S3: backup, archiving, chunks, check, list, verify, and point-in-time recovery
# by the client, over plain HTTP and over TLS with the bucket in the host's name.

use strict;
use warnings;

use BkcTest;
use BkcS3;
use PostgreSQL::Test::Utils;
use Test::More;

# The life of a cluster with that repository.
sub life
{
	my ($name, $bucket, $url) = @_;
	my $node = bkc_node($name, repositories => "main=$url", conf => bkc_archiving());

	$node->safe_psql('postgres', <<'SQL');
CREATE TABLE numbers AS SELECT i, md5(i::text) AS hash FROM generate_series(1, 100000) AS i;
CREATE INDEX ON numbers (hash);
SQL
	my $backup = bkc_backup($node);
	is($backup->{status}, 'completed', "$name: the catalog says completed");
	my @manifests = bkc_s3_objects($bucket, qr{^prod/\d+/backups/$backup->{label}/manifest$});
	is(scalar(@manifests), 1, "$name: the manifest is in the bucket");
	like(scalar(bkc_s3('head', $bucket, $manifests[0])),
		qr/^x-amz-meta-backup-size: $backup->{original_size_bytes}$/m,
		"$name: the bucket tells the backup's size");

	# whole segments, then a time to come back to, then WAL in chunks only
	$node->safe_psql('postgres', 'DELETE FROM numbers WHERE i % 2 = 0');
	my @files = bkc_segments($node, 3);
	bkc_archived($node, $name, @files);
	my $then_sum = bkc_checksum($node);
	my $then = $node->safe_psql('postgres', 'SELECT pg_sleep(0.01), clock_timestamp()') =~ s/^\|//r;
	$node->safe_psql('postgres', 'SELECT pg_sleep(0.01); CREATE TABLE later AS SELECT 42 AS answer');
	bkc_shipped($node);
	ok(bkc_s3_objects($bucket, qr{\.chunks/}) > 0, "$name: the open segment is there in chunks");
	my $sum = bkc_checksum($node);

	is( $node->safe_psql('postgres',
			"SELECT string_agg(check_name || ': ' || finding, E'\\n') FROM backup_check() WHERE status = 'failed'"),
		'', "$name: backup_check() has nothing to say");
	is($node->safe_psql('postgres', 'SELECT backup_verify()'), 'passed', "$name: backup_verify()");
	like(bkc_client_ok([ 'list', '--repo', $url ], "$name: list"), qr/$backup->{label}/, "$name: is listed");
	bkc_client_ok([ 'verify', '--repo', $url ], "$name: verify");
	like(bkc_client_ok([ 'check', '--repo', $url ], "$name: check"), qr/no gap, no damage found/,
		"$name: check finds no fault");

	$node->stop('immediate');
	bkc_judge(bkc_restore($node, "${name}_end", repo => $url), $sum);
	bkc_judge(bkc_restore($node, "${name}_then", repo => $url, args => [ '--target-time', $then ]),
		$then_sum);
	is_deeply([ bkc_s3_uploads($bucket) ], [], "$name: no unfinished upload");
	return;
}

my $plain = bkc_s3_bucket(versions => 1);
life('plain', $plain, bkc_s3_url($plain, prefix => 'prod'));

# parts of 5 MB make multipart uploads of the packs and of WAL
my $tls = bkc_s3_bucket();
life('tls', $tls, bkc_s3_url($tls, prefix => 'prod', tls => 1, host => 1, more => '&part_size=5MB'));

done_testing();
