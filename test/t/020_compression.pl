# Codecs, chosen by setting, URL and option; several repositories; objects that
# are rolled over; files that do not compress.

use strict;
use warnings;

use BkcTest;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('main', start => 0);
my %url;
for my $name (qw(main gz plain))
{
	$url{$name} = "file://" . $node->basedir . "/$name";
	mkdir $node->basedir . "/$name" or die $!;
}
my $list = join ', ', "main=$url{main}", "gz=$url{gz}?compression=gzip:9",
	"plain=$url{plain}?compression=none";
$node->append_conf('postgresql.conf',
	"pg_backupctl.repositories = '$list'\npg_backupctl.compression = 'lz4:3'\nautovacuum = off\n");
$node->start;
bkc_extension($node);
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE text AS SELECT i, repeat(md5((i % 100)::text), 10) AS text FROM generate_series(1, 20000) AS i;
CREATE TABLE noise AS SELECT i, string_agg(sha256((i * 100 + j)::text::bytea), '') AS bytes
FROM generate_series(1, 3000) AS i, generate_series(1, 30) AS j GROUP BY i;
SQL

# Files of all sizes around the limits of frames (1 MiB), of noise and of zeroes.
mkdir $node->data_dir . '/own' or die $!;
my $noise = join '', map { pack 'L', int(rand(2**32)) } 1 .. 3 * 1024 * 256 + 2;
for my $size (0, 1, 8191, 8192, 1048575, 1048576, 1048577, 2097152, 3 * 1048576 + 7)
{
	append_to_file($node->data_dir . "/own/noise_$size", substr($noise, 0, $size));
	append_to_file($node->data_dir . "/own/zero_$size", "\0" x $size);
}
my $sum = bkc_checksum($node);

# Back up, look at the catalog, verify and restore; returns stored bytes.
my $round = 0;

# by name of the round; the cluster grows a little between two of them
my (%stored, %original);

sub try
{
	my ($what, $repository, $compression, $arguments) = @_;
	my $backup = bkc_backup($node, $arguments);
	my $copy;

	$round++;
	is(decode_json($backup->{metadata})->{compression}, $compression, "$what: $compression");
	is($backup->{repository}, $repository, "$what: in repository $repository");
	like($backup->{backup_location}, qr{/$repository/\d+/backups/$backup->{label}$},
		"$what: location");
	bkc_client_ok([ 'verify', '--repo', $url{$repository}, '--backup', $backup->{label} ],
		"$what: verify");
	is($node->safe_psql('postgres', "SELECT backup_verify($backup->{id})"), 'passed',
		"$what: backup_verify");
	$copy = bkc_restore($node, "copy$round", repo => $url{$repository},
		args => [ '--backup', $backup->{label} ]);
	bkc_judge($copy, $sum);
	$copy->clean_node;
	$original{$what} = $backup->{original_size_bytes};
	return $backup->{backup_size_bytes};
}

$stored{setting} = try('setting', 'main', 'lz4:3', q('full'));
$stored{gzip} = try('URL', 'gz', 'gzip:9', q('full', 'gz'));
$stored{none} = try('URL none', 'plain', 'none', q('full', 'plain'));
$stored{"zstd:$_"} = try("option zstd:$_", 'gz', "zstd:$_",
	qq('full', repository => 'gz', options => '{"compression": "zstd:$_"}'))
  for 1, 19;
$stored{lz4} = try('option lz4:12', 'plain', 'lz4:12',
	q('full', 'plain', options => '{"compression": "lz4:12"}'));
$node->safe_psql('postgres', q(ALTER SYSTEM SET pg_backupctl.compression = 'gzip:1'));
$node->reload;
bkc_wait_for_sql($node, 'SHOW pg_backupctl.compression', 'gzip:1', 'changed by a reload');
$stored{reloaded} = try('reloaded setting', 'main', 'gzip:1', q('full', 'main'));
note(join(', ', map { "$_ $stored{$_}" } sort keys %stored));
my $original = $original{'URL none'};
cmp_ok($stored{none}, '>=', $original, 'none stores all bytes');
cmp_ok($stored{none}, '<', $original * 1.01, 'and little more');
cmp_ok($stored{$_}, '<', 0.6 * $original, "$_ compresses") for grep { $_ ne 'none' } keys %stored;

# by shares, because a slow backup has more WAL to store
my %share = map { $_ => $stored{"zstd:$_"} / $original{"option zstd:$_"} } 1, 19;
cmp_ok($share{19}, '<', $share{1}, 'a higher level compresses better');

# ---- several repositories ----

my %backups = map {
	$_ => decode_json(bkc_client_ok([ 'list', '--json', '--repo', $url{$_} ],
		"list $_"))->{clusters}[0]{backups}
} keys %url;
is_deeply({ map { $_ => scalar(@{ $backups{$_} }) } keys %backups },
	{ main => 2, gz => 3, plain => 2 },
	'each repository holds its own backups');
my $stderr = bkc_backup_fails($node, q('full', 'dr'), qr/repository "dr" is not defined/,
	'an unknown repository');
like($stderr, qr/DETAIL:  Defined repositories: main, gz, plain\./,
	'with the list of those there are');
bkc_backup_fails($node, q('full', options => '{"compression": "zstd:20"}'),
	qr/level 20 is out of range for zstd/, 'a level that there is not');

# ---- an object is rolled over at 256 MiB ----

open my $big, '>:raw', $node->data_dir . '/own/big' or die $!;
print $big $noise for 1 .. 88;
close $big or die $!;
my $backup = bkc_backup($node, q('full', 'plain', options => '{"jobs": 1}'));
my @packs = map { -s } glob $node->basedir . "/plain/*/backups/$backup->{label}/data/*";
cmp_ok(scalar(grep { $_ > 200 * 1024 * 1024 && $_ < 270 * 1024 * 1024 } @packs), '>=', 1,
	'a full object');
cmp_ok(scalar(@packs), '>=', 3, 'and more of them');
$node->stop;
my $copy = bkc_restore($node, 'big', repo => $url{plain});
bkc_judge($copy, $sum);
is(-s $copy->data_dir . '/own/big', 88 * length($noise), 'a file that spans two objects');

done_testing();
