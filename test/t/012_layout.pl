# Which files and folders of the data directory a backup holds: names that are
# left out, folders that come back empty, things that are neither file nor
# folder, unusual names and modes, pg_wal behind a link.

use strict;
use warnings;

use BkcTest;
use IO::Socket::UNIX;
use POSIX qw(mkfifo);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $waldir = PostgreSQL::Test::Utils::tempdir_short() . '/wal';
my $node = bkc_node('main', initdb => [ '-X', $waldir, '--allow-group-access' ]);
my $data = $node->data_dir;
my $base = $node->basedir;

ok(-l "$data/pg_wal", 'pg_wal is a link');
$node->safe_psql('postgres', 'CREATE TABLE t AS SELECT generate_series(1, 1000) AS i');
$node->safe_psql('postgres', q(SELECT pg_create_physical_replication_slot('keep', true)));
my $dboid = $node->safe_psql('postgres', q(SELECT oid FROM pg_database WHERE datname = 'postgres'));
my $sum = bkc_checksum($node);

# ---- what is put there ----

mkdir "$data/$_" or die "$_: $!"
  for qw(own own/empty own/pg_notify own/closed pg_snapshots/deep log base/pgsql_tmp_x);
mkdir "$data/base/pgsql_tmp";		# may be there

my @dropped = (
	qw(postgresql.auto.conf.tmp current_logfiles.tmp tablespace_map.d/../own/tablespace_map own/backup_label
	  own/backup_manifest own/postmaster.pid own/postmaster.opts own/pg_internal.init.77 .DS_Store own/.DS_Store
	  own/pg_notify/0000 pg_stat_tmp/x.stat pg_snapshots/0001 pg_snapshots/deep/1 pg_subtrans/FFFF
	  base/pgsql_tmp/pgsql_tmp1.0 base/pgsql_tmp_x/1 global/pg_internal.init.1),
	"base/$dboid/pgsql_tmp99.1", "base/$dboid/t5_12345", "base/$dboid/t5_12345_fsm.1");
@dropped = map { s{.*/\.\./}{}r } @dropped;
my @kept = (
	qw(backup_label.old own/file.txt own/backup_label.txt own/one_byte own/nothing log/server.log current_logfiles
	  own/t5_12345 server.key own/closed/inside),
	"own/with space", "own/with\nnewline", "own/quote'\"\\", "own/gr\xc3\xb6\xc3\x9fe",
	"own/latin\xe9", "own/-rf",
	'own/' . 'n' x 255);
my %content = (
	'own/one_byte' => 'x',
	'own/nothing' => '',
	'own/file.txt' => join('', map { chr(int(rand(256))) } 1 .. 1_500_001));

for my $file (@dropped, @kept)
{
	$content{$file} //= "content of $file";
	open my $fh, '>:raw', "$data/$file" or die "\"$file\": $!";
	print $fh $content{$file};
	close $fh;
}
my %mode = ('own/nothing' => 0400, 'own/one_byte' => 0755, 'server.key' => 0600,
	'own/file.txt' => 0640,
	'own/closed' => 0500, 'own/empty' => 0711);
chmod $mode{$_}, "$data/$_" or die $! for keys %mode;

mkfifo("$data/own/fifo", 0600) or die $!;
symlink '/etc/passwd', "$data/own/link" or die $!;
symlink 'nowhere', "$data/dangling" or die $!;
symlink $base, "$data/own/folder_link" or die $!;
chdir "$data/own" or die $!;
my $socket = IO::Socket::UNIX->new(Local => 'sock', Listen => 1) or die "socket: $!";
chdir $base or die $!;
my @special = qw(own/fifo own/link dangling own/folder_link own/sock);

# a link in place of a folder that is kept empty
rename "$data/pg_snapshots", "$base/snapshots" or die $!;
symlink "$base/snapshots", "$data/pg_snapshots" or die $!;

# ---- a file that cannot be read fails the backup, with its name ----

chmod 0, "$data/own/with space";
bkc_backup_fails($node, q('full'), qr/could not open file ".*own\/with space": Permission denied/,
	'an unreadable file fails the backup');
is(bkc_catalog($node)->{status}, 'failed', 'and the catalog says so');
chmod 0640, "$data/own/with space";

# ---- what comes back ----

my $offset = -s $node->logfile;
my $backup = bkc_backup($node);
my $log = slurp_file($node->logfile, $offset);
like($log, qr/WARNING:  skipping special file "\Q$_\E" in backup/, "warning about $_") for @special;
is($node->safe_psql('postgres',
	"SELECT metadata->'skipped_files' FROM backup_catalog WHERE id = $backup->{id}"),
	scalar(@special), 'and they are counted');

my $copy = bkc_restore($node, 'copy');
my $new = $copy->data_dir;
ok(-d "$new/pg_wal" && !-l "$new/pg_wal", 'pg_wal is a folder');
ok(-d "$new/pg_wal/archive_status", 'with archive_status');
ok(-d "$new/pg_snapshots" && !-l "$new/pg_snapshots",
	'a link for an emptied folder has become a folder');
my @there = grep { -e "$new/$_" || -l "$new/$_" } @dropped, @special;
is_deeply(\@there, [], 'what is left out is not there');
for my $dir (qw(pg_stat_tmp pg_replslot pg_dynshmem pg_notify pg_serial pg_snapshots pg_subtrans
	own/empty own/pg_notify))
{
	is_deeply([ grep { !/^\.\.?$/ } slurp_dir("$new/$dir") ], [], "$dir is an empty folder");
}
my @wrong = grep { !-f "$new/$_" || slurp_file("$new/$_") ne $content{$_} } @kept;
is_deeply(\@wrong, [], 'all other files are there with their content');
is(sprintf('%o', (stat "$new/$_")[2] & 07777), sprintf('%o', $mode{$_}), "mode of $_")
  for sort keys %mode;
is(sprintf('%o', (stat "$new$_")[2] & 07777), '750', "group access of folder \"$_\"")
  for '', '/base', '/pg_wal', '/global';
is(sprintf('%o', (stat "$new/$_")[2] & 07777), '640', "group access of $_")
  for qw(postgresql.auto.conf backup_manifest global/pg_control PG_VERSION);
bkc_judge($copy, $sum, running => 1);
is($copy->safe_psql('postgres', 'SELECT count(*) FROM pg_replication_slots'), 0, 'without slots');
$copy->stop;
$socket->close;

done_testing();
