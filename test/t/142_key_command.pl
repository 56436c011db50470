# Keys of single repositories, keys from a command, and what an interrupted
# sealed backup leaves behind: nothing.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $folder = PostgreSQL::Test::Utils::tempdir;

bkc_client_ok([ 'keygen', '--out', "$folder/$_" ], "keygen $_") for qw(one two);

my $node = bkc_node(
	'main',
	small => 1,
	initdb => ['--wal-segsize=1'],
	conf => bkc_archiving());
my $plain = bkc_repo_dir($node);
my $sealed = $node->basedir . '/sealed';

mkdir $sealed or die "could not create \"$sealed\": $!";

sub set
{
	my ($name, $value) = @_;

	$node->safe_psql('postgres', "ALTER SYSTEM SET pg_backupctl.$name = '" . ($value =~ s/'/''/gr) . q('));
	$node->reload;
	bkc_wait_for_sql($node, "SELECT current_setting('pg_backupctl.$name') = '" . ($value =~ s/'/''/gr) . q('), 't',
		"$name is set");
	return;
}

# How many objects below a folder have that cipher?
sub objects_with
{
	my ($dir, $cipher) = @_;

	return scalar grep { substr(slurp_file($_), 13, 1) eq chr($cipher) }
	  split /\n/, `find '$dir' -type f`;
}

# ---- one repository is sealed, the other one is not ----

set(repositories => "main=file://$plain, safe=file://$sealed?key_file=$folder/one&encryption=required");
is(bkc_backup($node)->{encryption_status}, 'none', 'a backup to the plain one');
is(bkc_backup($node, q('full', 'safe'))->{encryption_status}, 'AES-256-GCM', 'a backup to the sealed one');
bkc_segments($node, 2);
bkc_shipped($node);
is(objects_with($plain, 1), 0, 'nothing is sealed in the plain one');
is(objects_with($sealed, 0), 0, 'nothing is plain in the sealed one');
cmp_ok(objects_with($sealed, 1), '>', 10, 'and there is something');
my $sum = bkc_checksum($node);
my $copy = bkc_restore($node, 'copy', repo => "file://$sealed?key_file=$folder/one&encryption=required");
bkc_judge($copy, $sum);
$copy->clean_node;

# ---- a command ----

set(encryption_key_command => "echo run >>$folder/runs; cat $folder/two");
set(repositories => "main=file://$plain");
my $backup = bkc_backup($node, q('full', options => '{"jobs": 2}'));
is($backup->{encryption_status}, 'AES-256-GCM', 'a backup with a key from a command');
like(slurp_file("$folder/runs"), qr/^(run\n){1,20}$/, 'which is not run again and again');
set(encryption_key_command => 'echo no key');
bkc_backup_fails($node, q('full'), qr/what the key command printed does not hold a key/, 'a command that prints no key');
set(encryption_key_command => 'exit 7');
bkc_backup_fails($node, q('full'), qr/the key command failed with exit status 7/, 'a command that fails');

# one that hangs holds up what needs it, and can be ended
set(encryption_key_command => "echo \$\$ >$folder/pid; exec sleep 1000");
my ($status, $stdout, $stderr) = $node->psql('postgres', "SET statement_timeout = '3s'; SELECT * FROM backup_check()");
like($stderr, qr/canceling statement due to statement timeout/, 'a command that hangs can be cancelled');
ok(bkc_poll(sub { !kill 0, slurp_file("$folder/pid") =~ s/\s//gr }, 20), 'and is ended with it');
is($node->safe_psql('postgres', 'SELECT 1'), '1', 'the server is well');
set(encryption_key_command => "cat $folder/two");
bkc_segments($node, 1);
bkc_shipped($node);
is($node->safe_psql('postgres', "SELECT backup_verify($backup->{id})"), 'passed', 'verification');

# ---- a key that every backup would contain ----

bkc_client_ok([ 'keygen', '--out', $node->data_dir . '/key' ], 'a key in the data directory');
set(repositories => "main=file://$plain, inside=file://$sealed/x?key_file=" . $node->data_dir . '/key');
bkc_backup_fails($node, q('full', 'inside'), qr/key file .* lies inside the data directory/, 'is refused');
set(repositories => "main=file://$plain, inside=file://$sealed/x?key_file=" . $node->data_dir . '/key%20');
bkc_backup_fails($node, q('full', 'inside'), qr/key file .* lies inside the data directory/, 'also with a blank behind it');
unlink $node->data_dir . '/key';
set(repositories => "main=file://$plain");

# ---- an interrupted backup ----

my $keys = bkc_repo_objects($node, qr{/keys/});
bkc_set_fault($node, 'leader-copied=fail');
bkc_backup_fails($node, q('full'), qr/leader-copied|fault/, 'a backup that fails');
bkc_clear_fault($node);
my $failed = bkc_catalog($node);
is($failed->{status}, 'failed', 'its row says so');

# the settle job that ran the command that hangs gives up after 30 s, then it is done at once
ok(bkc_poll(sub { !bkc_repo_objects($node, qr/\Q$failed->{label}\E/) }, 90), 'what it had stored is swept');
is(scalar(bkc_repo_objects($node, qr{/keys/})), $keys, 'with its key');

# a crash of everything, and the same again
bkc_hold($node, 'leader-copied=sleep:6000', when => q(phase = 'copying files' AND files_done = files_total AND files_total > 0));
cmp_ok(scalar(bkc_repo_objects($node, qr{/keys/})), '>', $keys, 'a backup at work has a key');
$node->stop('immediate');
bkc_clear_faults_in_file();
$node->start;
$failed = bkc_catalog($node);
bkc_wait_for_sql($node, "SELECT status FROM backup_catalog WHERE id = $failed->{id}", 'failed', 'the crashed backup is settled');
ok(bkc_poll(sub { !bkc_repo_objects($node, qr/\Q$failed->{label}\E/) }), 'and swept');

# the new life may have made a key of the day of its own
cmp_ok(scalar(bkc_repo_objects($node, qr{/keys/})), '<=', $keys + 1, 'with its key');

done_testing();

# The server that could be asked for it is down.
sub bkc_clear_faults_in_file
{
	$node->append_conf('postgresql.auto.conf', "pg_backupctl.fault = ''");
	return;
}
