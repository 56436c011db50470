# What backup_check() finds, and backup_health knows without asking: keys that are missing or
# others, a repository that does not answer, content that comes back as another, rights, schedules
# that cannot run, targets that cannot be reached; and all well again.

use strict;
use warnings;

use BkcTest;
use BkcSinks;
use PostgreSQL::Test::Utils;
use Test::More;

my $folder = PostgreSQL::Test::Utils::tempdir;
my $key = "$folder/key";
bkc_client_ok([ 'keygen', '--out', $_ ], "keygen $_") for $key, "$folder/other";

my $node = bkc_node('main', small => 1, initdb => ['--wal-segsize=1'],
	conf => bkc_archiving() . "pg_backupctl.encryption_key_file = '$key'\n");
my $repo = bkc_repo_dir($node);

sub sql
{
	my ($text) = @_;

	return $node->safe_psql('postgres', $text);
}

# Asserts what backup_check() says: "status: finding | advice", one a line.
sub finding
{
	my ($check, $pattern, $what) = @_;

	like(sql("SELECT status || ': ' || finding || COALESCE(' | ' || advice, '') FROM backup_check() WHERE check_name = '$check'"),
		$pattern, $what);
	return;
}

# Asserts what backup_health comes to say: "status value".
sub health
{
	my ($check, $pattern, $what) = @_;
	my $text;

	ok( bkc_poll(sub {
			$text = sql("SELECT status || ' ' || value FROM backup_health WHERE check_name = '$check'");
			return $text =~ $pattern;
		}), $what)
	  or diag($text);
	return;
}

sub end_segment
{
	return sql('INSERT INTO t SELECT generate_series(1, 100); SELECT pg_walfile_name(pg_switch_wal())');
}

sub other_key
{
	my ($from) = @_;

	system_or_bail('cp', '-p', $from, "$key.new");
	rename "$key.new", $key or die "rename: $!";
	return;
}

sql('CREATE TABLE t (i int)');
health('repository', qr/^ok (not asked yet|answered \d+ seconds? ago)$/, 'before the first backup');
bkc_backup($node);
my $segment = end_segment();
bkc_archived($node, 'a segment', $segment);

# ---- all is well ----

health('repository', qr/^ok answered \d+ seconds? ago$/, 'the repository answers');
health('key', qr/^ok none is missing$/, 'no key is missing');
health('clock_skew', qr/^ok none$/, 'its clock is ours');
health('certificate', qr/^ok no TLS seen$/, 'a folder has no certificate');
health('credentials', qr/^ok fine$/, 'nor credentials');
finding('key', qr/^ok: the key is there and opens all \d+ data keys of this cluster$/, 'the key opens what is there');
finding('round trip', qr/^ok: WAL segment "$segment" comes back whole from the repository, as it is in pg_wal$/, 'a segment comes back');

# ---- keys ----

rename $key, "$folder/away" or die "rename: $!";
end_segment();
health('key', qr/^critical missing: could not open file/, 'a key that is gone');
finding('repository', qr/^failed: .*\Q$key\E/, 'backup_check names the file');
rename "$folder/away", $key or die "rename: $!";
system_or_bail('cp', '-p', $key, "$folder/right");
bkc_wait_for_sql($node, q(SELECT status FROM backup_archiver), 'archiving');
health('key', qr/^ok/, 'it is back');

other_key("$folder/other");
finding('key', qr/^failed: .*sealed with another key than those given.* \| Give its key/, 'another key');
health('key', qr/^critical missing: .*sealed with another key/, 'backup_health knows what was found');
other_key("$folder/right");
finding('key', qr/^ok/, 'the right one');
health('key', qr/^ok/, '... for backup_health, too');

# ---- a repository that refuses us ----

$segment = end_segment();
bkc_archived($node, 'another segment', $segment);
chmod 0, $repo or die "chmod: $!";
end_segment();
sql("UPDATE backup_threshold SET warning = 0.001, critical = 1000 WHERE check_name = 'repository'");
health('repository', qr/^warning no answer for \d+ seconds?, asked .* ago: could not open repository/, 'a repository that refuses us');
sql("UPDATE backup_threshold SET critical = 0.002 WHERE check_name = 'repository'");
health('repository', qr/^critical no answer/, '... for too long');
is(sql("SELECT failing_since <= failed_at AND failed_at > answered_at FROM backup_repository_state()"), 't', 'since when');
chmod 0700, $repo or die "chmod: $!";
health('repository', qr/^ok answered/, 'it answers again');
is(sql("SELECT failing_since IS NULL AND error ~ 'Permission denied' FROM backup_repository_state()"), 't', 'the last error stays');

# ---- there and back ----

$segment = end_segment();
bkc_archived($node, 'the segment', $segment);
my $file = $node->data_dir . "/pg_wal/$segment";
my $content = slurp_file($file);

sub write_segment
{
	my ($text) = @_;

	open my $fh, '+<:raw', $file or die "open: $!";
	print $fh $text;
	close $fh or die "close: $!";
	return;
}

write_segment(substr($content, 0, 5000) . 'x' x 10);
finding('round trip', qr/^failed: WAL segment "$segment" comes back .* other content than pg_wal has/, 'other content');
write_segment($content);
finding('round trip', qr/^ok: WAL segment "$segment"/, 'the same content');

