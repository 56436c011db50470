# The client's list and verify: what they print, for people and as JSON, and
# their exit status; several clusters in one repository.

use strict;
use warnings;

use BkcTest;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

# Exit status and stdout taken apart.
sub client_json
{
	my ($status, $stdout, $stderr) = bkc_client(@_, '--json');
	my $object = eval { decode_json($stdout) };

	diag("not JSON: $stdout\n$stderr") if !defined $object;
	return ($status, $object // {}, $stderr);
}

# Asserts the exit status, of the run with --json too, and how its object says so.
sub fails
{
	my ($expected, $pattern, $what, @args) = @_;
	my ($status, $stdout, $stderr) = bkc_client(@args);

	is($status, $expected, "$what: exit status $expected");
	like($stderr, $pattern, "$what: message");
	is($stdout, '', "$what: nothing on standard output") if $expected != 4;
	return if $expected == 2;

	my ($json_status, $object) = client_json(@args);
	is($json_status, $expected, "$what: the same with --json");
	is($object->{exit_status}, $expected, "$what: which says it, too");
	like($object->{error}{message}, qr/./, "$what: with a message");
	return;
}

my $node = bkc_node('prod');					# which is its cluster_name, too
my $repo = bkc_repo_url($node);
my $sysid = $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');

# ---- nothing there yet ----

fails(3, qr/holds no cluster/, 'an empty repository', 'list', '--repo', $repo);
fails(3, qr/holds no cluster/, 'verify of an empty repository', 'verify', '--repo', $repo);
fails(3, qr/nowhere" holds no cluster.*not mounted/s, 'no such folder', 'list', '--repo',
	"$repo/nowhere");
fails(2, qr/--repo/, 'no repository', 'list');
fails(2, qr/ftp/, 'an unknown scheme', 'list', '--repo', 'ftp://host/path');
fails(2, qr/file/, 'a relative path', 'list', '--repo', 'file://relative/path');
fails(2, qr/frobnicate/, 'an unknown command', 'frobnicate');
fails(2, qr/--nonsense/, 'an unknown option', 'list', '--repo', $repo, '--nonsense');
fails(2, qr/jobs/, 'no jobs', 'verify', '--repo', $repo, '--jobs', '0');
fails(2, qr/command/, 'no command');
for my $args ([], ['list'], ['verify'], ['restore'], ['wal-get'])
{
	like(bkc_client_ok([ @$args, '--help' ], "@$args --help"), qr/Usage:.*--repo/s,
		'tells about --repo');
}
like(bkc_client_ok(['--version'], '--version'), qr/^pg_backupctl 1\.0$/, 'the version');

# ---- two backups, and one at work ----

my @backups =
  (bkc_backup($node), bkc_backup($node, q('full', options => '{"compression": "none"}')));
my @labels = map { $_->{label} } @backups;
bkc_set_fault($node, 'leader-listed=sleep:60000');
my $id = $node->safe_psql('postgres', 'SELECT backup_now(wait => false)');
bkc_wait_for_sql($node, "SELECT phase = 'listing files' FROM backup_progress WHERE id = $id");
my $running = bkc_catalog($node, $id)->{label};

my $text = bkc_client_ok([ 'list', '--repo', $repo ], 'list');
like($text, qr/^cluster $sysid \(prod\): 3 backups$/m, 'the cluster');
like($text, qr/^  $_ +full +complete +\d{4}-\d\d-\d\d /m, 'a complete backup') for @labels;
like($text, qr/^  $running +full +unfinished /m, 'the one at work');
my ($status, $list) = client_json('list', '--repo', $repo);
is($status, 0, 'list --json');
is($list->{status}, 'ok', 'says ok');
my $cluster = $list->{clusters}[0];
is("$cluster->{system_identifier}/$cluster->{name}", "$sysid/prod", 'the cluster in JSON');
is_deeply([ map { $_->{label} } @{ $cluster->{backups} } ], [ sort @labels, $running ],
	'all three, sorted');
my ($first) = grep { $_->{label} eq $labels[0] } @{ $cluster->{backups} };
is($first->{size_bytes}, $backups[0]{original_size_bytes}, 'size as in the catalog');
is($first->{stored_bytes}, $backups[0]{backup_size_bytes}, 'stored bytes as in the catalog');
is("$first->{start_lsn} $first->{stop_lsn}", "$backups[0]{start_lsn} $backups[0]{stop_lsn}",
	'WAL as in the catalog');
is($first->{pg_version_num}, $node->safe_psql('postgres', 'SHOW server_version_num'), 'version');

$text = bkc_client_ok([ 'verify', '--repo', $repo ], 'verify');
like($text, qr/^backup $_: .* every hash correct, WAL complete/m, 'verified') for @labels;
unlike($text, qr/$running/, 'not the unfinished one');
($status, my $verified) = client_json('verify', '--repo', $repo, '--backup', 'latest', '--jobs', 3);
is($status, 0, 'verify --json');
is_deeply([ map { "$_->{label} $_->{ok} $_->{files}" } @{ $verified->{backups} } ],
	[ "$labels[1] 1 " . decode_json($backups[1]{metadata})->{files} ], 'the latest complete one');
fails(3, qr/$running is unfinished/, 'the unfinished one', 'verify', '--repo', $repo, '--backup',
	$running);
fails(3, qr/20200101T000000Z-full-0000/, 'an unknown label', 'verify', '--repo', $repo, '--backup',
	'20200101T000000Z-full-0000');
fails(2, qr/label/, 'no label', 'verify', '--repo', $repo, '--backup', '../../x');
$node->safe_psql('postgres', "SELECT backup_cancel($id)");
bkc_backup_end($node, $id);
bkc_clear_fault($node);

# ---- a second cluster in the same repository ----

my $other = bkc_node('other', repositories => "main=$repo");
my $other_id = $other->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');
$other->safe_psql('postgres', 'CREATE TABLE t AS SELECT 42 AS a');
my $theirs = bkc_backup($other);
($status, $list) = client_json('list', '--repo', $repo);
is_deeply([ sort map { $_->{system_identifier} } @{ $list->{clusters} } ],
	[ sort $sysid, $other_id ], 'both are listed');
($status, $list) = client_json('list', '--repo', $repo, '--cluster', $other_id);
is_deeply([ map { $_->{label} } map { @{ $_->{backups} } } @{ $list->{clusters} } ],
	[ $theirs->{label} ], 'or one of them');
fails(2, qr/holds 2 clusters: say which one.*$sysid.*--cluster/s, 'verify of two', 'verify',
	'--repo', $repo);
fails(3, qr/12345/, 'an unknown cluster', 'list', '--repo', $repo, '--cluster', '12345');
fails(2, qr/system identifier/, 'no cluster', 'list', '--repo', $repo, '--cluster', 'prod');
fails(3, qr/$labels[0]/, 'a backup of the other cluster', 'verify', '--repo', $repo, '--cluster',
	$other_id, '--backup', $labels[0]);
bkc_client_ok([ 'verify', '--repo', $repo, '--cluster', $_ ], "verify of $_") for $sysid, $other_id;
$other->stop;
$node->stop;
my $copy = bkc_restore($other, 'copy', repo => $repo, args => [ '--cluster', $other_id ]);
bkc_judge($copy, undef, running => 1);
is($copy->safe_psql('postgres', 'SELECT a FROM t'), 42, 'the right cluster was restored');
$copy->stop;

# ---- a damaged manifest hides no other backup ----

my ($manifest) = bkc_repo_objects($node, qr{$labels[0]/manifest$});
bkc_flip_byte(bkc_repo_dir($node) . "/$manifest", 200);
($status, $text) = bkc_client('list', '--repo', $repo);
is($status, 4, 'list with a damaged manifest: exit status 4');
like($text, qr/^  $labels[0] .*damaged.*^    damaged: /ms, 'it is shown as damaged');
like($text, qr/^  $labels[1] +full +complete /m, 'the other one is shown as before');
($status, $list) = client_json('list', '--repo', $repo);
is("$status $list->{status}", '4 failed', 'the same in JSON');

done_testing();
