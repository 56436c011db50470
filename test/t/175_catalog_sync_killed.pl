# The catalog sync is killed at each of its points: the server restarts, the sync that it does by
# itself then is killed there, too, and once nothing kills it any more the catalog is, column by
# column, what a sync makes of the same damage without all that.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('main', small => 1, initdb => ['--wal-segsize=1'], conf => bkc_archiving() . "restart_after_crash = on\n");
my $dir = bkc_repo_dir($node);

# All but ids, and when a row was made.
sub catalog
{
	return $node->safe_psql('postgres', <<'SQL');
SET TimeZone = 'UTC';
SELECT to_jsonb(c) - ARRAY['id', 'created_at'] #- '{metadata,verification,seconds}',
	(SELECT string_agg(concat_ws(' ', y.repository, y.status, y.verification), ',' ORDER BY y.repository)
	 FROM backup_copy y WHERE y.backup_id = c.id)
FROM backup_catalog c ORDER BY label, backup_location
SQL
}

$node->safe_psql('postgres', 'CREATE TABLE t AS SELECT generate_series(1, 100) AS a');
my @backups = map { bkc_backup($node, $_) } (q('full', tier => 'monthly', retention => '7 years'),
	q('full'), q('full', options => '{"wal": "archive"}'), q('full', tier => 'daily'), q('full'), q('full'));
my @labels = map { $_->{label} } @backups;
my @ids = map { $_->{id} } @backups;

$node->safe_psql('postgres', <<"SQL");
SELECT backup_hold($ids[0], 'case 4711');
SELECT backup_hold($ids[1], 'x');
SELECT backup_release($ids[1]);
SELECT backup_hold($ids[3], 'case 4712');
SELECT register_backup('pg_dump', '/mnt/dumps/monday.dump', 1000);
SQL
$node->safe_psql('postgres', "SELECT backup_verify($_)") for @ids[ 0, 2, 3 ];

# one has lost its manifest
my ($manifest) = bkc_repo_objects($node, qr{\Q$labels[4]\E/manifest$});
rename "$dir/$manifest", $node->basedir . '/manifest' or die "could not rename: $!";

# Two rows are lost, one is taken for failed, one has forgotten its notes, one does not know that it
# is missing.
sub damage
{
	$node->safe_psql('postgres', <<"SQL");
DELETE FROM backup_catalog WHERE label IN ('$labels[0]', '$labels[1]');
UPDATE backup_catalog SET status = 'failed', error = 'interrupted', finished_at = '2026-01-01', stop_lsn = NULL, held = false,
	backup_size_bytes = NULL, verification_status = 'not verified', verification_date = NULL,
	metadata = metadata - ARRAY['files', 'hold_at', 'hold_reason', 'hold_by', 'verification']
	WHERE label = '$labels[3]';
UPDATE backup_copy y SET status = 'failed', verification = 'not verified' FROM backup_catalog c
	WHERE c.id = y.backup_id AND c.label = '$labels[3]';
UPDATE backup_catalog SET verification_status = 'not verified', verification_date = NULL, metadata = metadata - 'verification'
	WHERE label = '$labels[2]';
UPDATE backup_copy y SET verification = 'not verified' FROM backup_catalog c WHERE c.id = y.backup_id AND c.label = '$labels[2]';
UPDATE backup_catalog SET status = 'completed' WHERE label = '$labels[4]';
UPDATE backup_copy y SET status = 'completed' FROM backup_catalog c WHERE c.id = y.backup_id AND c.label = '$labels[4]';
SQL
	return;
}

damage();
my $damaged = catalog();
is($node->safe_psql('postgres', 'SELECT * FROM backup_catalog_sync()'), 'main|2|2|1|0', 'a sync that nobody kills');
my $right = catalog();
like($right, qr/^.*"held": true.*\Q$labels[0]\E.*main completed passed$/m, 'a row as it should be');
isnt($right, $damaged, 'that was needed');

for my $point (qw(sync-backup@1 sync-backup@2 sync-backup@4 sync-backup@5 sync-row sync-missing))
{
	my ($name, $at) = split /@/, $point;
	my $spec = "$name=kill" . ($at ? "\@$at" : '');

	damage();
	is(catalog(), $damaged, "$point: the catalog is damaged");
	bkc_set_fault($node, $spec);
	isnt($node->psql('postgres', 'SELECT * FROM backup_catalog_sync()'), 0, "$point: the server crashes");

	# it does so again and again
	$node->append_conf('postgresql.auto.conf', "pg_backupctl.fault = ''\n");
	$node->reload;
	bkc_wait_up($node);
	ok(bkc_poll(sub { catalog_or_none() eq $right }), "$point: the catalog mends itself") or diag(catalog());
	bkc_wait_for_sql($node, "SELECT count(*) FROM backup_jobs() WHERE job = 'settle'", 0, "$point: that is over");
	is($node->safe_psql('postgres', 'SELECT * FROM backup_catalog_sync()'), 'main|0|0|1|0', "$point: nothing is left to do");
	is(catalog(), $right, "$point: every column is right");
}

# The server may crash once more.
sub catalog_or_none
{
	return eval { catalog() } // '';
}
$node->stop;

done_testing();
