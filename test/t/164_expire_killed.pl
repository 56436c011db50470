# Retention is killed in the middle of its work, at moments that nobody has chosen, and again when it
# goes on.  In the end repository and catalog are what they are after one that nobody killed, which
# worked on a copy; and what was to stay was whole all the time.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = bkc_node('main', small => 1, initdb => ['--wal-segsize=1'], conf => bkc_archiving() . "restart_after_crash = on\n");
my $dir = bkc_repo_dir($node);
my (@labels, %sums);

note('seed ' . srand);
$node->safe_psql('postgres', 'CREATE TABLE t (i int, text text)');
for my $i (0 .. 8)
{
	my $sum = bkc_checksum($node);

	push @labels, bkc_backup($node, $i % 3 == 1 ? q('full', options => '{"wal": "archive"}') : ())->{label};
	$sums{ $labels[-1] } = $sum;
	$node->safe_psql('postgres', "INSERT INTO t SELECT i, md5(i::text) FROM generate_series(1, 1000) AS i");
	bkc_segments($node, 4);
}
bkc_shipped($node);
my $sum = bkc_checksum($node);
my @kept = @labels[ 1, 4, 6, 7, 8 ];
$node->safe_psql('postgres', "SELECT backup_hold(id, 'case 4711') FROM backup_catalog WHERE label IN ('$labels[1]', '$labels[4]')");
$node->safe_psql('postgres', "SELECT backup_set_policy(keep_last => 3, pitr_window => '0')");

# From here on nothing comes into the repository.
$node->safe_psql('postgres', $_) for ("ALTER SYSTEM SET archive_library = ''", 'ALTER SYSTEM SET pg_backupctl.rpo_target = 0');
$node->reload;
bkc_wait_for_sql($node, q(SELECT status FROM backup_archiver), 'not configured', 'nothing is archived any more');

# ---- both as they were ----

$node->safe_psql('postgres', 'CREATE SCHEMA saved; CREATE TABLE saved.c AS TABLE backup_catalog; CREATE TABLE saved.y AS TABLE backup_copy');
system_or_bail('cp', '-a', $dir, "$dir.saved");

# Not who owns it: that never goes back.
sub put_back
{
	my ($top) = glob "$dir/[0-9]*";

	for my $folder (qw(backups wal))
	{
		system_or_bail('rm', '-rf', "$top/$folder");
		system_or_bail('cp', '-a', ($top =~ s/^\Q$dir\E/$dir.saved/r) . "/$folder", $top);
	}
	$node->safe_psql('postgres', <<'SQL');
DELETE FROM backup_catalog;
SELECT format('INSERT INTO backup_catalog (%1$s) OVERRIDING SYSTEM VALUE SELECT %1$s FROM saved.c', string_agg(quote_ident(attname), ', '))
	FROM pg_attribute WHERE attrelid = 'backup_catalog'::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
\gexec
INSERT INTO backup_copy TABLE saved.y;
SQL
	return;
}

# Objects with their sizes, but for who owns the repository; and the catalog.
sub state_of_all
{
	my $text = join "\n", map { "$_ " . -s "$dir/$_" } grep { !m{^\d+/owner/} } bkc_repo_objects($node);

	return $text . "\n"
	  . $node->safe_psql('postgres',
		"SELECT c, (SELECT string_agg(y::text, ',' ORDER BY y.repository) FROM backup_copy y WHERE y.backup_id = c.id) FROM backup_catalog c ORDER BY id");
}

sub expire
{
	return $node->psql('postgres', 'SELECT count(*) FROM backup_expire(false)') == 0;
}

ok(expire(), 'one that nobody kills');
my $right = state_of_all();
is(join(' ', sort map { m{/backups/([^/]+)/manifest$} ? $1 : () } bkc_repo_objects($node)), join(' ', sort @kept), 'leaves what is to stay');
ok((() = $right =~ m{^\d+/wal/}mg) < (() = join("\n", bkc_repo_objects($node), glob("$dir.saved/*/wal/*/*/*")) =~ m{/wal/}g) / 2, 'and removes WAL');
put_back();
isnt(state_of_all(), $right, 'put back');

# ---- killed ----

# Kill the job when it has been at work for a while; it may have ended before.
my $hits = 0;

sub kill_expire
{
	my ($milliseconds, $what) = @_;
	my $before = bkc_repo_objects($node);
	my $job;
	my $pid;

	ok( bkc_poll(
			sub {
				# until the catalog is in sync after a crash this fails
				$job = bkc_start($node, 'SELECT count(*) FROM backup_expire(false)');
				bkc_poll(
					sub {
						$job->{handle}->pump_nb if $job->{handle}->pumpable;
						$pid = $node->safe_psql('postgres', "SELECT pid FROM backup_progress WHERE job = 'expire' AND phase = 'removing'");
						return $pid || !$job->{handle}->pumpable;
					});
				return 1 if $pid;
				bkc_join($job);
				return 0;
			}),
		"$what: it is at work");
	usleep(1000 * $milliseconds);
	kill 'KILL', $pid;
	my ($status) = bkc_join($job);
	bkc_wait_up($node);
	note("$what: killed after $milliseconds ms, " . bkc_repo_objects($node) . " of $before objects are left");
	$hits++ if $status != 0;
	return;
}

for my $round (1 .. 4)
{
	# slow enough to be hit
	bkc_set_fault($node, 'store-remove=sleep:100');
	for my $kill (1 .. 3)
	{
		kill_expire(int(rand(500)), "round $round.$kill");
		my %there = map { m{/backups/([^/]+)/manifest$} ? ($1 => 1) : () } bkc_repo_objects($node);
		is(scalar(grep { !$there{$_} } @kept), 0, "round $round.$kill: what is to stay is there");
	}
	bkc_clear_fault($node);
	ok(bkc_poll(\&expire), "round $round: the last one goes through");
	is(state_of_all(), $right, "round $round: repository and catalog are the same");
	put_back() if $round < 4;
}

cmp_ok($hits, '>=', 6, 'most of them were killed before their end');

# ---- what is kept restores ----

$node->stop;
for my $label (@kept)
{
	my $copy = bkc_restore($node, "copy_$label", args => [ '--backup', $label, '--immediate' ]);

	bkc_judge($copy, $sums{$label}, manifest => $label ne $labels[1] && $label ne $labels[4] && $label ne $labels[7]);
	$copy->clean_node;
}
my $copy = bkc_restore($node, 'last');
bkc_judge($copy, $sum);

done_testing();
