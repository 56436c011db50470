# Recovery to a time, a location, a transaction, a restore point, the end of a
# backup and the end of WAL: each is judged by exactly the rows that were there,
# and by which backup was taken for it.

use strict;
use warnings;

use BkcTest;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node(
	'main',
	small => 1,
	initdb => ['--wal-segsize=1'],
	conf => bkc_archiving() . "track_commit_timestamp = on\n");
my $repo = bkc_repo_url($node);
my @rows;										# what is known about each of them

# One transaction that inserts the number; remembers when and where it was.
sub insert
{
	my ($i) = @_;
	my ($xid) = $node->safe_psql('postgres', "INSERT INTO t VALUES ($i) RETURNING pg_current_xact_id()");
	my %row = (xid => $xid);

	@row{qw(commit time lsn)} = split /\|/, $node->safe_psql('postgres', <<"SQL");
SELECT pg_xact_commit_timestamp('$xid'::xid) AT TIME ZONE 'UTC' || 'Z', clock_timestamp(), pg_current_wal_insert_lsn()
SQL
	$rows[$i] = \%row;
	return;
}

# Asserts that a restore leads to these rows; returns what it printed.
my $copies = 0;

sub leads_to
{
	my ($rows, $what, @args) = @_;
	my $copy = PostgreSQL::Test::Cluster->new('copy' . ++$copies);
	my $out = bkc_client_ok([ 'restore', '--repo', $repo, '--pgdata', $copy->data_dir, @args ],
		"restore to $what");

	if (bkc_start_restored($copy))
	{
		is($copy->safe_psql('postgres', q(SELECT coalesce(string_agg(i::text, ',' ORDER BY i), '') FROM t)),
			$rows, "$what: rows $rows");
		$copy->stop;
	}
	$copy->clean_node;
	return $out;
}

$node->safe_psql('postgres', 'CREATE TABLE t (i int)');
my $first = bkc_backup($node);
insert($_) for 1 .. 3;
$node->safe_psql('postgres', 'SELECT pg_switch_wal()');
insert(4);
$node->safe_psql('postgres', q(SELECT pg_create_restore_point('it''s here')));
insert($_) for 5 .. 6;
my $second = bkc_backup($node);
insert(7);
$node->safe_psql('postgres', 'SELECT pg_switch_wal()');
insert($_) for 8 .. 9;
bkc_shipped($node);

# ---- a time ----

my $out = leads_to('1,2,3', 'a time', '--target-time', $rows[3]{time});
like($out, qr/backup $first->{label}, /, 'from the backup before it');
like($out, qr/WAL from \S+ on timeline 1 to \d{4}-\d\d-\d\d \S+\+00 is complete$/m, 'says what WAL');
like($out, qr/^it is the only backup that ends before \d{4}.*\+00 on the way to timeline 1$/m, 'and why');
$out = leads_to('1,2,3,4,5,6,7,8', 'a time behind both backups', '--target-time', $rows[8]{time});
like($out, qr/backup $second->{label}, /, 'from the newer one');
like($out, qr/^it is the newest of 2 backups that end before /m, 'and why');
leads_to('1,2', 'the moment of a commit', '--target-time', $rows[2]{commit});
leads_to('1', 'before that moment', '--target-time', $rows[2]{commit}, '--target-inclusive', 'off');
leads_to('1,2,3,4,5,6,7', 'a time, from the older backup', '--target-time', $rows[7]{time},
	'--backup', $first->{label});

# ---- a location ----

$out = leads_to('1,2,3,4,5', 'a location', '--target-lsn', $rows[5]{lsn});
like($out, qr/backup $first->{label}, /, 'from the backup before it');
like($out, qr/ to $rows[5]{lsn} is complete$/m, 'says where to');
leads_to('1,2,3,4,5', 'the same, exclusive', '--target-lsn', $rows[5]{lsn}, '--target-inclusive', 'off');

# ---- a transaction, a restore point ----

$out = leads_to('1,2,3,4,5,6,7', 'a transaction', '--target-xid', $rows[7]{xid});
like($out, qr/^it is the newest of 2 backups that end before transaction $rows[7]{xid} on the way to timeline 1$/m,
	'from the newest backup before it');
$out = leads_to('1,2,3', 'an older transaction', '--target-xid', $rows[3]{xid});
like($out, qr/^it is the only backup that ends before transaction $rows[3]{xid} /m, 'from the older backup');
leads_to('1,2,3,4,5,6,7', 'before a transaction', '--target-xid', $rows[8]{xid},
	'--target-inclusive', 'off');
$out = leads_to('1,2,3,4', 'a restore point', '--target-name', "it's here");
like($out, qr/backup $first->{label}, /, 'from the backup before it');
like($out, qr/to \S+ on timeline 1 \(\d{4}[^)]*\) is complete$/m, 'says where WAL ends');
bkc_client_fails([ 'restore', '--repo', $repo, '--pgdata', $node->basedir . '/x', '--target-name', 'x' ],
	qr/restore point "x" is not in the WAL from backup $first->{label} on.*no older backup/s,
	'a restore point that nobody made');
bkc_client_fails([ 'restore', '--repo', $repo, '--pgdata', $node->basedir . '/x', '--target-xid',
		$rows[3]{xid}, '--backup', $second->{label} ],
	qr/transaction $rows[3]{xid} is not in the WAL from backup $second->{label} on.*Without --backup/s,
	'a transaction before the backup');

# ---- without a target, and the end of a backup ----

leads_to('1,2,3,4,5,6,7,8,9', 'the end');
leads_to('1,2,3,4,5,6,7,8,9', 'the end, from the older backup', '--backup', $first->{label});
leads_to('1,2,3,4,5,6', 'the end of the backup', '--immediate');
leads_to('', 'the end of the older backup', '--immediate', '--backup', $first->{label});

# ---- nothing happened since ----

$node->safe_psql('postgres', 'CREATE TABLE x (i int)');	# so that WAL goes on
my $idle = $node->safe_psql('postgres', 'SELECT clock_timestamp()');
$node->safe_psql('postgres', q(SELECT pg_logical_emit_message(false, 'x', 'no transaction')));
my $end = $node->safe_psql('postgres', 'SELECT pg_switch_wal()');
bkc_shipped($node);
bkc_wait_for_sql($node, "SELECT latest_time > '$idle' FROM backup_recovery_window");
$out = leads_to('1,2,3,4,5,6,7,8,9', 'a time behind the last transaction', '--target-time', $idle);
like($out, qr/^no transaction ended after .*: everything up to \S+ is restored$/m, 'and says so');
$out = leads_to('1,2,3,4,5,6,7,8,9', 'the end of WAL as a location', '--target-lsn', $end);

# ---- as JSON ----

my ($status, $stdout) = bkc_client('restore', '--repo', $repo, '--pgdata', $node->basedir . '/json',
	'--target-time', $idle, '--target-action', 'pause', '--json');
is($status, 0, 'restore --json');
my $json = decode_json($stdout);
is_deeply(
	[ @{ $json->{target} }{qw(kind inclusive action behind_all_wal)}, $json->{target_timeline} ],
	[ 'time', JSON::PP::true, 'pause', JSON::PP::true, 1 ], 'the target in JSON');
is("$json->{backup} $json->{suitable_backups}", "$second->{label} 2", 'the backup in JSON');

# ---- what list shows ----

like(bkc_client_ok([ 'list', '--repo', $repo ], 'list'),
	qr/^  WAL on timeline 1: 0\/\w+ to 0\/\w+ in \d+ segments.*^  can be restored: .* on timeline 1, from 2 backups$/ms,
	'list shows WAL and what can be restored');

done_testing();
