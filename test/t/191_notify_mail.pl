# A mail server that puts off, refuses or does not answer: others get their alarms at once, what was
# not sent is sent when it can be, once.  And a scheduled backup that a crash has ended is an alarm
# whose recovery is the next one that succeeds.

use strict;
use warnings;

use BkcTest;
use BkcSinks;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = bkc_node('main', small => 1);
my $good = bkc_smtp();
my $bad = bkc_smtp();

sub sql
{
	my ($text) = @_;

	return $node->safe_psql('postgres', $text);
}

sub settings
{
	my ($to) = @_;

	return qq({"from": "backup\@prod.example", "to": "$to\@example.com", "tls": "off", "timeout": "2"});
}

sub send_to
{
	my ($to) = @_;

	sql("UPDATE backup_target SET settings = '" . settings($to) . "', retry_at = NULL WHERE name = 'bad'");
	return;
}

sub backup_fails
{
	bkc_set_fault($node, 'leader-copied=fail');
	bkc_backup_fails($node, "'full'", qr/ERROR/, 'a backup fails');
	bkc_clear_fault($node);
	return;
}

sub settled
{
	my ($what) = @_;

	return bkc_wait_for_sql($node,
		'SELECT bool_and(last_event = (SELECT max(id) FROM backup_event)) FROM backup_target WHERE enabled', 't', $what);
}

sub subjects
{
	return map { /^Subject: (.*?)(?: on .*)?$/m } @_;
}

sql("SELECT backup_notify_target('good', 'email', 'smtp://localhost:$good->{port}', settings => '" . settings('dba') . "')");
sql("SELECT backup_notify_target('bad', 'email', 'smtp://localhost:$bad->{port}', settings => '" . settings('ops') . "')");
settled('both know what was before');

# ---- put off, refused, no answer ----

my $n = 0;
for my $case ([ 'tmpfail', 'RCPT failed: 451' ], [ 'reject', 'RCPT failed: 550' ], [ 'hang', 'timed out' ])
{
	my ($to, $error) = @$case;
	my $stderr;

	send_to($to);
	isnt($node->psql('postgres', "SELECT backup_notify_test('bad')", stderr => \$stderr), 0, "$to: a test fails");
	like($stderr, qr/$error/, "$to: and says why");
	backup_fails();
	bkc_taken($good, $n + 1, "$to: the other server gets the alarm");
	bkc_wait_for_sql($node, "SELECT failures > 0 AND last_error ~ '$error' AND retry_at > now() FROM backup_target WHERE name = 'bad'", 't',
		"$to: the view says why this one does not");
	is(bkc_backup($node)->{status}, 'completed', "$to: a backup is not held up");
	bkc_taken($good, $n + 2, "$to: the other one gets the recovery");
	bkc_taken($bad, $n, "$to: this one nothing");
	send_to('ops');
	settled("$to: until it is well again");
	$n += 2;
	is(join('; ', (subjects(bkc_taken($bad, $n, "$to: then both are sent")))[ -2, -1 ]),
		join('; ', (subjects(bkc_mails($good)))[ -2, -1 ]), "$to: the same in the same order");
	is(sql("SELECT failures, last_error IS NULL FROM backup_target WHERE name = 'bad'"), '0|t', "$to: the failure is forgotten");
}

# ---- a scheduled run that a crash has ended ----

sub clock
{
	my ($fake) = @_;
	my $seconds = sql("SELECT extract(epoch FROM timestamptz '$fake+00')");

	sql(sprintf "ALTER SYSTEM SET pg_backupctl.test_clock = '%.6f %.6f 1'", time, $seconds);
	$node->reload;
	return;
}

clock('2036-03-01 00:30:00');
sql("SELECT schedule_backup('nightly', '0 1 * * *', time_zone => 'UTC')");
bkc_wait_for_sql($node, "SELECT next_run = '2036-03-01 01:00+00' FROM backup_schedule", 't', 'planned');
bkc_set_fault($node, 'leader-copied=sleep:60000');
clock('2036-03-01 01:00:01');
bkc_wait_for_sql($node, "SELECT count(*) FROM backup_progress WHERE phase = 'copying files' AND files_done = files_total AND files_total > 0", 1, 'it runs');
$node->stop('immediate');
$node->append_conf('postgresql.auto.conf', "pg_backupctl.fault = ''\n");
$node->start;
bkc_wait_for_sql($node, "SELECT last_result = 'failed' FROM backup_schedule", 't', 'a run that a crash has ended');
settled('which is looked at');
like((subjects(bkc_taken($good, $n + 1, 'is an alarm')))[-1], qr/warning: backup failed/, 'about the backup');
clock('2036-03-01 01:10:00');
bkc_wait_for_sql($node, "SELECT last_result = 'completed' FROM backup_schedule", 't', 'it is made again');
settled('which is looked at, too');
like((subjects(bkc_taken($good, $n + 2, 'and is the recovery')))[-1], qr/recovered: backup is well again/, 'of the backup');
$node->stop;

done_testing();
