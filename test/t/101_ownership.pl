# Which data directory may write to a repository: copies and clones may not,
# whatever they are made of; backup_take_over() and restore --take-over say who does.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node(
	'main',
	small => 1,
	initdb => ['--wal-segsize=1'],
	conf => bkc_archiving() . "autovacuum = off\n");
my $repo = bkc_repo_url($node);
my $i = 0;

sub insert
{
	my ($server) = @_;

	$server->safe_psql('postgres', 'INSERT INTO t VALUES (' . ++$i . ')');
	return;
}

# Claims, without those that tell of a start.
sub claims
{
	return scalar(
		grep { slurp_file(bkc_repo_dir($node) . "/$_") !~ /"reason":"start"/ }
		  bkc_repo_objects($node, qr{/owner/\d{8}$}));
}

# Asserts that the server archives a segment that it writes now.
sub archives
{
	my ($server, $what) = @_;
	my $file = $server->safe_psql('postgres', 'SELECT pg_walfile_name(pg_current_wal_insert_lsn())');

	insert($server);
	$server->safe_psql('postgres', 'SELECT pg_switch_wal()');
	ok(bkc_poll(sub { scalar(() = bkc_repo_objects($node, qr{/\Q$file\E$})) == 1 }),
		"$what: archives $file");
	bkc_wait_for_sql($server, q(SELECT status IN ('archiving', 'behind') FROM backup_archiver),
		't', "$what: its status says so");
	return;
}

