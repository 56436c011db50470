# The catalog rebuilt from a sealed repository: with its keys as it was, also of a backup that was
# shredded; what another key would open is left out, and nothing is lost by that.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $folder = PostgreSQL::Test::Utils::tempdir;

bkc_client_ok([ 'keygen', '--out', "$folder/$_" ], "keygen $_") for qw(one two);

my $node = bkc_node('main', small => 1, initdb => ['--wal-segsize=1'], conf => <<"CONF");
pg_backupctl.encryption = required
pg_backupctl.encryption_key_file = '$folder/one'
CONF

sub catalog
{
	return $node->safe_psql('postgres', <<'SQL');
SET TimeZone = 'UTC';
SELECT to_jsonb(c) - ARRAY['id', 'created_at'] #- '{metadata,shredded,at}' FROM backup_catalog c ORDER BY label
SQL
}

my ($kept, $shredded) = map { bkc_backup($node, q('full', tier => 'daily')) } 1 .. 2;
$node->safe_psql('postgres', "SELECT backup_hold($kept->{id}, 'case 4711')");
my $sealed = catalog();
$node->safe_psql('postgres', 'DELETE FROM backup_catalog');
is($node->safe_psql('postgres', 'SELECT added, updated, missing FROM backup_catalog_sync()'), '2|0|0', 'sealed backups are added');
is(catalog(), $sealed, 'as they were');

# ---- with another key ----

$node->safe_psql('postgres', "ALTER SYSTEM SET pg_backupctl.encryption_key_file = '$folder/two'");
$node->reload;
bkc_wait_for_sql($node, "SHOW pg_backupctl.encryption_key_file", "$folder/two", 'another key');
$node->psql('postgres', 'SELECT * FROM backup_catalog_sync()');
is(catalog(), $sealed, 'what does not open changes nothing');
$node->safe_psql('postgres', "ALTER SYSTEM SET pg_backupctl.encryption_key_file = '$folder/one'");
$node->reload;
bkc_wait_for_sql($node, "SHOW pg_backupctl.encryption_key_file", "$folder/one", 'the right key');

# ---- shredded ----

is($node->safe_psql('postgres', "SELECT backup_shred((SELECT id FROM backup_catalog WHERE label = '$shredded->{label}'), 'a request')"),
	1, 'one is shredded');
is($node->safe_psql('postgres', 'SELECT added, updated, missing FROM backup_catalog_sync()'), '0|0|0', 'the catalog knows it');
my $right = catalog();
$node->safe_psql('postgres', "UPDATE backup_catalog SET encryption_status = 'AES-256-GCM', metadata = metadata - 'shredded' WHERE label = '$shredded->{label}'");
is($node->safe_psql('postgres', 'SELECT added, updated, missing FROM backup_catalog_sync()'), '0|1|0', 'or learns of it');
is(catalog(), $right, 'and is right again');
$node->safe_psql('postgres', 'DELETE FROM backup_catalog');
is($node->safe_psql('postgres', 'SELECT added, updated, missing FROM backup_catalog_sync()'), '2|0|0', 'added when it is unknown');
is($node->safe_psql('postgres', "SELECT status, encryption_status, encryption_key_id, backup_type, tier, backup_size_bytes, metadata->'shredded'->>'reason' FROM backup_catalog WHERE label = '$shredded->{label}'"),
	'completed|shredded||full|daily||a request', 'with what can be known of it');
is($node->safe_psql('postgres', "SELECT to_jsonb(c) - ARRAY['id', 'created_at'] FROM backup_catalog c WHERE label = '$kept->{label}'") ne '', 1, 'the other one is there');
$node->stop;

done_testing();
