# A full backup of a cluster with some data, and its restore.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('main');

$node->safe_psql('postgres', <<'SQL');
CREATE TABLE numbers AS SELECT i, md5(i::text) AS hash FROM generate_series(1, 50000) AS i;
CREATE INDEX ON numbers (hash);
CREATE TABLE empty (a int);
SQL
$node->safe_psql('postgres', 'CREATE DATABASE second');
$node->safe_psql('second', 'CREATE TABLE letters AS SELECT chr(97 + i % 26) FROM generate_series(1, 1000) AS i');

my $sum = bkc_checksum($node);
my $backup = bkc_backup($node);

is($backup->{status}, 'completed', 'the catalog says completed');
is($backup->{backup_type}, 'full', 'of type full');
like($backup->{label}, qr/^\d{8}T\d{6}Z-full-[0-9a-f]{4}$/, 'with a label');
ok($backup->{backup_size_bytes} > 0 && $backup->{backup_size_bytes} < $backup->{original_size_bytes},
	'smaller than the data');
is(scalar(bkc_repo_objects($node, qr{/$backup->{label}/manifest$})), 1, 'the manifest is there');
ok(!-e $node->data_dir . '/backup_label', 'no backup_label in the live data directory');

# What comes after the backup is not in it.
$node->safe_psql('postgres', 'DELETE FROM numbers WHERE i % 2 = 0; CREATE TABLE later (a int)');

my $list = bkc_client_ok([ 'list', '--repo', bkc_repo_url($node) ], 'list');
like($list, qr/$backup->{label}/, 'list shows the backup');
bkc_client_ok([ 'verify', '--repo', bkc_repo_url($node) ], 'verify');

$node->stop;
bkc_judge(bkc_restore($node, 'copy'), $sum);

done_testing();
