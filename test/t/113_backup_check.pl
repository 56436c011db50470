# backup_check() tries everything and explains what it finds: settings, a repository
# that is away, gaps in the WAL, another owner.  backup_recovery_window agrees.

use strict;
use warnings;

use BkcTest;
use File::Basename;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node(
	'main',
	start => 0,
	initdb => ['--wal-segsize=1'],
	conf => bkc_archiving() . "autovacuum = off\ncheckpoint_timeout = 1h\npg_backupctl.jobs = 1\n");
my $top = bkc_repo_dir($node);
my $second = $node->basedir . '/second';
mkdir $second or die "$second: $!";
$node->append_conf('postgresql.conf',
	"pg_backupctl.repositories = 'main=file://$top, second=file://$second'");
$node->start;
bkc_extension($node);
$node->safe_psql('postgres', 'CREATE TABLE t (i int)');

sub end_segment
{
	return $node->safe_psql('postgres', <<'SQL');
INSERT INTO t SELECT generate_series(1, 100);
SELECT pg_walfile_name(pg_switch_wal());
SQL
}

# "check status", one a line, of one repository ('' = the server).
sub checks
{
	my ($repository, $server) = @_;

	return ($server // $node)->safe_psql('postgres',
		"SELECT check_name || ' ' || status FROM backup_check() "
		  . "WHERE COALESCE(repository, '') = '$repository' AND check_name NOT IN ('space', 'workers')");
}

# Asserts a finding, and its advice.
sub finding
{
	my ($repository, $check, $pattern, $what, $server) = @_;
	my $text = ($server // $node)->safe_psql('postgres',
		"SELECT status || ': ' || finding || COALESCE(' | ' || advice, '') FROM backup_check() "
		  . "WHERE COALESCE(repository, '') = '$repository' AND check_name = '$check'");

	like($text, $pattern, $what);
	return;
}

# Change settings and wait until this has happened.
sub set
{
	my ($name, $value) = @_;

	$node->safe_psql('postgres', "ALTER SYSTEM SET $name = '$value'");
	$node->reload;
	return bkc_wait_for_sql($node, "SELECT current_setting('$name')", $value);
}

sub reset_all
{
	$node->safe_psql('postgres', 'ALTER SYSTEM RESET ALL');
	$node->reload;
	return bkc_wait_for_sql($node, "SELECT count(*) FROM pg_settings WHERE sourcefile LIKE '%auto.conf'", '0');
}

# ---- as it should be ----

