# Damaged pages: the backup completes, says which they are, and brings them back
# as they are; or it stops, when it was told to.  Without data checksums nothing
# is looked at.

use strict;
use warnings;

use BkcTest;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $json = JSON::PP->new;

# A server with tables whose files are known; returns paths by table.
sub make_cluster
{
	my ($node) = @_;
	my %file;

	mkdir $node->basedir . '/space' or die $!;
	$node->safe_psql('postgres', "CREATE TABLESPACE space LOCATION '@{[$node->basedir]}/space'");
	$node->safe_psql('postgres', <<'SQL');
CREATE TABLE good AS SELECT i, md5(i::text) FROM generate_series(1, 10000) AS i;
CREATE TABLE few AS SELECT i, md5(i::text) FROM generate_series(1, 10000) AS i;
CREATE TABLE spaced TABLESPACE space AS SELECT i, md5(i::text) FROM generate_series(1, 10000) AS i;
CREATE TABLE many AS SELECT i, repeat(md5(i::text), 60) FROM generate_series(1, 1000) AS i;
ALTER TABLE many ALTER COLUMN repeat SET STORAGE plain;
CREATE TABLE zero AS SELECT i, md5(i::text) FROM generate_series(1, 10000) AS i;
SQL
	$file{$_} = $node->safe_psql('postgres', "SELECT pg_relation_filepath('$_')")
	  for qw(good few spaced many zero);
	$node->stop;
	return %file;
}

sub write_at
{
	my ($path, $offset, $bytes) = @_;

	open my $fh, '+<:raw', $path or die "$path: $!";
	seek $fh, $offset, 0;
	print $fh $bytes;
	close $fh or die $!;
	return;
}

# ---- data checksums on ----

my $node = bkc_node('main');
my %file = make_cluster($node);
my $data = $node->data_dir;
my $blocks = (-s "$data/$file{many}") / 8192;

cmp_ok($blocks, '>', 150, 'a file with many blocks');
bkc_flip_byte("$data/$file{few}", 3 * 8192 + 5000);
bkc_flip_byte("$data/$file{few}", 7 * 8192 + 3);				# LSN: now in the future or wrong
bkc_flip_byte("$data/$file{spaced}", 20 * 8192 + 8191);
bkc_flip_byte("$data/$file{many}", $_ * 8192 + 1000) for 1 .. $blocks - 1;
write_at("$data/$file{zero}", 5 * 8192, "\0" x 8192);			# a new page is no damage
write_at("$data/$file{zero}", 6 * 8192, "\0" x 8191 . "x");	# but this is
my $damaged = 2 + 1 + $blocks - 1 + 1;
$node->start;

my ($status, $stdout, $stderr) =
  $node->psql('postgres', q(SELECT backup_now('full', options => '{"compression": "zstd:1"}')));
is($status, 0, 'the backup completes');
like($stderr,
	qr/WARNING:  $damaged pages failed their checksum, the first is block \d+ of file "(base|pg_tblspc)\//,
	'with a WARNING that names file and block');
my $backup = bkc_catalog($node);
is($backup->{status}, 'completed', 'the catalog says completed');
my $metadata = $json->decode($backup->{metadata});
is($metadata->{checksum_failures}, $damaged, 'metadata counts the pages');
my %found = map { $_->{file} => $_ } @{ $metadata->{damaged_files} };
is_deeply([ sort keys %found ], [ sort @file{qw(few spaced many zero)} ],
	'metadata names the files');
is_deeply($found{ $file{few} }, { file => $file{few}, count => 2, blocks => [ 3, 7 ] },
	'and the blocks');
is_deeply($found{ $file{zero} }{blocks}, [6],
	'a page of zeroes is good, one that only begins so is not');
is($found{ $file{many} }{count}, $blocks - 1, 'all of many are counted');
is(scalar(@{ $found{ $file{many} }{blocks} }), 100, 'the first hundred are listed');
like(slurp_file($node->logfile),
	qr/WARNING:  backup $backup->{label} contains $damaged pages that failed their checksum/,
	'the server log has it, too');
bkc_wait_for_sql($node, "SELECT sum(checksum_failures) >= $damaged FROM pg_stat_database", 't',
	'the statistics count them');

like(bkc_client_ok([ 'list', '--repo', bkc_repo_url($node) ], 'list'),
	qr/$damaged blocks had wrong page checksums/, 'list shows it');
my $list = $json->decode(bkc_client_ok([ 'list', '--json', '--repo', bkc_repo_url($node) ],
	'list --json'));
is($list->{clusters}[0]{backups}[0]{bad_blocks}, $damaged, 'as a number');
like(bkc_client_ok([ 'verify', '--repo', bkc_repo_url($node) ], 'the backup is what was read'),
	qr/$damaged blocks had wrong page checksums/, 'verify says so');

# ---- the restored cluster is as damaged as the source, not more ----

my @map = ('--tablespace-map', $node->basedir . '/space=' . $node->basedir . '/new');
my $copy = bkc_restore($node, 'copy', args => \@map);
is(slurp_file($copy->data_dir . "/$file{$_}"), slurp_file("$data/$file{$_}"), "\"$_\" is as it was")
  for qw(few many zero);
bkc_judge($copy, undef, running => 1, bad_pages => 1);
is($copy->safe_psql('postgres', 'SELECT count(*) FROM good'), 10000, 'good pages are good');
$copy->stop;
my ($out, $err) = run_command([ 'pg_checksums', '--check', '-D', $copy->data_dir ]);
my $known = $damaged - 1;						# pg_checksums passes over the one that begins as new
like($out, qr/Bad checksums: +$known$/m, 'pg_checksums finds the same pages');

# ---- told to stop ----

my @before = grep { /backups/ } bkc_repo_objects($node);
$stderr = bkc_backup_fails($node, q('full', options => '{"checksum_failure": "abort"}'),
	qr/page checksum of block \d+ of file ".*" is wrong/, 'checksum_failure = abort stops');
is(bkc_catalog($node)->{status}, 'failed', 'the catalog says failed');
like(bkc_catalog($node)->{error}, qr/page checksum of block/, 'and why');
bkc_wait_for_sql($node, "SELECT NOT EXISTS (SELECT FROM backup_jobs())");
ok(!-e "$data/backup_label", 'no backup_label');
is_deeply([ grep { /backups/ } bkc_repo_objects($node) ], \@before,
	'nothing is left in the repository');
is_deeply([ grep { !/^(\.\.?|owner|repository\.[0-9a-f]+)$/ } slurp_dir("$data/pg_backupctl") ], [],
	'nor in the data directory');
$node->stop;

# ---- data checksums off ----

my $plain = bkc_node('plain', checksums => 0);
my %plain = make_cluster($plain);

bkc_flip_byte($plain->data_dir . "/$plain{few}", 3 * 8192 + 8000);
$plain->start;
my $plain_sum = bkc_checksum($plain);
($status, $stdout, $stderr) =
  $plain->psql('postgres',
	q(SELECT backup_now('full', options => '{"checksum_failure": "abort"}')));
is($status, 0, 'without data checksums nothing is checked');
unlike($stderr, qr/WARNING/, 'nor warned of');
is($json->decode(bkc_catalog($plain)->{metadata})->{checksum_failures}, 0, 'nor counted');
$plain->stop;
@map = ('--tablespace-map', $plain->basedir . '/space=' . $plain->basedir . '/new');
bkc_judge(bkc_restore($plain, 'plain_copy', args => \@map), $plain_sum, bad_pages => 1);

done_testing();
