# The life of a key: turned on in a plain repository, required but missing, rotated twice,
# lost, and a backup that is shredded.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $folder = PostgreSQL::Test::Utils::tempdir;
my %id;

sub key
{
	my ($name) = @_;

	return "$folder/$name";
}

for my $name (qw(one two three))
{
	my $out = bkc_client_ok([ 'keygen', '--out', key($name) ], "keygen $name");

	($id{$name}) = $out =~ /^key ([0-9a-f]{16}) written to /;
}

my $node = bkc_node(
	'main',
	small => 1,
	initdb => ['--wal-segsize=1'],
	conf => bkc_archiving());
my $repo = bkc_repo_url($node);

# Change settings and wait until new processes see them.
sub set
{
	my (%settings) = @_;

	for my $name (sort keys %settings)
	{
		$node->safe_psql('postgres', "ALTER SYSTEM SET pg_backupctl.$name = '$settings{$name}'");
	}
	$node->reload;
	for my $name (sort keys %settings)
	{
		bkc_wait_for_sql($node, "SELECT current_setting('pg_backupctl.$name') = '$settings{$name}'",
			't', "$name is set");
	}
	return;
}

sub insert
{
	my ($i) = @_;

	$node->safe_psql('postgres', "INSERT INTO t VALUES ($i); SELECT pg_switch_wal()");
	return;
}

my $copies = 0;

# Asserts that a restore with these arguments gives all rows; returns nothing.
sub restores
{
	my ($what, @args) = @_;
	my $sum = bkc_checksum($node);
	my $copy;

	bkc_shipped($node);
	$copy = bkc_restore($node, 'copy' . ++$copies, args => \@args);
	note($what);
	bkc_judge($copy, $sum);
	$copy->clean_node;
	return;
}

sub objects_with
{
	my ($cipher, $pattern) = @_;

	return scalar grep { substr(slurp_file(bkc_repo_dir($node) . "/$_"), 13, 1) eq chr($cipher) }
	  bkc_repo_objects($node, $pattern);
}

# ---- a plain repository, in which encryption is turned on ----

$node->safe_psql('postgres', 'CREATE TABLE t (i int)');
my $plain = bkc_backup($node);
is($plain->{encryption_status}, 'none', 'a plain backup');
insert(1);
bkc_shipped($node);
bkc_client_fails([ 'verify', '--repo', $repo, '--require-encryption' ], qr/is not sealed, and only sealed/,
	'a plain backup is refused by who asks for sealed ones');

# required, but no key: nothing goes out, and nothing goes wrong
set(encryption => 'required');
bkc_backup_fails($node, q('full'), qr/encryption is required, and there is no key/, 'no backup without a key');
my $before = objects_with(0, qr/./);
insert(2);
bkc_wait_for_sql($node, q(SELECT last_error LIKE '%encryption is required%' FROM backup_archiver), 't',
	'the archiver says why it waits');
is(objects_with(0, qr/./), $before, 'nothing is written');
set(encryption_key_file => key('missing'));
bkc_backup_fails($node, q('full'), qr/missing/, 'a key file that is not there');
chmod 0644, key('one');
set(encryption_key_file => key('one'));
bkc_backup_fails($node, q('full'), qr/key file|"[^"]*one"/, 'a key file that others can read');
chmod 0600, key('one');

# and with a key everything goes on
bkc_shipped($node);
is(objects_with(0, qr/./), $before, 'what is new is sealed');
cmp_ok(objects_with(1, qr{/wal/}), '>', 0, 'WAL, too');
my $one = bkc_backup($node);
is($one->{encryption_key_id}, $id{one}, 'a sealed backup');
insert(3);
restores('from the sealed backup', '--key-file', key('one'), '--backup', $one->{label});
restores('from the plain one, through plain and sealed WAL', '--key-file', key('one'), '--backup', $plain->{label});

# ---- rotated twice ----

$node->safe_psql('postgres', "SELECT backup_rotate_key('" . key('two') . "')");
restores('with the new key', '--key-file', key('two'));
my ($status, $stdout, $stderr) = $node->psql('postgres',
	"SELECT backup_rotate_key('" . key('two') . "', remove_old => true)");
like($stderr, qr/not sealed with the new key yet/, 'old copies stay as long as the server uses the old key');
set(encryption_key_file => key('two') . ', ' . key('one'));
insert(4);
bkc_shipped($node);
my $two = bkc_backup($node);
is($two->{encryption_key_id}, $id{two}, 'a backup with the new key');
like($node->safe_psql('postgres', "SELECT * FROM backup_rotate_key('" . key('two') . "', 'main', true)"),
	qr/^main\|$id{two}\|(\d+)\|\d+\|[1-9]\d*$/, 'old copies are removed');
is($node->safe_psql('postgres', "SELECT string_agg(DISTINCT encryption_key_id, ',') FROM backup_catalog"),
	$id{two}, 'the catalog knows which key is needed');
