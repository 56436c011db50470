# A backup to S3 that is cancelled or dies in the middle of an upload leaves nothing behind.

use strict;
use warnings;

use BkcTest;
use BkcS3;
use PostgreSQL::Test::Utils;
use Test::More;

my $bucket = bkc_s3_bucket();
my $url = bkc_s3_url($bucket, more => '&part_size=5MB');
my $node = bkc_node('main', repositories => "main=$url", conf => "restart_after_crash = on\n");

# what does not shrink: a pack of many parts
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE noise AS SELECT string_agg(sha512(random()::text::bytea)::text, '') AS t
FROM generate_series(1, 400000) AS i GROUP BY i % 1000;
SQL
my $sum = bkc_checksum($node);

# ---- cancelled while parts are under way ----

bkc_set_fault($node, 'copy-frame=sleep:100');
my $id = $node->safe_psql('postgres', 'SELECT backup_now(wait => false)');
ok(bkc_poll(sub { bkc_s3_uploads($bucket) > 0 }), 'cancelled: an upload is under way');
my $began = time;
$node->safe_psql('postgres', "SELECT backup_cancel($id)");
bkc_wait_for_sql($node, "SELECT status FROM backup_catalog WHERE id = $id", 'cancelled',
	'cancelled: the catalog says so');
cmp_ok(time - $began, '<', 10, 'cancelled: soon');
bkc_clear_fault($node);
bkc_s3_settled($bucket, 'cancelled');

# ---- killed: the whole server goes down ----

bkc_set_fault($node, 'copy-frame=sleep:100');
$id = $node->safe_psql('postgres', 'SELECT backup_now(wait => false)');
ok(bkc_poll(sub { bkc_s3_uploads($bucket) > 0 }), 'killed: an upload is under way');
bkc_kill_postmaster($node, 'killed');
ok(bkc_s3_uploads($bucket) > 0, 'killed: it is left behind');
$node->append_conf('postgresql.auto.conf', "pg_backupctl.fault = ''");
$node->start;
bkc_wait_for_sql($node, "SELECT status FROM backup_catalog WHERE id = $id", 'failed',
	'killed: the catalog says failed');
bkc_s3_settled($bucket, 'killed');

# ---- and the next one is good ----

is(bkc_backup($node)->{status}, 'completed', 'the next backup completes');
$node->stop;
bkc_judge(bkc_restore($node, 'copy', repo => $url), $sum);

done_testing();
