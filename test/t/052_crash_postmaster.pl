# The postmaster is killed during a backup: the backup's processes go by
# themselves, and after the next start all is settled.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('main', small => 1);

$node->safe_psql('postgres',
	'CREATE TABLE numbers AS SELECT i, md5(i::text) AS hash FROM generate_series(1, 20000) AS i');

sub crash_held
{
	my ($fault, %hold) = @_;
	my $job = bkc_hold($node, $fault, %hold);
	my $row = bkc_catalog($node);

	is($row->{status}, 'running', "$fault: the row says running");
	bkc_kill_postmaster($node, $fault);
	$node->start;
	bkc_join_fails(
		$job,
		qr/server closed the connection|terminating connection/,
		"$fault: the session ends");
	bkc_aftermath($node, $fault, restore => $fault =~ /frame/);
	bkc_row_is($node, $row->{id}, 'failed', qr/^interrupted$/, $fault);
	return;
}

crash_held('leader-begin=sleep:60000',   when => 'true');
crash_held('leader-started=sleep:60000', when => q(phase = 'waiting for checkpoint'));
crash_held('copy-frame=sleep:60000@50');
crash_held('leader-wal=sleep:60000', when => q(phase = 'storing WAL'));

# The manifest was there already.
my $job = bkc_hold($node, 'leader-manifest=sleep:60000', when => q(phase = 'writing manifest'));
my $row = bkc_catalog($node);

ok(bkc_poll(sub { bkc_repo_objects($node, qr{/\Q$row->{label}\E/manifest$}) }),
	'leader-manifest: it is stored');
bkc_kill_postmaster($node, 'leader-manifest');
$node->start;
bkc_join_fails(
	$job,
	qr/server closed the connection|terminating connection/,
	'leader-manifest: the session ends');
bkc_aftermath($node, 'leader-manifest', restore => 0);
bkc_row_is($node, $row->{id}, 'completed', qr/^$/, 'leader-manifest');

# Processes that are busy and wait for nothing must notice it, too.
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE noise (t text);
ALTER TABLE noise ALTER t SET STORAGE EXTERNAL;
INSERT INTO noise SELECT string_agg(md5((i * 1000 + j)::text), '')
FROM generate_series(1, 6000) AS i, generate_series(1, 200) AS j GROUP BY i;
SQL
for my $jobs (1, 2)
{
	my $busy = bkc_start($node,
		qq(SELECT backup_now(options => '{"jobs": $jobs, "compression": "zstd:13"}')));

	bkc_wait_for_sql($node, "SELECT bytes_done > 0 AND workers = $jobs FROM backup_progress");
	bkc_kill_postmaster($node, "busy, $jobs jobs");
	$node->start;
	bkc_join_fails(
		$busy,
		qr/server closed the connection|terminating connection/,
		"busy, $jobs jobs: the session ends");
	bkc_settled($node, "busy, $jobs jobs");
	bkc_row_is($node, undef, 'failed', qr/^interrupted$/, "busy, $jobs jobs");
}
bkc_aftermath($node, 'busy', restore => 0);

done_testing();
