# pg_upgrade, twice, with a sealed repository: the catalog comes along, the new server backs up at once,
# adopts the one before, and with it the one before that; old servers are refused; keys are
# replaced for all of them; the oldest backup restores.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $keys = PostgreSQL::Test::Utils::tempdir;

bkc_client_ok([ 'keygen', '--out', "$keys/$_" ], "keygen $_") for qw(one two);

my $conf = bkc_archiving() . <<"CONF";
pg_backupctl.encryption = required
pg_backupctl.encryption_key_file = '$keys/one'
CONF
my $first = bkc_node('first', initdb => ['--wal-segsize=1'], conf => $conf);
my $url = bkc_repo_url($first);

sub sysid
{
	my ($node) = @_;

	return $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');
}

# A new cluster with what the stopped one has; started.
sub upgraded
{
	my ($old, $name) = @_;
	my $new = bkc_node($name, start => 0, initdb => ['--wal-segsize=1'], conf => $conf, repositories => "main=$url");
	my $bin = $old->config_data('--bindir');

	chdir $new->basedir or die "could not change the folder: $!";
	command_ok(
		[
			'pg_upgrade', '--no-sync', '-d', $old->data_dir, '-D', $new->data_dir, '-b', $bin, '-B', $bin,
			'-s', $new->host, '-p', $old->port, '-P', $new->port
		],
		"pg_upgrade to $name");
	$new->start;
	return $new;
}

# Rows by cluster, and how they are.
sub catalog
{
	my ($node) = @_;

	return $node->safe_psql('postgres',
		"SELECT system_identifier, status, count(*) FROM backup_catalog GROUP BY 1, 2 ORDER BY min(label)");
}

# What a monitor sees of the last backup.
sub last_backup
{
	my ($node) = @_;

	return $node->safe_psql('postgres', <<'SQL');
SET SESSION AUTHORIZATION watcher;
SELECT h.status, h.value, s.last_success, s.completed
FROM backup_health h JOIN backup_status s USING (repository) WHERE h.check_name = 'last_backup'
SQL
}

$first->safe_psql('postgres', 'CREATE TABLE t AS SELECT i, md5(i::text) FROM generate_series(1, 1000) AS i');
my $sum = bkc_checksum($first);
my $oldest = bkc_backup($first);
my $a = sysid($first);
bkc_shipped($first);
$first->stop;

# ---- once ----

my $second = upgraded($first, 'second');
my $b = sysid($second);
isnt($b, $a, 'it is another cluster');
is(catalog($second), "$a|completed|1", 'the catalog has come along');
$second->safe_psql('postgres', 'CREATE ROLE watcher IN ROLE pg_monitor');
is(last_backup($second), 'critical|never|never|0', 'but nothing in it restores the new cluster');
$second->safe_psql('postgres', 'SELECT backup_health_look()') for 1 .. 2;
is($second->safe_psql('postgres', "SELECT severity, message FROM backup_event WHERE kind = 'health' AND detail->>'check' = 'last_backup'"),
	"critical|last_backup: never, threshold 26 / 50 hours, take one: CALL backup_run(repository => 'main')", 'which is an alarm');
is($second->safe_psql('postgres', 'SELECT * FROM backup_catalog_sync()'), 'main|0|0|0|1', 'to the repository it is foreign');
is(bkc_backup($second)->{status}, 'completed', 'the new server takes a backup at once');
is($second->safe_psql('postgres', "SELECT backup_verify($oldest->{id})"), 'passed', 'the old backup can be verified');
ok(!bkc_repo_objects($first, qr{^$a/.*-verify$}), 'without a note in what is not ours');
my ($status, $stdout, $stderr) = $second->psql('postgres', "SELECT backup_hold($oldest->{id}, 'x')");
like($stderr, qr/cluster $a in repository "main" is not a predecessor of this one.*HINT:.*SELECT backup_adopt\($a\)/s, 'nor can it be held');
unlike($second->safe_psql('postgres', 'SELECT reason FROM backup_expire()'), qr/predecessor/, 'nor is it planned');
($status, $stdout, $stderr) = $second->psql('postgres', "SELECT * FROM backup_rotate_key('$keys/one', 'main', true)");
like($stderr, qr/cluster $a has backups in the catalog and is not rotated.*HINT:.*SELECT backup_adopt\($a\) first/s, 'nor is its key replaced, so the old one is not thrown away');
is($second->safe_psql('postgres', "SELECT backup_adopt($a, 'main', true)"), 1, 'adopted');
is($second->safe_psql('postgres', 'SELECT * FROM backup_catalog_sync()'), 'main|0|0|0|0', 'the catalog is right');
like($second->safe_psql('postgres', "SELECT reason FROM backup_expire() WHERE id = $oldest->{id}"), qr/^predecessor $a: no policy$/, 'now it is planned');
$second->safe_psql('postgres', 'INSERT INTO t VALUES (0)');
my $sum2 = bkc_checksum($second);
my $newer = bkc_backup($second);
bkc_shipped($second);
$second->stop;

