# What is not archived, and what the server says then: the library not preloaded, no
# repository, switched off, a WAL file that is not of this cluster or not what the
# repository has under its name.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node(
	'main',
	start => 0,
	extension => 0,
	initdb => ['--wal-segsize=1'],
	conf => bkc_archiving() . "autovacuum = off\ncheckpoint_timeout = 1h\nwal_keep_size = 100MB\npg_backupctl.wal_workers = 0\n");
my $conf = $node->data_dir . '/postgresql.auto.conf';
my $url = bkc_repo_url($node);
my $from = 0;

sub log_says
{
	my ($pattern, $what) = @_;

	ok(bkc_poll(sub { slurp_file($node->logfile, $from) =~ $pattern }), $what)
	  or diag(slurp_file($node->logfile, $from));
	return;
}

sub setting
{
	my ($name, $value) = @_;

	$from = -s $node->logfile;
	$node->safe_psql('postgres', "ALTER SYSTEM SET $name = '$value'");
	$node->reload;
	$node->poll_query_until('postgres', "SELECT current_setting('$name')", $value) or die $name;
	return;
}

sub counts
{
	return $node->safe_psql('postgres',
		'SELECT archived_count, failed_count, last_archived_wal FROM pg_stat_archiver');
}

# ---- the library is in archive_library only ----

$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->start;
my @files = bkc_segments($node, 2);
log_says(
	qr/WARNING:  pg_backupctl does not archive\n.*DETAIL:  shared_preload_libraries does not name pg_backupctl; add it and restart the server\./,
	'not preloaded: the log says what to do');
is(counts(), '0|0|', 'nothing is reported');
is_deeply([ bkc_wal_status($node, 'ready') ], \@files, 'WAL waits');
is_deeply([ bkc_repo_objects($node) ], [], 'nothing is in the repository');
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_backupctl'");
$node->restart;
bkc_extension($node);
bkc_archived($node, 'preloaded', @files);

# ---- archive_command beside archive_library ----

# PostgreSQL 16 and later refuse that by themselves.
SKIP:
{
	skip 'PostgreSQL refuses both together', 3 if $node->safe_psql('postgres', 'SHOW server_version_num') >= 160000;
	$from = -s $node->logfile;
	append_to_file($conf, "archive_command = 'false'\n");
	$node->restart;
	@files = bkc_segments($node, 2);
	bkc_archived($node, 'archive_command is set as well', @files);
	log_says(qr/WARNING:  archive_command is ignored\n.*DETAIL:  archive_library is set to "pg_backupctl"\.\n.*HINT:  Set archive_command to an empty string/,
		'a warning says that it is ignored');
	is(scalar(() = slurp_file($node->logfile, $from) =~ /archive_command is ignored/g), 1, '... once');
	append_to_file($conf, "archive_command = ''\n");
	$node->reload;
}

# ---- no repository, and switched off ----

for my $case (
	[ 'pg_backupctl.repositories', '', "main=$url", qr/pg_backupctl\.repositories is empty; WAL waits\./ ],
	[ 'pg_backupctl.enabled', 'off', 'on', qr/pg_backupctl\.enabled is off, as in every restored clone; WAL waits\./ ])
{
	my ($name, $bad, $good, $message) = @$case;

	setting($name, $bad);
	my $before = counts();
	@files = bkc_segments($node, 5);
	log_says(qr/WARNING:  pg_backupctl does not archive\n.*DETAIL:  $message/, "$name = '$bad': the log says why");
	$node->safe_psql('postgres', 'CHECKPOINT');
	is(scalar(() = slurp_file($node->logfile, $from) =~ /pg_backupctl does not archive/g), 1, '... once');
	is(counts(), $before, '... nothing is reported archived, nor failed');
	is_deeply([ bkc_wal_status($node, 'ready') ], \@files, '... WAL waits');
	setting($name, $good);
	bkc_archived($node, "$name = '$good'", @files);
	is($node->safe_psql('postgres', 'SELECT last_archived_wal FROM pg_stat_archiver'),
		$files[4], '... and is reported');
}

# ---- files that are not this cluster's WAL ----

my $wal = $node->data_dir . '/pg_wal';
my $other = PostgreSQL::Test::Cluster->new('other');
$other->init(extra => ['--wal-segsize=1']);
my ($foreign) = grep { /^[0-9A-F]{24}$/ } slurp_dir($other->data_dir . '/pg_wal');
$foreign = slurp_file($other->data_dir . "/pg_wal/$foreign");

