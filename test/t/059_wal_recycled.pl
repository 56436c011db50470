# WAL of the backup's time is removed before it could be stored: a clean
# failure that says what to do.  With a replication slot that cannot happen.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('main', small => 1, initdb => ['--wal-segsize=1'], conf => <<'CONF');
max_replication_slots = 0
wal_keep_size = 0
min_wal_size = 2MB
max_wal_size = 64MB
CONF

$node->safe_psql('postgres',
	'CREATE TABLE numbers AS SELECT i FROM generate_series(1, 10000) AS i');

sub segments_pass
{
	$node->safe_psql('postgres',
		"INSERT INTO numbers VALUES (1);\nSELECT pg_switch_wal();\n" x 8 . 'CHECKPOINT');
	return;
}

# Without a slot, but in time.
is(bkc_backup($node)->{status}, 'completed', 'a backup works without replication slots');

# The leader is held before it has stored the first segment.
for my $fault ('leader-started=sleep:3000', 'wal-segment=sleep:3000@1')
{
	my $when =
	  $fault =~ /started/
	  ? q(phase = 'waiting for checkpoint')
	  : q(phase IN ('copying files', 'storing WAL'));
	my $job = bkc_hold($node, $fault, when => $when);
	my $id  = $node->safe_psql('postgres', 'SELECT id FROM backup_progress');
	my $err;

	segments_pass();
	$err = bkc_join_fails(
		$job,
		qr/ERROR:  WAL segment "[0-9A-F]{24}" was removed before the backup could store it/,
		"$fault: the backup fails");
	like($err, qr/HINT:.*max_replication_slots.*wal_keep_size/,
		"$fault: the hint tells what to do");
	bkc_settled($node, $fault);
	bkc_row_is($node, $id, 'failed', qr/was removed before/, $fault);
}
bkc_aftermath($node, 'without a slot');

# The same with a slot.
$node->adjust_conf('postgresql.conf', 'max_replication_slots', 10);
$node->restart;
my $job = bkc_hold($node, 'leader-started=sleep:3000', when => q(phase = 'waiting for checkpoint'));
my $id  = $node->safe_psql('postgres', 'SELECT id FROM backup_progress');
segments_pass();
my ($status, undef, $err) = bkc_join($job);
is($status, 0, 'with a slot: the backup works') or diag($err);
bkc_row_is($node, $id, 'completed', qr/^$/, 'with a slot');
is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_replication_slots'),
	0, 'with a slot: it is gone afterwards');
bkc_aftermath($node, 'with a slot', restore => 0);

# A slot that the server gives up because of its limit.
$node->append_conf('postgresql.conf', 'max_slot_wal_keep_size = 2MB');
$node->reload;
$job = bkc_hold($node, 'leader-started=sleep:3000', when => q(phase = 'waiting for checkpoint'));
segments_pass();
$err = bkc_join_fails(
	$job,
	qr/ERROR:  (?:WAL segment "[0-9A-F]{24}" was removed before|the job was terminated)/,
	'a slot that is given up: the backup fails');
bkc_aftermath($node, 'a slot that is given up', restore => 0);

# All slots are taken.
$node->append_conf('postgresql.conf', "max_slot_wal_keep_size = -1\nmax_replication_slots = 1");
$node->restart;
$node->safe_psql('postgres', q(SELECT pg_create_physical_replication_slot('other')));
is(bkc_backup($node)->{status}, 'completed', 'all slots taken: the backup works');
is($node->safe_psql('postgres', 'SELECT slot_name FROM pg_replication_slots'),
	'other', 'all slots taken: none was touched');
ok( $node->log_contains(
		qr/could not reserve WAL by a replication slot: all replication slots are in use/),
	'all slots taken: the log tells it');
$node->safe_psql('postgres', q(SELECT pg_drop_replication_slot('other')));

done_testing();
