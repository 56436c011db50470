# Backups that rely on the archive for their WAL: proven before the manifest is
# written, checked by verify, restored; and what happens when the archive does not get it.

use strict;
use warnings;

use BkcTest;
use File::Basename;
use File::Copy;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node(
	'main',
	small => 1,
	initdb => ['--wal-segsize=1'],
	conf => bkc_archiving() . "autovacuum = off\n");
my $top = bkc_repo_dir($node);
my $archive = q('full', options => '{"wal": "archive"}');

$node->safe_psql('postgres', 'CREATE TABLE t AS SELECT i, md5(i::text) AS m FROM generate_series(1, 20000) AS i');

# ---- one as it should be ----

my $backup = bkc_backup_during(
	$node,
	sub {
		# several segments between start and stop
		$node->safe_psql('postgres', 'INSERT INTO t SELECT i, md5(i::text) FROM generate_series(1, 30000) AS i');
		is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_replication_slots'),
			'0', 'no slot is needed');
	},
	'{"wal": "archive"}');
is($backup->{status}, 'completed', 'a backup that relies on the archive');
my $sum = bkc_checksum($node);
my @segments = map { sprintf('00000001%08X%08X', $_ >> 12, $_ & 4095) } do
{
	my ($first, $last) = split /\|/,
	  $node->safe_psql('postgres', "SELECT ('$backup->{start_lsn}'::pg_lsn - '0/0') ::bigint / 1048576, "
		  . "(('$backup->{stop_lsn}'::pg_lsn - '0/0')::bigint - 1) / 1048576");
	($first .. $last);
};
cmp_ok(scalar(@segments), '>', 2, 'with several segments');
is(scalar(grep { bkc_repo_objects($node, qr{/wal/.*/$_$}) } @segments),
	scalar(@segments), 'each is in the archive when the backup is there');
is($node->safe_psql('postgres', "SELECT backup_verify($backup->{id})"), 'passed', 'backup_verify');
bkc_client_ok([ 'verify', '--repo', bkc_repo_url($node), '--backup', $backup->{label} ], 'verify');

my $own = bkc_backup($node, q('full', options => '{"wal": "backup"}'));
is($own->{status}, 'completed', 'a backup with its own WAL');

# ---- the archive is damaged ----

sub segment_path
{
	my ($segment) = @_;
	my ($name) = bkc_repo_objects($node, qr{/wal/.*/$segment$});

	return "$top/$name";
}

sub findings
{
	my ($pattern, $what) = @_;
	my ($status, $stdout, $stderr);

	$status = $node->psql('postgres', "SELECT backup_verify($backup->{id})",
		stdout => \$stdout, stderr => \$stderr);
	ok($stdout eq 'failed' && $stderr =~ $pattern, "backup_verify: $what")
	  or diag("$status $stdout $stderr");
	($status, $stdout, $stderr) =
	  bkc_client('verify', '--repo', bkc_repo_url($node), '--backup', $backup->{label});
	ok($status == 4 && $stdout =~ $pattern, "verify: $what")
	  or diag("$status $stdout $stderr");
	return;
}

my $failed;
my $damaged;
my $path = segment_path($segments[1]);
bkc_flip_byte($path, -100);
findings(qr/$segments[1]/, 'a damaged segment');
bkc_flip_byte($path, -100);
is($node->safe_psql('postgres', "SELECT backup_verify($backup->{id})"), 'passed', '... mended');
rename $path, "$path.away" or die "rename: $!";
findings(qr/WAL segment "$segments[1]" is not in the archive/, 'a missing segment');
is($node->safe_psql('postgres', "SELECT backup_verify($own->{id})"), 'passed',
	'a backup with its own WAL does not mind');
rename "$path.away", $path or die "rename: $!";

# ---- the archive is damaged before the backup is complete ----

$failed = bkc_backup_during(
	$node,
	sub {
		my @ended = bkc_segments($node, 3);

		bkc_archived($node, 'while the backup runs', @ended);
		bkc_flip_byte(segment_path($ended[1]), -100);
		$damaged = $ended[1];
	},
	'{"wal": "archive"}');
is($failed->{status}, 'failed', 'all WAL is read before the manifest is written');
like($failed->{error}, qr/$damaged/, '... and the damaged segment is named');
is(scalar(bkc_repo_objects($node, qr{/$failed->{label}/manifest$})), 0, '... there is no manifest');
bkc_flip_byte(segment_path($damaged), -100);

# ---- somebody else's WAL is there ----

# A copy of the server writes other WAL under the same names, elsewhere.
my $twin = PostgreSQL::Test::Cluster->new('twin');
my $elsewhere = $node->basedir . '/elsewhere';
mkdir $elsewhere or die "$elsewhere: $!";
bkc_shipped($node);
$node->stop;
$node->backup_fs_cold('cold');
$twin->init_from_backup($node, 'cold');
$twin->append_conf('postgresql.conf', "pg_backupctl.repositories = 'main=file://$elsewhere'");
$twin->start;
my @foreign = bkc_segments($twin, 4);
bkc_archived($twin, 'the twin', @foreign);
$twin->stop;
$node->start;

