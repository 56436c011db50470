# Two servers of one cluster write into one repository: each sweeps only what is
# its own.  And things in a repository that nobody of us put there.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('main');
my $top = bkc_repo_dir($node);

$node->safe_psql('postgres', 'CREATE TABLE t AS SELECT generate_series(1, 1000) AS i');
my $sum = bkc_checksum($node);
my $backup = bkc_backup($node);

# A clone that somebody has switched on: not what one should do.
my $clone = bkc_restore($node, 'clone');
bkc_start_restored($clone);
$clone->safe_psql('postgres', 'ALTER SYSTEM SET pg_backupctl.enabled = on');
$clone->reload;
bkc_wait_for_sql($clone, 'SHOW pg_backupctl.enabled', 'on');

# The original's backup at work survives the clone's start, backup and crash.
bkc_set_fault($node, 'leader-listed=sleep:600000');
my $id = $node->safe_psql('postgres', 'SELECT backup_now(wait => false)');
bkc_wait_for_sql($node, "SELECT phase = 'listing files' FROM backup_progress WHERE id = $id");
my $running = bkc_catalog($node, $id)->{label};
$clone->restart;
bkc_wait_for_sql($clone, 'SELECT NOT EXISTS (SELECT FROM backup_jobs())', 't',
	'the clone has settled');
bkc_backup_fails($clone, q('full'), qr/belongs to another data directory/, 'the clone may not take a backup');
$clone->safe_psql('postgres', 'SELECT backup_take_over()');
my $theirs = bkc_backup($clone);
is($theirs->{status}, 'completed', "the clone's backup, once it has taken over");
bkc_set_fault($clone, 'leader-copied=sleep:600000');
my $crashing = $clone->safe_psql('postgres', 'SELECT backup_now(wait => false)');
bkc_wait_for_sql($clone,
	"SELECT files_total > 0 AND files_done = files_total FROM backup_progress WHERE id = $crashing");
my $crashed = bkc_catalog($clone, $crashing)->{label};
$clone->stop('immediate');
$clone->append_conf('postgresql.auto.conf', "pg_backupctl.fault = ''");
$clone->start;
is(bkc_backup_end($clone, $crashing)->{status}, 'failed', 'its crashed backup is settled');
ok(bkc_poll(sub { !bkc_repo_objects($node, qr{/$crashed/}) }), 'and swept');
is(scalar(bkc_repo_objects($node, qr{/$running/begin$})), 1,
	"the original's backup at work is not");
$clone->stop;

# The other way round: the original sweeps its own when it was interrupted.
$node->safe_psql('postgres', "SELECT backup_cancel($id)");
is(bkc_backup_end($node, $id)->{status}, 'cancelled', 'the original cancels its own');
ok(bkc_poll(sub { !bkc_repo_objects($node, qr{/$running/}) }), 'and sweeps it');
bkc_clear_fault($node);
like(bkc_client_ok([ 'list', '--repo', bkc_repo_url($node) ], 'list'),
	qr/$backup->{label} .*$theirs->{label} /s, 'complete backups of both are there');

# ---- foreign things ----

my ($cluster) = glob "$top/*";
for my $dir ("$top/lost+found", "$top/123", "$cluster/backups/not a label", "$cluster/other",
	"$cluster/backups/20200101T000000Z-full-0000", "$cluster/backups/$backup->{label}/own")
{
	mkdir $dir or die "$dir: $!";
	append_to_file("$dir/README", "not yours\n");
}
append_to_file($_, "not yours\n")
  for "$top/README", "$top/.nfs0001", "$cluster/README", "$cluster/backups/README",
  "$cluster/backups/$backup->{label}/notes.txt", "$cluster/backups/$backup->{label}/data/README";
my @foreign = bkc_repo_objects($node, qr/README|notes\.txt|\.nfs/);
cmp_ok(scalar(@foreign), '>', 8, 'foreign files everywhere');
is($node->safe_psql('postgres', "SELECT backup_verify($backup->{id})"), 'passed', 'backup_verify');
$node->safe_psql('postgres', 'SELECT backup_take_over()');
my $after = bkc_backup($node);
is($after->{status}, 'completed', 'a backup');
$node->restart;
bkc_wait_for_sql($node, 'SELECT NOT EXISTS (SELECT FROM backup_jobs())', 't', 'settled');
bkc_client_ok([ 'list', '--repo', bkc_repo_url($node) ], 'list with foreign things');
bkc_client_ok([ 'verify', '--repo', bkc_repo_url($node) ], 'verify with foreign things');
is_deeply([ bkc_repo_objects($node, qr/README|notes\.txt|\.nfs/) ], \@foreign,
	'nothing of it was touched');
$node->stop;

# ---- reading needs no right to write ----

system('chmod', '-R', 'a-w', $top) == 0 or die 'chmod';
bkc_client_ok([ 'verify', '--repo', bkc_repo_url($node), '--backup', 'latest' ],
	'verify of a read-only repository');
my $copy = bkc_restore($node, 'copy', args => [ '--backup', $after->{label} ]);
bkc_judge($copy, $sum);
system('chmod', '-R', 'u+w', $top) == 0 or die 'chmod';

done_testing();
