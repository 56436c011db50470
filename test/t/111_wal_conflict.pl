# Different content under the name of an archived file: it is refused loudly, nothing
# is overwritten, a superuser decides, and readers get what was decided.

use strict;
use warnings;

use BkcTest;
use File::Copy qw(copy);
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node(
	'main',
	start => 0,
	initdb => ['--wal-segsize=1'],
	conf => bkc_archiving() . "autovacuum = off\ncheckpoint_timeout = 1h\nwal_keep_size = 1GB\n");
my $main = bkc_repo_dir($node);
my $second = $node->basedir . '/second';
mkdir $second or die "$second: $!";
$node->append_conf('postgresql.conf',
	"pg_backupctl.repositories = 'main=file://$main, second=file://$second'");
$node->start;
bkc_extension($node);
$node->safe_psql('postgres', 'CREATE TABLE t (i int); CREATE ROLE other');
my $pg_wal = $node->data_dir . '/pg_wal';

sub end_segment
{
	return $node->safe_psql('postgres', <<'SQL');
INSERT INTO t SELECT generate_series(1, 100);
SELECT pg_walfile_name(pg_switch_wal());
SQL
}

sub archived
{
	my ($file, $what) = @_;

	return bkc_wait_for_sql($node,
		"SELECT bool_and(status = 'archiving' AND backlog_segments = 0 AND pg_walfile_name(archived_to - 1) >= '$file') FROM backup_archiver",
		't', $what);
}

sub resolve_fails
{
	my ($arguments, $pattern, $what) = @_;
	my ($status, $stdout, $stderr) =
	  $node->psql('postgres', "SELECT backup_wal_conflict_resolve($arguments)");

	ok($status != 0 && $stderr =~ $pattern, $what) or diag("$status $stdout $stderr");
	return;
}

# Offer a file again whose content in pg_wal is another one now; the archiver
# looks when the next segment is complete.
sub offer_changed
{
	my ($file) = @_;

	bkc_flip_byte("$pg_wal/$file", -1);
	rename "$pg_wal/archive_status/$file.done", "$pg_wal/archive_status/$file.ready"
	  or die "rename: $!";
	return end_segment();
}

sub objects
{
	my ($file) = @_;

	return grep { /\Q$file\E/ } bkc_repo_objects($node, qr{/wal/});
}

# ---- the conflict ----

my $file = end_segment();
archived($file, 'archived');
my ($object) = objects($file);
my $content = slurp_file("$main/$object");

my $log = -s $node->logfile;
my $next = offer_changed($file);
bkc_wait_for_sql($node,
	"SELECT status = 'failing' AND failed_file = '$file' FROM backup_archiver WHERE repository = 'main'",
	't', 'it is refused');
my $error = $node->safe_psql('postgres',
	"SELECT last_error FROM backup_archiver WHERE repository = 'main'");
my %hashes = map { $_ => 1 } $error =~ /\b([0-9a-f]{64})\b/g;
is(scalar(keys %hashes), 2, 'with both hashes') or diag($error);
$node->wait_for_log(qr/HINT: .*backup_wal_conflict_resolve/, $log);
pass('and the way out in the log');
is(slurp_file("$main/$object"), $content, 'nothing is overwritten');
is_deeply([ objects($file) ], [$object], '... and nothing stored');
is($node->safe_psql('postgres', q(SELECT status || ' ' || left(finding, 26) FROM backup_check('main') WHERE check_name = 'archiver')),
	qq(failed "$file"), 'backup_check knows');

# ---- what is refused ----

resolve_fails("'$next', 'because'", qr/there is no conflict about WAL file "$next"/, 'no conflict');
resolve_fails("'$file', ''", qr/the reason must not be empty/, 'no reason');
resolve_fails("'000000010000000000000001', 'because'",
	qr/does not wait for archiving on this server/, 'not offered');
is_deeply([ objects($file) ], [$object], 'nothing has changed');

# ---- the decision ----

$log = -s $node->logfile;
is($node->safe_psql('postgres',
		"SELECT backup_wal_conflict_resolve('$file', E'the server''s disk is right')"),
	'2', 'resolved in both repositories');
