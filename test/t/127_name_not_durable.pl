# An object is there, but its name was not made durable: whoever stored it failed or died just
# then.  It is not reported as archived before somebody has made it so.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node(
	'main',
	small => 1,
	initdb => ['--wal-segsize=1'],
	conf => bkc_archiving() . "pg_backupctl.wal_workers = 0\npg_backupctl.rpo_target = 0\nautovacuum = off\n");

bkc_backup($node);
bkc_archived($node, 'at first', bkc_segments($node, 1));
my $archived = 'SELECT archived_count FROM pg_stat_archiver';
my $before = $node->safe_psql('postgres', $archived);

bkc_set_fault($node, 'store-named=fail,store-sync=fail');
my ($file) = bkc_segments($node, 1);
ok( bkc_poll(sub { scalar(() = bkc_repo_objects($node, qr{/\Q$file\E$})) == 1 }),
	'the object is there');
bkc_wait_for_sql($node, q(SELECT last_error ~ 'store-sync' FROM backup_archiver),
	't', 'the next attempt finds it, and wants it durable');
is($node->safe_psql('postgres', $archived), $before, 'it is not reported');
is_deeply([ bkc_wal_status($node, 'ready') ], [$file], 'it waits');

bkc_set_fault($node, 'store-named=fail');
bkc_archived($node, 'once its name is durable', $file);
bkc_wait_for_sql($node, q(SELECT status FROM backup_archiver), 'archiving', 'all is well');

# what the archiver has stored itself needs nobody's help
bkc_set_fault($node, 'store-sync=fail');
bkc_archived($node, 'stored at once', bkc_segments($node, 1));
bkc_clear_fault($node);

done_testing();
