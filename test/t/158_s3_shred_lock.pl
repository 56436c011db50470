# Keys under object lock: they are locked at least as long as what they open, a backup
# cannot be shredded before, who asks for it is told until when, and then it is done.

use strict;
use warnings;

use BkcTest;
use BkcS3;
use PostgreSQL::Test::Utils;
use Test::More;

my $folder = PostgreSQL::Test::Utils::tempdir;

bkc_client_ok([ 'keygen', '--out', "$folder/key" ], 'keygen');

my $bucket = bkc_s3_bucket(lock => 1);
my $url = bkc_s3_url($bucket, more => '&lock_mode=governance&lock_days=1&part_size=5MB');
my $node = bkc_node(
	'main',
	small => 1,
	initdb => ['--wal-segsize=1'],
	repositories => "main=$url",
	conf => bkc_archiving() . <<"CONF");
pg_backupctl.encryption = required
pg_backupctl.encryption_key_file = '$folder/key'
CONF

$node->safe_psql('postgres', 'CREATE TABLE t AS SELECT 1 AS a');
my $backup = bkc_backup($node);
bkc_archived($node, 'segments', bkc_segments($node, 2));
my ($data_key) = $node->safe_psql('postgres', "SELECT metadata->>'data_key' FROM backup_catalog WHERE id = $backup->{id}");

# ---- keys are locked like what they open ----

# Until when; 'never' when it is not locked.
sub locked_until
{
	my ($key) = @_;
	my $text = eval { scalar bkc_s3('retention', $bucket, $key) } // '';

	return $text =~ /GOVERNANCE/ && $text =~ /^RetainUntilDate (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)/m ? $1 : 'never';
}

my @keys = bkc_s3_objects($bucket, qr{/keys/});
my @data = bkc_s3_objects($bucket, qr{/backups/$backup->{label}/(?:manifest$|data/)|/wal/.*/[0-9A-F]{24}$});
cmp_ok(scalar @keys, '>=', 3, 'keys: of the backup, of the day, for names');
cmp_ok(scalar @data, '>=', 4, 'and what they open');
my ($longest) = reverse sort map { locked_until($_) } @data;
isnt($longest, 'never', 'data are locked');
is_deeply([ grep { my $until = locked_until($_); $until eq 'never' || $until le $longest } @keys ], [],
	'each key is locked longer');

# ---- it cannot be shredded yet ----

my ($object) = grep { m{/keys/$data_key/} } @keys;
my $until = locked_until($object) =~ s/T.*//r;

for my $try (1, 2)
{
	my ($status, $stdout, $stderr) = $node->psql('postgres', "SELECT backup_shred($backup->{id}, 'a request')");

	is($stdout, '0', "try $try: nothing was destroyed");
	like($stderr, qr/WARNING: .*backup $backup->{id} is not shredded yet.*Repository "main": .*locked until $until/s,
		"try $try: until when");
	unlike($stderr, qr/other backups hold|WAL of its time/, "try $try: nothing is said to be gone");
}
my $row = bkc_catalog($node, $backup->{id});
is($row->{encryption_status}, 'AES-256-GCM', 'the catalog does not say that it is shredded');
like($row->{metadata}, qr/"shred_pending".*a request/s, 'but that it is to be');
like($row->{metadata}, qr/locked until $until/, 'and when that can be');
like(slurp_file($node->logfile), qr/wants the data key of backup $backup->{label}.*destroyed.*a request/s, 'the log tells who wants it');
is(scalar(bkc_s3_objects($bucket, qr{/keys/})), scalar(@keys), 'all keys are there');
is($node->safe_psql('postgres', "SELECT backup_verify($backup->{id})"), 'passed', 'and it can be read');
my $sum = bkc_checksum($node);
bkc_shipped($node);
bkc_judge(bkc_restore($node, 'copy', repo => $url, args => [ '--key-file', "$folder/key" ]), $sum);

# ---- the lock has ended: here somebody may lift it ----

for (bkc_s3('versions', $bucket))
{
	my ($version, $kind, $key) = split / /, $_, 3;

	next if $key !~ m{/keys/$data_key/};
	bkc_s3_fails([ 'delete', $bucket, $key, $version ], qr/AccessDenied/, 'the lock is a real one');
	bkc_s3('delete', $bucket, $key, $version, 'x-amz-bypass-governance-retention:true');
}
is($node->safe_psql('postgres', "SELECT backup_shred($backup->{id}, 'a request')"), '1', 'now it is shredded');
$row = bkc_catalog($node, $backup->{id});
is($row->{encryption_status}, 'shredded', 'the catalog says so');
unlike($row->{metadata}, qr/shred_pending/, 'and nothing else');
is(scalar(grep { m{/notes/.*-shred$} } bkc_s3_objects($bucket)), 2, 'both wishes are noted in the repository');
bkc_client_fails([ 'restore', '--repo', $url, '--key-file', "$folder/key", '--backup', $backup->{label},
		'--pgdata', $node->basedir . '/nothing' ],
	qr/its data key is not in the repository any more/, 'it cannot be restored');

done_testing();
