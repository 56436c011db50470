# A repository that failed and comes back as it was some moments before (restored from a copy, or
# mended by fsck): chunks that it lost are sent again, although the streamer had sent them.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node(
	'main',
	small => 1,
	initdb => ['--wal-segsize=1'],
	conf => bkc_archiving() . "autovacuum = off\ncheckpoint_timeout = 1h\n");
my $repo = bkc_repo_dir($node);

sub streamer
{
	my ($signal) = @_;

	kill $signal, $node->safe_psql('postgres',
		q(SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_backupctl WAL streamer'))
	  or die $!;
	return;
}

$node->safe_psql('postgres', 'CREATE TABLE t (i int)');
bkc_backup($node);
bkc_shipped($node);

# The copy has the segment whole, and no chunk of the next one.
streamer('STOP');
bkc_archived($node, 'a segment', bkc_segments($node, 1));
system_or_bail('cp', '-a', $repo, "$repo.copy");
bkc_set_fault($node, 'chunk-remove=fail');
streamer('CONT');

# The chunk is sent, then removing those of the segment fails.
$node->safe_psql('postgres', 'INSERT INTO t VALUES (1)');
bkc_shipped($node);
bkc_wait_for_sql($node, q(SELECT streamer_error ~ 'chunk-remove' FROM backup_archiver),
	't', 'something goes wrong in the repository');
rename $repo, "$repo.lost" or die $!;
rename "$repo.copy", $repo or die $!;
bkc_clear_fault($node);
$node->safe_psql('postgres', 'INSERT INTO t VALUES (2)');
bkc_shipped($node);
bkc_wait_for_sql($node, q(SELECT streamer_error IS NULL FROM backup_archiver),
	't', 'all is well again');

$node->stop('immediate');
my $copy = bkc_restore($node, 'copy');
if (bkc_start_restored($copy))
{
	is($copy->safe_psql('postgres', q(SELECT string_agg(i::text, ',' ORDER BY i) FROM t)),
		'1,2', 'what is said to be shipped is restored');
	$copy->stop;
}

done_testing();