# ---- and again ----

my $third = upgraded($second, 'third');
my $c = sysid($third);
is($third->safe_psql('postgres', "SELECT backup_adopt($b, force => true)"), 1, 'the second is adopted');
is($third->safe_psql('postgres', 'SELECT * FROM backup_catalog_sync()'), 'main|0|0|0|0', 'the first with it');
is(last_backup($third), 'critical|never|never|0', 'none of all these restores the third');
is(bkc_backup($third)->{status}, 'completed', 'a backup of the third');
like(last_backup($third), qr/^ok\|\d+ seconds? ago\|\d+ seconds? ago\|1$/, 'that one does');
is(catalog($third), "$a|completed|1\n$b|completed|2\n$c|completed|1", 'all are in the catalog');
is($third->safe_psql('postgres', "SELECT backup_adopt($a)"), 1, 'it is a predecessor already');
is($third->safe_psql('postgres', "SELECT backup_hold($oldest->{id}, 'case 4711')"), 1, 'the oldest is held');
$third->safe_psql('postgres', "SELECT backup_set_policy(keep_last => 2, pitr_window => '0')");
is($third->safe_psql('postgres', "SELECT count(*) FROM backup_expire(false) WHERE kind = 'backup' AND action = 'remove'"), 1, 'one goes');
is(catalog($third), "$a|completed|1\n$b|completed|1\n$c|completed|1", 'of the second cluster');
is($third->safe_psql('postgres', "SELECT reason FROM backup_expire() WHERE id = $oldest->{id}"), "predecessor $a: held: case 4711", 'the oldest stays');

# ---- old servers ----

for my $node ($first, $second)
{
	my $name = $node->name;
	my $successor = $node == $first ? $b : $c;

	$node->start;
	bkc_backup_fails($node, q('full'), qr/belongs to another data directory.*is the predecessor of cluster $successor,/s, "$name: refused");
	$node->stop;
}

# ---- another key ----

$third->safe_psql('postgres', "ALTER SYSTEM SET pg_backupctl.encryption_key_file = '$keys/two, $keys/one'");
$third->reload;
bkc_wait_for_sql($third, 'SHOW pg_backupctl.encryption_key_file', "$keys/two, $keys/one", 'the new key first');
is($third->safe_psql('postgres', "SELECT count(*), bool_and(data_keys > 0 AND removed > 0) FROM backup_rotate_key('$keys/two', 'main', true)"),
	'3|t', 'it is replaced in all three clusters');
bkc_shipped($third);
$third->stop;
my @key = ('--key-file', "$keys/two");
bkc_judge(bkc_restore($first, 'copy1', args => [ '--cluster', $a, '--immediate', @key ]), $sum);
bkc_judge(bkc_restore($first, 'copy2', args => [ '--cluster', $b, '--backup', $newer->{label}, '--immediate', @key ]), $sum2);

# ---- who owns the successor owns its predecessors ----

my $fourth = bkc_restore($first, 'fourth', args => [ '--cluster', $c, '--take-over', @key ]);
$fourth->append_conf('postgresql.auto.conf', "pg_backupctl.encryption_key_file = '$keys/two'\n");
bkc_start_restored($fourth);
is(bkc_backup($fourth)->{status}, 'completed', 'restored, it goes on');
bkc_wait_for_sql($fourth, "SELECT count(*) FROM backup_catalog WHERE id = $oldest->{id} AND held", 1, 'with its catalog');
is($fourth->safe_psql('postgres', "SELECT backup_release($oldest->{id})"), 1, 'the oldest is released');
is($fourth->safe_psql('postgres', "SELECT count(*) FROM backup_expire(false) WHERE kind = 'backup' AND action = 'remove' AND id = $oldest->{id}"), 1, 'and goes');
ok(!bkc_repo_objects($first, qr{^$a/backups/}), 'nothing of it is left');
$fourth->stop;

done_testing();
