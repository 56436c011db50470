# What the archiver stores: whole segments, backup and timeline histories, partial
# segments, byte for byte; only what is durable is reported; the same file offered
# again changes nothing.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node(
	'main',
	start => 0,
	initdb => ['--wal-segsize=1'],
	conf => bkc_archiving() . "archive_mode = off\nautovacuum = off\ncheckpoint_timeout = 1h\nwal_keep_size = 100MB\n");
my $url = bkc_repo_url($node);

# plain bytes can be found in the objects
$node->append_conf('postgresql.conf', "pg_backupctl.repositories = 'main=$url?compression=none'");
$node->start;
bkc_extension($node);
my $sysid = $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');

# The only object of that name, '' when there is none.
sub object
{
	my ($pattern) = @_;
	my @found = bkc_repo_objects($node, qr{^\Q$sysid\E/wal/$pattern$});

	die "several: @found" if @found > 1;
	return $found[0] // '';
}

sub wal_file
{
	my ($server, $name) = @_;

	return $server->data_dir . "/pg_wal/$name";
}

# Asserts that the object holds the bytes of the file.
sub holds
{
	my ($object, $path, $what) = @_;

	ok($object ne '', "$what is in the repository") or return;
	ok(index(slurp_file(bkc_repo_dir($node) . "/$object"), slurp_file($path)) > 0,
		"$what: its object holds its bytes");
	return;
}

sub archived_last
{
	my ($server) = @_;

	return $server->safe_psql('postgres', 'SELECT last_archived_wal FROM pg_stat_archiver');
}

# ---- switched on long after initdb ----

my @old = bkc_segments($node, 5);
is($node->safe_psql('postgres', 'SELECT status FROM backup_archiver'),
	'not configured', 'archiving is off');
$node->append_conf('postgresql.conf', 'archive_mode = on');
$node->restart;
my @new = bkc_segments($node, 3);
bkc_archived($node, 'switched on', @new);
is(object("00000001/00000000/$_"), '', "$_ from before is not there") for $old[0], $old[4];
for my $name (@new)
{
	holds(object("00000001/00000000/$name"), wal_file($node, $name), $name);
	bkc_client_ok([ 'wal-get', '--repo', $url, '--cluster', $sysid, $name, $node->basedir . '/got' ],
		"wal-get $name");
	ok(slurp_file($node->basedir . '/got') eq slurp_file(wal_file($node, $name)),
		'... gives the bytes of the file');
}
is(archived_last($node), $new[2], 'the last one is reported');
is($node->safe_psql('postgres', 'SELECT failed_count FROM pg_stat_archiver'), 0, 'without a failure');

# ---- a backup's history ----

my $backup = bkc_backup($node);
my ($history) = grep { /\.backup$/ } slurp_dir($node->data_dir . '/pg_wal');
like($history, qr/^[0-9A-F]{24}\.[0-9A-F]{8}\.backup$/, 'the backup has left its history');
bkc_archived($node, 'the backup history', $history);
holds(object("00000001/00000000/\Q$history\E"), wal_file($node, $history), 'the backup history');

# ---- reported only when it is durable ----

bkc_set_fault($node, 'store-commit=sleep:60000');
my ($name) = bkc_segments($node, 1);
ok( bkc_poll(
		sub {
			$node->safe_psql('postgres',
				q(SELECT wait_event = 'Extension' FROM pg_stat_activity WHERE backend_type = 'archiver')) eq 't';
		}),
	'the archiver is about to make the object visible');
is(object("00000001/00000000/$name"), '', '... it is not yet');
is_deeply([ grep { $_ eq $name } bkc_wal_status($node, 'ready') ], [$name], '... and waits');
isnt(archived_last($node), $name, '... and is not reported');
$node->stop('immediate');
$node->append_conf('postgresql.auto.conf', "pg_backupctl.fault = 'archive-stored=fail'");
$node->start;
ok(bkc_poll(sub { object("00000001/00000000/$name") ne '' }), 'durable');
bkc_wait_for_sql($node, 'SELECT failed_count > 0 FROM pg_stat_archiver',
	't', '... but the archiver fails after it');
