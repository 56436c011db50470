# Configuration that lies outside the data directory, as Debian has it: it is in
# the backup, the restored folder starts by itself with pg_ctl -D, and nothing
# in it leads back to the cluster it came from.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

# ---- everything outside: /etc/postgresql/15/main ----

my $node = bkc_node('main', start => 0);
my $data = $node->data_dir;
my $etc = $node->basedir . '/etc';
my $user = getpwuid($<);

mkdir $etc or die $!;
mkdir "$etc/$_" or die $! for qw(conf.d elsewhere);
for my $name (qw(postgresql.conf pg_ident.conf))
{
	rename "$data/$name", "$etc/$name" or die "$name: $!";
}
unlink "$data/pg_hba.conf" or die $!;
append_to_file("$etc/postgresql.conf", <<"CONF");
data_directory = '$data'
hba_file = '$etc/pg_hba.conf'
ident_file = '$etc/pg_ident.conf'
external_pid_file = '$etc/main.pid'
include_dir 'conf.d'
include_if_exists = '$etc/elsewhere/more.conf'
include_if_exists 'not/there.conf'
CONF
append_to_file("$etc/conf.d/10-first.conf", "max_connections = 37\nmax_worker_processes = 20\n");
append_to_file("$etc/conf.d/20-second.conf", "max_worker_processes = 21\n");
append_to_file("$etc/conf.d/ignored.txt", "not read\n");
append_to_file("$etc/elsewhere/more.conf",
	"max_locks_per_transaction = 133\npg_backupctl.jobs = 2\n");
append_to_file("$etc/pg_hba.conf",
	"# \@comment\nlocal all \@users trust\nlocal \@\"data bases\" all trust\n");
append_to_file("$etc/users", "# who may\n$user\n");
append_to_file("$etc/data bases", "second\n");
append_to_file("$etc/secret", "nobody refers to this\n");

command_ok([ 'pg_ctl', '-w', '-D', $etc, '-l', $node->logfile, 'start' ], 'start as Debian does');
$node->_update_pid(1);
bkc_extension($node);
$node->safe_psql('postgres', 'CREATE TABLE t AS SELECT generate_series(1, 1000) AS i');
$node->safe_psql('postgres', 'ALTER SYSTEM SET autovacuum_naptime = 77');
my $sum = bkc_checksum($node);
bkc_backup($node);

my $copy = bkc_restore($node, 'copy');
my $new = $copy->data_dir;
for my $file (qw(postgresql.conf pg_ident.conf conf.d/10-first.conf conf.d/20-second.conf elsewhere/more.conf
	pg_hba.conf users), 'data bases')
{
	is(slurp_file("$new/pg_backupctl_config$etc/$file"), slurp_file("$etc/$file"),
		"$file is in the backup");
}
ok(!-e "$new/pg_backupctl_config$etc/$_", "$_ is not") for qw(secret conf.d/ignored.txt main.pid);

# beside the running original
my $pid = slurp_file("$data/postmaster.pid");
bkc_judge($copy, $sum, running => 1);
is($copy->safe_psql('postgres', 'SHOW data_directory'), $new, 'the new folder is what runs');
is($copy->safe_psql('postgres', "SHOW $_->[0]"), $_->[1], "$_->[0] was taken over")
  for ([ 'max_connections', 37 ], [ 'max_worker_processes', 21 ],
	[ 'max_locks_per_transaction', 133 ],
	[ 'pg_backupctl.jobs', 2 ], [ 'autovacuum_naptime', '77s' ]);
is( $copy->safe_psql('postgres',
		"SELECT count(*) FROM pg_file_settings WHERE sourcefile NOT LIKE '$new/%'"),
	0, 'no file outside is read');
is($copy->safe_psql('postgres', 'SELECT count(*) FROM pg_hba_file_rules WHERE error IS NOT NULL'),
	0, 'pg_hba.conf is sound');
is($copy->safe_psql('postgres', "SHOW $_"), "$new/" . s/_file/.conf/r =~ s/^(hba|ident)/pg_$1/r,
	"$_ is the folder's own")
  for qw(hba_file ident_file);
is($copy->safe_psql('postgres', 'SHOW external_pid_file'), '', 'no external_pid_file');
ok(-e "$etc/main.pid", 'that of the original is there');
is(slurp_file("$data/postmaster.pid"), $pid, 'the original runs on');
$copy->stop;
is($node->safe_psql('postgres', 'SELECT count(*) FROM t'), 1000, 'and answers');

# with the original stopped, its folder would be free to be started by mistake
$node->stop;
my $second = bkc_restore($node, 'second', args => ['--take-over']);
bkc_judge($second, $sum, running => 1);
is($second->safe_psql('postgres', 'SHOW data_directory'), $second->data_dir,
	'again the new folder');
is(bkc_backup($second)->{status}, 'completed', 'the successor can be backed up');
ok(!-e "$data/postmaster.pid", 'the old cluster has not been started');
$second->stop;
bkc_judge(bkc_restore($node, 'third'), $sum);

# ---- postgresql.conf inside, parts of it outside ----

my $mixed = bkc_node('mixed', start => 0);
my $out = $mixed->basedir . '/etc';

mkdir $out or die $!;
unlink $mixed->data_dir . '/pg_hba.conf' or die $!;
append_to_file("$out/access.conf",
	"local all \@$out/people trust\nlocal all \@$out/more.lst trust\n");
append_to_file("$out/people", "somebody\n\@more.lst\n");
append_to_file("$out/more.lst", "$user\n");
$mixed->append_conf('postgresql.conf', <<"CONF");
data_directory = '@{[$mixed->data_dir]}'
hba_file = '$out/access.conf'
include '$out/outside.conf'
include_if_exists 'inside.conf'
CONF
append_to_file("$out/outside.conf", "max_connections = 41\nwork_mem = '3MB'\n");
$mixed->append_conf('inside.conf', 'maintenance_work_mem = 7MB');
$mixed->start;
bkc_extension($mixed);
bkc_backup($mixed);
$mixed->stop;
my $copy2 = bkc_restore($mixed, 'mixed_copy');
rename $out, "$out.gone" or die $!;
rename $mixed->data_dir, $mixed->data_dir . '.gone' or die $!;
bkc_judge($copy2, undef, running => 1);
is($copy2->safe_psql('postgres', "SHOW $_->[0]"), $_->[1], "$_->[0] is as it was")
  for ([ 'max_connections', 41 ], [ 'work_mem', '3MB' ], [ 'maintenance_work_mem', '7MB' ]);
is($copy2->safe_psql('postgres', 'SHOW data_directory'), $copy2->data_dir,
	'data_directory is the new folder');
$copy2->stop;

done_testing();
