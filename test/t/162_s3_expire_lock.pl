# Retention in a bucket with object lock: what is locked stays, says until when, and everything else goes.

use strict;
use warnings;

use BkcTest;
use BkcS3;
use PostgreSQL::Test::Utils;
use Test::More;

my $bucket = bkc_s3_bucket(lock => 1);
my $locked = bkc_s3_url($bucket, prefix => 'locked', more => '&lock_mode=COMPLIANCE&lock_days=1');
my $free = bkc_s3_url($bucket, prefix => 'free');
my $node = bkc_node('main', small => 1, start => 0, initdb => ['--wal-segsize=1']);

$node->append_conf('postgresql.conf',
	bkc_archiving() . "pg_backupctl.repositories = 'locked=$locked, free=$free'\n");
$node->start;
bkc_extension($node);
$node->safe_psql('postgres', "SELECT backup_set_policy(keep_last => 1, pitr_window => '0')");
for (1 .. 2)
{
	for my $repository (qw(locked free))
	{
		bkc_backup($node, "'full', repository => '$repository'");
	}
	bkc_segments($node, 2);
}
bkc_shipped($node);
my $sum = bkc_checksum($node);

sub rows
{
	my ($dry_run, $repository) = @_;

	return $node->safe_psql('postgres',
		"SELECT kind, action, reason FROM backup_expire($dry_run, '$repository') ORDER BY kind, name");
}

my @before = bkc_s3_objects($bucket, qr{^locked/.*/(backups|wal)/});
like(rows('true', 'locked'), qr/^backup\|keep\|locked until \d{4}-\d\d-\d\d/m, 'what is locked says until when');
unlike(rows('true', 'locked'), qr/^backup\|remove/m, 'and is not to be removed');
like(rows('true', 'free'), qr/^backup\|remove\|no rule keeps it/m, 'what is not locked may go');
rows('false', 'locked');
my %after = map { $_ => 1 } bkc_s3_objects($bucket, qr{^locked/});
is_deeply([ grep { !$after{$_} && !m{\.chunks/} } @before ], [], 'nothing that is locked was removed');
like(rows('false', 'free'), qr/^backup\|remove/m, 'the other one is');
is(scalar(grep { m{/manifest$} } bkc_s3_objects($bucket, qr{^free/})), 1, 'one backup is left there');
is($node->safe_psql('postgres', "SELECT repository, count(*) FROM backup_catalog GROUP BY repository ORDER BY repository"),
	"free|1\nlocked|2", 'so the catalog says');
bkc_shipped($node);
$node->stop;
bkc_judge(bkc_restore($node, 'from_free', repo => $free), $sum);
bkc_judge(bkc_restore($node, 'from_locked', repo => $locked), $sum);

done_testing();
