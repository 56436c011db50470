# A hold in a bucket with object lock is a legal hold on every object of the backup; its end ends
# that, and retention may remove the backup then.  In a bucket without, the note is all there is.

use strict;
use warnings;

use BkcTest;
use BkcS3;
use PostgreSQL::Test::Utils;
use Test::More;

my $bucket = bkc_s3_bucket(lock => 1);
my $plain = bkc_s3_bucket();
my $node = bkc_node(
	'main',
	small => 1,
	initdb => ['--wal-segsize=1'],
	repositories => 'main=' . bkc_s3_url($bucket) . ', plain=' . bkc_s3_url($plain));

# Can this version of the object be removed for good?
sub versions
{
	my ($pattern) = @_;

	return map { (split / /, $_, 3)[2] =~ $pattern ? [ (split / /, $_, 3)[ 2, 0 ] ] : () } bkc_s3('versions', $bucket);
}

my @backups = map { bkc_backup($node) } 1 .. 2;
my ($id, $label) = ($backups[0]{id}, $backups[0]{label});
$node->safe_psql('postgres', 'SELECT backup_set_policy(keep_last => 1)');

my ($status, $stdout, $stderr) = $node->psql('postgres', "SELECT backup_hold($id, 'case 4711')");
is($stdout, '1', 'held');
unlike($stderr, qr/no legal holds/, 'by the bucket, too');
my @objects = versions(qr{/backups/$label/(?:begin|manifest|data/)});
cmp_ok(scalar @objects, '>=', 3, 'it has objects');
bkc_s3_fails([ 'delete', $bucket, @{ $_ } ], qr/AccessDenied/, "nobody can remove $_->[0]") for @objects;
$node->safe_psql('postgres', "SELECT * FROM backup_expire(false, 'main')");
is(scalar(bkc_s3_objects($bucket, qr{$label/manifest$})), 1, 'retention keeps it');

# the catalog has forgotten it: the bucket has not, nor the note
$node->safe_psql('postgres', "UPDATE backup_catalog SET held = false, metadata = metadata - ARRAY['hold_at', 'hold_reason', 'hold_by']");
like($node->safe_psql('postgres', "SELECT action, reason FROM backup_expire(repository => 'main') WHERE name = '$label'"),
	qr/^keep\|.*legal hold in the bucket/, 'the bucket holds it');
is($node->safe_psql('postgres', "SELECT updated FROM backup_catalog_sync('main')"), 1, 'the catalog learns of it');
is($node->safe_psql('postgres', "SELECT held, metadata->>'hold_reason' FROM backup_catalog WHERE id = $id"), 't|case 4711', 'from the note');

is($node->safe_psql('postgres', "SELECT backup_release($id)"), 1, 'released');
my ($manifest) = versions(qr{/backups/$label/manifest$});
$node->safe_psql('postgres', "SELECT * FROM backup_expire(false, 'main')");
is(scalar(bkc_s3_objects($bucket, qr{/$label/})), 0, 'now it goes');
bkc_s3('delete', $bucket, @$manifest);
pass('and its versions can be removed');

# ---- a bucket without object lock ----

my $other = bkc_backup($node, q('full', 'plain'));
($status, $stdout, $stderr) = $node->psql('postgres', "SELECT backup_hold($other->{id}, 'case 4711')");
is($stdout, '1', 'held without object lock');
like($stderr, qr/repository plain has no legal holds of its own/, 'told what that is worth');
is($node->safe_psql('postgres', "SELECT backup_release($other->{id})"), 1, 'and released');
$node->stop;

done_testing();
