# Storage classes: which objects of a backup are in one, where it is noted, and what is refused.
# Then an archive: nothing is restored or verified before it was thawed, and nothing else needs that.
#
# In Ceph a class is only a name.  So it is the proxy that answers as AWS does for what is in an
# archive: InvalidObjectState, and the replies to RestoreObject.

use strict;
use warnings;

use BkcTest;
use BkcS3;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $bucket = bkc_s3_bucket();
my $proxy = bkc_s3_proxy();
my $url = bkc_s3_url($bucket, port => $proxy->{port});
my $folder = PostgreSQL::Test::Utils::tempdir;
my $node = bkc_node(
	'main',
	small => 1,
	initdb => ['--wal-segsize=1'],
	repositories => "main=$url, disk=file://$folder/repo",
	conf => bkc_archiving());

sub class
{
	my ($key) = @_;

	return scalar(bkc_s3('head', $bucket, $key)) =~ /^x-amz-storage-class: (\S+)$/m ? $1 : 'STANDARD';
}

# ---- what has the class ----

$node->safe_psql('postgres', 'CREATE TABLE numbers AS SELECT i FROM generate_series(1, 10000) i');
my $backup = bkc_backup($node, q('full', options => '{"storage_class": "GLACIER", "jobs": 2}'));
my $sum = bkc_checksum($node);
bkc_segments($node, 2);
bkc_archived($node, 'main');

my @packs = bkc_s3_objects($bucket, qr{/data/[1-9]\d*-\d+\.pack$});
my %wrong = map { $_ => class($_) } @packs;
cmp_ok(scalar @packs, '>=', 1, 'there are packs of workers');
is_deeply([ grep { $wrong{$_} ne 'GLACIER' } @packs ], [], 'all of them are in the class');
my @rest = bkc_s3_objects($bucket, qr{^(?!.*/data/[1-9])});
ok((grep { m{/wal/} } @rest) && (grep { m{/manifest$} } @rest) && (grep { m{/data/0-} } @rest), 'there are others');
is_deeply([ grep { class($_) ne 'STANDARD' } @rest ], [], 'none of them is');
is($backup->{metadata} =~ /"storage_class": "GLACIER", / ? 1 : 0, 1, 'the catalog tells it');
is($node->safe_psql('postgres', "SELECT storage_class, backups FROM backup_storage WHERE repository = 'main' AND kind = 'backups'"),
	'GLACIER|1', 'what it costs goes by it');
for (
	[ '', 'STANDARD|STANDARD' ],
	[ '&storage_class=DEEP_ARCHIVE', 'DEEP_ARCHIVE|STANDARD' ],
	[ '&storage_class=GLACIER', 'GLACIER|STANDARD' ],
	[ '&storage_class=GLACIER_IR', 'GLACIER_IR|GLACIER_IR' ],
	[ '&storage_class=GLACIER&wal_storage_class=STANDARD_IA', 'GLACIER|STANDARD_IA' ],
	[ '&wal_storage_class=STANDARD_IA', 'STANDARD|STANDARD_IA' ])
{
	$node->safe_psql('postgres', "ALTER SYSTEM SET pg_backupctl.repositories = 'main=$url$_->[0]'");
	$node->reload;
	bkc_wait_for_sql($node, "SELECT backup_repository_class('main'), backup_repository_class('main', 'wal')",
		$_->[1], "the URL tells the classes: $_->[0]");
}
$node->safe_psql('postgres', 'ALTER SYSTEM RESET pg_backupctl.repositories');
$node->reload;
bkc_wait_for_sql($node, "SELECT current_setting('pg_backupctl.repositories') LIKE '%disk%'", 't', 'and the former URL again');

$node->safe_psql('postgres', 'DELETE FROM backup_catalog');
is($node->safe_psql('postgres', "SELECT added FROM backup_catalog_sync('main')"), 1, 'a catalog that was lost is rebuilt');
is($node->safe_psql('postgres', "SELECT metadata->>'storage_class' FROM backup_catalog"), 'GLACIER', 'with the class');
is($node->safe_psql('postgres', 'SELECT backup_verify()'), 'passed', 'where a class is a name it is verified');
bkc_judge(bkc_restore($node, 'name', repo => $url), undef);

# ---- what is refused, before anything is there ----

my $before = join ' ', grep { m{/backups/} } bkc_s3_objects($bucket);
bkc_backup_fails($node, q('full', options => '{"storage_class": "NO_SUCH_CLASS"}'),
	qr/cannot store objects in class "NO_SUCH_CLASS"/, 'a class that the server does not know');
is(join(' ', grep { m{/backups/} } bkc_s3_objects($bucket)), $before, 'leaves nothing');
is_deeply([ bkc_s3_uploads($bucket) ], [], 'no upload either');
bkc_backup_fails($node, q('full', 'disk', options => '{"storage_class": "STANDARD"}'),
	qr/repository "disk": a repository of scheme "file" has no storage classes/, 'a folder has none');
