# The catalog is rebuilt from the repository and is what it was, column by column: after rows were
# deleted, the extension was recreated, a restore of the past; foreign clusters are left alone, and
# backups whose manifest is gone are missing until it is back.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('main', small => 1, initdb => ['--wal-segsize=1'], conf => bkc_archiving());
my $dir = bkc_repo_dir($node);

# What is compared: all but ids, when a row was made, and how long a verification took.
sub catalog
{
	my ($server) = @_;

	return $server->safe_psql('postgres', <<'SQL');
SET TimeZone = 'UTC';
SELECT to_jsonb(c) - ARRAY['id', 'created_at', 'parent_id'] #- '{metadata,verification,seconds}',
	(SELECT string_agg(concat_ws(' ', y.repository, y.status, y.verification), ',' ORDER BY y.repository)
	 FROM backup_copy y WHERE y.backup_id = c.id)
FROM backup_catalog c WHERE label IS NOT NULL AND status IN ('completed', 'missing') ORDER BY label
SQL
}

sub sync_is
{
	my ($server, $expected, $what) = @_;

	return is($server->safe_psql('postgres', 'SELECT * FROM backup_catalog_sync()'), $expected, $what);
}

$node->safe_psql('postgres', 'CREATE TABLE t AS SELECT generate_series(1, 100) AS a');
my $first = bkc_backup($node, q('full', tier => 'monthly', retention => '7 years', options => '{"jobs": 2, "checkpoint": "fast"}'));
my $second = bkc_backup($node);
is($node->safe_psql('postgres', "SELECT backup_verify($second->{id})"), 'passed', 'one is verified');
is($node->safe_psql('postgres', "SELECT backup_hold($first->{id}, 'case 4711')"), 1, 'one is held');
is($node->safe_psql('postgres', "SELECT backup_hold($second->{id}, 'x'); SELECT backup_release($second->{id})"), "1\n1",
	'the other is, and is released');
is(scalar(bkc_repo_objects($node, qr{/notes/.*-catalog$})), 2, 'each backup has a note for the catalog');
$node->safe_psql('postgres', "SELECT register_backup('pg_dump', '/mnt/dumps/monday.dump', 1000)");

# ---- nothing to do, rows deleted, the extension recreated ----

my $right = catalog($node);
sync_is($node, 'main|0|0|0|0', 'nothing to do');
is(catalog($node), $right, 'and nothing is changed');
$node->safe_psql('postgres', "DELETE FROM backup_catalog WHERE id = $first->{id}");
sync_is($node, 'main|1|0|0|0', 'a row that was deleted is added');
is(catalog($node), $right, 'as it was');
is($node->safe_psql('postgres', 'SELECT count(*) FROM backup_catalog WHERE label IS NULL'), 1, 'what was registered is left alone');
$node->safe_psql('postgres', 'DROP EXTENSION pg_backupctl CASCADE; CREATE EXTENSION pg_backupctl');
sync_is($node, 'main|2|0|0|0', 'all rows of a new catalog are added');
is(catalog($node), $right, 'as they were');
is($node->safe_psql('postgres', "SELECT kind, result FROM backup_event WHERE kind = 'sync'"), 'sync|ok', 'an event tells of it');

# ---- known rows that the notes know better ----

$node->safe_psql('postgres', <<'SQL');
UPDATE backup_catalog SET held = false, metadata = metadata - ARRAY['hold_at', 'hold_reason', 'hold_by'];
UPDATE backup_catalog SET verification_status = 'not verified', verification_date = NULL, metadata = metadata - 'verification';
UPDATE backup_copy SET verification = 'not verified';
SQL
sync_is($node, 'main|0|2|0|0', 'holds and verifications are taken from the notes');
is(catalog($node), $right, 'as they were');
$node->safe_psql('postgres', "UPDATE backup_catalog SET status = 'failed', error = 'oops' WHERE label = '$second->{label}'; UPDATE backup_copy SET status = 'failed' WHERE backup_id IN (SELECT id FROM backup_catalog WHERE status = 'failed')");
sync_is($node, 'main|0|1|0|0', 'one that was taken for failed');
is(catalog($node), $right, 'is complete again');
$node->safe_psql('postgres', "UPDATE backup_catalog SET held = true WHERE label = '$second->{label}'; UPDATE backup_catalog SET metadata = metadata - 'hold_at' WHERE label = '$second->{label}'");
sync_is($node, 'main|0|0|0|0', 'who holds one by hand keeps it');
is($node->safe_psql('postgres', "SELECT held FROM backup_catalog WHERE label = '$second->{label}'"), 't', 'held');
$node->safe_psql('postgres', "UPDATE backup_catalog SET held = false WHERE label = '$second->{label}'");
sync_is($node, 'main|0|1|0|0', 'and when not');
is(catalog($node), $right, 'all is as it was');

