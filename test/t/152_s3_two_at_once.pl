# A WAL helper that has begun a second segment before S3 has answered for the first: killed, told to
# go, without replies, with replies that say no.  What is reported is there, whatever happens.

use strict;
use warnings;

use BkcTest;
use BkcS3;
use PostgreSQL::Test::Utils;
use Test::More;

my $bucket = bkc_s3_bucket();
my $proxy = bkc_s3_proxy();
my $url = bkc_s3_url($bucket);
my $node = bkc_node(
	'main',
	small => 1,
	initdb => ['--wal-segsize=1'],
	repositories => 'main=' . bkc_s3_url($bucket, port => $proxy->{port}),
	conf => bkc_archiving()
	  . "autovacuum = off\ncheckpoint_timeout = 1h\nwal_keep_size = 200MB\npg_backupctl.wal_workers = 1\n");
my $conf = $node->data_dir . '/postgresql.auto.conf';
my $helpers = q(FROM pg_stat_activity WHERE backend_type = 'pg_backupctl WAL helper');
my $rows = 0;

# The first segment of a helper is alone, since its store has yet to learn what S3 can.

# Segments with rows in them, all ready at once; fault points and the proxy's faults are set before.
# Returns all that wait, in order: the rows may take more segments than n, with what the server
# itself writes after a restart.
sub backlog
{
	my ($fault, $proxy_fault, $n) = @_;
	my @files;

	append_to_file($conf, "pg_backupctl.enabled = off\npg_backupctl.fault = '$fault'\n");
	$node->reload;
	$node->poll_query_until('postgres', "SELECT current_setting('pg_backupctl.fault')", $fault) or die;
	$node->poll_query_until('postgres', "SELECT count(*) = 0 $helpers") or die 'helpers stay';
	for (1 .. $n)
	{
		$rows++;
		$node->safe_psql('postgres', "INSERT INTO t SELECT $rows, md5(i::text) FROM generate_series(1, 3000) i");
		bkc_segments($node, 1);
	}
	@files = grep { /^[0-9A-F]{24}$/ } bkc_wal_status($node, 'ready');
	bkc_s3_proxy_set($proxy, $proxy_fault);
	append_to_file($conf, "pg_backupctl.enabled = on\n");
	$node->reload;
	return @files;
}

# Those of the files that are in the bucket.
sub stored
{
	my %there = map { m{/([0-9A-F]{24})$} ? ($1 => 1) : () } bkc_s3_objects($bucket);

	return grep { $there{$_} } @_;
}

# Asserts that none of the files is reported that is not there.
sub reported_is_there
{
	my ($what, @files) = @_;
	my %ready = map { $_ => 1 } bkc_wal_status($node, 'ready');
	my %there = map { $_ => 1 } stored(@files);

	is_deeply([ grep { !$ready{$_} && !$there{$_} } @files ], [], "$what: nothing is reported that is not there");
	return;
}

# Asserts that all of them become archived, each as it is in pg_wal.
sub all_is_there
{
	my ($what, @files) = @_;
	my $sysid = $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');
	my $got = $node->basedir . '/got';
	my @wrong;

	bkc_archived($node, $what, @files);
	for my $file (@files)
	{
		unlink $got;
		bkc_client('wal-get', '--repo', $url, '--cluster', $sysid, '--prefetch', 0, $file, $got);
		push @wrong, $file if !-e $got || slurp_file($got) ne slurp_file($node->data_dir . "/pg_wal/$file");
	}
	is_deeply([ \@wrong, [ bkc_s3_objects($bucket, qr{\.conflict-}) ] ], [ [], [] ],
		"$what: each segment is there as it is, once");
	return;
}

$node->safe_psql('postgres', 'CREATE TABLE t (i int, x text)');
bkc_backup($node);
bkc_archived($node, 'at first');

# ---- killed; that takes the server down ----

