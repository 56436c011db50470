# Object lock in compliance mode: archiving, backups, chunks and what is left behind behave, and
# nobody can remove what is locked.

use strict;
use warnings;

use BkcTest;
use BkcS3;
use PostgreSQL::Test::Utils;
use Test::More;

my $bucket = bkc_s3_bucket(lock => 1);
my $url = bkc_s3_url($bucket, more => '&lock_mode=compliance&lock_days=1&part_size=5MB');
my $node = bkc_node('main', repositories => "main=$url", conf => bkc_archiving());

# what does not shrink, so that packs and WAL are uploaded in parts
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE noise AS SELECT string_agg(sha512(random()::text::bytea)::text, '') AS t
FROM generate_series(1, 200000) AS i GROUP BY i % 1000;
SQL
my $backup = bkc_backup($node);
my $label = $backup->{label};
is($backup->{status}, 'completed', 'a backup completes');
bkc_archived($node, 'segments', bkc_segments($node, 2));

# ---- what lasts is locked, what does not is not ----

sub versions
{
	my ($pattern) = @_;
	my @found;

	for (bkc_s3('versions', $bucket))
	{
		my ($version, $kind, $key) = split / /, $_, 3;

		push @found, { version => $version, kind => $kind, key => $key } if $key =~ $pattern;
	}
	return @found;
}

my @lasting = map { $_->{key} } versions(qr{/(?:backups/$label/(?:begin|manifest|data/)|wal/.*/[0-9A-F]{24}$|cluster$|owner/)});
cmp_ok(scalar @lasting, '>=', 8, 'there are objects to look at');
is_deeply([ grep { bkc_s3('retention', $bucket, $_) !~ /COMPLIANCE/ } @lasting ], [],
	'each of them is locked, also those that were uploaded in parts');
my ($manifest) = versions(qr{/backups/$label/manifest$});
bkc_s3_fails([ 'delete', $bucket, $manifest->{key}, $manifest->{version} ], qr/AccessDenied/,
	'the manifest cannot be removed');
my ($segment) = versions(qr{/wal/.*/[0-9A-F]{24}$});
bkc_s3_fails([ 'delete', $bucket, $segment->{key}, $segment->{version} ], qr/AccessDenied/,
	'nor can a WAL segment');

# chunks go when their segment is whole, in all their versions
$node->safe_psql('postgres', 'CREATE TABLE t AS SELECT 1 AS a');
bkc_shipped($node);
my @chunks = versions(qr{\.chunks/});
ok(@chunks > 0, 'there are chunks');
is_deeply([ grep { (eval { bkc_s3('retention', $bucket, $_->{key}) } // '') =~ /COMPLIANCE/ } grep { $_->{kind} eq 'object' } @chunks ],
	[], 'chunks are not locked');
bkc_archived($node, 'the open segment', bkc_end_segment($node, 'INSERT INTO t VALUES (2)'));
ok(bkc_poll(sub { !bkc_s3_objects($bucket, qr{\.chunks/}) }), 'they go when it is whole');

# ---- a backup that fails ----

bkc_set_fault($node, 'leader-copied=fail');
bkc_backup_fails($node, q('full'), qr/fault point/, 'a backup fails after its packs were stored');
bkc_clear_fault($node);
bkc_s3_settled($bucket, 'the failed backup');

# ---- the repository goes on being whole ----

my $sum = bkc_checksum($node);
bkc_shipped($node);
like(bkc_client_ok([ 'check', '--repo', $url ], 'check'), qr/no gap, no damage found/, 'check finds no fault');
bkc_client_ok([ 'verify', '--repo', $url ], 'verify');
$node->stop;
bkc_judge(bkc_restore($node, 'copy', repo => $url), $sum);

done_testing();
