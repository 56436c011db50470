# Settings of the source that would lead recovery astray: targets, standby
# settings, commands, limits given on the command line.  And paths that a shell
# or a configuration file could misread.

use strict;
use warnings;

use BkcTest;
use File::Copy qw(copy);
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('main', start => 0);
my $dir = $node->basedir . "/re'po 100% \$x";
my $url = 'file://' . $dir =~ s/%/%25/r =~ s/ /%20/gr;

mkdir $dir or die $!;
mkdir $node->data_dir . '/conf.d' or die $!;
append_to_file($node->data_dir . '/conf.d/recovery.conf', <<'CONF');
recovery_target_time = '2001-01-01 00:00:00+00'
recovery_target_action = shutdown
archive_cleanup_command = 'false'
recovery_end_command = 'false'
CONF
$node->append_conf('postgresql.conf', <<"CONF");
pg_backupctl.repositories = 'main=@{[$url =~ s/'/''/gr]}'
include_dir 'conf.d'
restore_command = 'false'
recovery_target_timeline = '7'
primary_conninfo = 'host=/nowhere'
primary_slot_name = 'nothing'
recovery_min_apply_delay = '1h'
synchronous_standby_names = '*'
synchronous_commit = local
promote_trigger_file = '/nonexistent'
archive_mode = on
archive_command = 'true'
hot_standby = off
max_prepared_transactions = 3
CONF

# more than the files say, and recovery wants that, too
command_ok(
	[
		'pg_ctl', '-w', '-D', $node->data_dir, '-l', $node->logfile, '-o',
		'-c max_connections=123 -c max_locks_per_transaction=77 -c max_wal_senders=17', 'start'
	],
	'start with settings on the command line');
$node->_update_pid(1);
bkc_extension($node);
$node->safe_psql('postgres', <<'SQL');
ALTER SYSTEM SET recovery_target_xid = '1234567';
ALTER SYSTEM SET primary_conninfo = 'host=/elsewhere';
ALTER SYSTEM SET pg_backupctl.jobs = 2;
CREATE TABLE t AS SELECT generate_series(1, 1000) AS i;
SQL
my $sum = bkc_checksum($node);
my $backup = bkc_backup($node);
is($backup->{status}, 'completed', 'a repository with an unusual name');

# ---- a clone, in a folder with an unusual name, by a program in another ----

mkdir $node->basedir . "/bin 'dir'" or die $!;
my $program = $node->basedir . "/bin 'dir'/pg_backup%ctl";
my ($found) = grep { -x } map { "$_/pg_backupctl" } split /:/, $ENV{PATH};
copy($found, $program) or die $!;
chmod 0755, $program;
my $copy = PostgreSQL::Test::Cluster->new('copy');
command_ok([ $program, 'restore', '--repo', $url, '--pgdata', $copy->data_dir ], 'restore');
bkc_judge($copy, $sum, running => 1);
my %expected = (
	recovery_target_time => '', recovery_target_xid => '', recovery_target_timeline => '1',
	primary_conninfo => '', primary_slot_name => '', recovery_min_apply_delay => '0',
	archive_cleanup_command => '', recovery_end_command => '', promote_trigger_file => '',
	synchronous_standby_names => '', archive_mode => 'off', 'pg_backupctl.enabled' => 'off',
	max_connections => 123, max_locks_per_transaction => 77, max_wal_senders => 17,
	max_prepared_transactions => 3, 'pg_backupctl.jobs' => 2);
is($copy->safe_psql('postgres', "SHOW $_"), $expected{$_}, "$_ is '$expected{$_}'")
	for sort keys %expected;
$copy->safe_psql('postgres', 'SET synchronous_commit = on; INSERT INTO t VALUES (0)');
is($copy->safe_psql('postgres', 'SELECT timeline_id FROM pg_control_checkpoint()'), 2,
	'a new timeline');

# a second start is a plain one
$copy->restart;
is($copy->safe_psql('postgres', 'SELECT count(*) FROM t'), 1001, 'it starts again');
$copy->stop;

# ---- the successor keeps what belongs to a primary ----

$node->stop;
my $successor = bkc_restore($node, 'successor', repo => $url, args => ['--take-over']);
bkc_judge($successor, $sum, running => 1);
%expected = (
	recovery_target_time => '', recovery_target_xid => '', primary_conninfo => '',
	archive_mode => 'on',
	archive_command => 'true', 'pg_backupctl.enabled' => 'on', synchronous_standby_names => '*');
is($successor->safe_psql('postgres', "SHOW $_"), $expected{$_}, "successor: $_ is '$expected{$_}'")
	for sort keys %expected;
$successor->stop;

# ---- a data directory with quotes and spaces ----

my $odd = $node->basedir . "/da 'ta' dir";			# pg_ctl cannot do with " and $
my $out = bkc_client_ok([ 'restore', '--repo', $url, '--pgdata', $odd ],
	'restore into an unusual folder');
my ($command) = $out =~ /^start it with:  (.*)$/m;
append_to_file("$odd/postgresql.conf", 'port = ' . $copy->port . "\n");
is(system("$command -w -l '@{[$node->basedir]}/odd.log'"), 0,
	'the command that the summary names starts it');
bkc_wait_for_sql($copy, 'SELECT count(*) FROM t', 1000, 'it answers');
command_ok([ 'pg_ctl', '-D', $odd, '-w', 'stop' ], 'and stops');

done_testing();
