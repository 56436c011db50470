# Only the owner named in a begin object sweeps what belongs to it: a copy of
# the data directory, with the same system identifier and the same repository,
# leaves the original's unfinished backup alone, and the other way round.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('main', small => 1);

# Both write to the repository by turns, each after it has taken it over.
sub take_over
{
	my ($server) = @_;

	$server->safe_psql('postgres', 'SELECT backup_take_over()');
	return;
}

$node->safe_psql('postgres',
	'CREATE TABLE numbers AS SELECT i, md5(i::text) AS hash FROM generate_series(1, 20000) AS i');
bkc_backup($node);
my $owner = slurp_file($node->data_dir . '/pg_backupctl/owner');

# A file-system copy of the stopped server; it has the setting of the repository, too.
$node->stop;
my $clone = PostgreSQL::Test::Cluster->new('clone');
system_or_bail('cp', '-a', $node->data_dir, $clone->data_dir);
$clone->append_conf('postgresql.conf', "restart_after_crash = on\nport = " . $clone->port);
symlink bkc_repo_dir($node), $clone->basedir . '/repo' or die $!;
$node->start;

# ---- the original's backup is running, or has been interrupted ----

my $job     = bkc_hold($node, 'copy-frame=sleep:60000@50', when => 'files_done > 95');
my $running = bkc_catalog($node);
$clone->start;
take_over($clone);
isnt(bkc_backup($clone)->{label}, $running->{label}, 'the clone takes a backup of its own');
bkc_wait_for_sql($clone, 'SELECT count(*) = 0 FROM backup_jobs()', 't', 'the clone has settled');
isnt(slurp_file($clone->data_dir . '/pg_backupctl/owner'),
	$owner, 'the clone has an identity of its own');
is(bkc_repo_objects($node, qr{/\Q$running->{label}\E/begin$}),
	1, 'it leaves a running backup alone');

# Its leader is killed with the postmaster: objects stay behind.
bkc_kill_postmaster($node, 'the original');
bkc_join($job);
my $count = bkc_repo_objects($node, qr{/\Q$running->{label}\E/});
$clone->restart;
bkc_aftermath($clone, 'clone, original interrupted', restore => 0, others => [ $running->{label} ]);
is(bkc_repo_objects($node, qr{/\Q$running->{label}\E/}),
	$count, 'the clone has not touched the interrupted backup');

# ---- the clone's own is interrupted ----

bkc_set_fault($clone, 'leader-wal=kill');
isnt($clone->psql('postgres', 'SELECT backup_now()'), 0, 'a backup of the clone is interrupted');
bkc_wait_up($clone);
my $mine = bkc_catalog($clone);
bkc_aftermath($clone, 'clone', restore => 0, others => [ $running->{label} ]);
is(bkc_repo_objects($node, qr{/\Q$mine->{label}\E/}),    0,      'the clone has swept its own');
is(bkc_repo_objects($node, qr{/\Q$running->{label}\E/}), $count, 'and nothing else');

# ---- the original comes back ----

$job   = bkc_hold($clone, 'copy-frame=sleep:60000@50', when => 'files_done > 95');
$mine  = bkc_catalog($clone);
$count = bkc_repo_objects($node, qr{/\Q$mine->{label}\E/});
$node->append_conf('postgresql.auto.conf', "pg_backupctl.fault = ''");
$node->start;
take_over($node);
bkc_aftermath($node, 'original', restore => 0, others => [ $mine->{label} ]);
bkc_row_is($node, $running->{id}, 'failed', qr/^interrupted$/, 'original');
is(bkc_repo_objects($node, qr{/\Q$running->{label}\E/}), 0,      'the original has swept its own');
is(bkc_repo_objects($node, qr{/\Q$mine->{label}\E/}),    $count, "and nothing of the clone's");
is(slurp_file($node->data_dir . '/pg_backupctl/owner'),
	$owner, "the original's identity is the same");
is($clone->safe_psql('postgres', 'SELECT backup_cancel(id) FROM backup_progress'),
	't', "the clone's is cancelled");
bkc_join_fails($job, qr/cancelled/, 'its session learns it');
bkc_clear_fault($clone);
bkc_settled($clone, 'clone, in the end');
bkc_settled($node,  'original, in the end');

# ---- a data directory that has lost its identity ----

bkc_set_fault($node, 'leader-wal=kill');
isnt($node->psql('postgres', 'SELECT backup_now()'), 0, 'a backup is interrupted');
ok(bkc_poll(sub { !-e $node->data_dir . '/postmaster.pid' }), 'the server is down');
$node->_update_pid(-1);
unlink $node->data_dir . '/pg_backupctl/owner' or die $!;
$node->append_conf('postgresql.auto.conf', "pg_backupctl.fault = ''");
$node->start;
my $orphan = bkc_catalog($node);
bkc_backup_fails($node, q('full'), qr/belongs to another data directory/,
	'without its identity it may not take a backup');
take_over($node);
bkc_aftermath($node, 'another identity', others => [ $orphan->{label} ]);
bkc_row_is($node, $orphan->{id}, 'failed', qr/^interrupted$/, 'another identity');
cmp_ok(scalar(bkc_repo_objects($node, qr{/\Q$orphan->{label}\E/})),
	'>=', 3, 'what it cannot know to be its own is left alone');
isnt(slurp_file($node->data_dir . '/pg_backupctl/owner'), $owner, 'the identity is a new one');
bkc_client_ok(
	[ 'list', '--repo', bkc_repo_url($node) ],
	'list shows a repository with an unfinished backup');

done_testing();
