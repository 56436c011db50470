# Several processes at work in one bucket, over TLS with the bucket in the host's name: a backup
# by four workers under load, a queue of WAL, a restore by four, and connections that break.

use strict;
use warnings;

use BkcTest;
use BkcS3;
use PostgreSQL::Test::Utils;
use Test::More;

my $bucket = bkc_s3_bucket();
my $more = '&part_size=5MB&parts_in_flight=3';
my $url = bkc_s3_url($bucket, prefix => 'a/b', tls => 1, host => 1, more => $more);
my $node = bkc_node('main', repositories => "main=$url", conf => bkc_archiving());

# what does not shrink, in several files, so that every worker uploads in parts
for my $table (1 .. 4)
{
	$node->safe_psql('postgres', <<"SQL");
CREATE TABLE noise$table AS SELECT string_agg(sha512((random() + $table)::text::bytea)::text, '') AS t
FROM generate_series(1, 200000) AS i GROUP BY i % 1000;
SQL
}
$node->command_ok([ 'pgbench', '-i', '-q', '-s', 2, 'postgres' ], 'pgbench -i');

# ---- a backup under load ----

my $load = bkc_load_start($node);
my $backup = bkc_backup($node, q('full', options => '{"jobs": 4}'));
is($backup->{status}, 'completed', 'a backup by four workers completes');
my @packs = bkc_s3_objects($bucket, qr{^a/b/\d+/backups/$backup->{label}/data/});
my %workers = map { m{/(\d+)-\d+\.pack$} ? ($1 => 1) : () } @packs;
cmp_ok(scalar keys %workers, '>=', 3, 'several of them have stored packs');
my @etags = map { join '', grep { /^etag:/ } bkc_s3('head', $bucket, $_) } @packs;
cmp_ok(scalar(grep { /-[2-9]"/ } @etags), '>=', 2, 'in parts');

# ---- WAL that queues up: helpers and archiver in the same bucket ----

bkc_archived($node, 'a queue', bkc_segments($node, 24));
bkc_load_stop($load);
bkc_shipped($node);
is($node->safe_psql('postgres', 'SELECT failed_count FROM pg_stat_archiver'), 0, 'the archiver never failed');
like(bkc_client_ok([ 'check', '--repo', $url ], 'check'), qr/no gap, no damage found/, 'check finds no fault');
is_deeply([ bkc_s3_uploads($bucket) ], [], 'no unfinished upload');
my $sum = bkc_checksum($node);
bkc_shipped($node);
$node->stop;

# ---- restores ----

bkc_judge(bkc_restore($node, 'copy', repo => $url, args => [ '--jobs', 4 ]), $sum);

# connections that break in the middle of TLS, or whose bits change
my $proxy = bkc_s3_proxy(tls => 1);
my $broken = bkc_s3_url($bucket, prefix => 'a/b', tls => 1, host => 1, port => $proxy->{port}, more => $more);
bkc_s3_proxy_set($proxy, { cut_down => 3_000_000, rst => 1, p => 0.5 });
my $cut = bkc_restore($node, 'cut', repo => $broken, args => [ '--jobs', 4 ]);
bkc_s3_proxy_set($proxy, { corrupt_down => 1_500_000, p => 0.3 });
bkc_judge($cut, $sum);
my $corrupted = bkc_restore($node, 'corrupted', repo => $broken, args => [ '--jobs', 4 ]);
command_ok([ 'pg_verifybackup', '--exit-on-error', '-n', $corrupted->data_dir ], 'corrupted: pg_verifybackup');

done_testing();