for (
	[ q('x', '@daily', repository => 'disk', storage_class => 'GLACIER'), qr/"file" has no storage classes/ ],
	[ q('x', '@daily', storage_class => 'A B'), qr/"A B" is no storage class/ ],
	[ q('x', '@daily', 'verify', storage_class => 'GLACIER'), qr/only a backup can have a storage class/ ],
	[ q('x', '@daily', storage_class => 'GLACIER', options => '{"storage_class": "STANDARD"}'), qr/two storage classes/ ])
{
	my ($status, $stdout, $stderr) = $node->psql('postgres', "SELECT schedule_backup($_->[0])");
	like($stderr, $_->[1], "no schedule: $_->[0]");
}

$node->safe_psql('postgres', "ALTER SYSTEM SET pg_backupctl.repositories = 'main=$url&storage_class=NO_SUCH_CLASS'");
$node->reload;
bkc_wait_for_sql($node, "SELECT current_setting('pg_backupctl.repositories') LIKE '%NO_SUCH%'", 't', 'a class in the URL');
like($node->safe_psql('postgres', "SELECT string_agg(finding, ' ') FROM backup_check() WHERE status = 'failed'"),
	qr/cannot store objects in class "NO_SUCH_CLASS"/, 'that is not known: backup_check() tells');
$node->safe_psql('postgres', 'ALTER SYSTEM RESET pg_backupctl.repositories');
$node->reload;
bkc_wait_for_sql($node, "SELECT current_setting('pg_backupctl.repositories') LIKE '%NO_SUCH%'", 'f', 'the former URL');

# ---- a schedule's ----

$node->safe_psql('postgres',
	"SELECT schedule_backup('cool', '0 0 1 1 *', storage_class => 'STANDARD_IA', options => '{\"jobs\": 2}')");
$node->safe_psql('postgres', "UPDATE backup_schedule_entry SET next_run = now() - interval '1 minute'");
bkc_wait_for_sql($node, "SELECT last_result FROM backup_schedule WHERE name = 'cool'", 'completed', 'a scheduled backup');
my $cool = bkc_catalog($node);
like($cool->{metadata}, qr/"storage_class": "STANDARD_IA"/, 'has the class of its schedule');
is_deeply([ grep { class($_) ne 'STANDARD_IA' } bkc_s3_objects($bucket, qr{$cool->{label}/data/[1-9]}) ], [], 'in the bucket, too');
$node->safe_psql('postgres', "SELECT unschedule_backup('cool')");

# ---- an archive ----

my $label = $backup->{label};
my $id = $node->safe_psql('postgres', "SELECT id FROM backup_catalog WHERE label = '$label'");
my $pack = "$label/data/[1-9]\\d*-\\d+\\.pack";
my %refused = (
	match => "^GET /\\S*$pack",
	status => 403,
	headers => { 'Content-Type' => 'application/xml' },
	body => '<Error><Code>InvalidObjectState</Code><Message>not valid for its storage class</Message><StorageClass>GLACIER</StorageClass></Error>');
my %taken = (match => "^POST /\\S*$pack\\?restore", status => 202);
my $copy = PostgreSQL::Test::Cluster->new('restored');
my $target = $copy->data_dir;
my @latest = ('restore', '--repo', $url, '--pgdata', $target);
my @restore = (@latest, '--backup', $label, '--immediate');

# How often a request like that was made since the proxy was set.
sub requests
{
	my ($method, $what) = @_;

	return scalar grep { $_->{method} eq $method && $_->{target} =~ $what } bkc_s3_proxy_log($proxy);
}

sub restore_waits
{
	my ($args, $pattern, $what) = @_;
	my ($status, $stdout, $stderr) = bkc_client(@restore, @$args);

	is($status, 11, "$what: exit status");
	like($stderr, $pattern, "$what: what is told");
	ok(!-e $target, "$what: nothing is written");
	return;
}

my $number = @packs;
bkc_s3_proxy_set($proxy, [ \%refused, \%taken ]);
restore_waits([], qr/backup $label cannot be restored now: $number of its \d+ packs \(.*\) are in storage class GLACIER/, 'frozen');
restore_waits([], qr/hint: "pg_backupctl restore --thaw" requests it for 7 days/, 'frozen');
is(requests('POST', qr/restore/), 0, 'nothing is requested that was not asked for');
my ($status, $stdout, $stderr) = bkc_client('verify', '--repo', $url);
is($status, 11, 'verify: no damage');
like($stdout, qr/backup $label cannot be verified now/, 'verify: it says why');
like($stdout, qr/backup $cool->{label}: .* every hash correct/, 'verify: the other one is');
bkc_client_fails([ 'verify', '--repo', $url, '--thaw' ], qr/--thaw needs --backup/, 'verify --thaw of everything');
($status, $stdout, $stderr) = $node->psql('postgres', "SELECT backup_verify($id)");
like($stderr, qr/backup $label cannot be verified now: $number of its/, 'backup_verify: an error');
is($node->safe_psql('postgres', "SELECT verification_status FROM backup_catalog WHERE id = $id"), 'passed', 'and no verdict');

