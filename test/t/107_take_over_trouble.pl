# What must not keep the owner out: a claim that cannot be read, a damaged
# chunk, an own file that cannot be read.  And what taking over must not
# forget: that a repository was known before.

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
my $repo = bkc_repo_dir($node);
my $i = 0;

sub insert
{
	$node->safe_psql('postgres', 'INSERT INTO t VALUES (' . ++$i . ')');
	return;
}

sub archives
{
	my ($what) = @_;
	my $file = $node->safe_psql('postgres', 'SELECT pg_walfile_name(pg_current_wal_insert_lsn())');

	insert();
	$node->safe_psql('postgres', 'SELECT pg_switch_wal()');
	ok(bkc_poll(sub { bkc_repo_objects($node, qr{/\Q$file\E$}) == 1 }), "$what: archives $file");
	insert();
	bkc_shipped($node);
	return;
}

sub refused
{
	my ($pattern, $what) = @_;
	my $found;

	ok( bkc_poll(
			sub {
				insert();
				$found = $node->safe_psql('postgres',
					q(SELECT concat_ws(' ', status, last_error, streamer_error) FROM backup_archiver));
				return $found =~ /^refused/ && $found =~ $pattern;
			}),
		"$what: refused")
	  or diag($found);
	bkc_backup_fails($node, q('full'), $pattern, "$what: no backup");
	return;
}

# (stdout, stderr) of backup_take_over().
sub take_over
{
	my ($argument) = @_;
	my ($stdout, $stderr) = ('', '');

	$node->psql('postgres', 'SELECT backup_take_over(' . ($argument // '') . ')',
		stdout => \$stdout, stderr => \$stderr);
	return ($stdout, $stderr);
}

$node->safe_psql('postgres', 'CREATE TABLE t (i int)');
bkc_backup($node);
archives('the first');

# ---- a claim that cannot be read ----

my ($claim) = reverse bkc_repo_objects($node, qr{/owner/\d{8}$});
bkc_flip_byte("$repo/$claim", -100);
$node->restart;
refused(qr/repository "main" does not tell its owner/, 'a damaged claim');
ok($node->log_contains(qr/does not tell its owner.*\n.*DETAIL:.*\Q$claim\E.*\n.*HINT:.*backup_take_over\('main'\)/),
	'the log names it, and the way out');
is((take_over())[0], 't', 'taking over');
archives('with a new claim');
$node->restart;
archives('after a restart');

# ---- a damaged chunk beyond the position ----

insert();
bkc_shipped($node);
$node->stop;
my ($chunk) = reverse bkc_repo_objects($node, qr{\.chunks/});
my ($dir, $segment) = $chunk =~ m{^(.*)/([0-9A-F]{24})\.chunks/};
my $beyond = sprintf '%s/%s%08X.chunks', $dir, substr($segment, 0, 16), hex(substr $segment, 16) + 3;
mkdir "$repo/$beyond" or die $!;
$beyond .= '/0000000000000001-00000000';
system_or_bail('cp', "$repo/$chunk", "$repo/$beyond");
bkc_flip_byte("$repo/$beyond", 30);
$node->start;
refused(qr/older copy/, 'a damaged chunk beyond the position');
like((take_over())[1], qr/WARNING:  repository "main" holds WAL of timeline 1 that this server does not have/,
	'taking over warns');
insert();
bkc_wait_for_sql($node, q(SELECT status <> 'refused' FROM backup_archiver), 't', 'and is done');
unlink "$repo/$beyond";
archives('after that');

# ---- files of our own that cannot be read ----

my $owner = $node->data_dir . '/pg_backupctl/owner';
my $id = slurp_file($owner);
chmod 0, $owner or die $!;
bkc_backup_fails($node, q('full'), qr/could not .* file "pg_backupctl\/owner"/, 'an identity that cannot be read');
chmod 0600, $owner or die $!;
is(slurp_file($owner), $id, 'it is what it was');
archives('when it can be read again');

# ---- a repository that is empty now ----

rename $repo, "$repo.away" or die $!;
mkdir $repo or die $!;
chmod 0700, $repo;
my ($stdout, $stderr) = take_over();
like($stderr, qr/ERROR:  repository "main" does not hold this cluster any more.*HINT:  .*backup_take_over\('main'\)/s,
	'taking over whatever there is does not begin it anew');
is_deeply([ bkc_repo_objects($node, qr{^\d}) ], [], 'nothing was written');
chmod 0, $repo or die $!;
($stdout, $stderr) = take_over(q('main'));
like($stderr, qr/ERROR/, 'nor is one that cannot be asked');
chmod 0700, $repo or die $!;
bkc_backup_fails($node, q('full'), qr/does not hold this cluster any more/, 'and it is not forgotten by that');
rmdir $repo or die $!;
rename "$repo.away", $repo or die $!;
archives('when it is back');

# content that goes while the server runs
my ($sysid) = (bkc_repo_objects($node, qr{/cluster$}))[0] =~ m{^(\d+)/};
rename "$repo/$sysid", "$repo.content" or die $!;
refused(qr/does not hold this cluster any more/, 'content that was removed');
is_deeply([ bkc_repo_objects($node, qr{/owner/|/cluster$}) ], [], 'nobody claims what is empty');
system_or_bail('rm', '-rf', "$repo/$sysid");
($stdout, $stderr) = take_over(q('main'));
like($stderr, qr/WARNING:  repository "main" did not hold this cluster any more and is begun anew/,
	'who names it may begin it anew');
ok(scalar bkc_repo_objects($node, qr{/cluster$}), 'with a cluster object');
archives('the new repository');
is(bkc_backup($node)->{status}, 'completed', 'and takes a backup');

# ---- a mark is noted once ----

my $clone = bkc_restore($node, 'clone');
bkc_start_restored($clone);
$clone->append_conf('postgresql.auto.conf', "pg_backupctl.enabled = on\narchive_mode = on");
$clone->restart;
bkc_wait_for_sql($clone, q(SELECT status = 'refused' FROM backup_archiver), 't', 'a clone is refused');
$clone->safe_psql('postgres', 'SELECT backup_take_over()');
$clone->safe_psql('postgres', 'SELECT backup_take_over()') for 1 .. 3;
my @marks = glob $clone->data_dir . '/pg_backupctl/*';
cmp_ok(-s $_, "<", 400, "$_ is small") for @marks;
$clone->stop;

done_testing();
