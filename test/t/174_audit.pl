# backup_event knows of changed settings, of a catalog that has moved to another data directory, and
# of what superusers and others did: by whom.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('main', small => 1, initdb => ['--wal-segsize=1'], conf => bkc_archiving());

# All events of that kind, in order; setting events are waited for.
sub events
{
	my ($server, $kind, $columns) = @_;

	return $server->safe_psql('postgres',
		"SELECT $columns FROM backup_event WHERE kind = '$kind' ORDER BY id");
}

sub setting_events_are
{
	my ($server, $expected, $what) = @_;

	return bkc_wait_for_sql($server,
		q(SELECT string_agg(severity || ': ' || message, E'\n' ORDER BY id) FROM backup_event WHERE kind = 'setting'),
		$expected, $what);
}

sub set
{
	my ($server, $line) = @_;

	append_to_file($server->data_dir . '/postgresql.conf', "$line\n");
	$server->reload;
	return;
}

my $said = 'info: first look at the settings';
setting_events_are($node, $said, 'what there was at first');
is($node->safe_psql('postgres', q(SELECT detail -> 'settings' ->> 'archive_library', detail -> 'settings' ? 'pg_backupctl.fault', detail ->> 'timeline' FROM backup_event WHERE kind = 'setting')),
	'pg_backupctl|f|1', '... with all of it');

set($node, 'pg_backupctl.enabled = off');
$said .= qq(\nwarning: pg_backupctl.enabled was "on", is "off");
setting_events_are($node, $said, 'switched off');
set($node, "pg_backupctl.enabled = on\npg_backupctl.max_rate = '10MB'");
$said .= qq(\ninfo: pg_backupctl.enabled was "off", is "on"; pg_backupctl.max_rate was "0", is "10240");
setting_events_are($node, $said, 'switched on, with another change');
set($node, 'work_mem = 5MB');
$node->restart;
set($node, 'pg_backupctl.max_rate = 0');
$said .= qq(\ninfo: pg_backupctl.max_rate was "10240", is "0");
setting_events_are($node, $said, 'nothing is noted of reloads and starts that change nothing');

set($node, q(pg_backupctl.encryption_key_command = 'echo secret-in-a-command'));
bkc_wait_for_sql($node, q(SELECT count(*) FROM backup_event WHERE kind = 'setting' AND message LIKE '%encryption_key_command was "", is "SHA-256 %'), '1', 'a command has changed');
is($node->safe_psql('postgres', q(SELECT count(*) FROM backup_event e WHERE e::text LIKE '%secret-in%')), '0', '... and is not shown');
set($node, q(pg_backupctl.encryption_key_command = ''));

# ---- who did what ----

$node->safe_psql('postgres', <<'SQL');
CREATE ROLE ann LOGIN;
GRANT EXECUTE ON FUNCTION register_backup, update_backup_verification, backup_clock_is_right TO ann;
SQL
my $id = $node->safe_psql('postgres', q(SELECT register_backup('dump', '/somewhere', 1)), extra_params => [ '-U', 'ann' ]);
is(events($node, 'register', 'actor, backup_id, message'), "ann|$id|dump backup /somewhere", 'who registered a backup');
$node->safe_psql('postgres', "SELECT update_backup_verification($id, 'failed', true)", extra_params => [ '-U', 'ann' ]);
is(events($node, 'verify', 'actor, backup_id, severity, result, message'),
	"ann|$id|critical|failed|registered backup: failed, restored", 'who said that it is bad');
$node->safe_psql('postgres', 'SELECT backup_clock_is_right()', extra_params => [ '-U', 'ann' ]);
is(events($node, 'clock', 'actor, client IS NOT NULL'), 'ann|t', 'who said that the clock is right');
my ($status, $out, $err) = $node->psql('postgres',
	q(SELECT backup_event_add('clock', 'forged')), extra_params => [ '-U', 'ann' ]);
like($err, qr/permission denied for function backup_event_add/, 'a caller writes no event by himself');

my $super = $node->safe_psql('postgres', 'SELECT current_user');
$node->safe_psql('postgres', 'SELECT backup_take_over()');
is(events($node, 'take-over', 'actor, repository'), "$super|main", 'who took over');
$node->psql('postgres', 'BEGIN; SELECT backup_take_over(); SELECT 1/0');
is(events($node, 'take-over', 'count(*) OVER ()'), '1', 'what was rolled back is in the log only');

# ---- the catalog comes to another data directory ----

bkc_backup($node);
bkc_shipped($node);
$node->stop;
my $copy = bkc_restore($node, 'copy', args => ['--take-over']);
bkc_start_restored($copy);
bkc_wait_for_sql($copy, q(SELECT severity, message LIKE 'another data directory than before: %; its timeline is 2%' FROM backup_event WHERE kind = 'setting' ORDER BY id DESC LIMIT 1),
	'warning|t', 'the successor tells of its restore');

done_testing();