# They lie where the backup's segments will be: all but the one that is open now.
my $open = $node->safe_psql('postgres', 'SELECT pg_walfile_name(pg_current_wal_lsn())');
@foreign = grep { $_ gt $open } @foreign;
cmp_ok(scalar(@foreign), '>', 0, 'there is WAL to come');
for my $segment (@foreign)
{
	my ($theirs) = glob("$elsewhere/*/wal/*/*/$segment");

	copy($theirs, dirname(segment_path($segments[0])) . "/$segment") or die "copy: $!";
}
my $refused = bkc_backup_fails($node, $archive,
	qr/repository "main" holds other content for WAL segment "[0-9A-F]{24}" than this server\n.*DETAIL:  The repository has SHA-256 [0-9a-f]{64}, this server's file has SHA-256 [0-9a-f]{64}\.\n.*HINT: .*backup_wal_conflict_resolve/s,
	"somebody else's WAL does not count");
ok((grep { $refused =~ /"$_"/ } @foreign), '... it is the one that lies there');
is(scalar(bkc_repo_objects($node, qr{/@{[ bkc_catalog($node)->{label} ]}/manifest$})), 0, '... there is no manifest');
for my $segment (@foreign)
{
	unlink segment_path($segment) or die "unlink: $!";
}
bkc_archived($node, 'the right WAL instead');

# ---- another repository is away ----

mkdir "$top.away", 0500 or die "mkdir: $!";
$node->safe_psql('postgres',
	"ALTER SYSTEM SET pg_backupctl.repositories = 'main=file://$top, away=file://$top.away'");
$node->reload;
bkc_wait_for_sql($node, 'SELECT count(*) FROM backup_archiver', '2');
my ($waits) = bkc_segments($node, 1);
bkc_wait_for_sql($node, q(SELECT status FROM backup_archiver WHERE repository = 'away'), 'failing');
is(bkc_backup($node, q('full', 'main', options => '{"wal": "archive"}'))->{status},
	'completed', 'a backup does not need the archive of another repository');
ok((grep { $_ eq $waits } bkc_wal_status($node, 'ready')), '... for which WAL still waits');
$node->safe_psql('postgres', 'ALTER SYSTEM RESET pg_backupctl.repositories');
$node->reload;
bkc_wait_for_sql($node, 'SELECT count(*) FROM backup_archiver', '1');
bkc_archived($node, 'it is not needed any more');

# ---- the archive is away ----

# Everything but the WAL can be written.
my ($folder) = $path =~ m{(.*)/};
chmod 0500, $folder or die "chmod: $!";
bkc_backup_fails($node, q('full', options => '{"wal": "archive", "archive_wait": 2}'),
	qr/WAL segment "[0-9A-F]{24}" was not archived in repository "main" within 2 seconds\n.*DETAIL: .*Permission denied.*HINT: .*backup_archiver/s,
	'a time-out that says why');
$failed = bkc_catalog($node);
is($failed->{status}, 'failed', 'the row says failed');
like($failed->{error}, qr/was not archived in repository "main" within 2 seconds/, '... and why');
is(scalar(bkc_repo_objects($node, qr{/$failed->{label}/manifest$})), 0, 'there is no manifest');

# Now it is known to fail: no backup is begun.
bkc_wait_for_sql($node, q(SELECT status FROM backup_archiver), 'failing');
my $before = $node->safe_psql('postgres', 'SELECT count(*) FROM backup_catalog');
bkc_backup_fails($node, $archive, qr/WAL cannot be archived in repository "main" at present\n.*DETAIL: .*Permission denied/s,
	'an archive that fails is said at once');
is($node->safe_psql('postgres', 'SELECT count(*) FROM backup_catalog'), $before, '... without a trace');
is(bkc_backup($node)->{status}, 'completed', 'a backup with its own WAL needs no archive');

# It is waited for.
chmod 0700, $folder or die "chmod: $!";
bkc_wait_for_sql($node, q(SELECT status FROM backup_archiver), 'archiving');
bkc_set_fault($node, 'archive-file=sleep:3000,helper-segment=sleep:3000');
my $job = bkc_start($node, "SELECT backup_now($archive)");
bkc_wait_for_sql($node, q(SELECT phase FROM backup_progress WHERE job = 'backup'),
	'waiting for WAL archive', 'the phase');
bkc_clear_fault($node);
is((bkc_join($job))[0], 0, '... and a backup that had to wait for the archive')
  or diag($job->{err});
is(bkc_catalog($node)->{status}, 'completed', '... completes');

# ---- nobody archives ----

$node->safe_psql('postgres', "ALTER SYSTEM SET archive_library = ''");
$node->reload;
bkc_wait_for_sql($node, q(SELECT status FROM backup_archiver), 'not configured');
bkc_backup_fails($node, $archive,
	qr/pg_backupctl does not archive the WAL of this server\n.*DETAIL: .*archive_library is "".*HINT: .*archive_library = 'pg_backupctl'/s,
	'without archiving');
$node->safe_psql('postgres', "ALTER SYSTEM RESET archive_library");
$node->reload;

# ---- restore: the archive provides the WAL ----

$node->stop;
my $copy = bkc_restore($node, 'copy', args => [ '--backup', $backup->{label} ]);
is_deeply([ grep { /^[0-9A-F]{24}$/ } slurp_dir($copy->data_dir . '/pg_wal') ],
	[], 'no WAL comes with it');
command_ok([ 'pg_verifybackup', '--exit-on-error', '--no-parse-wal', $copy->data_dir ],
	'pg_verifybackup');
bkc_judge($copy, $sum, manifest => 0);

done_testing();
