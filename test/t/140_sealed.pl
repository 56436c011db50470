# A sealed repository: backup, WAL, chunks, a point in time, a take-over; nothing in the
# repository or the log that tells of the data or of the key; wrong and missing keys.

use strict;
use warnings;

use BkcTest;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $marker = 'the_plaintext_marker_of_this_test';
my $folder = PostgreSQL::Test::Utils::tempdir;
my $key = "$folder/key";

# Make a key; returns its id.
sub keygen
{
	my ($path) = @_;
	my $out = bkc_client_ok([ 'keygen', '--out', $path ], "keygen $path");

	return $out =~ /^key ([0-9a-f]{16}) written to / ? $1 : 'none';
}

my $id = keygen($key);
my $other = keygen("$folder/other");

is((stat $key)[2] & 07777, 0600, 'a key is readable for its owner alone');
bkc_client_fails([ 'keygen', '--out', $key ], qr/exists.*must not be replaced/s, 'a key is never replaced');

my $node = bkc_node(
	'main',
	small => 1,
	initdb => ['--wal-segsize=1'],
	conf => bkc_archiving() . <<"CONF");
pg_backupctl.encryption = required
pg_backupctl.encryption_key_file = '$key'
track_commit_timestamp = on
CONF
my $repo = bkc_repo_url($node);
my @key = ('--key-file', $key);

$node->safe_psql('postgres', "CREATE TABLE $marker (t text); INSERT INTO $marker SELECT '$marker' FROM generate_series(1, 1000)");
$node->safe_psql('postgres', "CREATE TABLE t (i int); INSERT INTO t VALUES (1)");
my $first = bkc_backup($node);
is($first->{status}, 'completed', 'a sealed backup');
is($first->{encryption_status}, 'AES-256-GCM', 'the catalog says that it is sealed');
is($first->{encryption_key_id}, $id, 'and with which key');
$node->safe_psql('postgres', 'INSERT INTO t VALUES (2)');
my $time = $node->safe_psql('postgres', 'SELECT clock_timestamp()');
$node->safe_psql('postgres', 'SELECT pg_switch_wal()');
$node->safe_psql('postgres', 'INSERT INTO t VALUES (3)');
my $second = bkc_backup($node, q('full', options => '{"wal": "archive", "jobs": 2}'));
is($second->{encryption_status}, 'AES-256-GCM', 'a second one, that relies on the archive');
$node->safe_psql('postgres', 'INSERT INTO t VALUES (4)');
bkc_shipped($node);
is($node->safe_psql('postgres', "SELECT backup_verify($first->{id})"), 'passed', 'verification in the server');
is($node->safe_psql('postgres', "SELECT backup_verify($second->{id})"), 'passed', 'also of the second');
like($node->safe_psql('postgres', "SELECT string_agg(status || ': ' || finding, E'\\n') FROM backup_check() WHERE check_name = 'encryption'"),
	qr/^ok: what is written is sealed with key $id$/, 'backup_check knows it');
is($node->safe_psql('postgres', 'SELECT count(*) > 0 FROM backup_recovery_window'), 't', 'there is a window');

# ---- what the client needs ----

bkc_client_ok([ 'verify', '--repo', $repo, @key, '--backup', 'all' ], 'verification by the client');
bkc_client_ok([ 'check', '--repo', $repo, @key ], 'check');
like(bkc_client_ok([ 'list', '--repo', "$repo?key_file=$key" ], 'list, with the key in the URL'),
	qr/$first->{label}\s+full\s+complete/, 'shows the backup');
bkc_client_ok([ 'list', '--repo', $repo, '--key-command', "cat $key" ], 'list, with a key command');
bkc_client_ok([ 'verify', '--repo', $repo, @key, '--require-encryption' ], 'everything is sealed');

my $sum = bkc_checksum($node);
my $copy = bkc_restore($node, 'copy', args => \@key);
like(slurp_file($copy->data_dir . '/postgresql.auto.conf'), qr/--key-file \Q$key\E/,
	'the restored cluster finds the key');
