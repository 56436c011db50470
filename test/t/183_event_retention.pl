# Old events go, in batches, after a backup; the latest of each kind stay, and so does what an alarm
# still has to tell of.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('main', small => 1);

sub settled
{
	my ($what) = @_;

	# every backup asks for settling when it has ended
	my $before = $node->safe_psql('postgres', "SELECT sum(jobs) FROM backup_job_counts() WHERE job = 'settle'");
	$node->safe_psql('postgres', 'SELECT backup_now()');
	bkc_wait_for_sql($node, "SELECT sum(jobs) > $before FROM backup_job_counts() WHERE job = 'settle'", 't', $what);
	return;
}

sub events
{
	return $node->safe_psql('postgres', "SELECT string_agg(message, ' ' ORDER BY message) FROM backup_event WHERE message ~ '^[a-z][0-9]\$'");
}

sub set
{
	my ($value) = @_;

	$node->safe_psql('postgres', "ALTER SYSTEM SET pg_backupctl.event_retention = '$value'");
	$node->reload;
	bkc_wait_for_sql($node, 'SHOW pg_backupctl.event_retention', $value);
	return;
}

is($node->safe_psql('postgres', 'SHOW pg_backupctl.event_retention'), '400d', 'the default');

# a: old and many; b: the latest of its kind and result; c: another repository; d: not that old, and then the latest of its kind
$node->safe_psql('postgres', <<'SQL');
INSERT INTO backup_event (at, kind, repository, result, message)
SELECT now() - interval '401 days', 'wal-check', 'main', 'ok', 'old ' || n FROM generate_series(1, 2500) n
UNION ALL VALUES (now() - interval '401 days', 'wal-check', 'main', 'ok', 'a1'),
	(now() - interval '500 days', 'wal-check', 'main', 'failed', 'b1'),
	(now() - interval '500 days', 'wal-check', NULL, 'ok', 'c1'),
	(now() - interval '399 days', 'wal-check', 'main', 'ok', 'd1');
SQL
set('0');
settled('settled');
is(events(), 'a1 b1 c1 d1', 'for ever is for ever');
set('400d');
settled('settled again');
is(events(), 'b1 c1 d1', 'what is old went, but not the latest of its kind');
is($node->safe_psql('postgres', "SELECT count(*) FROM backup_event WHERE message LIKE 'old %'"), 0, 'all of it');
like(slurp_file($node->logfile), qr/LOG:  pg_backupctl: removed 2501 old events from backup_event/, 'the log says how many');

# ---- alarms ----

# A target that cannot be reached: its events wait for 7 days.
$node->safe_psql('postgres', "SELECT backup_notify_target('ops', 'webhook', 'http://127.0.0.1:9/', settings => '{\"tls\": \"off\"}')");
$node->safe_psql('postgres', <<'SQL');
INSERT INTO backup_event (at, kind, severity, message)
VALUES (now() - interval '2 days', 'key', 'critical', 'e1'), (now() - interval '8 days', 'key', 'critical', 'f1'), (now(), 'key', 'critical', 'g1');
SQL
bkc_wait_for_sql($node, "SELECT failures > 0 FROM backup_target", 't', 'the target is tried');
set('1d');
settled('settled with a target');
is(events(), 'b1 c1 d1 e1 g1', 'what is to be sent stays, what nobody sends any more goes');
$node->safe_psql('postgres', "SELECT backup_notify_remove('ops')");
settled('settled without it');
is(events(), 'b1 c1 d1 g1', 'then it goes, too');

# ---- who may not ----

$node->safe_psql('postgres', 'CREATE ROLE monitor LOGIN IN ROLE pg_monitor');
my ($stdout, $stderr);
isnt($node->psql('postgres', 'SET ROLE monitor; DELETE FROM backup_event', stdout => \$stdout, stderr => \$stderr), 0, 'nobody else removes any');
like($stderr, qr/permission denied for table backup_event/, 'it is refused');
set('1min');
$node->safe_psql('postgres', "UPDATE backup_event SET at = at - interval '1 hour'; ALTER SYSTEM SET pg_backupctl.enabled = off");
my $old = "SELECT count(*) FROM backup_event WHERE at < now() - interval '30 minutes'";
my $count = $node->safe_psql('postgres', $old);
$node->restart;
bkc_wait_for_sql($node, "SELECT sum(jobs) > 0 FROM backup_job_counts() WHERE job = 'settle'", 't', 'settled when switched off');
is($node->safe_psql('postgres', $old), $count, 'a server that is switched off removes nothing');
$node->stop;

done_testing();
