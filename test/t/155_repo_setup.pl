# repo-setup makes a bucket ready: dry run, twice, rules of others, refusals; what check and
# backup_check() say before and after; a server that works with what it has made, and tidies up.

use strict;
use warnings;

use BkcTest;
use BkcS3;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $bucket = sprintf 'tap-setup-%d-%06x', $$, int rand 1 << 24;
my $url = bkc_s3_url($bucket, prefix => 'prod/a');

# Run repo-setup on the bucket; asserts the exit status, and the patterns in what it prints.
sub repo_setup
{
	my ($arguments, $expected, $what, @patterns) = @_;
	my ($status, $stdout, $stderr) = bkc_client('repo-setup', '--repo', $url, @$arguments);

	is($status, $expected, "$what: exit status $expected") or diag($stdout . $stderr);
	like($stdout . $stderr, $_, "$what: says so") for @patterns;
	return;
}

# ---- from nothing ----

repo_setup(['--dry-run'], 0, 'dry run',
	qr/^  to do    bucket: "$bucket" would be made$/m,
	qr/^  to do    versioning: would be turned on$/m,
	qr/^  to do    lifecycle: rule "pg_backupctl-clean-up-\w+" would be installed/m);
bkc_s3_fails([ 'list', $bucket ], qr/NoSuchBucket/, 'dry run: there is no bucket afterwards');

my ($status, $stdout, $stderr) = bkc_client('check', '--repo', $url);
is($status, 5, 'check without bucket: exit status 5');
like($stderr, qr/hint: .*pg_backupctl repo-setup/, 'check without bucket: says how to make one');

repo_setup([], 0, 'first run',
	qr/^  done     bucket: "$bucket" was made$/m,
	qr/^  done     versioning: was turned on$/m,
	qr/^  warning  encryption: the server does not know it$/m,
	qr/^  done     lifecycle: rule .* was installed: former versions go after 30 days, unfinished uploads after 7$/m);
my $rules = bkc_s3('lifecycle', $bucket);
like($rules, qr{<Prefix>prod/a/</Prefix>}, 'the rule is for the repository only');
unlike($rules, qr{<Expiration><Da}, 'and removes nothing that is there');
repo_setup([], 0, 'second run', qr/bucket: "$bucket" is there$/m, qr/versioning: is on$/m,
	qr/^  ok       lifecycle: rule .* is there: /m);
is(scalar bkc_s3('lifecycle', $bucket), $rules, 'second run: nothing has changed');

# ---- refusals ----

my $aws = 's3://acme-backups/prod?region=eu-central-1';
for my $case (
	[ $url, ['--transition', 'GLACIER:90'], qr/would freeze.*hint: Classes that are read at once are STANDARD_IA/s ],
	[ $url, ['--transition', 'DEEP_ARCHIVE:90'], qr/would freeze/ ],
	[ $aws, ['--transition', 'STANDARD_IA:20'], qr/AWS refuses.*30 days at least/s ],
	[ $url, ['--transition', 'STANDARD_IA'], qr/is not CLASS:DAYS/ ],
	[ $url, ['--noncurrent-days', '0'], qr/is not a number of days/ ],
	[ $url, ['--versioning', 'maybe'], qr/is not on or off/ ],
	[ $url, ['--encryption', 'rot13'], qr/is not AES256, aws:kms or none/ ],
	[ $url, ['--kms-key', 'x'], qr/of no use/ ],
	[ $url, ['--object-lock', '--versioning', 'off'], qr/needs versioning/ ],
	[ "$url&lock_mode=compliance&lock_days=40", [], qr/cannot go after 30 days.*locks objects for 40 days/ ],
	[ 'file:///nowhere/at/all', ['--versioning', 'on'], qr/is a folder/ ])
{
	my ($repo, $arguments, $pattern) = @$case;

	($status, $stdout, $stderr) = bkc_client('repo-setup', '--repo', $repo, @$arguments);
	is($status, 2, "refused: @$arguments: wrong usage");
	like($stderr, $pattern, "refused: @$arguments: says why");
}
is(scalar bkc_s3('lifecycle', $bucket), $rules, 'refusals: nothing has changed');

