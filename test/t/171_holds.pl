# A backup that is held stays, whatever retention says, and says why; once released it goes.  In a
# bucket with object lock it is under a legal hold meanwhile.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('main', small => 1, initdb => ['--wal-segsize=1']);

sub fails
{
	my ($call, $pattern, $what) = @_;
	my ($status, $stdout, $stderr) = $node->psql('postgres', "SELECT $call");

	return ok($status != 0 && $stderr =~ $pattern, $what) || diag("$stdout$stderr");
}

sub planned
{
	my ($label) = @_;

	return $node->safe_psql('postgres', "SELECT action, reason FROM backup_expire() WHERE name = '$label'");
}

my @backups = map { bkc_backup($node) } 1 .. 3;
my ($id, $label) = ($backups[0]{id}, $backups[0]{label});
$node->safe_psql('postgres', 'SELECT backup_set_policy(keep_last => 1)');
like(planned($label), qr/^remove\|/, 'retention would remove the oldest');

# ---- held ----

fails("backup_hold($id, ' ')", qr/a reason must be given/, 'a hold needs a reason');
fails("backup_hold($id, repeat('x', 256))", qr/reason is too long/, 'not a book');
fails("backup_hold(4711, 'x')", qr/there is no backup 4711/, 'and a backup');
fails("backup_release($id)", qr/is not held/, 'what is not held cannot be released');
fails("backup_hold(register_backup('x', 'x', 1), 'x')", qr/made by another tool/, 'nor one of another tool');

$node->safe_psql('postgres', 'CREATE ROLE operator LOGIN; GRANT EXECUTE ON FUNCTION backup_hold, backup_release TO operator');
my ($status, $stdout, $stderr) = $node->psql('postgres', "SET SESSION AUTHORIZATION operator; SELECT backup_hold($id, 'case 4711')");
is($stdout, '1', 'an operator may hold it');
like($stderr, qr/NOTICE: .*repository main has no legal holds of its own/, 'told what that is worth');
is($node->safe_psql('postgres', "SELECT held, metadata->>'hold_reason', metadata->>'hold_by' FROM backup_catalog WHERE id = $id"),
	't|case 4711|operator', 'the catalog knows why and by whom');
is($node->safe_psql('postgres', "SELECT kind, actor, label, detail->>'reason' FROM backup_event WHERE kind = 'hold'"),
	"hold|operator|$label|case 4711", 'an event tells of it');
like(planned($label), qr/^keep\|.*case 4711/, 'retention keeps it, and says why');
$node->safe_psql('postgres', 'SELECT * FROM backup_expire(false)');
is(scalar(bkc_repo_objects($node, qr{$label/manifest$})), 1, 'it stays');
is(scalar(bkc_repo_objects($node, qr{$backups[1]{label}/manifest$})), 0, 'another one went');
is(scalar(bkc_repo_objects($node, qr{$label/notes/.*-hold$})), 1, 'the repository knows of the hold');

# ---- while retention is at work ----

my $fourth = bkc_backup($node);
bkc_set_fault($node, 'expire-backup=sleep:60000');
my $job = bkc_start($node, 'SELECT count(*) FROM backup_expire(false)');
bkc_wait_for_sql($node, "SELECT count(*) FROM backup_jobs() WHERE job = 'expire' AND label = '$backups[2]{label}'", 1, 'one is being removed');
fails("backup_hold($backups[2]{id}, 'late')", qr/is being removed by retention/, 'it is too late to hold that');
bkc_clear_fault($node);
$node->safe_psql('postgres', "SELECT pg_cancel_backend(pid) FROM backup_jobs() WHERE job = 'expire'");
bkc_join($job);
bkc_wait_for_sql($node, "SELECT count(*) FROM backup_jobs() WHERE job = 'expire'", 0, 'it is over');

# ---- released ----

is($node->safe_psql('postgres', "SET SESSION AUTHORIZATION operator; SELECT backup_release($id, 'closed')"), '1', 'released');
is($node->safe_psql('postgres', "SELECT held, metadata ? 'hold_reason' FROM backup_catalog WHERE id = $id"), 'f|f', 'the catalog knows');
is($node->safe_psql('postgres', "SELECT message FROM backup_event WHERE kind = 'release'"), "backup $label is not held any more: closed", 'so does an event');
$node->safe_psql('postgres', 'SELECT * FROM backup_expire(false)');
is(scalar(bkc_repo_objects($node, qr{/$label/})), 0, 'now it goes, with its notes');
is($node->safe_psql('postgres', "SELECT count(*) FROM backup_catalog WHERE id = $id"), 0, 'and its row');
$node->stop;

done_testing();