is_deeply([ grep { $_ eq $name } bkc_wal_status($node, 'ready') ], [$name], '... it still waits');
isnt(archived_last($node), $name, '... and is not reported');
bkc_clear_fault($node);
bkc_archived($node, 'durable before', $name);
holds(object("00000001/00000000/$name"), wal_file($node, $name), $name);

# ---- the same files are offered again ----

my $status = $node->data_dir . '/pg_wal/archive_status';
my @again = (@new, $history);
my %before;
for my $file (@again)
{
	my $path = bkc_repo_dir($node) . '/' . object("00000001/00000000/\Q$file\E");
	$before{$path} = join ' ', (stat $path)[ 1, 7, 9, 10 ];
	rename "$status/$file.done", "$status/$file.ready" or die "$file: $!";
}
my $files = scalar bkc_repo_objects($node, qr{/[0-9A-F]{24}$});
my ($woken) = bkc_segments($node, 1);
bkc_archived($node, 'offered again', @again, $woken);
for my $path (sort keys %before)
{
	is(join(' ', (stat $path)[ 1, 7, 9, 10 ]), $before{$path}, 'the object is untouched');
}
is(scalar bkc_repo_objects($node, qr{/[0-9A-F]{24}$}), $files + 1, 'no object more than that of the new segment');
is($node->safe_psql('postgres', 'SELECT failures FROM backup_archiver'), 0, 'and that was no failure');

# ---- a promotion: the history of the timeline and a partial segment ----

$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
$node->safe_psql('postgres', 'CREATE TABLE t AS SELECT generate_series(1, 100) AS i');
my $sum = bkc_checksum($node);
$node->wait_for_catchup($standby);
ok(bkc_poll(sub { -e $standby->data_dir . '/pg_backupctl/standby' }), 'the standby has noted that it is one');
is_deeply([ bkc_wal_status($standby, 'ready') ], [], 'nothing waits on the standby');
$node->stop;
$standby->promote;
bkc_archived($standby, 'after the promotion');
my ($partial) = grep { /\.partial$/ } slurp_dir($standby->data_dir . '/pg_wal');
like($partial, qr/^[0-9A-F]{24}\.partial$/, 'there is a partial segment');
holds(object("00000001/00000000/\Q$partial\E-[0-9a-f]{16}"), wal_file($standby, $partial), 'the partial segment');
holds(object('00000002\.history'), wal_file($standby, '00000002.history'), 'the history of timeline 2');
my ($second) = bkc_segments($standby, 1);
like($second, qr/^00000002/, 'a segment of timeline 2');
bkc_archived($standby, 'timeline 2', $second);
holds(object("00000002/00000000/$second"), wal_file($standby, $second), $second);
my ($exit) = bkc_client('wal-get', '--retry', 0, '--repo', $url, '--cluster', $sysid, '--timeline', 2,
	$partial =~ s/\.partial$//r, $node->basedir . '/none');
is($exit, 1, 'a partial segment is not served as the segment');

# ... also when it is offered again
rename $standby->data_dir . "/pg_wal/archive_status/$partial.done",
  $standby->data_dir . "/pg_wal/archive_status/$partial.ready" or die $!;
($woken) = bkc_segments($standby, 1);
bkc_archived($standby, 'the partial segment again', $partial, $woken);
is(scalar(() = bkc_repo_objects($node, qr{\Q$partial\E})), 1, 'there is one object of it');
$standby->stop;

# ---- and all that leads somewhere ----

my $copy = bkc_restore($node, 'restored');
if (bkc_start_restored($copy))
{
	is(bkc_checksum($copy), $sum, 'restored to the end of timeline 2');
	$copy->stop;
}

done_testing();
