# Alarms: a failure and the recovery, by webhook, Slack and mail; nothing twice; servers that
# answer with errors or hang; secrets; NOTIFY; and who may define targets.

use strict;
use warnings;

use BkcTest;
use BkcSinks;
use MIME::Base64;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('main', small => 1);
my ($cert, $key) = bkc_certificate();
my $token = 'token-of-the-webhook';
my $password = 'password-of-the-mail-user';
my $hook = bkc_webhook(tls => [ $cert, $key ]);
my $slack = bkc_webhook();
my $smtp = bkc_smtp(tls => [ $cert, $key ], auth => "mailer:$password");
my $token_file = bkc_secret($token);
my $password_file = bkc_secret($password);
my $slack_file = bkc_secret("$slack->{url}/T000/secret-of-slack");

sub sql
{
	my ($text) = @_;

	return $node->safe_psql('postgres', $text);
}

# Asserts that the statement fails like that.
sub fails
{
	my ($text, $pattern, $what) = @_;
	my $err;

	ok($node->psql('postgres', $text, stderr => \$err) != 0 && $err =~ $pattern, $what) or diag($err // '');
	return;
}

sub backup_fails
{
	bkc_set_fault($node, 'leader-copied=fail');
	bkc_backup_fails($node, "'full'", qr/ERROR/, 'a backup fails');
	bkc_clear_fault($node);
	return;
}

# All events have been looked at by all targets.
sub settled
{
	my ($what) = @_;

	return bkc_wait_for_sql($node,
		'SELECT bool_and(last_event = (SELECT max(id) FROM backup_event)) FROM backup_target WHERE enabled', 't', $what);
}

# ---- what is refused ----

fails("SELECT backup_notify_target('x', 'pigeon', 'https://x.example')", qr/target kind "pigeon" is not known/, 'kinds');
fails("SELECT backup_notify_target('x', 'webhook', 'http://x.example/hook')", qr/must begin with https/, 'plain http only here');
fails("SELECT backup_notify_target('x', 'webhook', 'http://localhost.example/hook')", qr/must begin with https/, 'and here is not a name that begins so');
fails("SELECT backup_notify_target('x', 'webhook', 'file:///etc/passwd')", qr/does not begin with https/, 'no other protocol');
fails("SELECT backup_notify_target('x', 'webhook', 'https://u:p\@x.example/')", qr/no plain host name/, 'no password in a URL');
fails("SELECT backup_notify_target('x', 'webhook')", qr/a URL must be given/, 'no URL');
fails("SELECT backup_notify_target('x', 'webhook', 'https://x.example', settings => '{\"token\": 1}')", qr/unknown setting "token"/, 'unknown settings');
fails("SELECT backup_notify_target('x', 'webhook', 'https://x.example', '" . bkc_secret('x', 0644) . "')", qr/secret/, 'a secret that others read');
fails("SELECT backup_notify_target('x', 'email', 'smtp://mail.example', settings => '{\"from\": \"a\@b.c\", \"to\": \"x\@y.z\", \"tls\": \"off\"}')", qr/this machine only/, 'mail without TLS');
fails("SELECT backup_notify_target('x', 'email', 'smtps://mail.example', settings => '{\"from\": \"a\@b.c\\nBcc: e\@f.g\", \"to\": \"x\@y.z\"}')", qr/not a list of mail addresses/, 'a header in an address');
is(sql('SELECT count(*) FROM backup_target'), 0, 'none of them was made');

sql('CREATE ROLE plain; CREATE ROLE granted; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO granted;'
	. 'GRANT ALL ON backup_target, backup_target_sent TO granted');
for my $role ('plain', 'granted')
{
	fails("SET ROLE $role; SELECT backup_notify_target('x', 'webhook', 'https://x.example')", qr/permission denied|only superusers/, "$role cannot define targets");
	fails("SET ROLE $role; SELECT backup_notify_remove('x')", qr/permission denied|only superusers/, "$role cannot remove one");
	fails("SET ROLE $role; SELECT backup_notify_test('x')", qr/permission denied|only superusers/, "$role cannot test one");
}
fails("SET ROLE pg_monitor; SELECT * FROM backup_target", qr/permission denied/, 'monitors do not see targets');
sql('DROP OWNED BY granted; DROP ROLE granted, plain');

# ---- targets, tested ----

sql(<<"SQL");
SELECT backup_notify_target('hook', 'webhook', '$hook->{url}', '$token_file', settings => '{"ca_file": "$cert"}');
SELECT backup_notify_target('slack', 'slack', secret_file => '$slack_file');
SELECT backup_notify_target('mail', 'email', 'smtp://localhost:$smtp->{port}', '$password_file',
	settings => '{"from": "backup\@prod.example", "to": "dba\@example.com, ops\@example.com", "user": "mailer", "ca_file": "$cert"}');
SQL
sql("SELECT backup_notify_test(name) FROM backup_target");
my ($test) = bkc_taken($hook, 1, 'the webhook gets a test');
is($test->{body}{test}, JSON::PP::true, 'which says so');
is($test->{headers}{Authorization}, "Bearer $token", 'with the token');
bkc_taken($slack, 1, 'Slack, too');
my ($mail) = bkc_taken($smtp, 1, 'and the mail server');
like($mail, qr/^X-Tls: True$/m, 'by TLS');
like($mail, qr/^X-Rcpt: dba\@example\.com,ops\@example\.com$/m, 'for both');
like($mail, qr/^Subject: \[pg_backupctl\] test of /m, 'with a subject');

bkc_webhook_does($hook, status => 302, headers => { Location => "$slack->{url}/elsewhere" }, times => 1);
fails("SELECT backup_notify_test('hook')", qr/target|status 302.*Redirects are not followed/s, 'redirects are not followed');
bkc_webhook_does($hook, status => 403, body => 'who are you?', times => 1);
fails("SELECT backup_notify_test('hook')", qr/status 403.*who are you\?/s, 'what the server says is told');
bkc_webhook_does($hook, status => 403, body => "not $token", times => 1);
fails("SELECT backup_notify_test('hook')", qr/status 403(?!.*\Q$token\E)/s, 'unless it is the secret');
is(scalar(bkc_hooks($slack)), 1, 'nobody was led elsewhere');
sql("UPDATE backup_target SET settings = settings - 'ca_file' WHERE name IN ('hook', 'mail')");
fails("SELECT backup_notify_test('hook')", qr/certificate is not trusted/, 'a webhook with an unknown certificate');
fails("SELECT backup_notify_test('mail')", qr/certificate is not trusted/, 'a mail server with one');
sql("UPDATE backup_target SET settings = settings || '{\"ca_file\": \"$cert\"}' WHERE name IN ('hook', 'mail')");
sql("UPDATE backup_target SET secret_file = '$token_file' WHERE name = 'mail'");
fails("SELECT backup_notify_test('mail')", qr/refuses the login/, 'a wrong password');
sql("UPDATE backup_target SET secret_file = '$password_file' WHERE name = 'mail'");
my $bare = bkc_smtp();
sql("UPDATE backup_target SET url = 'smtp://localhost:$bare->{port}' WHERE name = 'mail'");
fails("SELECT backup_notify_test('mail')", qr/does not offer STARTTLS/, 'a server without STARTTLS gets no password');
is(scalar(bkc_mails($bare)), 0, 'and no mail');
sql("UPDATE backup_target SET url = 'smtp://localhost:$smtp->{port}' WHERE name = 'mail'");

# ---- a failure, once; a recovery, once ----

settled('the targets know what was before');
my $hooks = grep { $_->{status} == 200 } bkc_hooks($hook);
backup_fails();
my $alarm = (bkc_taken($hook, $hooks + 1, 'the webhook gets an alarm'))[-1]->{body};
is("$alarm->{event}{kind} $alarm->{event}{result} $alarm->{event}{severity}", 'backup failed warning', 'about the backup');
is("$alarm->{cluster} $alarm->{recovery}", 'main 0', 'of this cluster');
my $said = (bkc_taken($slack, 2, 'so does Slack'))[-1]->{body}{text};
like($said, qr/^warning: backup failed on .*\(main\)\n.*when: /s, 'in words');
$mail = (bkc_taken($smtp, 2, 'and the mail server'))[-1];
like($mail, qr/^Subject: \[pg_backupctl\] warning: backup failed/m, 'with a subject that says it');
like(decode_base64($mail =~ s/.*?\n\n//sr), qr/repository: main\r\n/, 'and a text');

backup_fails();
settled('the same again is looked at');
bkc_taken($hook, $hooks + 1, 'but not sent');
sql("UPDATE backup_target SET repeat_interval = '0'");
backup_fails();
bkc_taken($hook, $hooks + 2, 'before the repeat interval is over');
sql("UPDATE backup_target SET repeat_interval = '6 hours'");

is(bkc_backup($node)->{status}, 'completed', 'a backup succeeds');
$alarm = (bkc_taken($hook, $hooks + 3, 'a recovery is sent'))[-1]->{body};
is("$alarm->{event}{kind} $alarm->{event}{result} $alarm->{recovery}", 'backup ok 1', 'as that');
like((bkc_taken($smtp, 4, 'also by mail'))[-1], qr/^Subject: \[pg_backupctl\] recovered: backup is well again/m, 'with a subject');
bkc_backup($node);
settled('another good backup is looked at');
bkc_taken($hook, $hooks + 3, 'and is no news');

# ---- servers with errors ----

bkc_webhook_does($hook, status => 500, times => 1);
backup_fails();
bkc_taken($hook, $hooks + 4, 'an alarm is tried again after an error of the server');
bkc_taken($smtp, 5, 'others get it at once');
settled('all is sent');
is(sql("SELECT failures, last_error IS NULL FROM backup_target WHERE name = 'hook'"), '0|t', 'and the failure forgotten');

# ---- a server that hangs ----

bkc_webhook_does($hook, hang => JSON::PP::true);
sql("UPDATE backup_target SET settings = settings || '{\"timeout\": \"3\"}' WHERE name = 'hook'");
is(bkc_backup($node)->{status}, 'completed', 'a backup succeeds while the webhook hangs');
bkc_wait_for_sql($node, "SELECT count(*) FROM backup_jobs() WHERE job = 'notify'", 1, 'the job that sends is there');
is(sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_backupctl notify' AND xact_start IS NOT NULL"), 0, 'without a transaction');
is(bkc_backup($node)->{status}, 'completed', 'another one runs beside it');
bkc_wait_for_sql($node, "SELECT failures > 0 AND last_error ~ 'timed out' AND retry_at > now() FROM backup_target WHERE name = 'hook'", 't', 'it gives up');
bkc_taken($slack, 6, 'the others got the news');
bkc_webhook_does($hook);
settled('and so does this one when it is back');
is((bkc_hooks($hook))[-1]->{body}{event}{result}, 'ok', 'which is the recovery');

# a shutdown does not wait for it
bkc_webhook_does($hook, hang => JSON::PP::true);
sql("UPDATE backup_target SET settings = settings || '{\"timeout\": \"300\"}' WHERE name = 'hook'");
backup_fails();
bkc_wait_for_sql($node, "SELECT count(*) FROM backup_jobs() WHERE job = 'notify'", 1, 'it hangs again');
$node->stop('fast');
bkc_webhook_does($hook);
$node->start;
settled('what was not sent before a restart is sent after it');
is((bkc_hooks($hook))[-1]->{body}{event}{result}, 'failed', 'the failure');

# ---- a session's event that is committed late ----

{
	my $session = $node->background_psql('postgres');

	sql("UPDATE backup_target SET min_severity = 'info' WHERE name = 'slack'");
	my $before = bkc_hooks($slack);
	$session->query_safe("BEGIN; SELECT backup_set_policy('classic')");
	bkc_backup($node);
	bkc_taken($slack, $before + 1, 'an event behind one that is not committed');
	$session->query_safe('COMMIT');
	$session->quit;
	is((bkc_taken($slack, $before + 2, 'which is sent, too, when it is'))[-1]->{body}{text} =~ /retention of all repositories set/, 1, 'with its text');
}

# ---- restored by pg_dump: the events did not come along ----

{
	my $before = bkc_hooks($slack);

	sql("UPDATE backup_target SET last_event = 1000000 WHERE name = 'slack'");
	bkc_wait_for_sql($node, "SELECT last_event < 1000000 FROM backup_target WHERE name = 'slack'", 't', 'a position ahead of all events is set right');
	bkc_backup($node);
	bkc_taken($slack, $before + 1, 'and the next event sent');
}

# ---- LISTEN ----

my $heard = sql(<<'SQL');
LISTEN pg_backupctl;
SELECT backup_set_policy('none') IS NOT NULL;
SQL
like($heard, qr/Asynchronous notification "pg_backupctl" with payload "\{"id": \d+, "kind": "policy", "severity": "info"\}"/, 'listeners hear of an event of a session');
like(sql("LISTEN pg_backupctl; SELECT backup_now() > 0; SELECT 1"), qr/"\{"id": \d+, "kind": "backup", "severity": "info"\}"/,
	'and of one of the server');

# ---- removed ----

is(sql("SELECT backup_notify_remove('hook'), backup_notify_remove('hook')"), 't|f', 'a target is removed');
sql("SELECT backup_notify_remove(name) FROM backup_target");
is(sql("SELECT count(*) FROM backup_event WHERE kind = 'notify' AND message LIKE 'target % removed'"), 3, 'events tell of it');

$node->stop;
my $log = slurp_file($node->logfile);
unlike($log, qr/\Q$_\E/, "the log has no secret: $_") for ($token, $password, 'secret-of-slack');
is(scalar(() = $log =~ /WARNING:  pg_backupctl could not send an alarm/g), 2, 'and one line for each trouble');

done_testing();
