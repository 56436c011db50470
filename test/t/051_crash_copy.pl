# A copy worker is killed while it reads, packs or stores, and the leader while
# it stores small objects or WAL: the server restarts and all is settled.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('main', small => 1, conf => 'restart_after_crash = on');

$node->safe_psql('postgres',
	'CREATE TABLE numbers AS SELECT i, md5(i::text) AS hash FROM generate_series(1, 20000) AS i');

sub killed
{
	my ($fault, $arguments) = @_;
	my $before = $node->safe_psql('postgres', 'SELECT coalesce(max(id), 0) FROM backup_catalog');
	my ($stderr, $id);

	bkc_set_fault($node, $fault);
	isnt($node->psql('postgres', "SELECT backup_now($arguments)", stderr => \$stderr),
		0, "$fault: the backup fails");
	like(
		$stderr,
		qr/terminating connection because of crash|server closed the connection/,
		"$fault: the server restarts");
	bkc_wait_up($node);
	$id = $node->safe_psql('postgres', "SELECT max(id) FROM backup_catalog WHERE id > $before");
	bkc_aftermath($node, $fault, restore => 0);
	bkc_row_is($node, $id, 'failed', qr/^interrupted$/, $fault) if $id ne '';
	return $id;
}

my $two = q(options => '{"jobs": 2}');

# The leader copies the configuration files, so the first passages are its own.
like(killed($_, $two), qr/^\d+$/, "$_: there was a row")
  for (
	'copy-file=kill@1', 'copy-file=kill@50', 'copy-frame=kill@50',
	'pack-commit=kill', 'wal-segment=kill');
bkc_aftermath($node, 'after the kills of workers');

# Commits of the leader, in this order: probe, begin object, its pack, manifest.
like(killed("store-commit=kill\@$_", $two), qr/^\d+$/, "store-commit=kill\@$_: there was a row")
  for (4, 3, 2);
is(killed('store-commit=kill@1', $two), '', 'store-commit=kill@1: there was no row yet');

done_testing();
