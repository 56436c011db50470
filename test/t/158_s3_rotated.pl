# The access key is changed while a backup is under way: the file has the new one, the server does
# not take the old one any more.  Backup and archiving go on with what the file says.

use strict;
use warnings;

use BkcTest;
use BkcS3;
use PostgreSQL::Test::Utils;
use Test::More;

my $file = PostgreSQL::Test::Utils::tempdir() . "/credentials";
my $old_file = "$file.old";
my @old = bkc_s3_key();
my @new = bkc_s3_key();
my $bucket = bkc_s3_bucket();

bkc_s3_credentials($_, @old) for $file, $old_file;
bkc_s3_takes($bucket, $file, 1, 'the server takes the first key');

my $url = bkc_s3_url($bucket, credentials => $file, more => '&part_size=5MB');
my $node = bkc_node('main', repositories => "main=$url", conf => bkc_archiving());

# what does not shrink, in two tables, so that both workers are in the middle of an upload
for my $table (1, 2)
{
	$node->safe_psql('postgres', <<"SQL");
CREATE TABLE noise$table AS SELECT string_agg(sha512((random() + $table)::text::bytea), '') AS t
FROM generate_series(1, 300000) AS i GROUP BY i % 1000;
SQL
}
bkc_archived($node, 'with the first key', bkc_segments($node, 1));
bkc_shipped($node);

# ---- in the middle of a backup ----

my $job = bkc_hold($node, 'copy-frame=sleep:5000@20');
ok(bkc_poll(sub { bkc_s3_uploads($bucket) > 0 }), 'an upload is under way');

# nobody gets any further meanwhile
my @pids = bkc_backup_pids($node);
cmp_ok(kill('STOP', @pids), '>=', 2, 'leader and workers stand still');
bkc_s3_credentials($file, @new);
bkc_s3_takes($bucket, $file, 1, 'the server takes the second key');
bkc_s3_key_remove($old[0]);
bkc_s3_takes($bucket, $old_file, 0, 'and not the first one any more');
ok(bkc_s3_uploads($bucket) > 0, 'the upload is still there');
kill 'CONT', @pids;

my ($status, $out, $err) = bkc_join($job);
is($status, 0, 'the backup goes on') or diag($err);
bkc_clear_fault($node);
is(bkc_catalog($node)->{status}, 'completed', 'it completes');
bkc_archived($node, 'with the second key', bkc_segments($node, 3));
bkc_shipped($node);
is($node->safe_psql('postgres', 'SELECT failed_count FROM pg_stat_archiver'), 0,
	'the archiver never failed');
is(bkc_backup($node)->{status}, 'completed', 'the next backup completes');
bkc_s3_settled($bucket, 'after all');

# ---- a key that is gone, and the file does not know another one ----

bkc_s3_key_remove($new[0]);
bkc_s3_takes($bucket, $file, 0, 'no key is left');
bkc_backup_fails($node, q('full'), qr/InvalidAccessKeyId/, 'a backup says that the key is not known');
my @third = bkc_s3_key();
bkc_s3_credentials($file, @third);
bkc_s3_takes($bucket, $file, 1, 'the server takes a third key');
is(bkc_backup($node)->{status}, 'completed', 'with it backups complete again');
bkc_archived($node, 'with the third key', bkc_segments($node, 1));
my $sum = bkc_checksum($node);
bkc_shipped($node);
like(bkc_client_ok([ 'check', '--repo', $url ], 'check'), qr/no gap, no damage found/, 'check finds no fault');

my $log = slurp_file($node->logfile);
unlike($log, qr/\Q$_\E/, 'the log has no secret') for $old[1], $new[1], $third[1];
$node->stop;
bkc_judge(bkc_restore($node, 'copy', repo => $url), $sum);
bkc_s3_key_remove($third[0]);

done_testing();
