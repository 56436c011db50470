# Where restore writes and where it refuses to: empty and absent folders, foreign
# folders, data directories of stopped and running servers, unfinished
# restores, the repository itself.

use strict;
use warnings;

use BkcTest;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('main');
my $base = $node->basedir;
my $repo = bkc_repo_url($node);

$node->safe_psql('postgres', 'CREATE TABLE t AS SELECT generate_series(1, 1000) AS i');
my $sum = bkc_checksum($node);
my $backup = bkc_backup($node);

# Asserts that the restore fails with that status and message; also with --json.
sub refused
{
	my ($expected, $pattern, $what, @args) = @_;
	my ($status, $stdout, $stderr) = bkc_client('restore', '--repo', $repo, @args);

	is($status, $expected, "$what: exit status $expected");
	like($stderr, $pattern, "$what: message");
	($status, $stdout) = bkc_client('restore', '--repo', $repo, '--json', @args);
	return if $expected == 2;
	my $object = eval { decode_json($stdout) } // {};
	is("$status $object->{exit_status} $object->{status}", "$expected $expected failed",
		"$what: the same as JSON");
	return;
}

sub entries
{
	my ($dir) = @_;

	return [ sort grep { !/^\.\.?$/ } slurp_dir($dir) ];
}

# ---- what cannot be meant ----

refused(2, qr/--pgdata/, 'no --pgdata');
refused(6, qr/root folder/, 'the root folder', '--pgdata', '/');
refused(3, qr/20200101T000000Z-full-0000/, 'an unknown backup', '--pgdata', "$base/x", '--backup',
	'20200101T000000Z-full-0000');
refused(2, qr/label/, 'no label', '--pgdata', "$base/x", '--backup', 'yesterday');
refused(6, qr/lie in one another/, 'inside the repository',
	'--pgdata', bkc_repo_dir($node) . '/new');
refused(6, qr/is not empty/, 'around the repository', '--pgdata', $base, '--force');
ok(!-e "$base/x", 'nothing was made');

# ---- foreign folders ----

mkdir "$base/foreign" or die $!;
append_to_file("$base/foreign/precious", "mine\n");
for my $force ([], ['--force'])
{
	refused(6, qr/is not empty.*neither a data directory nor an unfinished restore/s,
		"a foreign folder @$force", '--pgdata', "$base/foreign", @$force);
}
append_to_file("$base/foreign/PG_VERSION", "15\n");
refused(6, qr/is not empty/, 'one with a PG_VERSION alone', '--pgdata', "$base/foreign", '--force');
is_deeply(entries("$base/foreign"), [qw(PG_VERSION precious)], 'it is as it was');
append_to_file("$base/file", "a file\n");
refused(6, qr/\Q$base\E\/file/, 'a file', '--pgdata', "$base/file", '--force');
is(slurp_file("$base/file"), "a file\n", 'which is as it was');
mkdir "$base/closed" or die $!;
chmod 0500, "$base/closed";
refused(6, qr/closed.*Permission denied/, 'a folder that cannot be written', '--pgdata',
	"$base/closed/new");

# ---- a running server ----

refused(6, qr/is not empty.*--force replaces it when its server is stopped/s, 'a running server',
	'--pgdata', $node->data_dir);
refused(6, qr/a server is running in/, 'a running server --force', '--pgdata', $node->data_dir,
	'--force');
symlink $node->data_dir, "$base/link" or die $!;
refused(6, qr/a server is running in/, 'behind a link', '--pgdata', "$base/link", '--force');
is(bkc_checksum($node), $sum, 'it does not notice');

# ---- folders that are fine ----

mkdir "$base/empty" or die $!;
chmod 0755, "$base/empty";
my $out = bkc_client_ok([ 'restore', '--repo', $repo, '--pgdata', "$base/empty/" ],
	'an empty folder');
is(sprintf('%o', (stat "$base/empty")[2] & 07777), '700', 'gets the mode a server wants');
like($out, qr/^start it with:  pg_ctl -D \Q$base\E\/empty start$/m, 'how to start it');
like($out, qr/every file verified/, 'every file verified');
like($out, qr/this is a clone/, 'a clone');
my $object = decode_json(
	bkc_client_ok(
		[ 'restore', '--repo', $repo, '--pgdata', "$base/a/b/with space", '--json' ],
		'an absent folder in absent folders'));
is("$object->{status} $object->{backup} $object->{clone}", "ok $backup->{label} 1",
	'JSON tells what was done');
is($object->{start_command}, "pg_ctl -D '$base/a/b/with space' start",
	'with quotes where a shell needs them');
cmp_ok($object->{files}, '>', 900, 'files');
chdir $base or die $!;
bkc_client_ok([ 'restore', '--repo', $repo, '-D', 'relative' ], 'a relative path');
ok(-f "$base/relative/global/pg_control", 'is where it should be');

# ---- a data directory of a stopped server ----

my $copy = bkc_restore($node, 'copy');
my $data = $copy->data_dir;
bkc_judge($copy, $sum);
mkdir "$data/more" or die $!;
append_to_file("$data/more/file", 'x');
symlink "$base/foreign", "$data/way_out" or die $!;
refused(6, qr/is not empty.*--force replaces it/s, 'a stopped server', '--pgdata', $data);
append_to_file("$data/postmaster.pid", "999999999\n$data\n");	# of a server that crashed
bkc_client_ok([ 'restore', '--repo', $repo, '--pgdata', $data, '--force' ],
	'a stopped server --force');
ok(!-e "$data/more" && !-l "$data/way_out", 'what was there is gone');
is_deeply(entries("$base/foreign"), [qw(PG_VERSION precious)], 'what a link led to is not');
$copy->{bkc_adopted} = 0;
bkc_judge($copy, $sum);

# ---- an unfinished restore ----

my ($status, $stdout, $stderr) =
  bkc_client({ fault => 'restore-files=fail' }, 'restore', '--repo', $repo, '--pgdata',
	"$base/broken");
cmp_ok($status, '>', 0, 'a restore that fails');
like($stderr, qr/unfinished and cannot be started.*--force/, 'says what it leaves');
command_fails([ 'pg_ctl', '-D', "$base/broken", '-l', "$base/broken.log", '-w', 'start' ],
	'its folder does not start');
refused(6, qr/is not empty.*unfinished restore: --force replaces it/s, 'again', '--pgdata',
	"$base/broken");
my $mended = PostgreSQL::Test::Cluster->new('mended');
($status) = bkc_client({ fault => 'restore-files=fail' }, 'restore', '--repo', $repo, '--pgdata',
	$mended->data_dir);
bkc_client_ok([ 'restore', '--repo', $repo, '--pgdata', $mended->data_dir, '--force' ],
	'again with --force');
bkc_judge($mended, $sum);

# ---- two at once ----

my $first = IPC::Run::start(
	[ 'pg_backupctl', 'restore', '--repo', $repo, '--pgdata', "$base/twice" ],
	'<', \undef, '>', \my $first_out, '2>', \my $first_err,
	init => sub { $ENV{PG_BACKUPCTL_FAULT} = 'restore-files=sleep:600000' });
ok(bkc_poll(sub { -e "$base/twice/PG_VERSION" }), 'a restore is at work');
refused(6, qr/another restore is at work/, 'a second one', '--pgdata', "$base/twice", '--force');
$first->signal('INT');
$first->finish;
is($first->result(0), 8, 'the first one can be cancelled') or diag($first_err);
bkc_client_ok([ 'restore', '--repo', $repo, '--pgdata', "$base/twice", '--force' ],
	'then the second one works');

chdir '/' or die $!;
$node->stop;

done_testing();
