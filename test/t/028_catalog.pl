# The catalog is only an index: whatever keeps the leader from writing it does
# not keep the backup from being taken.  It may lie in any database and schema.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $database = 'ad"min\'s db';
my $node = bkc_node('main', extension => 0, conf => "pg_backupctl.database = 'ad\"min''s db'\n");
my $quoted = '"ad""min\'s db"';

sub query
{
	my ($sql) = @_;

	return $node->safe_psql($database, "SET search_path = \"odd schema\", public; $sql");
}

$node->safe_psql('postgres', "CREATE DATABASE $quoted");
$node->safe_psql($database,
	'CREATE SCHEMA "odd schema"; CREATE EXTENSION pg_backupctl SCHEMA "odd schema"');
$node->safe_psql($database, 'CREATE TABLE t AS SELECT generate_series(1, 1000) AS i');
my $sum = bkc_checksum($node);

# Asserts that a backup works, is in the catalog and passes verification.
sub works
{
	my ($what) = @_;
	my $id = query('SELECT backup_now()');

	is(query("SELECT status FROM backup_catalog WHERE id = $id"), 'completed', "$what: backup");
	is(query("SELECT backup_verify($id)"), 'passed', "$what: verification");
	return $id;
}

works('another database and schema');

# ---- settings that are in the way of writing, or of reading what was written ----

for my $setting ([ default_transaction_read_only => 'on' ],
	[ default_transaction_isolation => 'serializable' ],
	[ default_transaction_deferrable => 'on' ],
	[ synchronous_standby_names => 'nobody' ],
	[ statement_timeout => '1ms' ],
	[ datestyle => 'SQL, DMY' ],
	[ timezone => 'Asia/Kathmandu' ],
	[ standard_conforming_strings => 'off' ],
	[ session_replication_role => 'origin' ],
	[ search_path => 'public' ],
	[ row_security => 'off' ])
{
	my ($name, $value) = @$setting;

	# the sessions of this test are not meant
	local $ENV{PGOPTIONS} = '-c default_transaction_read_only=off -c statement_timeout=0 '
	  . '-c synchronous_commit=local';

	$node->safe_psql('postgres', "ALTER SYSTEM SET $name = '$value'");
	$node->reload;
	bkc_wait_for_sql($node, "SELECT reset_val FROM pg_settings WHERE lower(name) = '$name'", $value,
		"$name is set")
	  if $ENV{PGOPTIONS} !~ /$name/;
	works("$name = $value");
	$node->safe_psql('postgres', "ALTER SYSTEM RESET $name");
	$node->reload;
}
is( query("SELECT count(*) FROM backup_catalog WHERE finished_at BETWEEN backup_date AND backup_date + interval '1 hour'"),
	query('SELECT count(*) FROM backup_catalog'),
	'times are right in every time zone');

# ---- what others do to its tables ----

query(<<'SQL');
CREATE FUNCTION forbid() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'no'; END$$;
CREATE TRIGGER forbid BEFORE INSERT OR UPDATE ON backup_catalog FOR EACH ROW EXECUTE FUNCTION forbid();
SQL
works('a trigger');
query('DROP TRIGGER forbid ON backup_catalog');

query(q(ALTER TABLE backup_catalog ADD CONSTRAINT forbid CHECK (status <> 'completed') NOT VALID));
my $id = query('SELECT backup_now()');
my $label = query("SELECT label FROM backup_catalog WHERE id = $id");
is(query("SELECT status FROM backup_catalog WHERE id = $id"), 'running',
	'a row that cannot be written');
bkc_client_ok([ 'verify', '--repo', bkc_repo_url($node), '--backup', $label ],
	'is no reason for a backup to fail');
query('ALTER TABLE backup_catalog DROP CONSTRAINT forbid');
ok( $node->poll_query_until($database,
		"SELECT status = 'completed' FROM \"odd schema\".backup_catalog WHERE id = $id"),
	'the catalog follows');

# ---- no catalog at all ----

bkc_set_fault($node, 'leader-copied=sleep:1000');
$id = query('SELECT backup_now(wait => false)');
$label = query("SELECT label FROM backup_catalog WHERE id = $id");
$node->safe_psql($database, 'DROP EXTENSION pg_backupctl');
bkc_clear_fault($node);
my ($manifest) = bkc_repo_dir($node) . '/' . ($node->safe_psql('postgres',
		'SELECT system_identifier FROM pg_control_system()')) . "/backups/$label/manifest";
ok(bkc_poll(sub { -e $manifest }), 'a backup whose catalog was dropped is completed');
$node->stop;
bkc_judge(bkc_restore($node, 'copy', args => [ '--backup', $label ]), $sum);

done_testing();