command_ok([ 'pg_verifybackup', '--exit-on-error', '--no-parse-wal', $copy->data_dir ],
	'pg_verifybackup');
bkc_judge($copy, $sum, manifest => 0);
$copy->clean_node;

$copy = bkc_restore($node, 'earlier',
	args => [ '--key-command', "cat $key", '--target-time', $time, '--require-encryption' ]);
bkc_start_restored($copy);
is($copy->safe_psql('postgres', 'SELECT string_agg(i::text, \',\' ORDER BY i) FROM t'), '1,2',
	'a point in time');
$copy->stop;
$copy->clean_node;

# ---- without the key, or with another ----

for my $try ([ 'no key' ], [ 'another key', '--key-file', "$folder/other" ])
{
	my ($what, @args) = @$try;
	my $target = $node->basedir . '/nothing';
	my ($status, $stdout, $stderr) = bkc_client('restore', '--repo', $repo, '--pgdata', $target, @args);

	is($status, 10, "$what: the exit status of a missing key");
	like($stderr, qr/is sealed/, "$what: the message");
	like($stderr, qr/can be opened with key $id/, "$what: which one is needed");
	like($stderr, qr/given: $other/, "$what: which one was given") if @args;
	ok(!-e $target, "$what: nothing was written");
	($status, $stdout, $stderr) = bkc_client('list', '--repo', $repo, @args);
	is($status, 10, "$what: list");
	like($stdout, qr/$first->{label}\s+\S+\s+sealed/, "$what: list shows that there is something");
	($status, $stdout, $stderr) = bkc_client('verify', '--repo', $repo, @args);
	is($status, 10, "$what: verify");
	($status, $stdout, $stderr) = bkc_client('wal-get', '--repo', $repo, '--retry', 0, @args,
		'000000010000000000000003', "$folder/wal");
	is($status, 254, "$what: wal-get could not ask");
	ok(!-e "$folder/wal", "$what: and delivers nothing");
}
bkc_client_ok([ 'list', '--repo', $repo, '--key-file', "$folder/other", @key ], 'the right one among others');
chmod 0644, "$folder/other";
my ($status, undef, $stderr) = bkc_client('list', '--repo', $repo, '--key-file', "$folder/other", @key);
is($status, 5, 'a key that others can read is refused');
like($stderr, qr/other/, 'by name');

# ---- nothing shows ----

my $hex = slurp_file($key) =~ s/\s//gr;
my $raw = pack 'H*', $hex;
for my $name (bkc_repo_objects($node))
{
	my $bytes = slurp_file(bkc_repo_dir($node) . "/$name");

	fail("$name shows its content") if $bytes =~ /\Q$marker\E|PG_VERSION|sha256|"label"|BACKUP METHOD|system_identifier/;
	fail("$name holds the key") if index($bytes, $raw) >= 0 || index($bytes, $hex) >= 0;
	fail("$name is not sealed") if substr($bytes, 0, 6) eq 'BKCOBJ' && substr($bytes, 13, 1) ne "\1";
}
my $log = slurp_file($node->logfile);
ok(index($log, $hex) < 0 && index($log, $raw) < 0, 'the log does not hold the key');
is($node->safe_psql('postgres', q(SELECT count(*) FROM pg_settings WHERE setting LIKE '%) . $hex . q(%')), '0',
	'nor do settings');

# ---- the successor ----

$node->stop('immediate');
$copy = bkc_restore($node, 'successor', args => [ @key, '--take-over' ]);
bkc_judge($copy, $sum, running => 1, manifest => 0);
$copy->safe_psql('postgres', 'INSERT INTO t VALUES (5)');
$sum = bkc_checksum($copy);
is(bkc_backup($copy)->{status}, 'completed', 'the successor goes on');
bkc_shipped($copy);
$copy->stop;
my $again = bkc_restore($node, 'again', args => \@key);
bkc_judge($again, $sum);

done_testing();
