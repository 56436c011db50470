# Metrics to CloudWatch: what is sent, signed with the credentials of a file (checked here by the
# rules of AWS's Signature Version 4); servers that refuse, answer with errors and hang; settings.

use strict;
use warnings;

use BkcTest;
use BkcSinks;
use Digest::SHA qw(hmac_sha256 hmac_sha256_hex sha256_hex);
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $secret = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';
my $session = 'token+of/the=session';
my $node = bkc_node('main', small => 1);
my ($cert, $key) = bkc_certificate();
my $sink = bkc_webhook(tls => [ $cert, $key ]);
my $url = $sink->{url} =~ s{/hook$}{}r;
my ($host) = $url =~ m{//(.*)$};
my $file = bkc_secret("[default]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = $secret");

sub sql
{
	my ($text) = @_;

	return $node->safe_psql('postgres', $text);
}

sub fails
{
	my ($text, $pattern, $what) = @_;
	my $err;

	ok($node->psql('postgres', $text, stderr => \$err) != 0 && $err =~ $pattern, $what) or diag($err // '');
	return;
}

sub define
{
	my ($name, %settings) = @_;
	my $json = encode_json({ region => 'eu-central-1', ca_file => $cert, %settings });

	return sql("SELECT backup_notify_target('$name', 'cloudwatch', '$url', '$file', settings => '$json')");
}

# All requests that have come: { status, headers, form, text }.
sub requests
{
	my @all;

	for my $name (sort grep { /^\d+\.json$/ } slurp_dir($sink->{dir}))
	{
		my $call = decode_json(slurp_file("$sink->{dir}/$name"));

		$call->{text} = slurp_file("$sink->{dir}/" . $name =~ s/json$/body/r);
		for my $pair (split /&/, $call->{text})
		{
			my ($field, $value) = split /=/, $pair, 2;
			$call->{form}{$field} = $value =~ s/%([0-9A-F]{2})/chr hex $1/ger;
		}
		push @all, $call;
	}
	return @all;
}

# The signature that AWS would compute for that request.
sub signature
{
	my ($call, $region) = @_;
	my %headers = map { lc $_ => $call->{headers}{$_} } keys %{ $call->{headers} };
	my ($names) = $headers{authorization} =~ /SignedHeaders=([^,]*)/;
	my $day = substr $headers{'x-amz-date'}, 0, 8;
	my $scope = "$day/$region/monitoring/aws4_request";
	my $canonical = join "\n", $call->{method}, '/', '',
	  (map { "$_:$headers{$_}" } split /;/, $names), '', $names, sha256_hex($call->{text});
	my $bytes = "AWS4$secret";

	$bytes = hmac_sha256($_, $bytes) for $day, $region, 'monitoring', 'aws4_request';
	return hmac_sha256_hex(
		join("\n", 'AWS4-HMAC-SHA256', $headers{'x-amz-date'}, $scope, sha256_hex($canonical)), $bytes);
}

# ---- what is refused ----

fails("SELECT backup_notify_target('x', 'cloudwatch')", qr/needs the setting "region"/, 'no region');
fails(q(SELECT backup_notify_target('x', 'cloudwatch', settings => '{"region": "eu/../x"}')), qr/needs the setting "region"/, 'no name of a region');
fails(q(SELECT backup_notify_target('x', 'cloudwatch', 'http://monitoring.example', settings => '{"region": "x"}')), qr/must begin with https/, 'without TLS');
fails(q(SELECT backup_notify_target('x', 'cloudwatch', 'https://monitoring.example/path', settings => '{"region": "x"}')), qr/ends with its host and port/, 'a path');
fails(q(SELECT backup_notify_target('x', 'cloudwatch', settings => '{"region": "x", "interval": "0"}')), qr/invalid value "0" for the setting "interval"/, 'an interval that is none');
fails("SELECT backup_notify_target('x', 'cloudwatch', '$url', '" . bkc_secret('[default]', 0644) . q{', settings => '{"region": "x"}')}, qr/can be (read|used) by other/, 'credentials that others read');
fails("SELECT backup_notify_target('x', 'cloudwatch', '$url', '" . bkc_secret('[default]') . q{', settings => '{"region": "x"}')}, qr/aws_access_key_id/, 'credentials that are none');
sql('CREATE ROLE plain; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO plain; GRANT ALL ON backup_target TO plain');
fails(q(SET ROLE plain; SELECT backup_notify_target('x', 'cloudwatch', settings => '{"region": "x"}')), qr/only superusers/, 'superusers only');
is(sql('SELECT count(*) FROM backup_target'), 0, 'none of them was made');

# ---- what is sent ----

my $backup = bkc_backup($node);
define('cw', interval => 1);
ok(bkc_poll(sub { requests() >= 2 }), 'metrics come by themselves, again and again');
my ($call) = requests();
is("$call->{method} $call->{path}", 'POST /', 'a POST of the root');
like($call->{headers}{'Content-Type'}, qr{^application/x-www-form-urlencoded}, 'a form');
is($call->{headers}{Host}, $host, 'the host that was signed');
my ($scope, $names, $signature) =
  $call->{headers}{Authorization} =~ /^AWS4-HMAC-SHA256 Credential=([^,]*), SignedHeaders=([^,]*), Signature=([0-9a-f]{64})$/;
like($scope, qr{^AKIDEXAMPLE/\d{8}/eu-central-1/monitoring/aws4_request$}, 'the scope of the signature');
is($names, 'content-type;host;x-amz-date', 'what is signed');
is($signature, signature($call, 'eu-central-1'), 'the signature is right');
my $form = $call->{form};
is("$form->{Action} $form->{Version} $form->{Namespace}", 'PutMetricData 2010-08-01 pg_backupctl', 'what it asks for');
my %metrics;
for my $n (map { /^MetricData\.member\.(\d+)\.MetricName$/ ? $1 : () } keys %$form)
{
	my $m = "MetricData.member.$n";
	my %dimensions = map { $form->{"$m.Dimensions.member.$_.Name"} => $form->{"$m.Dimensions.member.$_.Value"} } 1, 2;

	is_deeply(\%dimensions, { Cluster => 'main', Repository => 'main' }, "$form->{\"$m.MetricName\"}: of which cluster and repository");
	$metrics{ $form->{"$m.MetricName"} } = [ $form->{"$m.Value"}, $form->{"$m.Unit"} ];
}
is(join(' ', sort keys %metrics), 'BackupAge BackupDuration BackupSize', 'without archiving there is no lag');
is($metrics{BackupSize}[0], "$backup->{backup_size_bytes}.000", 'the size');
is(join(' ', map { $metrics{$_}[1] } sort keys %metrics), 'Seconds Seconds Bytes', 'units');
ok($metrics{BackupAge}[0] > 0 && $metrics{BackupAge}[0] < 300, 'the age') or diag($metrics{BackupAge}[0]);
is(sql(q(SELECT failures, last_error IS NULL, last_sent IS NOT NULL FROM backup_target)), '0|t|t', 'the target says that all is well');
sql('SELECT pg_reload_conf()');
is(scalar(grep { $_->{text} =~ /Action=PutMetricData/ } requests()), scalar(requests()), 'it gets metrics only, no events');
like(sql(q(SELECT status || ' ' || finding FROM backup_check() WHERE check_name = 'notification')), qr/^ok target "cw" \(cloudwatch\) can be reached/, 'backup_check');

# a session's token is signed, too
sql(q(SELECT backup_notify_remove('cw')));
append_to_file($file, "aws_session_token = $session\n");
define('cw', interval => 86400);
ok(bkc_poll(sub { ((requests())[-1]{headers}{'X-Amz-Security-Token'} // '') eq $session }), 'the token of a session');
($call) = (requests())[-1];
($names, $signature) = $call->{headers}{Authorization} =~ /SignedHeaders=([^,]*), Signature=([0-9a-f]{64})$/;
is($names, 'content-type;host;x-amz-date;x-amz-security-token', '... is signed');
is($signature, signature($call, 'eu-central-1'), '... rightly');

# ---- errors ----

bkc_webhook_does($sink, status => 403,
	body => "<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code><Message>$session $secret</Message></Error></ErrorResponse>");
my $log = -s $node->logfile;
fails(q(SELECT backup_notify_test('cw')), qr/status 403.*CloudWatch says: SignatureDoesNotMatch\./s, 'a refusal, by the test');
define('cw', interval => 1);
bkc_wait_for_sql($node, q(SELECT failures > 0 AND retry_at > now() AND last_error ~ 'SignatureDoesNotMatch' FROM backup_target), 't', 'a refusal');
like(slurp_file($node->logfile, $log), qr/WARNING:  pg_backupctl could not send metrics to target "cw": .*status 403/, 'the log says so');
unlike(slurp_file($node->logfile), qr/\Q$secret\E|\Q$session\E/, 'no secret in the log');
unlike(sql('SELECT last_error FROM backup_target') . sql('SELECT string_agg(e::text, \' \') FROM backup_event e'), qr/\Q$secret\E|\Q$session\E/, '... nor in the catalog');
bkc_webhook_does($sink, status => 503, times => 1);
my $count = requests();
define('cw', interval => 1);
bkc_wait_for_sql($node, q(SELECT last_error ~ 'status 503' FROM backup_target), 't', 'an error that passes');
bkc_wait_for_sql($node, q(SELECT failures = 0 AND last_error IS NULL FROM backup_target), 't', 'it has passed');
ok(requests() >= $count + 2, 'by another attempt');
bkc_webhook_does($sink, hang => JSON::PP::true);
define('cw', interval => 1, timeout => 2);
bkc_wait_for_sql($node, q(SELECT last_error ~ 'timed out' FROM backup_target), 't', 'a server that hangs');
is(bkc_backup($node)->{status}, 'completed', 'holds up no backup');
bkc_webhook_does($sink);
sql(q(SELECT backup_notify_test('cw')));
bkc_wait_for_sql($node, q(SELECT failures FROM backup_target), 0, 'and is tried again');

$node->stop;
done_testing();