# Asserts that it is refused, in every way, with a message like that, and that nothing of it
# comes into the repository.  An owner that runs beside it is kept from sending chunks meanwhile.
sub refused
{
	my ($server, $pattern, $what, $owner) = @_;
	my $streamer = $owner && $owner->safe_psql('postgres',
		q(SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_backupctl WAL streamer'));
	kill 'STOP', $streamer or die $! if $owner;
	my @before = bkc_repo_objects($node, qr{/wal/|/owner/|/backups/});

	insert($server);
	$server->safe_psql('postgres', 'SELECT pg_switch_wal()');
	bkc_wait_for_sql($server, q(SELECT status = 'refused' FROM backup_archiver),
		't', "$what: its status says that it is refused");
	bkc_backup_fails($server, q('full'), $pattern, "$what: no backup");
	ok(bkc_poll(sub { $server->log_contains($pattern) }), "$what: the log says why");
	is_deeply([ bkc_repo_objects($node, qr{/wal/|/owner/|/backups/}) ],
		\@before, "$what: the repository is as it was");
	kill 'CONT', $streamer or die $! if $owner;
	is( $server->safe_psql('postgres', q(SELECT count(*) FROM backup_catalog WHERE status = 'running')),
		0, "$what: no backup was begun");
	return;
}

# A copy, made by a command, of the stopped server; switched on as its original is.
sub copy_of
{
	my ($name) = @_;
	my $copy = PostgreSQL::Test::Cluster->new($name);

	system_or_bail('cp', '-a', $node->data_dir, $copy->data_dir);
	$copy->append_conf('postgresql.conf', 'port = ' . $copy->port);
	return $copy;
}

# Put old contents of a stopped server's directory back into the files that are there.
sub back_in_time
{
	my ($server, $aside) = @_;
	my $data = $server->data_dir;

	system_or_bail('sh', '-c', <<"SH");
set -e
cd "$aside"
find . -type f | while read -r f; do cat "\$f" > "$data/\$f"; done
cd "$data"
find . -type f | while read -r f; do [ -e "$aside/\$f" ] || rm "\$f"; done
SH
	return;
}

$node->safe_psql('postgres', 'CREATE TABLE t (i int)');
my $backup = bkc_backup($node);
archives($node, 'the first');
is(claims(), 1, 'it has claimed the repository');
my $owner = slurp_file($node->data_dir . '/pg_backupctl/owner');

# ---- a copy by files ----

$node->stop;
my $copy = copy_of('copy');
$node->start;
archives($node, 'the original, after a restart');
is(claims(), 1, 'it has not claimed it anew');
$copy->start;
my $data = $node->data_dir;
refused($copy, qr/repository "main" belongs to another data directory/, 'a copy', $node);
ok( $copy->log_contains(
		qr/Since .* it belongs to "\Q$data\E" on host ".*", then on timeline 1.*\n.*HINT:.*SELECT backup_take_over\('main'\)/),
	'the message says who has it and what to do');
archives($node, 'the original beside it');
$copy->stop;
$copy->clean_node;

# ---- a restored clone that somebody has switched on ----

my $clone = bkc_restore($node, 'clone');
bkc_start_restored($clone);
$clone->append_conf('postgresql.auto.conf', "pg_backupctl.enabled = on\narchive_mode = on");
$clone->restart;
refused($clone, qr/repository "main" belongs to another data directory/, 'a clone', $node);
ok(!bkc_repo_objects($node, qr{00000002\.history$}), 'not even its timeline\'s history is stored');
archives($node, 'the original beside the clone');

# ---- backup_take_over ----

is($clone->safe_psql('postgres', 'SELECT backup_take_over()'), 't', 'the clone takes over');
is(claims(), 2, 'that is a claim');
archives($clone, 'the new owner');
is(bkc_backup($clone)->{status}, 'completed', 'and takes a backup');
is( $clone->safe_psql('postgres', q(SELECT backup_take_over('main'))),
	't', 'taking over what one has changes nothing');
is(claims(), 2, 'and is no claim');
# The old owner learns it within half a minute.
$node->restart;
refused($node, qr/repository "main" belongs to another data directory/, 'the old owner', $clone);
$clone->restart;
archives($clone, 'the new owner after a restart');

# ... and back again; the WAL that waited is sent.
my $waiting = $node->safe_psql('postgres', 'SELECT backlog_segments FROM backup_archiver');
cmp_ok($waiting, '>', 0, 'WAL waits for it');
$node->safe_psql('postgres', q(SELECT backup_take_over('main')));
bkc_wait_for_sql($node, 'SELECT backlog_segments = 0 FROM backup_archiver',
	't', 'back again, and what waited is sent at once');
archives($node, 'the old owner again');
is(claims(), 3, 'three claims so far');
$clone->stop;
$clone->clean_node;

# ---- nobody else may ----

$node->safe_psql('postgres', 'CREATE ROLE joe LOGIN');
isnt($node->psql('postgres', 'SET ROLE joe; SELECT backup_take_over()'), 0, 'only a superuser takes over');

# ---- an older state of the same directory, inode for inode ----

bkc_shipped($node);
$node->stop;
my $aside = $node->basedir . '/aside';
system_or_bail('cp', '-a', $node->data_dir, $aside);
$node->start;
archives($node, q(the owner goes on));
bkc_shipped($node);
$node->stop;

back_in_time($node, $aside);
is(slurp_file("$data/pg_backupctl/owner"), $owner, 'the identity is the old one');
$node->start;
refused($node, qr/this server is an older copy of the one that writes to repository "main"/,
	'an older state');
ok($node->log_contains(qr/Object ".*" holds WAL of timeline 1 up to .*, this server had it up to .*: at least .* less/),
	'the message says by how much');
$node->restart;
refused($node, qr/this server is an older copy of the one that writes to repository "main"/,
	'an older state after a restart');
$node->stop;

# ---- restore --take-over makes the successor ----

my $successor = bkc_restore($node, 'successor', args => ['--take-over']);
ok(-e $successor->data_dir . '/pg_backupctl/takeover', 'restore --take-over leaves a mark');
my $moved = PostgreSQL::Test::Cluster->new('moved');
system_or_bail('cp', '-a', $successor->data_dir, $moved->data_dir);
bkc_start_restored($successor);
archives($successor, 'the successor');
is(claims(), 4, 'it has claimed the repository by itself');
ok(bkc_poll(sub { !-e $successor->data_dir . '/pg_backupctl/takeover' }), 'the mark is used up');
is(bkc_backup($successor)->{status}, 'completed', 'it takes a backup');

# the mark does not count in a copy
bkc_start_restored($moved);
refused($moved, qr/repository "main" belongs to another data directory/, 'a copy of the successor', $successor);
$moved->stop;

# ---- a claim that fails is made later ----

my $second = $node->basedir . '/second';
bkc_set_fault($successor, 'owner-claim=fail');
$successor->safe_psql('postgres',
	"ALTER SYSTEM SET pg_backupctl.repositories = 'main=$repo, second=file://$second'");
$successor->reload;
insert($successor);
$successor->safe_psql('postgres', 'SELECT pg_switch_wal()');
bkc_wait_for_sql($successor,
	q(SELECT failures > 0 AND last_error ~ 'owner-claim' FROM backup_archiver WHERE repository = 'second'),
	't', 'the claim of a second repository fails');
is_deeply([ glob "$second/*/owner/*" ], [], 'nobody has it');
bkc_clear_fault($successor);
bkc_wait_for_sql($successor,
	q(SELECT bool_and(backlog_segments = 0 AND status = 'archiving') FROM backup_archiver),
	't', 'then it goes on');
is(scalar(() = glob "$second/*/owner/*"), 1, 'and has claimed it');
is(claims(), 4, 'the other one belongs to it as before');

# ---- an older state that is to go on all the same ----

$successor->safe_psql('postgres', "ALTER SYSTEM SET pg_backupctl.repositories = 'main=$repo'");
$successor->stop;
$aside = $successor->basedir . '/aside';
system_or_bail('cp', '-a', $successor->data_dir, $aside);
$owner = slurp_file($successor->data_dir . '/pg_backupctl/owner');
$successor->start;
archives($successor, 'the successor goes on');
$successor->stop;
back_in_time($successor, $aside);
$successor->start;
refused($successor, qr/this server is an older copy of the one that writes to repository "main"/,
	'an older state of the successor');
my $stderr = '';
$successor->psql('postgres', 'SELECT backup_take_over()', stderr => \$stderr);
like($stderr, qr/WARNING:  repository "main" holds WAL of timeline \d that this server does not have/,
	'taking over warns');
is(claims(), 5, 'and is a claim');
isnt(slurp_file($successor->data_dir . '/pg_backupctl/owner'),
	$owner, 'its identity differs from the one it is a copy of');
bkc_wait_for_sql($successor, q(SELECT status = 'failing' AND last_error ~ 'other content' FROM backup_archiver),
	't', 'WAL of the same name is refused');

done_testing();