# ---- a manifest that is gone ----

my ($manifest) = bkc_repo_objects($node, qr{$second->{label}/manifest$});
my $aside = $node->basedir . '/manifest';
rename "$dir/$manifest", $aside or die "could not rename: $!";
sync_is($node, 'main|0|0|1|0', 'it is missing');
is($node->safe_psql('postgres', "SELECT c.status, y.status FROM backup_catalog c JOIN backup_copy y ON y.backup_id = c.id WHERE label = '$second->{label}'"),
	'missing|missing', 'the catalog says so');
rename $aside, "$dir/$manifest" or die "could not rename: $!";
sync_is($node, 'main|0|1|0|0', 'it is back');
is(catalog($node), $right, 'as it was');

# a disk that is not mounted makes nothing missing
rename $dir, "$dir.away" or die "could not rename: $!";
mkdir $dir or die "could not make a folder: $!";
my ($status, $stdout, $stderr) = $node->psql('postgres', 'SELECT * FROM backup_catalog_sync()');
like($stderr, qr/does not hold cluster.*Is it mounted/s, 'an empty folder is no proof');
is(catalog($node), $right, 'nothing is missing');
PostgreSQL::Test::Utils::system_or_bail('rm', '-rf', $dir);
rename "$dir.away", $dir or die "could not rename: $!";

# ---- another cluster in the same repository ----

my $other = bkc_node('other', small => 1, repositories => 'main=' . bkc_repo_url($node));
my $foreign = bkc_backup($other);
my $foreign_right = catalog($other);
my $objects = join "\n", grep { /$foreign->{label}/ } bkc_repo_objects($node);
sync_is($node, 'main|0|0|0|1', 'it is counted');
sync_is($other, 'main|0|0|0|1', 'from either side');
is(catalog($node), $right, 'and not touched');
is(catalog($other), $foreign_right, 'neither is');
is(join("\n", grep { /$foreign->{label}/ } bkc_repo_objects($node)), $objects, 'no object of it is');
$other->stop;

# ---- the past restored: by itself ----

my $sysid = $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');
$node->safe_psql('postgres', "SELECT pg_create_restore_point('past')");
my $third = bkc_backup($node, q('full', tier => 'daily'));
$node->safe_psql('postgres', "SELECT backup_release((SELECT id FROM backup_catalog WHERE label = '$first->{label}'), 'closed')");
$right = catalog($node);
bkc_shipped($node);
$node->stop;
my $copy = bkc_restore($node, 'copy', args => [ '--cluster', $sysid, '--take-over', '--target-name', 'past' ]);
bkc_start_restored($copy);
bkc_wait_for_sql($copy, "SELECT count(*) FROM backup_catalog WHERE label = '$third->{label}' AND status = 'completed'", 1,
	'a restored server knows what came after its time');

# a release only counts where it was made: here somebody has to say it again
bkc_wait_for_sql($copy, 'SELECT count(*) FROM backup_progress', 0, 'the sync is over');
is($copy->safe_psql('postgres', "SELECT held FROM backup_catalog WHERE label = '$first->{label}'"), 't', 'a hold stays');
$copy->safe_psql('postgres', "SELECT backup_release((SELECT id FROM backup_catalog WHERE label = '$first->{label}'), 'closed')");
my $found = catalog($copy);
s/"hold_at": "[^"]*"/"hold_at"/g for $found, $right;
is($found, $right, 'its catalog is the one that was lost');
is($copy->safe_psql('postgres', "SELECT actor FROM backup_event WHERE kind = 'sync' ORDER BY id DESC LIMIT 1"), 'server', 'an event tells of it');

# ---- until it is done, retention waits ----

rename $dir, "$dir.away" or die "could not rename: $!";
$copy->restart;
bkc_wait_for_sql($copy, "SELECT pg_is_in_recovery()", 'f', 'started without its repository');
rename "$dir.away", $dir or die "could not rename: $!";
($status, $stdout, $stderr) = $copy->psql('postgres', 'SELECT * FROM backup_expire(false)');
like($stderr, qr/catalog sync is pending for repository "main"/, 'retention waits for the sync');
sync_is($copy, 'main|0|0|0|1', 'by hand');
($status, $stdout, $stderr) = $copy->psql('postgres', 'SELECT count(*) FROM backup_expire(false)');
is($status, 0, 'and goes on after it');
$copy->stop;

done_testing();
