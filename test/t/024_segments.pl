# A table of more than one file: pages of its second segment are checked by
# their number in the whole table.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('main', conf => "autovacuum = off\nmax_wal_size = 1GB\n");

# The first segment is made of new pages that take no room on disk; what is
# inserted then is in the second one.
$node->safe_psql('postgres', 'CREATE TABLE t (i int, text text)');
my $file = $node->data_dir . '/' . $node->safe_psql('postgres',
	q(SELECT pg_relation_filepath('t')));
$node->stop;
truncate $file, 1024 * 1024 * 1024 or die "truncate: $!";
$node->start;
$node->safe_psql('postgres', <<'SQL');
INSERT INTO t SELECT i, repeat(md5(i::text), 10) FROM generate_series(1, 20000) AS i;
CREATE INDEX ON t (i);
CHECKPOINT;
SQL
cmp_ok(-s "$file.1", '>', 5 * 1024 * 1024, 'a second segment');
my $sum = bkc_checksum($node);

my $backup = bkc_backup($node);
like($backup->{metadata}, qr/"checksum_failures": 0\b/, 'its pages are found good');
my $copy = bkc_restore($node, 'copy', args => [ '--backup', $backup->{label} ]);
bkc_judge($copy, $sum);
$copy->clean_node;

$node->stop;
bkc_flip_byte("$file.1", 100 * 8192 + 4000);
$node->start;
my $damaged = bkc_backup($node);
my $block = 131072 + 100;
like($damaged->{metadata}, qr/\.1", "count": 1, "blocks": \[$block\]/,
	'a damaged one is named by its number in the table');
like($damaged->{metadata}, qr/"checksum_failures": 1\b/, 'and no other');
$node->stop;

done_testing();