repo_setup(['--encryption', 'AES256'], 9, 'asked for what the server cannot',
	qr/^  failed   encryption: /m, qr/error: .* could not be set up as asked: encryption$/m);

# ---- rules of others ----

my ($ours) = $rules =~ m{(<Rule>.*</Rule>)};
my $theirs = '<Rule><ID>logs</ID><Filter><Prefix>logs/</Prefix></Filter><Status>Enabled</Status>'
  . '<Expiration><Days>5</Days></Expiration></Rule>';
bkc_s3('lifecycle', $bucket, $theirs . $ours);
repo_setup([ '--transition', 'STANDARD_IA:30', '--noncurrent-days', '14' ], 0, 'with a transition',
	qr/lifecycle: rule .*clean-up.* was changed: former versions go after 14 days/,
	qr/lifecycle: rule .*transition.* was installed: class STANDARD_IA after 30 days/,
	qr/lifecycle: 1 rule of others is left alone/);
like(scalar bkc_s3('lifecycle', $bucket), qr{\Q$theirs\E}, 'the rule of others is as it was');

my $bad = $theirs =~ s{logs/}{prod/}r;
bkc_s3('lifecycle', $bucket, $bad);
repo_setup([], 5, 'a rule that removes backups',
	qr/^  failed   lifecycle: rule "logs" removes objects of the repository$/m,
	qr/Remove the rule, or limit it/);
like(scalar bkc_s3('lifecycle', $bucket), qr{\Q$bad\E}, 'it is still there');
unlike(scalar bkc_s3('lifecycle', $bucket), qr{pg_backupctl-}, 'and nothing was installed beside it');

# ---- what a server says, before and after ----

my $node = bkc_node('main', repositories => "main=$url", conf => bkc_archiving());
bkc_backup($node);

sub finding
{
	my ($check, $pattern, $what) = @_;
	my $text = $node->safe_psql('postgres',
		"SELECT status || ': ' || finding || COALESCE(' | ' || advice, '') FROM backup_check() "
		  . "WHERE repository = 'main' AND check_name = '$check'");

	like($text, $pattern, $what);
	return;
}

finding('versioning', qr/^ok: on$/, 'backup_check: versions');
finding('lifecycle', qr/^warning: rule "logs" removes objects of the repository \| Remove the rule/,
	'backup_check: a rule that removes backups');
finding('aborted uploads', qr/^ok: no rule ends unfinished uploads.*repo-setup/, 'backup_check: no rule for uploads');
($status, $stdout) = bkc_client('check', '--repo', $url);
is($status, 4, 'check: the rule is a finding');
like($stdout, qr/^  WARNING lifecycle: rule "logs" removes/m, 'check: names the rule');

bkc_s3('lifecycle', $bucket, $theirs);
repo_setup([], 0, 'the rule is gone');
finding('lifecycle', qr/^ok: no rule removes objects/, 'backup_check: rules are fine');
finding('aborted uploads', qr/^ok: rule "pg_backupctl-clean-up-\w+" ends unfinished uploads after 7 days/,
	'backup_check: the rule for uploads');
($status, $stdout) = bkc_client('check', '--repo', $url, '--json');
is($status, 0, 'check: nothing is wrong') or diag($stdout);
my %place = map { $_->{what} => $_->{level} } @{ decode_json($stdout)->{place} };
is_deeply(
	\%place,
	{
		'versioning' => 'ok', 'encryption' => 'note', 'object lock' => 'ok', 'lifecycle' => 'ok',
		'aborted uploads' => 'ok', 'unfinished uploads' => 'ok', 'clock' => 'ok'
	},
	'check: what the bucket says, as JSON');

# ---- uploads: a young one may be somebody's at work ----

my $sysid = $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');
bkc_s3('begin', $bucket, "prod/a/$sysid/wal/young");
finding('unfinished uploads', qr/^ok: none is older/, 'backup_check: a young upload is no finding');
$node->restart;
bkc_backup($node);
is_deeply([ bkc_s3_uploads($bucket) ], ["prod/a/$sysid/wal/young"], 'it is left alone, also at start');

