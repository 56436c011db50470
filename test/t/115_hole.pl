# A primary dies with WAL that it could not archive, and the standby that is promoted does not
# have it any more: backup_archiver and backup_check say that a backup is needed.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node(
	'main',
	small => 1,
	initdb => ['--wal-segsize=1'],
	conf => bkc_archiving() . "autovacuum = off\nmin_wal_size = 2MB\n");
my $folder = bkc_repo_dir($node);

bkc_backup($node);
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
bkc_segments($node, 1);
bkc_shipped($node);
$node->wait_for_catchup($standby);
ok(bkc_poll(sub { -e $standby->data_dir . '/pg_backupctl/standby' }), 'the standby is known as one');

# What the primary cannot archive, the standby receives and forgets.
my ($first) = bkc_repo_objects($node, qr{/wal/00000001/});
$folder .= '/' . $first =~ s{/[^/]+$}{}r;
chmod 0500, $folder or die "chmod: $!";
my @lost = bkc_segments($node, 3);
for (1 .. 3)
{
	$node->safe_psql('postgres', 'CHECKPOINT');
	bkc_segments($node, 1);
}
$node->safe_psql('postgres', 'CHECKPOINT');
$node->wait_for_catchup($standby);
$standby->safe_psql('postgres', 'CHECKPOINT');
is(scalar(grep { -e $standby->data_dir . "/pg_wal/$_" } @lost), 0, 'the standby has recycled them');
$node->stop('immediate');
chmod 0700, $folder or die "chmod: $!";
$standby->promote;

bkc_wait_for_sql($standby, q(SELECT status FROM backup_archiver), 'hole', 'the view says it');
is($standby->safe_psql('postgres', 'SELECT possible_loss IS NULL AND possible_loss_bytes IS NULL FROM backup_archiver'),
	't', '... and does not say that nothing can be lost');
like($standby->safe_psql('postgres', 'SELECT last_error FROM backup_archiver'),
	qr/^WAL from before the promotion is lost, segments "$lost[0]" to "[0-9A-F]{24}": nothing later can be restored/,
	'... but what is missing');
like(
	$standby->safe_psql('postgres',
		"SELECT status || ': ' || finding || ' ' || advice FROM backup_check() WHERE check_name = 'archiver'"),
	qr/^failed: WAL from before the promotion is lost.*Take a backup now/,
	'backup_check says what to do');
bkc_segments($standby, 1);
bkc_shipped($standby);
is($standby->safe_psql('postgres', 'SELECT status FROM backup_archiver'), 'hole', 'archiving alone does not help');

is(bkc_backup($standby)->{status}, 'completed', 'a backup does');
bkc_wait_for_sql($standby,
	q(SELECT status = 'archiving' AND possible_loss_bytes IS NOT NULL AND last_error IS NULL FROM backup_archiver),
	't', '... it is the new beginning');
$standby->stop;

done_testing();
