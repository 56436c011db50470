# Files that grow, shrink, vanish and are replaced while they are copied: what is
# stored is one consistent content each, and verifies.

use strict;
use warnings;

use BkcTest;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('main', initdb => ['--wal-segsize=1']);
my $own = $node->data_dir . '/own';
my $mb = 1024 * 1024;

# Letter and size in MiB: the largest are copied first, in this order.
my @files = (
	[ grow => 'g', 9 ], [ shrink => 's', 8 ], [ vanish_open => 'v', 7 ], [ empty => 'e', 6 ],
		[ replace => 'r', 5 ],
	[ vanish => 'w', 4 ]);
mkdir $own or die $!;
append_to_file("$own/$_->[0]", $_->[1] x ($_->[2] * $mb)) for @files;
$node->safe_psql('postgres', 'CREATE TABLE t AS SELECT generate_series(1, 1000) AS i');
my $sum = bkc_checksum($node);

# One worker; it pauses in the first frame of "grow", the second of "shrink" and
# the second of "vanish_open".
bkc_set_fault($node, join ',', map { "copy-frame=sleep:2000\@$_" } 1, 11, 15);
my $id = $node->safe_psql('postgres', q(SELECT backup_now(wait => false, options => '{"jobs": 1}')));

sub at
{
	my ($bytes, $change) = @_;

	$node->poll_query_until('postgres',
		"SELECT workers = 1 AND bytes_done = $bytes FROM backup_progress WHERE id = $id")
	  or die "the backup does not pause at $bytes bytes";
	$change->();
	return;
}

at(
	0,
	sub {
		append_to_file("$own/grow", 'x' x $mb);
		truncate "$own/empty", 0 or die $!;
		append_to_file("$own/new", 'n' x (5 * $mb));
		rename "$own/new", "$own/replace" or die $!;
		unlink "$own/vanish" or die $!;
	});
at(10 * $mb, sub { truncate "$own/shrink", 3 * $mb + 17 or die $! });
at(13 * $mb + 17, sub { unlink "$own/vanish_open" or die $! });
my $backup = bkc_backup_end($node, $id);
bkc_clear_fault($node);
is($backup->{status}, 'completed', 'the backup completes') or diag($backup->{error});
is(decode_json($backup->{metadata})->{vanished_files}, 1, 'a file has vanished');
bkc_client_ok([ 'verify', '--repo', bkc_repo_url($node) ], 'verify');
is($node->safe_psql('postgres', 'SELECT backup_verify()'), 'passed', 'backup_verify');
$node->stop;

my $copy = bkc_restore($node, 'copy');
my $new = $copy->data_dir . '/own';
is(-s "$new/grow", 9 * $mb, 'a file that grew has the size it was listed with');
is(slurp_file("$new/grow"), 'g' x (9 * $mb), 'and its content');
is(-s "$new/shrink", 3 * $mb + 17, 'a file that shrank has its new size');
is(-s "$new/empty", 0, 'one that was emptied is empty');
is(slurp_file("$new/replace"), 'n' x (5 * $mb), 'one that was replaced is the new one');
ok(!-e "$new/vanish", 'one that vanished before it was opened is not there');
is(slurp_file("$new/vanish_open"), 'v' x (7 * $mb),
	'one that vanished while it was read is complete');
bkc_judge($copy, $sum);

done_testing();