# ---- old ones are aborted, at start and by backup_check(); not by a server that is not the owner ----

my $proxy = bkc_s3_proxy();
my $proxied = bkc_s3_url($bucket, prefix => 'prod/a', port => $proxy->{port});

# Two uploads, of which the server says that they are from long ago.
sub old_uploads
{
	my @keys = ("prod/a/$sysid/wal/old", 'prod/a/4711/wal/old');
	my $list = join '', map {
		my ($id) = bkc_s3('begin', $bucket, $_);
		"<Upload><Key>$_</Key><UploadId>$id</UploadId><Initiated>2020-01-01T00:00:00.000Z</Initiated></Upload>"
	} @keys;

	bkc_s3_proxy_set(
		$proxy,
		{
			match => 'GET .*uploads=',
			status => 200,
			headers => { Date => 'Fri, 20 Nov 2026 12:00:00 GMT' },
			body => "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>$list</ListMultipartUploadsResult>"
		});
	return;
}

# Targets of requests that abort an upload of this cluster.
sub aborts
{
	return grep { m{/$sysid/wal/old\?uploadId=} } map { $_->{method} eq 'DELETE' ? $_->{target} : () } bkc_s3_proxy_log($proxy);
}

old_uploads();
$node->append_conf('postgresql.conf', "pg_backupctl.repositories = 'main=$proxied'");
$node->restart;
ok(bkc_poll(sub { aborts() > 0 }), 'start: an old upload is aborted');
ok(bkc_poll(sub { slurp_file($node->logfile) =~ /aborted \d+ old unfinished upload/ }), 'start: the log says so');
old_uploads();
my @findings = split /\n/, $node->safe_psql('postgres',
	"SELECT status || ': ' || finding FROM backup_check() WHERE check_name = 'unfinished uploads'");
like($findings[0], qr/^ok: 1 older than 24 hours, now aborted$/, 'backup_check: aborts old uploads');
ok(aborts() > 0, 'backup_check: really');

# no server whose requests stand in the log, too
$node->stop;
old_uploads();
($status, $stdout) = bkc_client('check', '--repo', $proxied);
is($status, 0, 'check: old uploads are no finding') or diag($stdout);
like($stdout, qr/^  unfinished uploads: 2 older than 24 hours$/m, 'check: counts them');
is(scalar(grep { $_->{method} ne 'GET' && $_->{method} ne 'HEAD' } bkc_s3_proxy_log($proxy)), 0, 'check: only looks');

# a clone that is not the owner
my $clone = PostgreSQL::Test::Cluster->new('clone');
mkdir $clone->basedir . '/x';
PostgreSQL::Test::RecursiveCopy::copypath($node->data_dir, $clone->data_dir);
chmod 0700, $clone->data_dir;
$clone->append_conf('postgresql.conf', 'port = ' . $clone->port);
old_uploads();
$clone->start;
like(
	$clone->safe_psql('postgres',
		"SELECT string_agg(check_name || ' ' || status || ': ' || finding, E'\n') FROM backup_check() "
		  . "WHERE check_name IN ('owner', 'unfinished uploads')"),
	qr/owner failed: .*unfinished uploads ok: 2 older than 24 hours$/s, 'a clone counts, and aborts nothing');
is(scalar(aborts()), 0, 'a clone: really');
$clone->stop;

# ---- a folder ----

my $folder = $node->basedir . '/folder/repo';
like(bkc_client_ok([ 'repo-setup', '--repo', "file://$folder", '--dry-run' ], 'folder: dry run'),
	qr/to do    folder: would be made/, 'folder: dry run: says so');
ok(!-e $folder, 'folder: nothing was made');
like(bkc_client_ok([ 'repo-setup', '--repo', "file://$folder" ], 'folder: made'),
	qr/done     folder: was made, with mode 0700/, 'folder: made: says so');
is((stat $folder)[2] & 07777, 0700, 'folder: its mode');
($status, $stdout) = bkc_client('repo-setup', '--repo', "file://$folder", '--json');
my $result = decode_json($stdout);
is($result->{steps}[0]{state}, 'ok', 'folder: there, as JSON');

done_testing();
