# Two repositories: a segment is reported archived when both have it; with one away
# the other gets everything all the same, in its own time; one that is taken out of the
# setting is not waited for.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node(
	'main',
	start => 0,
	initdb => ['--wal-segsize=1'],
	conf => bkc_archiving() . "autovacuum = off\ncheckpoint_timeout = 1h\nwal_keep_size = 200MB\n");
my %dir = (main => bkc_repo_dir($node), second => $node->basedir . '/second');
my $away = $node->basedir . '/away';
my $both = "main=file://$dir{main}, second=file://$dir{second}";
my $sysid;

$node->append_conf('postgresql.conf', "pg_backupctl.repositories = '$both'");
$node->start;
bkc_extension($node);
$sysid = $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');

sub setting
{
	my ($name, $value) = @_;

	$node->safe_psql('postgres', "ALTER SYSTEM SET $name = '$value'");
	$node->reload;
	$node->poll_query_until('postgres', "SELECT current_setting('$name')", $value) or die $name;
	return;
}

# Those of the files that the repository has.
sub has
{
	my ($repository, @files) = @_;

	return grep { -e "$dir{$repository}/$sysid/wal/00000001/00000000/$_" } @files;
}

sub archiver
{
	my ($expression, $repository) = @_;

	return $node->safe_psql('postgres',
		"SELECT $expression FROM backup_archiver WHERE repository = '$repository'");
}

sub becomes
{
	my ($condition, $repository, $what) = @_;

	return bkc_wait_for_sql($node,
		"SELECT coalesce($condition, false) FROM backup_archiver WHERE repository = '$repository'",
		't', $what);
}

sub same_everywhere
{
	my ($what, @files) = @_;

	for my $repository ('main', 'second')
	{
		is_deeply([ has($repository, @files) ], \@files, "$what: all are in $repository");
	}
	is( $node->safe_psql('postgres', 'SELECT last_archived_wal FROM pg_stat_archiver'),
		$files[-1], "$what: and reported");
	is($node->safe_psql('postgres', 'SELECT count(DISTINCT archived_to), sum(backlog_segments) FROM backup_archiver'),
		'1|0', "$what: up to the same position, and nothing waits");
	return;
}

my @files = bkc_segments($node, 3);
bkc_archived($node, 'both there', @files);
same_everywhere('both there', @files);

# ---- one is away; it does not matter which ----

for my $lost ('main', 'second')
{
	my $other = $lost eq 'main' ? 'second' : 'main';

	rename $dir{$lost}, $away or die $!;
	@files = bkc_segments($node, 40);
	becomes("status = 'failing' AND backlog_segments = 40", $lost, "$lost is away: it fails and everything waits for it");
	ok(bkc_poll(sub { has($other, @files) == 40 }), "$lost is away: $other has every segment")
	  or diag(join ' ', has($other, @files));
	becomes("status IN ('archiving', 'behind') AND backlog_segments = 0 AND retry_at IS NULL", $other,
		"$lost is away: nothing is wrong with $other");
	is(archiver("pg_walfile_name(archived_to - 1) < '$files[0]'", $other),
		't', '... but nothing counts as archived');
	is_deeply([ bkc_wal_status($node, 'ready') ], \@files, '... nor is it reported');

	# also what comes meanwhile, the open segment included
	push @files, bkc_segments($node, 2);
	ok(bkc_poll(sub { has($other, @files) == 42 }), "$lost is away: $other gets what comes later");
	my $lsn = $node->safe_psql('postgres',
		q(SELECT pg_logical_emit_message(true, 'test', 'x'); SELECT pg_current_wal_flush_lsn()));
	$lsn =~ s/.*\n//s;
	becomes("shipped_to >= '$lsn'", $other, "$lost is away: ... and the open segment");
	is(archiver("possible_loss_bytes > 41 * 1048576", $lost), 't', "$lost is away: the loss that it would be is known");

	rename $away, $dir{$lost} or die $!;
	bkc_archived($node, "$lost is back", @files);
	same_everywhere("$lost is back", @files);
}

# ---- without helpers, too, what can be done is done ----

setting('pg_backupctl.wal_workers', 0);
setting('pg_backupctl.enabled', 'off');
bkc_wait_for_sql($node,
	q(SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'pg_backupctl WAL helper'),
	't', 'no helpers');
setting('pg_backupctl.enabled', 'on');
rename $dir{main}, $away or die $!;
@files = bkc_segments($node, 3);
becomes("status = 'failing'", 'main', 'no helpers, main is away');
ok(bkc_poll(sub { has('second', @files) == 3 }), 'no helpers: the archiver itself sends all to the second');
rename $away, $dir{main} or die $!;
bkc_archived($node, 'no helpers, main is back', @files);
same_everywhere('no helpers', @files);
setting('pg_backupctl.wal_workers', 2);

# ---- one is taken out of the setting, and comes back ----

rename $dir{second}, $away or die $!;
@files = bkc_segments($node, 5);
becomes("status = 'failing'", 'second', 'the second is away');
setting('pg_backupctl.repositories', "main=file://$dir{main}");
bkc_archived($node, 'the second is not in the setting any more', @files);
is($node->safe_psql('postgres', 'SELECT string_agg(repository, $$,$$) FROM backup_archiver'),
	'main', 'the view has only the first');
rename $away, $dir{second} or die $!;
setting('pg_backupctl.repositories', $both);
@files = bkc_segments($node, 5);
bkc_archived($node, 'both again', @files);
is_deeply([ has('second', @files) ], \@files, 'the second gets what comes from now on');

# ---- a third, in the middle of a backlog ----

setting('pg_backupctl.enabled', 'off');
@files = bkc_segments($node, 20);
$dir{third} = $node->basedir . '/third';
setting('pg_backupctl.repositories', "$both, third=file://$dir{third}");
setting('pg_backupctl.enabled', 'on');
bkc_archived($node, 'three', @files);
is_deeply([ has($_, @files) ], \@files, "all are in $_") for sort keys %dir;

# ---- another place under the same name is another repository ----

setting('pg_backupctl.enabled', 'off');
@files = bkc_segments($node, 5);
$dir{main} = $node->basedir . '/elsewhere';
setting('pg_backupctl.repositories', "main=file://$dir{main}");
setting('pg_backupctl.enabled', 'on');
bkc_archived($node, 'elsewhere', @files);
is_deeply([ has('main', @files) ], \@files, 'all are elsewhere');

done_testing();
