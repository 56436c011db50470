# Alarms of what backup_health finds, where no job fails: archiving that fails between two backups,
# a backup that is overdue; told once, then that it is well.

use strict;
use warnings;

use BkcTest;
use BkcSinks;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('main', small => 1, initdb => ['--wal-segsize=1'],
	conf => bkc_archiving() . "pg_backupctl.health_interval = 1s\n");
my $hook = bkc_webhook();
my $dir = bkc_repo_dir($node);

sub sql
{
	my ($text) = @_;

	return $node->safe_psql('postgres', $text);
}

# All events of health so far.
sub health_is
{
	my ($expected, $what) = @_;

	return bkc_wait_for_sql($node,
		q(SELECT COALESCE(string_agg(concat_ws(' ', severity, result, repository, detail ->> 'check'), E'\n' ORDER BY id), '') FROM backup_event WHERE kind = 'health'),
		$expected, $what);
}

# Two more looks have found what they have found.
sub looked
{
	my $n = sql(q(SELECT jobs FROM backup_job_counts() WHERE job = 'schedule' AND result = 'completed'));

	return bkc_wait_for_sql($node, "SELECT jobs >= $n + 3 FROM backup_job_counts() WHERE job = 'schedule' AND result = 'completed'", 't', 'more looks');
}

sql("SELECT backup_notify_target('hook', 'webhook', '$hook->{url}/x')");
looked();
health_is('', 'a new cluster without backups raises no alarm');
bkc_backup($node);
bkc_archived($node, 'at first');
looked();
health_is('', 'nor one that is well');

# ---- the repository goes away, and no job needs it ----

rename $dir, "$dir.away" or die;
append_to_file($dir, 'in the way');
bkc_segments($node, 1);
health_is('warning failed main archiving', 'archiving fails: told');
looked();
health_is('warning failed main archiving', 'once');
like($node->safe_psql('postgres', q(SELECT message FROM backup_event WHERE kind = 'health')),
	qr/^archiving: failing, threshold 1 \/ 15 minutes, see last_error in backup_archiver$/, 'in words');
ok(bkc_poll(sub { grep { !$_->{body}{recovery} && $_->{body}{event}{message} =~ /archiving: failing/ } bkc_hooks($hook) }), 'the webhook was told')
  or diag explain [ bkc_hooks($hook) ];

unlink $dir;
rename "$dir.away", $dir or die;
bkc_archived($node, 'the repository is back');
health_is("warning failed main archiving\ninfo ok main archiving", 'well again: told');
ok(bkc_poll(sub { grep { $_->{body}{recovery} && $_->{body}{event}{message} =~ /archiving: archiving/ } bkc_hooks($hook) }), 'the webhook, too');

# ---- a threshold, and a server that is restarted meanwhile ----

sql("UPDATE backup_threshold SET warning = 0, critical = 0 WHERE check_name = 'last_backup'");
my $before = "warning failed main archiving\ninfo ok main archiving";
health_is("$before\ncritical failed main last_backup", 'a backup is overdue: told');
$node->restart;
looked();
health_is("$before\ncritical failed main last_backup", 'not again after a restart');
sql("UPDATE backup_health_told SET told_at = told_at - interval '1 hour'");
health_is("$before\ncritical failed main last_backup\ncritical failed main last_backup", 'again after an hour ...');
bkc_wait_for_sql($node, 'SELECT last_event = (SELECT max(id) FROM backup_event) FROM backup_target', 't', '... the target has seen it');
is(scalar(grep { $_->{body}{event}{message} =~ /last_backup: / } bkc_hooks($hook)), 1, '... and repeats nothing before its interval');

append_to_file($node->data_dir . '/postgresql.conf', "pg_backupctl.health_interval = 0\n");
$node->reload;
sql("UPDATE backup_threshold SET warning = NULL, critical = NULL WHERE check_name = 'last_backup'");
append_to_file($node->data_dir . '/postgresql.conf', "pg_backupctl.health_interval = 1\n");
$node->reload;
health_is("$before\ncritical failed main last_backup\ncritical failed main last_backup\ninfo ok main last_backup", 'a threshold that is null is never reached');


# ---- without the extension looks go on, one an interval ----

my $before_drop = sql("SELECT jobs FROM backup_job_counts() WHERE job = 'schedule' AND result = 'completed'");
sql('DROP EXTENSION pg_backupctl');
append_to_file($node->data_dir . '/postgresql.conf', "pg_backupctl.health_interval = 60\n");
$node->reload;
sql('SELECT pg_sleep(4)');
sql('CREATE EXTENSION pg_backupctl');
cmp_ok(sql("SELECT jobs - $before_drop FROM backup_job_counts() WHERE job = 'schedule' AND result = 'completed'"), '<', 12,
	'no storm of jobs');

done_testing();