# ---- rights ----

sql('GRANT SELECT ON backup_event TO PUBLIC; GRANT EXECUTE ON FUNCTION backup_now TO PUBLIC');
finding('permissions', qr/^warning: 2 objects of pg_backupctl are granted to PUBLIC, the first is "backup_event" \| REVOKE/, 'granted to all');
sql('REVOKE ALL ON backup_event FROM PUBLIC; REVOKE ALL ON FUNCTION backup_now FROM PUBLIC');
finding('permissions', qr/^ok/, 'not any more');

# ---- schedules ----

finding('schedule', qr/^warning: no schedule takes backups \| SELECT schedule_backup/, 'no schedule');
sql(q(SELECT schedule_backup('nightly', '0 1 * * *'), schedule_backup('check', '@daily', 'wal-check')));
finding('schedule', qr/^ok: 2 schedules, the next to run is "check" at \d{4}-/, 'schedules, and the next run');
sql(q(UPDATE backup_schedule_entry SET cron = '61 1 * * *', next_run = NULL WHERE name = 'nightly'));
finding('schedule', qr/^failed: schedule "nightly": .*minute.* \| Correct it by schedule_backup\('nightly'/m, 'an expression that is none');
sql(q(UPDATE backup_schedule_entry SET cron = '0 1 * * *', time_zone = 'Nowhere/Land' WHERE name = 'nightly'));
finding('schedule', qr/^failed: .*time zone "Nowhere\/Land" not recognized/m, 'a zone that is none');
is(sql(q(SELECT (SELECT count(*) > 0 FROM backup_health), (SELECT count(*) >= 0 FROM backup_status), length(backup_metrics()) > 0)), 't|t|t',
	'... does not take the views with it');
bkc_wait_for_sql($node, q(SELECT result FROM backup_event WHERE schedule = 'nightly' AND message ~ 'Nowhere/Land'), 'failed', '... and is told');
sql(q(UPDATE backup_schedule_entry SET time_zone = 'Nowhere/Else', last_result = 'running' WHERE name = 'nightly'));
bkc_wait_for_sql($node, q(SELECT last_result FROM backup_schedule_entry WHERE last_error ~ 'Nowhere/Else'), 'running', 'the end of what runs is still to be noted');
sql(q(UPDATE backup_schedule_entry SET time_zone = 'UTC', repository = 'gone', last_result = 'failed' WHERE name = 'nightly'));
finding('schedule', qr/^failed: .*there is no repository "gone"/m, 'a repository that is none');
sql(q(UPDATE backup_schedule_entry SET repository = NULL, consecutive_failures = 3, last_error = 'too bad' WHERE name = 'nightly'));
finding('schedule', qr/^warning: schedule "nightly" has failed 3 times in a row: too bad/m, 'one that fails');

# ---- targets ----

my $hook = bkc_webhook();
my ($cert, $tls_key) = bkc_certificate();
my $smtp = bkc_smtp(tls => [ $cert, $tls_key ], auth => 'mailer:right');
my $password = bkc_secret('right');
my $token = bkc_secret('token');
my $mail = qq({"from": "a\@b.example", "to": "c\@d.example", "user": "mailer", "ca_file": "$cert"});
finding('notification', qr/^ok: no target is defined/, 'no target');
sql(qq(SELECT backup_notify_target('hook', 'webhook', '$hook->{url}', '$token'),
	backup_notify_target('mail', 'email', 'smtp://localhost:$smtp->{port}', '$password', settings => '$mail')));
finding('notification', qr/^ok: target "hook" \(webhook\) can be reached.*\nok: target "mail" \(email\) can be reached[^\n]*$/,
	'targets that can be reached');
is(scalar(bkc_hooks($hook)) + scalar(bkc_mails($smtp)), 0, 'nothing was sent to them');
chmod 0644, $token or die "chmod: $!";
unlink $password;
append_to_file($password, "wrong\n");
chmod 0600, $password;
finding('notification', qr/^failed: target "hook": .*\Q$token\E.*\nfailed: target "mail": .*refuses the login/,
	'a secret that others can read, a password that is wrong');
sql(q(SELECT backup_notify_remove('hook'), backup_notify_remove('mail'),
	backup_notify_target('nobody', 'webhook', 'http://localhost:1/x')));
finding('notification', qr/^failed: target "nobody": .*could not connect/, 'nobody there');

# ---- who may not see it all ----

sql('CREATE ROLE caller; GRANT EXECUTE ON FUNCTION backup_check TO caller');
is($node->safe_psql('postgres', q(SET ROLE caller;
	SELECT check_name || ' ' || status FROM backup_check() WHERE check_name IN ('schedule', 'notification', 'permissions'))),
	"permissions ok\nschedule warning", 'schedules need rights, targets a superuser');
is($node->safe_psql('postgres', q(GRANT pg_monitor TO caller; SET ROLE caller;
	SELECT count(*) > 0 FROM backup_check() WHERE check_name = 'schedule' AND finding ~ 'too bad')), 't', 'monitors see schedules');

$node->stop;
done_testing();
