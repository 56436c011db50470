# A restore is interrupted at every point of its way: the folder never starts,
# a rerun is refused with a hint, and works with --force.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node    = bkc_node('main', small => 1);
my $base    = $node->basedir;
my @restore = ('restore', '--repo', bkc_repo_url($node), '--jobs', 2);

mkdir "$base/space" or die $!;
$node->safe_psql('postgres', "CREATE TABLESPACE space LOCATION '$base/space'");
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE numbers AS SELECT i, md5(i::text) AS hash FROM generate_series(1, 20000) AS i;
CREATE TABLE elsewhere TABLESPACE space AS SELECT * FROM numbers;
SQL
my $sum = bkc_checksum($node);
bkc_backup($node);
$node->stop;

# Asserts that no server starts there.
sub starts_not
{
	my ($what, $data) = @_;

	ok(!-e "$data/global/pg_control", "$what: there is no pg_control");
	command_fails([ 'pg_ctl', '-D', $data, '-l', "$base/never.log", '-w', '-t', 10, '-s', 'start' ],
		"$what: the folder does not start");
	return;
}

my $round = 0;

# Interrupt a restore at that fault point and see what is left; expected is the
# exit status.
sub interrupted
{
	my ($fault, $expected, $judge) = @_;
	my $copy = PostgreSQL::Test::Cluster->new('copy' . ++$round);
	my $data = $copy->data_dir;
	my @target =
	  ('--pgdata', $data, '--tablespace-map', "$base/space=" . $copy->basedir . '/space');
	my ($status, $stdout, $stderr) = bkc_client({ fault => $fault }, @restore, @target);

	is($status, $expected, "$fault: exit status $expected") or diag($stderr);
	if ($expected < 128)
	{
		like($stderr, qr/error: .*(?:fault point|signal 9)/,  "$fault: it says why");
		like($stderr, qr/hint: .*unfinished.*--force|hint: /, "$fault: and what to do");
	}
	starts_not($fault, $data);
	($status, $stdout, $stderr) = bkc_client(@restore, @target);
	is($status, 6, "$fault: a rerun is refused");
	like(
		$stderr,
		qr/"\Q$data\E" is not empty.*unfinished restore: --force replaces it/s,
		"$fault: with a hint");
	starts_not("$fault, again", $data);

	# interrupted once more, now with something to clear
	if ($judge)
	{
		bkc_client({ fault => $fault }, @restore, @target, '--force');
		starts_not("$fault, interrupted twice", $data);
	}
	bkc_client_ok([ @restore, @target, '--force' ], "$fault: a rerun with --force");
	ok(!-e "$_/pg_backupctl.restoring", "$fault: no marker is left in $_")
	  for ($data, $copy->basedir . '/space');
	if ($judge)
	{
		bkc_judge($copy, $sum);
	}
	else
	{
		command_ok([ 'pg_verifybackup', '--no-parse-wal', '--exit-on-error', $data ],
			"$fault: pg_verifybackup");
	}
	$copy->clean_node;
	return;
}

use constant KILLED => 128 + 9;

# What happens in a worker process is an error of the program as a whole.
interrupted('restore-marked=kill',      KILLED, 1);
interrupted('restore-marked=fail',      6);
interrupted('restore-file=kill',        9);
interrupted('restore-file=fail',        6);
interrupted('restore-file=kill@80',    9, 1);
interrupted('restore-file=fail@80',    6);
interrupted('restore-file=nospace@60', 7);
interrupted('restore-file=cancel@60',  8);
interrupted('restore-files=kill',       KILLED, 1);
interrupted('restore-files=fail',       6);
interrupted('restore-extras=kill',      KILLED, 1);
interrupted('restore-extras=fail',      6);
interrupted('restore-synced=kill',      KILLED, 1);
interrupted('restore-synced=fail',      6);

# At the very last step everything is in place.
my $copy = PostgreSQL::Test::Cluster->new('control');
my @target =
  ('--pgdata', $copy->data_dir, '--tablespace-map', "$base/space=" . $copy->basedir . '/space');
my ($status) = bkc_client({ fault => 'restore-control=kill' }, @restore, @target);
is($status, KILLED, 'killed when pg_control is in place');
bkc_client_fails(
	[ @restore, @target ],
	qr/is not empty.*holds a data directory: --force/s,
	'a rerun is refused');
bkc_judge($copy, $sum);

# Each read from the repository fails once, before and after the first write.
my ($failed, $made, @wrong) = (0, 0);

for my $call ('store-list', 'store-read')
{
	for (my $n = 1; $n < 100; $n++)
	{
		my $data    = "$base/read$n";
		my @command = (@restore, '--pgdata', $data, '--tablespace-map', "$base/space=$data.space");
		my ($status, undef, $stderr) = bkc_client({ fault => "$call=fail\@$n" }, @command);

		last if $status == 0;
		$failed++;
		$made++ if -e $data;
		push @wrong, "$call $n: status $status, $stderr" if $status != 5;
		push @wrong, "$call $n: there is a pg_control"   if -e "$data/global/pg_control";
		($status, undef, $stderr) = bkc_client(@command, -e $data ? '--force' : ());
		push @wrong, "$call $n: the next restore fails with $stderr" if $status != 0;
		system_or_bail('rm', '-rf', $data, "$data.space");
	}
	system_or_bail("rm -rf $base/read*");
}
is_deeply(\@wrong, [], "all $failed failures of reading are clean");
cmp_ok($failed, '>', $made, 'before anything was written');
cmp_ok($made,   '>', 0,     'and after');

# A data directory that is replaced is not half the old one: pg_control goes first.
my $old = bkc_restore($node, 'old', args => [ '--tablespace-map', "$base/space=$base/old_space" ]);
($status) = bkc_client({ fault => 'restore-file=fail@1' },
	@restore, '--pgdata', $old->data_dir, '--force', '--tablespace-map',
	"$base/space=$base/new_space");
is($status, 6, 'replacing a data directory is interrupted');
starts_not('replaced', $old->data_dir);

done_testing();
