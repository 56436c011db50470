# wal-get under faults: what is at the target is complete or not there, the
# exit status is 254 when it could not ask, and 1 in a standby.

use strict;
use warnings;

use BkcTest;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

# Signals that were ignored when the tests were started would stay so in the client.
$SIG{$_} = 'DEFAULT' for qw(HUP INT TERM);

my $node    = bkc_node('main', small => 1);
my $base    = $node->basedir;
my $repo    = bkc_repo_dir($node);
my @wal_get = ('wal-get', '--retry', 0, '--repo', bkc_repo_url($node));

$node->safe_psql('postgres',
	'CREATE TABLE numbers AS SELECT i FROM generate_series(1, 20000) AS i');
my $backup  = bkc_backup($node);
my $segment = $node->safe_psql('postgres', "SELECT pg_walfile_name('$backup->{start_lsn}')");
my $size    = 16 * 1024 * 1024;
my $history = '00000002.history';

$node->stop;
chdir $base or die $!;

bkc_client_ok([ @wal_get, $segment, 'reference' ], 'there it is');
is(-s 'reference', $size, 'and whole');
my $reference = slurp_file('reference');

# Every read fails, or is the last thing that the process does.
my (%count, @wrong);
for my $action ('fail', 'kill', 'cancel')
{
	for my $call ('store-list', 'store-read')
	{
		for (my $n = 1; $n < 200; $n++)
		{
			my ($status) =
			  bkc_client({ fault => "$call=$action\@$n" }, @wal_get, $segment, 'target');
			my $expected = $action eq 'kill' ? 128 + 9 : 254;

			last if $status == 0;
			$count{$action}++;
			push @wrong, "$call=$action\@$n: $status"           if $status != $expected;
			push @wrong, "$call=$action\@$n: there is a target" if -e 'target';
		}
		push @wrong, "$call=$action: not the segment" if slurp_file('target') ne $reference;
		unlink 'target';
	}
}
is_deeply(\@wrong, [], 'no fault is taken for an answer, none leaves half a file');
cmp_ok($count{$_}, '>', 3, "$count{$_} times $_") for sort keys %count;
bkc_client_ok([ @wal_get, $segment, 'target' ], 'what a killed one has left is no hindrance');
is_deeply([ grep { /^target/ } slurp_dir('.') ], ['target'], 'and gone');
unlink 'target';

# The same at the last moment: the file is complete, but has no name yet.
for my $fault ([ 'fail', 254 ], [ 'nospace', 254 ], [ 'cancel', 254 ], [ 'exit', 1 ],
	[ 'kill', 128 + 9 ])
{
	my ($action, $expected) = @$fault;
	my ($status) = bkc_client({ fault => "wal-get-fetched=$action" }, @wal_get, $segment, 'target');

	is($status, $expected, "wal-get-fetched=$action: status");
	ok(!-e 'target', "wal-get-fetched=$action: no target");
}
bkc_client_ok([ @wal_get, $segment, 'target' ], 'and then it is there');
is(slurp_file('target'), $reference, 'whole');
unlink 'target';

# A name that nobody has is absent only when everything could be read.
for my $n (1 .. 4)
{
	my ($status) = bkc_client({ fault => "store-read=fail\@$n" }, @wal_get, $history, 'target');
	ok($status == 254 || ($n > 2 && $status == 1), "an absent name, store-read=fail\@$n: $status");
}
is((bkc_client(@wal_get, $history, 'target'))[0], 1, 'an absent name');

# ---- the repository is away, or damaged; in a standby, too ----

my ($pack)     = map { "$repo/$_" } bkc_repo_objects($node, qr{/data/0*-});
my ($manifest) = map { "$repo/$_" } bkc_repo_objects($node, qr{/manifest$});
my $packed     = slurp_file($pack);

sub cut
{
	my ($path, $length) = @_;

	chmod 0600, $path;
	truncate $path, $length or die $!;
	return;
}

sub put
{
	my ($path, $content) = @_;

	open my $fh, '>:raw', $path or die $!;
	print $fh $content;
	close $fh or die $!;
	return;
}

my @cases = (
	[   'away',
		sub { rename $repo, "$repo.away" or die $! },
		sub { rename "$repo.away", $repo or die $! } ],
	[ 'unreadable', sub { chmod 0, $manifest }, sub { chmod 0600, $manifest } ],
	[   'a pack away',
		sub { rename $pack, "$base/pack" or die $! },
		sub { rename "$base/pack", $pack or die $! } ],
	[ 'a pack cut',   sub { cut($pack, length($packed) - 1) }, sub { put($pack, $packed) } ],
	[ 'a pack empty', sub { cut($pack, 0) },                   sub { put($pack, $packed) } ],
	[   'a pack damaged',
		sub { bkc_flip_byte($pack, int(length($packed) * $_ / 50)) for 1 .. 49 },
		sub { put($pack, $packed) } ]);

for my $case (@cases)
{
	my ($what, $break, $mend) = @$case;
	my ($status, $stderr);

	$break->();
	($status, undef, $stderr) = bkc_client(@wal_get, $segment, 'target');
	is($status, 254, "$what: could not ask");
	like($stderr, qr/pg_backupctl: error: .*$segment|error: .*\Q$repo\E/, "$what: and says why");
	append_to_file('standby.signal', '');
	is((bkc_client(@wal_get, $segment, 'target'))[0],
		1, "$what: absent for a standby, which asks again");
	unlink 'standby.signal';
	is_deeply([ grep { /^target/ } slurp_dir('.') ], [], "$what: nothing is left");
	$mend->();
	bkc_client_ok([ @wal_get, $segment, 'target' ], "$what: works when it is mended");
	unlink 'target';
}

# A server that stops sends its signal on, and tells by it how to go on.
for my $signal ('TERM', 'INT')
{
	my $run;

	{
		local $ENV{PG_BACKUPCTL_FAULT} = 'store-read=sleep:60000@4';
		$run = IPC::Run::start([ 'pg_backupctl', @wal_get, $segment, 'target' ]);
	}
	ok(bkc_poll(sub { readlink("/proc/$run->{KIDS}[0]{PID}/exe") =~ /pg_backupctl$/ }),
		"$signal: it is there");
	$run->signal($signal);
	$run->finish;
	is($run->full_result(0) & 127, $signal eq 'TERM' ? 15 : 2, "$signal: it ends by the signal");
	is_deeply([ grep { /^target/ } slurp_dir('.') ], [], "$signal: nothing is left");
}
bkc_client_ok([ @wal_get, $segment, 'target' ], 'once more');
is(slurp_file('target'), $reference, 'and right');
chdir '/' or die $!;
done_testing();
