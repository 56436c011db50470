# Recovery from what a server has archived: two repositories and one of them
# away, a gap, damaged objects, the open segment.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $base = PostgreSQL::Test::Utils::tempdir();
my $node = bkc_node(
	'main',
	start  => 0,
	initdb => ['--wal-segsize=1'],
	conf   => bkc_archiving());
my ($main, $other) = (bkc_repo_url($node), "file://$base/other");

$node->append_conf('postgresql.conf', "pg_backupctl.repositories = 'main=$main, other=$other'");
$node->start;
bkc_extension($node);

# A row in each of some segments, and one more in the open segment.
$node->safe_psql('postgres', 'CREATE TABLE t (i int)');
my $backup = bkc_backup($node);
my $first = $node->safe_psql('postgres', "SELECT pg_walfile_name('$backup->{start_lsn}')");
my @segments;
for my $i (1 .. 6)
{
	push @segments,
	  $node->safe_psql('postgres', 'SELECT pg_walfile_name(pg_current_wal_insert_lsn())');
	$node->safe_psql('postgres', "INSERT INTO t VALUES ($i); SELECT pg_switch_wal()");
}
push @segments, $node->safe_psql('postgres', 'SELECT pg_walfile_name(pg_current_wal_insert_lsn())');
$node->safe_psql('postgres', 'INSERT INTO t VALUES (7)');
bkc_shipped($node);
my $sum = bkc_checksum($node);
$node->stop('immediate');

sub object
{
	my ($segment) = @_;
	my ($name) = bkc_repo_objects($node, qr{/wal/.*/$segment$});

	return bkc_repo_dir($node) . "/$name";
}

# Each recovery ends with the server's word; nothing is left in its pg_wal.
sub stops
{
	my ($copy, $pattern, $what) = @_;

	is($copy->start(fail_ok => 1), 0, "$what: the server stops");
	like(slurp_file($copy->logfile), $pattern, "$what: and says why");
	return;
}

sub recovers
{
	my ($copy, $what) = @_;

	bkc_judge($copy, $sum, manifest => 0);
	is_deeply([ grep { /pg_backupctl/ } slurp_dir($copy->data_dir . '/pg_wal') ],
		[], "$what: nothing is left in pg_wal");
	return;
}

# ---- as restored ----

my $copy = bkc_restore($node, 'plain');
recovers($copy, 'as restored');
$copy->clean_node;

# ---- one of two repositories away ----

$copy = bkc_restore($node, 'two');
bkc_adopt($copy);
$copy->append_conf('postgresql.auto.conf',
	"restore_command = 'pg_backupctl wal-get --retry 0 --repo $main --repo $other --timeline 1 %f %p'");
rename "$base/other", "$base/away" or die $!;
stops($copy, qr/could not restore file "\S+" from archive: child process exited with exit code 254/,
	'one is away');
like(slurp_file($copy->logfile), qr/pg_backupctl: error: \S+: repository "\Q$other\E" is empty/,
	'it is named');
like(slurp_file($copy->logfile), qr/restored log file "$segments[5]" from archive/,
	'what the other had was used');
rename "$base/away", "$base/other" or die $!;
recovers($copy, 'both there');
$copy->clean_node;

# ---- a gap ----

$copy = bkc_restore($node, 'gap');
bkc_adopt($copy);
my $object = object($segments[3]);
rename $object, "$base/object" or die $!;
stops($copy, qr/WAL segment $segments[3] is missing, but a later one is there: $segments[4]/, 'a gap');
unlike(slurp_file($copy->logfile), qr/selected new timeline ID/, 'recovery does not end there');

# a second repository fills it
$copy->append_conf('postgresql.auto.conf',
	"restore_command = 'pg_backupctl wal-get --repo $main --repo $other --timeline 1 %f %p'");
recovers($copy, 'filled by the other');
rename "$base/object", $object or die $!;
$copy->clean_node;

# ---- damaged objects ----

$copy = bkc_restore($node, 'damaged');
bkc_adopt($copy);
$object = object($segments[3]);
bkc_flip_byte($object, -20);
stops($copy, qr/pg_backupctl: error: $segments[3]: .*object "\S+$segments[3]"/, 'a damaged object');
bkc_flip_byte($object, -20);
recovers($copy, 'mended');
$copy->clean_node;

# what is inside the backup, too, is taken from there
$copy = bkc_restore($node, 'inside');
bkc_adopt($copy);
bkc_flip_byte(object($first), -20);
recovers($copy, 'the backup has it');
like(slurp_file($copy->logfile), qr/pg_backupctl: warning: .*; took $first from a backup/,
	'with a warning');
bkc_flip_byte(object($first), -20);

done_testing();
