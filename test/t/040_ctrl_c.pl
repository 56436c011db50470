# Ctrl-C during a restore or a verification: all processes end at once and
# one tells it, whether the signal reaches the parent alone (kill) or all of
# them (a terminal), and what is left is an unfinished restore.

use strict;
use warnings;

use BkcTest;
use POSIX ();
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

use constant CANCELLED => 8;

my $node = bkc_node('main');
my $base = $node->basedir;
my $data = "$base/restored";
my @restore = ('restore', '--repo', bkc_repo_url($node), '--pgdata', $data, '--jobs', 2);
my @verify = ('verify', '--repo', bkc_repo_url($node), '--jobs', 2);

bkc_backup($node);
$node->stop;

# Start the client as the leader of a process group, as a shell does.
sub start
{
	my ($fault, $ignored, @arguments) = @_;
	my $pid = fork // die "fork: $!";

	return $pid if $pid;
	setpgrp(0, 0);
	$SIG{$ignored} = 'IGNORE' if $ignored;
	$ENV{PG_BACKUPCTL_FAULT} = $fault;
	open STDOUT, '>', "$base/out" or POSIX::_exit(98);
	open STDERR, '>', "$base/err" or POSIX::_exit(98);
	exec 'pg_backupctl', @arguments or POSIX::_exit(99);
}

# Wait for the client; (status as a shell has it, seconds).
sub end
{
	my ($pid) = @_;
	my $begun = time;
	my $gone = bkc_poll(sub { return waitpid($pid, POSIX::WNOHANG) == $pid; });
	my $status = $?;

	kill 'KILL', -$pid if !$gone;
	return ($status & 127 ? 128 + ($status & 127) : $status >> 8, time - $begun);
}

sub files
{
	my ($dir) = @_;
	my $n = 0;

	for my $name (-d $dir ? slurp_dir($dir) : ())
	{
		next if $name =~ /^\.\.?$/;
		$n += -d "$dir/$name" ? files("$dir/$name") : 1;
	}
	return $n;
}

# Asserts that the signal ends it; who is "parent" or "group", reached gets the
# number of the process.
sub ends
{
	my ($signal, $who, $fault, $reached, @arguments) = @_;
	my $what = "$arguments[0], $fault, SIG$signal to the $who";
	my $pid = start($fault, undef, @arguments);

	ok(bkc_poll(sub { return $reached->($pid); }), "$what: at work");
	kill $signal, $who eq 'group' ? -$pid : $pid;

	my ($status, $seconds) = end($pid);
	is($status, CANCELLED, "$what: exit status");
	cmp_ok($seconds, '<', 2, "$what: at once");
	ok(bkc_poll(sub { return !kill 0, -$pid; }, 2), "$what: no process is left");

	my $text = slurp_file("$base/err");
	like($text, qr/^pg_backupctl: error: .*cancel/m, "$what: it says so");
	unlike($text, qr/error:.*error:/s, "$what: once");
	return $text;
}

# The same for a restore, which can be done again.
sub restore_ends
{
	my ($signal, $who, $fault, $reached) = @_;
	my $text = ends($signal, $who, $fault, $reached, @restore);

	like($text, qr/hint: .*unfinished.*--force/, "$fault, SIG$signal to the $who: hint");
	ok(!-e "$data/global/pg_control", "$fault, SIG$signal to the $who: no pg_control");
	system_or_bail('rm', '-rf', $data);
	return;
}

my $marked = sub { return -e "$data/pg_backupctl.restoring"; };
my $copying = sub { return files($data) > 30; };
my $synced = sub { return -e "$data/backup_manifest" && -e "$data/recovery.signal"; };
my $two_workers = sub { return split(' ', slurp_file("/proc/$_[0]/task/$_[0]/children")) == 2; };

for my $who ('parent', 'group')
{
	# the parent waits, both workers wait, both are at work, all is written
	restore_ends('INT', $who, 'restore-marked=sleep:60000', $marked);
	restore_ends('INT', $who, 'restore-file=sleep:60000@20', $copying);
	restore_ends('INT', $who, 'restore-file=sleep:5', $copying);
	restore_ends('INT', $who, 'restore-synced=sleep:60000', $synced);
	ends('INT', $who, 'verify-file=sleep:60000@20', $two_workers, @verify);
}

# nohup
my $pid = start('restore-file=sleep:2', 'HUP', @restore);
ok(bkc_poll($copying), 'under nohup: at work');
kill 'HUP', -$pid;
my ($status) = end($pid);
is($status, 0, 'under nohup SIGHUP means nothing');
command_ok([ 'pg_verifybackup', '--exit-on-error', $data ], 'pg_verifybackup');

# interrupted, and then what the hint says
system_or_bail('rm', '-rf', $data);
$pid = start('restore-file=sleep:5', undef, @restore);
ok(bkc_poll($copying), 'once more: at work');
kill 'INT', -$pid;
is((end($pid))[0], CANCELLED, 'interrupted');
bkc_client_fails(\@restore, qr/is not empty.*unfinished restore: --force/s, 'a rerun is refused');
bkc_client_ok([ @restore, '--force' ], 'a rerun with --force');
command_ok([ 'pg_verifybackup', '--exit-on-error', $data ], 'pg_verifybackup once more');

done_testing();