sub write_file
{
	my ($path, $content) = @_;

	open my $fh, '>:raw', $path or die "$path: $!";
	print $fh $content;
	close $fh or die "$path: $!";
	return;
}

# Put something else into a segment's file before it is offered, and back afterwards.
sub refused
{
	my ($change, $pattern, $what) = @_;
	my ($name, $next);

	setting('pg_backupctl.enabled', 'off');
	($name, $next) = bkc_segments($node, 2);
	my $right = slurp_file("$wal/$name");
	my $wrong = $right;
	$change->(\$wrong);
	write_file("$wal/$name", $wrong);
	my $before = $node->safe_psql('postgres', 'SELECT archived_count FROM pg_stat_archiver');
	setting('pg_backupctl.enabled', 'on');
	log_says(qr/WARNING:  repository "main": WAL file "$name" $pattern/, "$what: the log says so");
	bkc_wait_for_sql($node,
		"SELECT failed_count > 0 AND last_failed_wal = '$name' FROM pg_stat_archiver",
		't', "$what: PostgreSQL knows as well");
	is( $node->safe_psql('postgres',
			"SELECT failed_file, last_error LIKE '%WAL file \"$name\"%', status FROM backup_archiver"),
		"$name|t|failing", "$what: the view has it");
	is_deeply([ bkc_repo_objects($node, qr{/$name$}) ], [], "$what: it is not stored");
	is($node->safe_psql('postgres', 'SELECT archived_count FROM pg_stat_archiver'),
		$before, "$what: nor reported, nor the one behind it");
	write_file("$wal/$name", $right);
	bkc_archived($node, "$what: the right file is", $name, $next);
	return;
}

refused(sub { ${ $_[0] } = $foreign; substr(${ $_[0] }, 8, 8) = substr(slurp_file("$wal/" . (bkc_wal_status($node, 'ready'))[0]), 8, 8); },
	qr/belongs to another cluster\n.*DETAIL:  Its first page says system identifier \d+, this cluster has \d+\./,
	'of another cluster');
refused(sub { substr(${ $_[0] }, 0, 2) = "\x01\x02" },
	qr/does not begin with a page of this PostgreSQL version/, 'of another version');
refused(sub { substr(${ $_[0] }, 8, 8) = pack('Q<', 0x12300000) },
	qr/begins with a page of another place\n.*DETAIL:  Its first page says 0\/12300000\./, 'from another place');
refused(sub { substr(${ $_[0] }, 1024 * 1024 - 8192) = '' },
	qr/has 1040384 bytes instead of 1048576/, 'cut off');
refused(sub { ${ $_[0] } = '' }, qr/has 0 bytes instead of 1048576/, 'empty');

# ---- other content than the repository has ----

my ($name) = bkc_segments($node, 1);
bkc_archived($node, 'a segment', $name);
my ($object) = map { bkc_repo_dir($node) . "/$_" } bkc_repo_objects($node, qr{/$name$});
my $bytes = slurp_file($object);
my $right = slurp_file("$wal/$name");
write_file("$wal/$name", substr($right, 0, 600_000) . 'x' . substr($right, 600_001));
$from = -s $node->logfile;
rename "$wal/archive_status/$name.done", "$wal/archive_status/$name.ready" or die $!;
my ($woken) = bkc_segments($node, 1);
log_says(
	qr/WARNING:  repository "main": WAL file "$name" is in repository "\Q$url\E" already with other content\n.*DETAIL:  The file here has SHA-256 [0-9a-f]{64} .* the one in the repository has [0-9a-f]{64} .*\n.*HINT:  A second cluster or a restored copy .*backup_wal_conflict_resolve\('$name', 'reason'\)/,
	'other content: both hashes, how it can be, and the way out');
ok(slurp_file($object) eq $bytes, 'the object is as it was');
is(scalar(() = bkc_repo_objects($node, qr{\Q$name\E(?!\.chunks)})), 1, 'and there is no other');
is_deeply([ bkc_wal_status($node, 'ready') ], [ $name, $woken ], 'both wait');
write_file("$wal/$name", $right);
bkc_archived($node, 'with the right content again', $name, $woken);

done_testing();