set(encryption_key_file => key('two'));
restores('with the new key alone', '--key-file', key('two'), '--backup', $one->{label});
($status, $stdout, $stderr) = bkc_client('verify', '--repo', $repo, '--key-file', key('one'));
is($status, 10, 'the old key opens nothing any more');
like($stderr, qr/can be opened with key $id{two}; given: $id{one}/, 'says so');
is(scalar(grep { !/\/$id{two}$/ } bkc_repo_objects($node, qr{/keys/})), 0, 'there are no copies of it');

# the second time with the client, while the server runs
bkc_client_fails([ 'rotate-key', '--repo', $repo, '--key-file', key('one'), '--new-key-file', key('three') ],
	qr/cannot be opened with the keys that were given/, 'rotation without the key that is in use');
like(bkc_client_ok([ 'rotate-key', '--repo', $repo, '--key-file', key('two'), '--new-key-file', key('three') ],
		'rotation by the client'),
	qr/^key $id{three} opens all \d+ data keys of cluster \d+, each tried/, 'says what it did');
set(encryption_key_file => key('three') . ',' . key('two'));
insert(5);
bkc_shipped($node);
bkc_client_ok([ 'rotate-key', '--repo', $repo, '--key-file', key('two'), '--new-key-file', key('three'), '--remove-old' ],
	'and the old key is removed');
set(encryption_key_file => key('three'));
my $three = bkc_backup($node);
is(scalar(grep { !/\/$id{three}$/ } bkc_repo_objects($node, qr{/keys/})), 0, 'all is opened by the third key');
restores('after two rotations, the oldest sealed backup', '--key-file', key('three'), '--backup', $one->{label});
restores('after two rotations, the newest', '--key-file', key('three'));

# ---- a shredded backup ----

my $keys = bkc_repo_objects($node, qr{/keys/});
($status, $stdout, $stderr) = $node->psql('postgres', "SELECT backup_shred($one->{id}, ' ')");
like($stderr, qr/a reason must be given/, 'shredding needs a reason');
($status, $stdout, $stderr) = $node->psql('postgres', "SELECT backup_shred($plain->{id}, 'test')");
like($stderr, qr/has no key that could be destroyed/, 'a plain backup cannot be shredded');
$node->safe_psql('postgres', "UPDATE backup_catalog SET held = true WHERE id = $one->{id}");
($status, $stdout, $stderr) = $node->psql('postgres', "SELECT backup_shred($one->{id}, 'test')");
like($stderr, qr/is held/, 'nor one that is held');
$node->safe_psql('postgres',
	"UPDATE backup_catalog SET held = false; UPDATE backup_catalog SET parent_id = $one->{id} WHERE id = $two->{id}");
($status, $stdout, $stderr) = $node->psql('postgres', "SELECT backup_shred($one->{id}, 'test')");
like($stderr, qr/other backups depend.*$two->{label}/s, 'nor one that others build on');
$node->safe_psql('postgres', 'UPDATE backup_catalog SET parent_id = NULL');
is(scalar(bkc_repo_objects($node, qr{/keys/})), $keys, 'until here nothing was destroyed');

$node->safe_psql('postgres', "UPDATE backup_catalog SET system_identifier = NULL WHERE id = $one->{id}");	# of an old version
($status, $stdout, $stderr) = $node->psql('postgres', "SELECT backup_shred($one->{id}, 'a request')");
is($stdout, '1', 'shredded in one repository');
like($stderr, qr/WAL of its time is still in repository "main"/, 'the WAL is named');
like($stderr, qr/other backups hold the same data.*$two->{label}/s, 'so are other backups');
is(scalar(bkc_repo_objects($node, qr{/keys/})), $keys - 1, 'its key is gone');
like(slurp_file($node->logfile), qr/destroyed the data key of backup $one->{label}.*a request/s, 'the log says who and why');
is(scalar(bkc_repo_objects($node, qr{$one->{label}/notes/.*-shred$})), 1, 'and so does a note');
is(bkc_catalog($node, $one->{id})->{encryption_status}, 'shredded', 'and the catalog');
bkc_client_fails([ 'restore', '--repo', $repo, '--key-file', key('three'), '--backup', $one->{label},
		'--pgdata', $node->basedir . '/x' ],
	qr/its data key is not in the repository any more/, 'it cannot be restored');
ok(!-e $node->basedir . '/x', 'nothing was written');
like((bkc_client('list', '--repo', $repo, '--key-file', key('three')))[1], qr/$one->{label}.*damaged/, 'list shows it');
is($node->safe_psql('postgres', "SELECT backup_shred($one->{id}, 'again')"), '1', 'a second time does no harm');
is($node->safe_psql('postgres', 'SELECT backup_verify()'), 'passed', 'others are as they were');
restores('from another backup', '--key-file', key('three'), '--backup', $two->{label});

# ---- a key that is lost ----

set(encryption_key_file => key('one'));
bkc_backup_fails($node, q('full'), qr/is sealed with another key.*$id{three}/s, 'another key alone: no backup');
insert(6);
bkc_wait_for_sql($node, q(SELECT last_error LIKE '%is sealed with another key%' FROM backup_archiver), 't',
	'the archiver waits');
set(encryption_key_file => key('three'));
insert(7);
restores('with the right one again', '--key-file', key('three'));

done_testing();