# all else goes on
like(bkc_client_ok([ 'list', '--repo', $url ], 'list'), qr/$label/, 'list shows it');
is($node->safe_psql('postgres', "DELETE FROM backup_catalog; SELECT added FROM backup_catalog_sync('main')"), 2, 'the catalog can be rebuilt');
is($node->safe_psql('postgres', "SELECT count(*) FROM backup_expire() WHERE action = 'keep' AND name = '$label'"), 1, 'retention plans');

bkc_client_ok([ 'check', '--repo', $url ], 'check');

# a rule of the bucket has moved a manifest there, too: others do not suffer
my %manifest = (%refused, match => "^GET /\\S*$label/manifest");
bkc_s3_proxy_set($proxy, [ \%manifest, \%refused, \%taken ]);
is($node->safe_psql('postgres', "DELETE FROM backup_catalog; SELECT added FROM backup_catalog_sync('main')"), 1, 'a frozen manifest: the other backup is added');
like($node->safe_psql('postgres', "SELECT action, reason FROM backup_expire() WHERE name = '$label'"), qr/^keep\|/, 'it is kept');
is($node->safe_psql('postgres', "SELECT count(*) FROM backup_expire() WHERE kind = 'wal' AND action = 'remove'"), 0, 'and all WAL');
is($node->safe_psql('postgres', "SELECT first_backup FROM backup_recovery_windows()"), $cool->{label}, 'the other one can be restored');
bkc_s3_proxy_set($proxy, [ \%refused, \%taken ]);
is($node->safe_psql('postgres', "SELECT added FROM backup_catalog_sync('main')"), 1, 'it comes when it can be read');

# an option that is wrong costs nothing
bkc_client_fails([ @restore, '--thaw=0' ], qr/--thaw "0" is not a number of days/, 'no days');
bkc_client_fails([ @latest, '--thaw', '--backup', $label, '--target-lsn', 'FFFF/0' ], qr/does not reach/, 'another refusal comes first');
is(requests('POST', qr/restore/), 0, 'still nothing is requested');

restore_waits([ '--thaw=3' ], qr/Requested now: $number packs/, 'requested');
is(requests('POST', qr/\?restore/), $number, 'one request for each pack');

# hours later: not yet, ready in part, ready
my %thawing = (match => "^HEAD /\\S*$pack", status => 200, headers => { ETag => '"x"', 'x-amz-restore' => 'ongoing-request="true"' });
my %busy = (%taken, status => 409, body => '<Error><Code>RestoreAlreadyInProgress</Code></Error>');
bkc_s3_proxy_set($proxy, [ \%refused, \%busy ]);
restore_waits([ '--thaw' ], qr/cannot be restored yet: $number of its/, 'requested by somebody else meanwhile');
bkc_s3_proxy_set($proxy, [ \%refused, \%thawing, \%taken ]);
restore_waits([ '--thaw' ], qr/Requested now: 0 packs \(0 bytes\); before: $number \(.*\), which are not ready; 0 are ready/, 'thawing');
restore_waits([], qr/cannot be restored yet/, 'thawing, without --thaw');
is(requests('POST', qr/restore/), 0, 'nothing is requested twice');
($status, $stdout, $stderr) = bkc_client(@restore, '--json');
is($status, 11, 'with --json');
like($stdout, qr/"code":\s*"archived"/, 'with --json: the code');
my %thawed = (%thawing, headers => { ETag => '"x"', 'x-amz-restore' => 'ongoing-request="false", expiry-date="Fri, 20 Nov 2099 00:00:00 GMT"' });
bkc_s3_proxy_set($proxy, [ \%thawed, \%taken ]);
($status, $stdout, $stderr) = bkc_client(@restore, '--thaw');
is($status, 0, 'thawed: it is restored') || diag($stderr);
like($stderr, qr/was thawed from storage class GLACIER, and can be read until 2099-11-20/, 'thawed: until when');
is(requests('POST', qr/restore/), 0, 'thawed: nothing is requested');
bkc_client_ok([ 'verify', '--repo', $url, '--backup', $label, '--thaw' ], 'thawed: verified');

bkc_s3_proxy_set($proxy, {});
bkc_judge($copy, $sum);
$node->stop;

done_testing();
