# The leader of a backup is killed at every point of its way: the server
# restarts, the row is settled, the leftovers go, a new backup works.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('main', small => 1, conf => 'restart_after_crash = on');

$node->safe_psql('postgres', <<'SQL');
CREATE TABLE numbers AS SELECT i, md5(i::text) AS hash FROM generate_series(1, 2000) AS i;
CREATE INDEX ON numbers (hash);
SQL

# A kill before the first backup has made anything.
bkc_set_fault($node, 'store-open-write=kill@1');
isnt($node->psql('postgres', "SELECT backup_now('full')"), 0, 'killed at the very first write');
bkc_wait_up($node);
is($node->safe_psql('postgres', 'SELECT count(*) FROM backup_catalog'), 0, 'there is no row');

my @points = qw(leader-row leader-begin leader-started leader-listed leader-copied
  leader-stopped leader-wal);

for my $point (@points)
{
	my ($stderr, $row);

	bkc_set_fault($node, "$point=kill");
	isnt($node->psql('postgres', "SELECT backup_now('full')", stderr => \$stderr),
		0, "$point: the backup fails");
	like(
		$stderr,
		qr/terminating connection because of crash|server closed the connection/,
		"$point: the server restarts");
	bkc_wait_up($node);

	# that the new backup comes before the settling or after must make no difference
	$row = bkc_catalog($node);
	like($row->{status}, qr/^(?:running|failed)$/, "$point: the row was there");
	bkc_aftermath($node, $point, restore => $point eq 'leader-wal');
	bkc_row_is($node, $row->{id}, 'failed', qr/^interrupted$/, $point);
}

# The manifest is there, so the backup is, whatever the row says.
my $checksum = bkc_checksum($node);
my $row;

bkc_set_fault($node, 'leader-manifest=kill');
isnt($node->psql('postgres', "SELECT backup_now('full')"), 0, 'leader-manifest: the session fails');
bkc_wait_up($node);
$row = bkc_catalog($node);
$node->safe_psql('postgres', 'DELETE FROM numbers');
bkc_settled($node, 'leader-manifest');
$row = bkc_row_is($node, $row->{id}, 'completed', qr/^$/, 'leader-manifest');
ok($row->{backup_size_bytes} > 0 && $row->{stop_lsn} && $row->{timeline} == 1,
	'leader-manifest: the row has what the manifest tells');
is($node->safe_psql('postgres', "SELECT status FROM backup_copy WHERE backup_id = $row->{id}"),
	'completed', 'leader-manifest: the copy is completed');
is($node->safe_psql('postgres', "SELECT backup_verify($row->{id})"),
	'passed', 'leader-manifest: verify');
bkc_aftermath($node, 'leader-manifest', restore => 0);

$node->stop;
bkc_judge(bkc_restore($node, 'copy', args => [ '--backup', $row->{label} ]), $checksum);

done_testing();
