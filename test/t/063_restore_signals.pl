# Signals to a restore, a full target, a parent that is killed: the end comes
# soon, the status says what it was, no process stays.

use strict;
use warnings;

use BkcTest;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

# Signals that were ignored when the tests were started would stay so in the client.
$SIG{$_} = 'DEFAULT' for qw(HUP INT TERM);

my $node = bkc_node('main', small => 1);
my $base = $node->basedir;
my $repo = bkc_repo_url($node);

$node->safe_psql('postgres',
	'CREATE TABLE numbers AS SELECT i, md5(i::text) AS hash FROM generate_series(1, 20000) AS i');
my $sum = bkc_checksum($node);
bkc_backup($node);
$node->stop;

# Processes that run the client with this folder among their arguments.
sub processes
{
	my ($data) = @_;
	my @found;

	for my $dir (glob '/proc/[0-9]*')
	{
		open my $fh, '<', "$dir/cmdline" or next;
		my $line = <$fh> // '';
		close $fh;
		push @found, $dir =~ /(\d+)/ if $line =~ /pg_backupctl/ && $line =~ /\0\Q$data\E\0/;
	}
	return @found;
}

# Hold a restore up at the fault point, signal it, and see how it ends.
sub signalled
{
	my ($signal, $fault, @args) = @_;
	my $what = "$signal at $fault @args";
	my $data = "$base/signalled";
	my ($stdout, $stderr) = ('', '');
	my ($restore, $began);

	{
		local $ENV{PG_BACKUPCTL_FAULT} = $fault;
		$restore = IPC::Run::start(
			[ 'pg_backupctl', 'restore', '--repo', $repo, '--pgdata', $data, '--jobs', 2, @args ],
			'<', \undef, '>', \$stdout, '2>', \$stderr);
	}
	ok( bkc_poll(
			sub { -e "$data/pg_backupctl.restoring" && ($fault =~ /marked/ || -e "$data/base") }),
		"$what: it has begun");
	$began = time;
	$restore->signal($signal);
	$restore->finish;
	ok(time - $began < 3,                      "$what: it ends within two seconds");
	ok(bkc_poll(sub { !processes($data) }, 5), "$what: no process is left");
	ok(!-e "$data/global/pg_control",          "$what: there is no pg_control");

	if ($signal eq 'KILL')
	{
		is($restore->full_result(0) & 127, 9, "$what: it was killed");
	}
	else
	{
		is($restore->full_result(0) >> 8, 8, "$what: the exit status says cancelled");
		like(
			$stderr,
			qr/error: .*cancelled.*hint: .*unfinished.*--force/s,
			"$what: and the message");
	}
	if (@args && $signal ne 'KILL')
	{
		my $object = eval { decode_json($stdout) } // {};
		is("$object->{status} $object->{exit_status}", 'failed 8', "$what: the same as JSON");
	}
	bkc_client_ok([ 'restore', '--repo', $repo, '--pgdata', $data, '--force' ],
		"$what: again with --force");
	system_or_bail('rm', '-rf', $data);
	return;
}

signalled('INT',  'restore-file=sleep:60000@20');
signalled('TERM', 'restore-file=sleep:60000@20', '--json');
signalled('HUP',  'restore-file=sleep:60000@20');
signalled('INT',  'restore-marked=sleep:60000');
signalled('INT',  'restore-files=sleep:60000', '--json');
signalled('INT',  'restore-synced=sleep:60000');
signalled('KILL', 'restore-file=sleep:60000@20');

# Busy processes notice, too.
my $busy = "$base/busy";
my $restore =
  IPC::Run::start([ 'pg_backupctl', 'restore', '--repo', $repo, '--pgdata', $busy, '--jobs', 1 ],
	'<', \undef, '>', \my $out, '2>', \my $err);
ok(bkc_poll(sub { -e "$busy/pg_backupctl.restoring" || -e "$busy/global/pg_control" }),
	'busy: it has begun');
$restore->signal('INT');
$restore->finish;
ok(($restore->full_result(0) >> 8) == (-e "$busy/global/pg_control" ? 0 : 8),
	'busy: done or cancelled, nothing else');

# ---- a full target ----

my ($status, $stdout, $stderr) = bkc_client({ fault => 'restore-file=nospace@50' },
	'restore', '--repo', $repo, '--pgdata', "$base/full", '--json');
is($status,                             7, 'no space: exit status');
is(decode_json($stdout)->{exit_status}, 7, 'no space: the same as JSON');

# No file may grow beyond half a megabyte, as if the disk were full.
IPC::Run::run(
	[   'bash', '-c', 'ulimit -f 512 && exec "$@"',
		'bash', 'pg_backupctl', 'restore', '--repo', $repo, '--pgdata', "$base/limited" ],
	'<',
	\undef,
	'>',
	\$stdout,
	'2>',
	\$stderr);
is($? & 127, 0, 'file size limit: no signal');
is($? >> 8,  7, 'file size limit: exit status of no space');
like($stderr, qr/error: .*\S+.*File too large.*hint: /s, 'file size limit: a message with a hint')
  or diag($stderr);
ok(!-e "$base/limited/global/pg_control", 'file size limit: there is no pg_control');

# Nobody reads what it prints.
IPC::Run::run(
	[   'bash', '-c',
		'pg_backupctl restore --repo "$0" --pgdata "$1" | true; exit ${PIPESTATUS[0]}',
		$repo, "$base/pipe" ],
	'<',
	\undef,
	'>',
	\$stdout,
	'2>',
	\$stderr);
is($? & 127, 0, 'a closed pipe: no signal');
ok(-e "$base/pipe/global/pg_control", 'a closed pipe: the restore is complete');

my $copy = bkc_restore($node, 'copy');
bkc_judge($copy, $sum);
done_testing();