my $line = slurp_file($node->logfile, $log);
like($line,
	qr/LOG:  role "[^"]+" resolved a conflict of WAL file "$file" in repository "main"\n.*DETAIL:  The repository had SHA-256 ([0-9a-f]{64}); from now on SHA-256 ([0-9a-f]{64}) is read\. Reason: the server's disk is right/,
	'the log knows who, what and why');
my ($before, $after) = $line =~ /SHA-256 ([0-9a-f]{64}); from now on SHA-256 ([0-9a-f]{64})/;
isnt($before, $after, '... and both hashes');
is_deeply([ sort($before, $after) ], [ sort keys %hashes ], '... the same as in the error');
archived($next, 'archiving goes on');
is_deeply([ objects($file) ], [ $object, "$object.conflict-" . substr($after, 0, 16) ],
	'it lies beside the old one');
is(slurp_file("$main/$object"), $content, '... which has not changed');
resolve_fails("'$file', 'again'", qr/does not wait for archiving/, 'done is done');

# Readers get what was decided.
my $target = $node->basedir . "/got";
bkc_client_ok([ 'wal-get', '--repo', bkc_repo_url($node), $file, $target ], 'wal-get');
ok(slurp_file($target) eq slurp_file("$pg_wal/$file"), "the server's content");

# ---- offered once more: the same, and yet another ----

rename "$pg_wal/archive_status/$file.done", "$pg_wal/archive_status/$file.ready" or die "rename: $!";
$next = end_segment();
archived($next, 'what was decided is archived already');
bkc_flip_byte("$pg_wal/$file", -2);
rename "$pg_wal/archive_status/$file.done", "$pg_wal/archive_status/$file.ready" or die "rename: $!";
$next = end_segment();
bkc_wait_for_sql($node,
	"SELECT status = 'failing' AND failed_file = '$file' FROM backup_archiver WHERE repository = 'main'",
	't', 'a third content is refused like the second');

# In one repository only: the other does not have the file at all.
my $gone = $object;
for my $name (glob("$second/$object*"))
{
	unlink $name or die "unlink: $!";
}
is($node->safe_psql('postgres', "SELECT backup_wal_conflict_resolve('$file', 'once more')"),
	'1', 'resolved where there was a conflict');
archived($next, '... and archived where there was none');
is(scalar(objects($file)), 3, 'three contents');
unlink $target;
bkc_client_ok([ 'wal-get', '--repo', bkc_repo_url($node), $file, $target ], 'wal-get');
ok(slurp_file($target) eq slurp_file("$pg_wal/$file"), 'the newest decision counts');
bkc_client_ok([ 'wal-get', '--repo', "file://$second", $file, "$target.second" ], 'wal-get from the second');
ok(slurp_file("$target.second") eq slurp_file("$pg_wal/$file"), 'the same there');

# ---- the one in the repository is damaged ----

$file = end_segment();
archived($file, 'another segment');
($object) = objects($file);
bkc_flip_byte("$main/$object", 150);
rename "$pg_wal/archive_status/$file.done", "$pg_wal/archive_status/$file.ready" or die "rename: $!";
$next = end_segment();
bkc_wait_for_sql($node,
	"SELECT status = 'failing' AND failed_file = '$file' FROM backup_archiver WHERE repository = 'main'",
	't', 'what cannot be compared is refused');
$log = -s $node->logfile;
is($node->safe_psql('postgres', "SELECT backup_wal_conflict_resolve('$file', 'bit rot')"),
	'1', 'resolved');
like(slurp_file($node->logfile, $log),
	qr/The repository had a damaged object; from now on SHA-256 [0-9a-f]{64} is read\. Reason: bit rot/,
	'... and noted');
archived($next, 'archiving goes on');
bkc_client_ok([ 'wal-get', '--repo', bkc_repo_url($node), $file, "$target.mended" ], 'wal-get');
ok(slurp_file("$target.mended") eq slurp_file("$pg_wal/$file"), "the server's content");
$node->stop;

done_testing();
