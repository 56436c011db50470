# Copy workers: as many as asked for, fewer when there are no slots for them,
# and the leader by itself when there are none at all.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('main', conf => "max_logical_replication_workers = 0\n");

$node->safe_psql('postgres', <<'SQL');
CREATE TABLE t AS SELECT i, md5(i::text) AS hash FROM generate_series(1, 50000) AS i;
CREATE INDEX ON t (hash);
SQL
my $sum = bkc_checksum($node);

# Restart with that many worker slots, back up with four jobs, and see that the
# backup was made by so many.
sub backup_with
{
	my ($slots, $workers, $what) = @_;

	$node->append_conf('postgresql.conf', "max_worker_processes = $slots");
	$node->restart;
	bkc_wait_for_sql($node, 'SELECT NOT EXISTS (SELECT FROM backup_jobs())', 't',
		'leftovers are settled');

	my ($status, $stdout, $stderr) =
	  $node->psql('postgres', q(SELECT backup_now('full', options => '{"jobs": 4}')));
	is($status, 0, "$what: backup") or diag($stderr);
	my $plural = $workers == 1 ? '' : 's';
	like($stderr, qr/NOTICE:  backup \S+ to "main": .* files, $workers worker$plural$/m,
		"$what: $workers announced");
	my $backup = bkc_catalog($node);
	like($backup->{metadata}, qr/"workers": $workers\b/, "$what: the catalog says so");
	my %packs = map { $_ => 1 } map { m{/\Q$backup->{label}\E/data/(\d+)-} ? $1 : () } bkc_repo_objects($node);
	cmp_ok(scalar(keys %packs), '<=', $workers + 1,
		"$what: packs of at most $workers and the leader");
	my $copy = bkc_restore($node, "copy_$slots", args => [ '--backup', $backup->{label} ]);
	bkc_judge($copy, $sum);
	$copy->clean_node;
	return;
}

backup_with(16, 4, 'slots for all');
# launcher and WAL streamer have one each
backup_with(5, 2, 'slots for two');
backup_with(4, 1, 'a slot for one');
backup_with(3, 1, 'no slot but the leader\'s');

# ---- the leader alone stores WAL meanwhile and can be cancelled ----

bkc_set_fault($node, 'copy-file=sleep:2');
my $id = $node->safe_psql('postgres', 'SELECT backup_now(wait => false)');
bkc_wait_for_sql($node,
	"SELECT files_done > 10 AND workers = 0 FROM backup_progress WHERE id = $id");
$node->safe_psql('postgres',
	'SELECT pg_switch_wal(); CREATE TABLE later AS SELECT 1 AS a; SELECT pg_switch_wal()');
my $backup = bkc_backup_end($node, $id);
is($backup->{status}, 'completed', 'a backup by the leader alone, with segments switched');
bkc_clear_fault($node);
my $copy = bkc_restore($node, 'alone');
bkc_judge($copy, bkc_checksum($node));

bkc_set_fault($node, 'copy-file=sleep:50');
$id = $node->safe_psql('postgres', 'SELECT backup_now(wait => false)');
bkc_wait_for_sql($node, "SELECT files_done > 2 FROM backup_progress WHERE id = $id");
is($node->safe_psql('postgres', "SELECT backup_cancel($id)"), 't', 'backup_cancel');
is(bkc_backup_end($node, $id)->{status}, 'cancelled', 'cancels it');
bkc_clear_fault($node);

# ---- not even a slot for the leader ----

$node->append_conf('postgresql.conf', 'max_worker_processes = 1');
$node->restart;
my $stderr = bkc_backup_fails($node, q('full'), qr/no background worker slot is free/,
	'no slot for the leader');
like($stderr, qr/HINT:  Increase max_worker_processes \(now 1\)/, 'with a hint');
$node->append_conf('postgresql.conf', 'max_worker_processes = 4');
$node->restart;
is(bkc_backup($node)->{status}, 'completed', 'with slots it works again');
$node->stop;

done_testing();
