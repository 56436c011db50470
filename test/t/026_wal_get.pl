# wal-get: what it delivers, when it says that there is no such file, and that a
# repository that cannot be asked stops recovery instead of ending it early.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('main', initdb => ['--wal-segsize=1']);
my $base = $node->basedir;
my @wal_get = ('wal-get', '--retry', 0, '--repo', bkc_repo_url($node));

$node->safe_psql('postgres', 'CREATE TABLE t AS SELECT generate_series(1, 1000) AS i');
bkc_client([ @wal_get, '0' x 24, "$base/x" ]);
my $backup = bkc_backup_during(
	$node,
	sub {
		$node->safe_psql('postgres',
			'INSERT INTO t SELECT generate_series(1, 20000); SELECT pg_switch_wal()') for 1 .. 3;
	});
my $sum = bkc_checksum($node);
my @names = split /\n/, $node->safe_psql('postgres', <<"SQL");
SELECT pg_walfile_name('$backup->{start_lsn}'::pg_lsn + i * 1024 * 1024)
FROM generate_series(0, ('$backup->{stop_lsn}'::pg_lsn - '$backup->{start_lsn}')::int / 1024 / 1024) AS i
SQL
cmp_ok(scalar(@names), '>', 3, 'several segments');

# ---- what there is and what there is not ----

for my $name (@names)
{
	bkc_client_ok([ @wal_get, $name, "$base/$name" ], "wal-get $name");
	is(-s "$base/$name", 1024 * 1024, 'has the size of a segment');
}
for my $name ($names[0] =~ s/^0{7}1/00000002/r, 'F' x 16 . '00000FFF', '00000002.history', "$names[0].partial",
	"$names[0].00000028.backup")
{
	my ($status, $stdout, $stderr) = bkc_client(@wal_get, $name, "$base/absent");
	is($status, 1, "wal-get $name: absent");
	ok(!-e "$base/absent", 'nothing was written');
}

# what is no name of a WAL file (swapped arguments, say) must not end a recovery
for my $name ('nonsense', '../../etc/passwd', 'pg_wal/RECOVERYXLOG')
{
	my ($status, $stdout, $stderr) = bkc_client(@wal_get, $name, "$base/absent");
	is($status, 254, "wal-get $name: refused");
	like($stderr, qr/is no name of a WAL file/, 'and says so');
	ok(!-e "$base/absent", 'nothing was written');
}
chdir $node->data_dir or die $!;
append_to_file('pg_wal/RECOVERYXLOG', 'half of something');
bkc_client_ok([ @wal_get, '--backup', $backup->{label}, $names[0], 'pg_wal/RECOVERYXLOG' ],
	'as recovery asks');
is(slurp_file('pg_wal/RECOVERYXLOG'), slurp_file("$base/$names[0]"), 'replaces what was there');
is_deeply([ grep { /RECOVERYXLOG\./ } slurp_dir('pg_wal') ], [], 'and leaves nothing beside it');
unlink 'pg_wal/RECOVERYXLOG';
chdir '/' or die $!;

# ---- could not ask ----

for my $case (
	[ 'no repository', 'wal-get', '--retry', 0, '--repo', "file://$base/nowhere", $names[0], "$base/absent" ],
	[ 'an unknown cluster', @wal_get, '--cluster', '42', $names[0], "$base/absent" ],
	[ 'an unknown backup', @wal_get, '--backup', '20200101T000000Z-full-0000', $names[0],
		"$base/absent" ],
	[ 'wrong usage', @wal_get, $names[0] ],
	[ 'no folder to write to', @wal_get, $names[0], "$base/no/where" ])
{
	my ($what, @args) = @$case;
	my ($status, $stdout, $stderr) = bkc_client(@args);
	is($status, 254, "$what: could not ask");
	like($stderr, qr/pg_backupctl: error: /, "$what: and says why");
}

# ---- a server that cannot ask stops, and goes on when it can ----

$node->stop;
my $copy = bkc_restore($node, 'copy');
bkc_adopt($copy);
$copy->append_conf('postgresql.auto.conf', "restore_command = 'pg_backupctl @wal_get %f %p'");
rename bkc_repo_dir($node), "$base/away" or die $!;
is($copy->start(fail_ok => 1), 0, 'without its repository the server does not start');
like(slurp_file($copy->logfile),
	qr/FATAL:  could not restore file "\S+" from archive: child process exited with exit code 254/,
	'because it could not ask');
rename "$base/away", bkc_repo_dir($node) or die $!;
bkc_judge($copy, $sum, manifest => 0);

my $second = bkc_restore($node, 'second');
bkc_adopt($second);
my ($manifest) = map { bkc_repo_dir($node) . "/$_" } bkc_repo_objects($node, qr{/manifest$});
bkc_flip_byte($manifest, 300);
is($second->start(fail_ok => 1), 0, 'nor with a damaged manifest');
bkc_flip_byte($manifest, 300);
my ($pack) = map { bkc_repo_dir($node) . "/$_" } bkc_repo_objects($node, qr{/data/0*-});
if (ok(defined $pack, 'the object that holds the WAL'))
{
	bkc_flip_byte($pack, int((-s $pack) * $_ / 20)) for 1 .. 19;
	is($second->start(fail_ok => 1), 0, 'nor with damaged WAL');
	bkc_flip_byte($pack, int((-s $pack) * $_ / 20)) for 1 .. 19;
}
bkc_judge($second, $sum, manifest => 0);

done_testing();
