# What replies of S3 tell by the way: a clock that is another, and the end of a certificate, in
# backup_check(), backup_health and the client's check.

use strict;
use warnings;

use BkcTest;
use BkcS3;
use PostgreSQL::Test::Utils;
use Test::More;

my $bucket = bkc_s3_bucket();
my $proxy = bkc_s3_proxy();
my $url = bkc_s3_url($bucket, prefix => 'a', port => $proxy->{port});
my $tls = bkc_s3_url($bucket, prefix => 'b', tls => 1);
my $node = bkc_node('main', small => 1, repositories => "main=$url, tls=$tls");

sub finding
{
	my ($repository, $check, $pattern, $what) = @_;

	like($node->safe_psql('postgres',
			"SELECT status || ': ' || finding || COALESCE(' | ' || advice, '') FROM backup_check('$repository') "
			  . "WHERE check_name = '$check' AND repository = '$repository'"),
		$pattern, $what);
	return;
}

sub health
{
	my ($repository, $check, $pattern, $what) = @_;

	my $text;

	ok( bkc_poll(sub {
			$text = $node->safe_psql('postgres',
				"SELECT status || ' ' || value FROM backup_health WHERE check_name = '$check' AND repository = '$repository'");
			return $text =~ $pattern;
		}), $what)
	  or diag($text);
	return;
}

sub threshold
{
	my ($check, $warning, $critical) = @_;

	return $node->safe_psql('postgres',
		"UPDATE backup_threshold SET warning = $warning, critical = $critical WHERE check_name = '$check'");
}

# ---- the clock ----

finding('main', 'clock', qr/^ok: the repository's agrees/, 'a clock like ours');
health('main', 'clock_skew', qr/^ok none$/, '... says backup_health');
bkc_s3_proxy_set($proxy, { date_shift => 120 });
finding('main', 'clock', qr/^warning: the repository's is 1\d\d seconds ahead of that of this machine \| Set the wrong one/, 'one ahead');
health('main', 'clock_skew', qr/^warning (1\d\d seconds|[12] minutes?) ahead$/, '... says backup_health');
like((bkc_client('check', '--repo', $url))[1], qr/WARNING clock: the repository's is 1\d\d seconds ahead/, '... says the client');
bkc_s3_proxy_set($proxy, { date_shift => -3600 });
finding('main', 'clock', qr/^warning: the repository's is 3\d\d\d seconds behind/, 'one behind');
health('main', 'clock_skew', qr/^critical (59|60) minutes behind$/, '... says backup_health');
bkc_s3_proxy_set($proxy, {});
is(bkc_backup($node, q('full', 'main'))->{status}, 'completed', 'a backup');
health('main', 'clock_skew', qr/^ok none$/, 'which has seen that all is well');
health('main', 'certificate', qr/^ok no TLS seen$/, 'without TLS there is no certificate');

# ---- the certificate ----

finding('tls', 'certificate', qr/^ok: that of the repository's server is valid until \d{4}-/, 'a certificate');
health('tls', 'certificate', qr/^ok valid for (29|30) days$/, '... says backup_health');
threshold('certificate', 31, 7);
health('tls', 'certificate', qr/^warning valid for/, 'it ends soon');
threshold('certificate', 60, 31);
health('tls', 'certificate', qr/^critical valid for/, '... very soon');
like((bkc_client('check', '--repo', $tls))[1], qr/^  certificate: that of the repository's server is valid until/m, 'the client says it, too');

# ---- away ----

threshold('repository', 0, 0.001);
bkc_s3_proxy_set($proxy, { status => 403, body => '<Error><Code>AccessDenied</Code><Message>no</Message></Error>' });
finding('main', 'repository', qr/^failed: .*AccessDenied/, 'a repository that refuses us');
health('main', 'repository', qr/^critical no answer for \d+ seconds?, asked .* ago: /, '... is known');
bkc_s3_proxy_set($proxy, {});
finding('main', 'repository', qr/^ok/, 'and back');
threshold('repository', 1, 15);
health('main', 'repository', qr/^ok answered/, '... is known, too');

$node->stop;
done_testing();
