# The repository is full, read-only, missing, somebody else's, or goes away
# half-way: the error names it and says what to do, and all is settled once it
# is back.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('main', small => 1);
my $repo = bkc_repo_dir($node);
my $url  = bkc_repo_url($node);
my $two  = q('full', options => '{"jobs": 2}');

$node->safe_psql('postgres',
	'CREATE TABLE numbers AS SELECT i, md5(i::text) AS hash FROM generate_series(1, 20000) AS i');

# ---- missing at the start ----

rmdir $repo or die $!;
is(bkc_backup($node, $two)->{status}, 'completed', 'missing: the first backup makes it');

# Once there were backups, a missing repository is one that is not mounted.
sub away
{
	my ($empty) = @_;

	rename $repo, "$repo.away" or die $!;
	mkdir $repo or die $! if $empty;
	return;
}

sub back
{
	system_or_bail('rm', '-rf', $repo);
	rename "$repo.away", $repo or die $!;
	return;
}

for my $empty (0, 1)
{
	my $what = $empty ? 'unmounted' : 'vanished';
	my ($before, $err);

	away($empty);
	$before = $node->safe_psql('postgres', 'SELECT count(*) FROM backup_catalog');
	$err    = bkc_backup_fails($node, $two, qr/ERROR:.*repository "main"/,
		"$what: the next one is refused");
	like($err, qr/HINT:.*mount/, "$what: the hint speaks of mounting");
	is($node->safe_psql('postgres', 'SELECT count(*) FROM backup_catalog'),
		$before, "$what: there is no row");
	back();
	bkc_aftermath($node, $what, restore => 0);

	# It goes away while a backup runs.
	my $job = bkc_hold($node, 'copy-frame=sleep:1000@50');
	my $id  = $node->safe_psql('postgres', 'SELECT id FROM backup_progress');
	away($empty);
	bkc_join_fails(
		$job,
		qr/ERROR:.*repository "(?:main|\Q$url\E)"/,
		"$what half-way: the error names the repository");
	bkc_row_is($node, $id, 'failed', qr/repository/, "$what half-way");
	back();
	bkc_aftermath($node, "$what half-way", restore => 0);
}

# ---- not a folder ----

rename $repo, "$repo.away" or die $!;
append_to_file($repo, "a file\n");
bkc_backup_fails(
	$node, $two,
	qr/repository "main" cannot be used.*\Q$repo\E.*not a folder/s,
	'a file: the error says so');
unlink $repo;
rename "$repo.away", $repo or die $!;

# ---- read-only ----

sub chmod_all
{
	my ($mode) = @_;
	system_or_bail('chmod', '-R', $mode, $repo);
	return;
}

chmod_all('a-w');
my $err = bkc_backup_fails(
	$node,
	$two,
	qr/repository "main" cannot be used: .*repository "\Q$url\E".*Permission denied/,
	'read-only: the error names the repository');
like($err, qr/HINT:/, 'read-only: there is a hint');
chmod_all('u+w');
bkc_aftermath($node, 'read-only', restore => 0);

# It becomes read-only while a backup runs.
my $job = bkc_hold($node, 'copy-frame=sleep:1000@50');
my $id  = $node->safe_psql('postgres', 'SELECT id FROM backup_progress');
chmod_all('a-w');
$err = bkc_join_fails(
	$job,
	qr/ERROR:.*repository "\Q$url\E".*Permission denied/,
	'read-only half-way: the error names the repository');
bkc_row_is($node, $id, 'failed', qr/Permission denied/, 'read-only half-way');
chmod_all('u+w');
bkc_aftermath($node, 'read-only half-way');

# ---- full ----

# Writes of the leader: probe, begin object, ...; of a worker: envelope and frames.
for my $fault (
	'store-write=nospace@1',  'store-write=nospace@2',
	'store-write=nospace@4',  'pack-commit=nospace',
	'store-commit=nospace@1', 'store-commit=nospace@2',
	'store-commit=nospace@4')
{
	bkc_set_fault($node, $fault);
	bkc_backup_fails($node, $two, qr/ERROR:.*fault point/, "$fault: the backup fails");
	bkc_settled($node, $fault);
	is( $node->safe_psql(
			'postgres',
			"SELECT count(*) FROM backup_catalog WHERE status = 'completed' AND label NOT IN ("
			  . join(',', map { m{([^/]+)/manifest$} ? "'$1'" : () } bkc_repo_objects($node)) . ')'
		),
		0,
		"$fault: no completed row without a manifest");
}
bkc_aftermath($node, 'full', restore => 0);

# ---- a real limit: no file may grow beyond this, as on a small file system ----

$node->safe_psql('postgres', <<'SQL');
CREATE TABLE noise (t text);
ALTER TABLE noise ALTER t SET STORAGE EXTERNAL;
INSERT INTO noise SELECT string_agg(md5((i * 1000 + j)::text), '')
FROM generate_series(1, 2000) AS i, generate_series(1, 200) AS j GROUP BY i;
SQL
$node->stop;
system_or_bail('bash', '-c', q(ulimit -f 20480 && exec pg_ctl -w -s -D "$0" -l "$1" start),
	$node->data_dir, $node->logfile);
$node->_update_pid(1);
$err = bkc_backup_fails(
	$node,
	q('full', options => '{"jobs": 1, "compression": "none"}'),
	qr/ERROR:.*repository "\Q$url\E".*File too large/,
	'file size limit: the error names the repository');
bkc_settled($node, 'file size limit');
bkc_row_is($node, undef, 'failed', qr/File too large/, 'file size limit');
$node->restart;
bkc_aftermath($node, 'file size limit');

unlike(slurp_file($node->logfile), qr/PANIC|TRAP|terminated by signal/, 'nothing has crashed');
done_testing();
