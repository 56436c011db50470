# Beside other things: a standby, a promoted one, pg_basebackup and pg_dump at
# the same time, a backup session of SQL.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('main');

$node->safe_psql('postgres', 'CREATE TABLE t AS SELECT generate_series(1, 10000) AS i');

# ---- pg_basebackup, pg_dump and pg_backup_start while a backup runs ----

my $session = $node->background_psql('postgres');
my $backup = bkc_backup_during(
	$node,
	sub {
		$node->backup('base');
		$node->command_ok([ 'pg_dump', '-f', $node->basedir . '/dump.sql', 'postgres' ], 'pg_dump');
		$session->query_safe(q(SELECT pg_backup_start('by hand', true)));
	});
is($backup->{status}, 'completed', 'a backup beside pg_basebackup');
like($session->query_safe('SELECT labelfile FROM pg_backup_stop(false)'), qr/LABEL: by hand/,
	'the backup of an SQL session is not disturbed');
$session->quit;
ok(!-e $node->data_dir . '/backup_label', 'no backup_label is left');
my $sum = bkc_checksum($node);
my $copy = bkc_restore($node, 'copy', args => [ '--backup', $backup->{label} ]);
bkc_judge($copy, $sum);
$copy->clean_node;

# ---- a standby made by pg_basebackup ----

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
my @before = bkc_repo_objects($node);
bkc_backup_fails($standby, q('full'), qr/backups on a standby are not supported yet/,
	'a standby refuses');
my ($status, $stdout, $stderr) = $standby->psql('postgres', 'SELECT backup_verify()');
isnt($status, 0, 'backup_verify, too');
is_deeply([ bkc_repo_objects($node) ], \@before, 'it writes nothing into the repository');

# ---- a standby made from a backup ----

my $second = bkc_restore($node, 'second', args => [ '--backup', $backup->{label} ]);
bkc_adopt($second);
unlink $second->data_dir . '/recovery.signal' or die $!;
$second->set_standby_mode;
$second->append_conf('postgresql.auto.conf', "primary_conninfo = '@{[$node->connstr]}'");
$second->start;
$node->safe_psql('postgres', 'INSERT INTO t VALUES (-1)');
$node->wait_for_catchup($second);
is($second->safe_psql('postgres', 'SELECT count(*) FROM t WHERE i < 0'), 1,
	'a standby made from a backup follows');
$second->stop;

# ---- promoted: a data directory of its own, on another timeline ----

ok(bkc_poll(sub { -e $standby->data_dir . '/pg_backupctl/standby' }), 'it was seen streaming');
$node->stop;
$standby->promote;
$standby->safe_psql('postgres', 'INSERT INTO t VALUES (0)');
my $after = bkc_backup($standby);
is("$after->{status} $after->{timeline}", 'completed 2', 'after its promotion it takes backups');
$sum = bkc_checksum($standby);
is($standby->safe_psql('postgres', "SELECT backup_verify($after->{id})"), 'passed',
	'and verifies them');
isnt(slurp_file($standby->data_dir . '/pg_backupctl/owner'),
	slurp_file($node->data_dir . '/pg_backupctl/owner'),
	'under a name of its own');
$standby->stop;
my $last = bkc_restore($node, 'last', args => [ '--backup', $after->{label} ]);
bkc_judge($last, $sum, running => 1);
is($last->safe_psql('postgres', 'SELECT timeline_id FROM pg_control_checkpoint()'), 3,
	'on timeline 3');
$last->stop;

done_testing();