bkc_shipped($node);
finding('main', 'backup', qr/^warning: there is no complete backup \| SELECT backup_now\('full'\)/, 'no backup yet');
my $first = bkc_backup($node);
bkc_backup($node, q('full', 'second'));
end_segment();
bkc_shipped($node);
is(checks(''), <<'TEXT' =~ s/\n\z//r, 'the server');
preload ok
enabled ok
wal_level ok
archive_mode ok
archive_library ok
database ok
clock ok
permissions ok
schedule warning
notification ok
TEXT
my $all_well = <<'TEXT' =~ s/\n\z//r;
repository ok
cluster ok
owner ok
clock ok
archiver ok
backup ok
round trip ok
gap ok
recovery ok
TEXT
is(checks('main'), $all_well, 'repository main');
is(checks('second'), $all_well, 'repository second');
is( $node->safe_psql('postgres',
		"SELECT string_agg(DISTINCT COALESCE(repository, '-'), ',') FROM backup_check('second')"),
	'-,second',
	'one repository alone');
finding('main', 'recovery', qr/^ok: every time from \S+ \S+ to \S+ \S+ can be restored$/, 'what can be restored');
is(scalar(bkc_repo_objects($node, qr{^probe/})), 0, 'its probes are gone');
is( $node->safe_psql('postgres', <<SQL),
SELECT repository, timeline, backups, earliest_time >= '$first->{finished_at}' AS earliest,
	latest_time > earliest_time AS window, latest_lsn > earliest_lsn AS lsns, first_backup = last_backup
FROM backup_recovery_window ORDER BY repository
SQL
	"main|1|1|t|t|t|t\nsecond|1|1|t|t|t|t", 'backup_recovery_window');

# It reaches what has been committed.
my $now = $node->safe_psql('postgres', 'INSERT INTO t VALUES (1); SELECT clock_timestamp()');
bkc_shipped($node);
bkc_wait_for_sql($node,
	"SELECT bool_and(latest_time >= '$now') FROM backup_recovery_window", 't', '... up to now');

# ---- settings ----

set('pg_backupctl.enabled', 'off');
finding('', 'enabled', qr/^failed: pg_backupctl.enabled is off.*\| Set it to on/, 'switched off');
finding('main', 'archiver', qr/^warning: no WAL is sent here/, '... so no WAL is sent');
reset_all();
set('archive_command', 'true');
finding('', 'archive_library', qr/^(warning|failed): archive_command is set as well.*\| Set archive_command = ''/,
	'archive_command');
reset_all();
set('archive_library', '');
finding('', 'archive_library', qr/^warning: archive_library is empty.*\| Set archive_library = 'pg_backupctl'/,
	'archive_library');
reset_all();

# ---- a repository is away ----

chmod 0, $second or die "chmod: $!";
my $lost = end_segment();
bkc_wait_for_sql($node, q(SELECT status FROM backup_archiver WHERE repository = 'second'), 'failing');

# the streamer may have found out as well by now
like(checks('second'), qr/^repository failed\narchiver failed(\nstreamer warning)?$/, 'it is said, and nothing else is asked');
finding('second', 'repository', qr/^failed: .*Permission denied/, '... with the reason');
finding('second', 'archiver',
	qr/^failed: "$lost" could not be archived, \d+ times in a row: .*Permission denied.*; \d+ segments \(.*\) wait/,
	'the archiver says so, too');
is(checks('main'), $all_well, 'the other one is checked all the same');
my ($status, $stdout, $stderr) =
  $node->psql('postgres', 'SELECT repository FROM backup_recovery_window');
ok($status == 0 && $stdout eq 'main' && $stderr =~ /WARNING:  repository "second" cannot be asked: .*Permission denied/,
	'backup_recovery_window tells and shows the others')
  or diag("$status $stdout $stderr");
chmod 0700, $second or die "chmod: $!";

# ---- a gap that is being closed ----

# WAL helpers send ahead: here the archiver, which alone does the rest, is held.
my @ahead = map { end_segment() } 1 .. 3;
bkc_archived($node, 'three segments', @ahead);
set('pg_backupctl.wal_workers', '0');
my $archiver = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'archiver'");
kill 'STOP', $archiver or die "could not stop the archiver: $!";
my ($hole) = bkc_repo_objects($node, qr{/wal/.*/$ahead[1]$});
my $status_file = $node->data_dir . "/pg_wal/archive_status/$ahead[1]";
unlink "$top/$hole" or die "unlink: $!";
rename "$status_file.done", "$status_file.ready" or die "rename: $!";
finding('main', 'gap', qr/^ok: WAL from "$ahead[1]" to "$ahead[1]" is not there yet, while later segments are: it is being sent$/,
	'a hole among the newest segments that waits for the archiver');
my $folder = dirname("$top/$hole");
chmod 0500, $folder or die "chmod: $!";
kill 'CONT', $archiver;
end_segment();
bkc_wait_for_sql($node, q(SELECT status FROM backup_archiver WHERE repository = 'main'), 'failing');
finding('main', 'gap', qr/^warning: WAL from "$ahead[1]" .* it waits in pg_wal \| See the check of the archiver/,
	'... and cannot be sent');
chmod 0700, $folder or die "chmod: $!";
bkc_archived($node, 'the hole', $ahead[1]);
finding('main', 'gap', qr/^ok: the WAL has no gaps/, '... is closed');
reset_all();

# ---- a gap ----

my @segments = map { end_segment() } 1 .. 4;
bkc_shipped($node);
bkc_wait_for_sql($node,
	"SELECT pg_walfile_name(archived_to - 1) >= '$segments[3]' FROM backup_archiver WHERE repository = 'main'", 't');
for my $segment (@segments[ 1, 2 ])
{
	my ($object) = bkc_repo_objects($node, qr{/wal/.*/$segment$});
	unlink "$top/$object" or die "unlink: $!";
}
finding('main', 'gap',
	qr/^failed: timeline 1 lacks 2 WAL segments, "$segments[1]" to "$segments[2]": no time between \S+ \S+ and \S+ \S+ can be restored \| Take a backup now/,
	'a gap, its segments, its times');
is( $node->safe_psql('postgres',
		"SELECT pg_walfile_name(latest_lsn - 1) FROM backup_recovery_window WHERE repository = 'main'"),
	$segments[0],
	'the window ends before it');
my $later = bkc_backup($node);
end_segment();
bkc_shipped($node);
finding('main', 'gap', qr/^warning: timeline 1 lacks 2 WAL segments.*\| Later backups do not need them/,
	'a later backup does not need it');
is( $node->safe_psql('postgres',
		"SELECT string_agg(first_backup, ' ' ORDER BY earliest_time) FROM backup_recovery_window WHERE repository = 'main'"),
	"$first->{label} $later->{label}",
	'two windows');

# ---- interrupted ----

bkc_set_fault($node, 'store-list=sleep:600000');
for my $query ('SELECT count(*) FROM backup_recovery_window', 'SELECT count(*) FROM backup_check()')
{
	($status, $stdout, $stderr) =
	  $node->psql('postgres', "SET statement_timeout = '1s'; $query");
	like($stderr, qr/ERROR:  canceling statement due to statement timeout/, "$query can be cancelled");
}
bkc_clear_fault($node);
($status, $stdout, $stderr) = $node->psql('postgres', <<'SQL', on_error_stop => 0);
SET statement_timeout = '1ms';
SELECT count(*) FROM backup_recovery_window;
RESET statement_timeout;
SELECT count(*) FROM backup_recovery_window;
SQL
is($stdout, '3', 'the session goes on') or diag($stderr);

# ---- somebody else's ----

my $clone = bkc_restore($node, 'clone', args => [ '--backup', $later->{label} ]);
bkc_start_restored($clone);
$clone->safe_psql('postgres', 'ALTER SYSTEM SET pg_backupctl.enabled = on');
$clone->reload;
bkc_wait_for_sql($clone, 'SHOW pg_backupctl.enabled', 'on');
finding('main', 'owner', qr/^failed: the owner is ".*" on host ".*", since .*\| .*backup_take_over\('main'\)/,
	'another owner', $clone);
($status, $stdout, $stderr) = $clone->psql('postgres', q(SELECT backup_now('full')));
like($stderr, qr/repository "main" belongs to another data directory/, 'a clone cannot take backups');
my $log = -s $clone->logfile;
is($clone->safe_psql('postgres', q(SELECT backup_take_over('main'))), 't', 'unless a superuser says so');
like(slurp_file($clone->logfile, $log),
	qr/LOG:  role ".*" made this data directory the owner of this cluster in repository "main"/,
	'... which is noted');
finding('main', 'owner', qr/^ok: this data directory is the owner/, 'now it is the owner', $clone);
finding('second', 'owner', qr/^failed: /, '... of one repository', $clone);
is($clone->safe_psql('postgres', 'SELECT backup_take_over()'), 't', 'and of all');
finding('second', 'owner', qr/^ok: this data directory is the owner/, '... also the second', $clone);
is(bkc_backup($clone)->{status}, 'completed', 'it can take backups');
finding('main', 'owner', qr/^failed: /, 'the original learns it');
$clone->stop;
$node->stop;

done_testing();