my $wal = '^PUT .*/wal/.*[0-9A-F]{24}$';
for my $case (
	[ 'killed', 'helper-two=kill', {} ],
	[ 'killed later', 'helper-two=kill@4', {} ],
	[ 'killed before the two came through', 'helper-two=kill', { match => $wal, skip => 1, blackhole => 1 } ],
	[ 'killed, replies lost', 'helper-two=kill@3', { match => $wal, drop_reply => 1, p => 0.5 } ])
{
	my ($what, $fault, $proxy_fault) = @$case;

	# the archiver begins nothing: all of it is the helper's
	my @files = backlog("archive-file=sleep:600000,$fault", $proxy_fault, 8);

	ok(bkc_poll(sub { !-e $node->data_dir . '/postmaster.pid' }), "$what: a helper had two at once");
	$node->_update_pid(-1);
	reported_is_there($what, @files);
	is_deeply([ stored(@files) ], [ $files[0] ], "$what: ... and they are not") if $proxy_fault->{blackhole};
	bkc_s3_proxy_set($proxy, {});
	append_to_file($conf, "pg_backupctl.fault = ''\n");
	$node->start;
	all_is_there($what, @files);
}

# ---- told to go ----

my @files = backlog('archive-file=sleep:4000,helper-two=sleep:600000', { match => $wal, skip => 1, blackhole => 1 }, 8);
ok(bkc_poll(sub { stored(@files) == 1 }), 'told to go: the first is there');
bkc_wait_for_sql($node, "SELECT count(*) = 1 AND bool_and(wait_event = 'Extension') $helpers", 't', 'told to go: a helper waits');
bkc_clear_fault($node);	# for the next helper; this one goes on waiting
is($node->safe_psql('postgres', "SELECT bool_and(pg_terminate_backend(pid, 5000)) $helpers"), 't', 'told to go: it goes');
reported_is_there('told to go', @files);
bkc_s3_proxy_set($proxy, {});
all_is_there('told to go', @files);

# ---- the settings change while two are under way ----

@files = backlog('archive-file=sleep:100', { match => $wal, delay_ms => 300 }, 12);
ok(bkc_poll(sub { stored(@files) > 1 }), 'another repository: in the middle of it');
my $second = bkc_s3_bucket();
append_to_file($conf, "pg_backupctl.repositories = 'other=" . bkc_s3_url($second) . "'\n");
$node->reload;
all_is_there_in($second, 'another repository', @files);
append_to_file($conf, "pg_backupctl.repositories = 'main=" . bkc_s3_url($bucket, port => $proxy->{port}) . "'\n");
$node->reload;
bkc_backup($node);

sub all_is_there_in
{
	my ($where, $what, @these) = @_;
	my %ready;

	bkc_archived($node, $what, @these);
	my %in = map { m{/([0-9A-F]{24})$} ? ($1 => 1) : () } bkc_s3_objects($where), bkc_s3_objects($bucket);
	is_deeply([ grep { !$in{$_} } @these ], [], "$what: nothing is lost in between");
	return;
}

# ---- replies that are lost, or say no ----

for my $case (
	[ 'lost replies', { match => $wal, drop_reply => 1, p => 0.4 } ],
	[ 'slow down', { match => $wal, status => 503, p => 0.4, body => '<Error><Code>SlowDown</Code></Error>' } ],
	[ 'broken', { match => $wal, cut_up => 1000, rst => 1, p => 0.4 } ])
{
	my ($what, $proxy_fault) = @$case;

	@files = backlog('archive-file=sleep:300', $proxy_fault, 12);
	all_is_there($what, @files);
}

# one that is refused for good is nobody's success, nor is the one behind it lost
@files = backlog('archive-file=sleep:300', { match => $wal, skip => 3, times => 2, status => 403,
	body => '<Error><Code>AccessDenied</Code></Error>' }, 12);
all_is_there('refused', @files);
cmp_ok($node->safe_psql('postgres', 'SELECT failures FROM backup_archiver'), '>', 0, 'refused: that is said');

# no answer: the time for one file is up, and the next is tried
append_to_file($conf, "pg_backupctl.archive_timeout = 2\n");
@files = backlog('archive-file=sleep:4000', { match => $wal, skip => 2, blackhole => 1 }, 8);
my $from = -s $node->logfile;
ok($node->wait_for_log(qr/time is up for sending WAL file/, $from), 'no answer: time is up');
reported_is_there('no answer', @files);
bkc_s3_proxy_set($proxy, {});
bkc_clear_fault($node);
all_is_there('no answer', @files);

# ---- everything there is, restored ----

bkc_shipped($node);
my $sum = bkc_checksum($node);
$node->stop('immediate');
bkc_judge(bkc_restore($node, 'copy', repo => $url), $sum);

done_testing();
