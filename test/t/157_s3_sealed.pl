# A sealed repository in a versioned bucket: backup, WAL and chunks, restores, another key in the
# place of the first, a backup that is shredded with all versions of its key; and nothing in the
# bucket, former versions included, that tells of the data or of a key.

use strict;
use warnings;

use BkcTest;
use BkcS3;
use PostgreSQL::Test::Utils;
use Test::More;

my $marker = 'the_plaintext_marker_of_this_test';
my $folder = PostgreSQL::Test::Utils::tempdir;
my %id;

for my $name (qw(one two))
{
	my $out = bkc_client_ok([ 'keygen', '--out', "$folder/$name" ], "keygen $name");

	($id{$name}) = $out =~ /^key ([0-9a-f]{16}) written to /;
}

my $bucket = bkc_s3_bucket(versions => 1);
my $url = bkc_s3_url($bucket, prefix => 'prod', tls => 1);

# without compression, so that the marker would be found
my $node = bkc_node(
	'main',
	small => 1,
	initdb => ['--wal-segsize=1'],
	repositories => "main=$url",
	conf => bkc_archiving() . <<"CONF");
pg_backupctl.encryption = required
pg_backupctl.encryption_key_file = '$folder/one'
pg_backupctl.compression = 'none'
CONF

sub set
{
	my ($name, $value) = @_;

	$node->safe_psql('postgres', "ALTER SYSTEM SET pg_backupctl.$name = '$value'");
	$node->reload;
	bkc_wait_for_sql($node, "SELECT current_setting('pg_backupctl.$name') = '$value'", 't', "$name is set");
	return;
}

# All versions whose key is like that: { version, kind, key } each.
sub versions
{
	my ($pattern) = @_;
	my @found;

	for (bkc_s3('versions', $bucket))
	{
		my ($version, $kind, $key) = split / /, $_, 3;

		push @found, { version => $version, kind => $kind, key => $key } if $key =~ $pattern;
	}
	return @found;
}

my $copies = 0;

# Asserts that a restore gives all rows that there are now.
sub restores
{
	my (@args) = @_;
	my $sum = bkc_checksum($node);
	my $copy;

	bkc_shipped($node);
	$copy = bkc_restore($node, 'copy' . ++$copies, repo => $url, args => \@args);
	bkc_judge($copy, $sum);
	$copy->clean_node;
	return;
}

# Asserts that a restore is refused with exit status 10 and such a message, and writes nothing.
sub refused
{
	my ($what, $pattern, @args) = @_;
	my $target = $node->basedir . '/nothing';
	my ($status, $stdout, $stderr) = bkc_client('restore', '--repo', $url, '--pgdata', $target, @args);

	is($status, 10, "$what: the exit status");
	like($stderr, $pattern, "$what: the message");
	ok(!-e $target, "$what: nothing was written");
	return;
}

# ---- backups, segments and chunks, and back ----

$node->safe_psql('postgres',
	"CREATE TABLE $marker (t text); INSERT INTO $marker SELECT '$marker' FROM generate_series(1, 1000)");
my $first = bkc_backup($node);
is($first->{encryption_status}, 'AES-256-GCM', 'a sealed backup');
is($first->{encryption_key_id}, $id{one}, 'with the first key');
$node->safe_psql('postgres', "INSERT INTO $marker VALUES ('$marker')");
bkc_archived($node, 'segments', bkc_segments($node, 2));
my $second = bkc_backup($node);
$node->safe_psql('postgres', "INSERT INTO $marker VALUES ('$marker')");
bkc_shipped($node);
ok(bkc_s3_objects($bucket, qr{\.chunks/}) > 0, 'the open segment is there in chunks');
restores('--key-file', "$folder/one", '--require-encryption', '--backup', $first->{label});
bkc_client_ok([ 'verify', '--repo', $url, '--key-file', "$folder/one", '--require-encryption' ], 'verify');
refused('no key', qr/no key was given.*can be opened with key $id{one}/s);
refused('another key', qr/another key.*can be opened with key $id{one}; given: $id{two}/s, '--key-file', "$folder/two");

# ---- another key ----

set(encryption_key_file => "$folder/two, $folder/one");
like($node->safe_psql('postgres', "SELECT * FROM backup_rotate_key('$folder/two', remove_old => true)"),
	qr/^main\|$id{two}\|\d+\|\d+\|[1-9]\d*$/, 'the key is replaced');
set(encryption_key_file => "$folder/two");
is_deeply([ map { "$_->{kind} $_->{key}" } versions(qr{/keys/[0-9a-f]{32}/$id{one}$}) ], [],
	'no version of what the old key opens is left');
cmp_ok(scalar(versions(qr{/keys/[0-9a-f]{32}/$id{two}$})), '>=', 4, 'there is what the new key opens');
$node->safe_psql('postgres', "INSERT INTO $marker VALUES ('$marker')");
bkc_archived($node, 'more segments', bkc_segments($node, 1));
restores('--key-file', "$folder/two", '--backup', $first->{label});
refused('the old key', qr/another key.*can be opened with key $id{two}; given: $id{one}/s, '--key-file', "$folder/one");

# ---- one backup is shredded ----

my ($data_key) = $node->safe_psql('postgres', "SELECT metadata->>'data_key' FROM backup_catalog WHERE id = $first->{id}");
like($data_key, qr/^[0-9a-f]{32}$/, 'the catalog names the data key');
my ($object) = bkc_s3_objects($bucket, qr{/keys/$data_key/$id{two}$});

# a copy that was removed as people do it, so that no listing shows it; and one that came again
bkc_s3('get', $bucket, $object) =~ /^(.*)$/s;
my $bytes = $1;
my $file = "$folder/copy";
open my $fh, '>:raw', $file or die "could not write \"$file\": $!";
print $fh $bytes;
close $fh or die "could not write \"$file\": $!";
my $hidden = $object =~ s/$id{two}$/0123456789abcdef/r;
bkc_s3('put', $bucket, $hidden, $file);
bkc_s3('delete', $bucket, $hidden);
bkc_s3('delete', $bucket, $object);
bkc_s3('put', $bucket, $object, $file);
is(scalar(versions(qr{/keys/$data_key/})), 5, 'five versions and marks of its key');
is_deeply([ bkc_s3_objects($bucket, qr{/keys/$data_key/}) ], [$object], 'one of them shows');
my @others = versions(qr{/keys/(?!$data_key)});

my ($status, $stdout, $stderr) = $node->psql('postgres', "SELECT backup_shred($first->{id}, 'a request')");
is($stdout, '1', 'shredded');
like($stderr, qr/WAL of its time is still in repository "main"/, 'the WAL is named');
like($stderr, qr/other backups hold the same data.*$second->{label}/s, 'so is the other backup');
is_deeply([ map { "$_->{kind} $_->{key}" } versions(qr{/keys/$data_key/}) ], [], 'no version of its key is left');
is_deeply([ versions(qr{/keys/}) ], \@others, 'all other keys are');
is(bkc_catalog($node, $first->{id})->{encryption_status}, 'shredded', 'the catalog says so');
bkc_client_fails([ 'restore', '--repo', $url, '--key-file', "$folder/two", '--backup', $first->{label},
		'--pgdata', $node->basedir . '/nothing' ],
	qr/its data key is not in the repository any more/, 'it cannot be restored');
ok(!-e $node->basedir . '/nothing', 'and nothing was written');
restores('--key-file', "$folder/two", '--backup', $second->{label});

# ---- nothing shows ----

my @secrets = map { my $hex = slurp_file("$folder/$_") =~ s/\s//gr; ($hex, uc $hex, pack('H*', $hex)) } qw(one two);

# What a text of an object tells.
sub told
{
	my ($text) = @_;

	return grep { index($text, $_) >= 0 } @secrets, $marker, 'PG_VERSION', 'sha256', 'BACKUP METHOD',
	  'system_identifier';
}

my $looked = 0;
for my $version (versions(qr/./))
{
	# probes and marks of the driver are no objects of the format, and hold nothing
	next if $version->{kind} ne 'object' || $version->{key} =~ m{/\.tmp-[^/]*$|/probe/};
	my $text = bkc_s3('get', $bucket, $version->{key}, $version->{version});

	$looked++;
	fail("$version->{key} shows its content") if told($text);
	fail("$version->{key} is not sealed") if substr($text, 0, 6) ne 'BKCOBJ' || substr($text, 13, 1) ne "\1";
	fail("the name of $version->{key} tells something") if told($version->{key});
}
cmp_ok($looked, '>', 20, 'all versions of all objects were looked at');
my $log = slurp_file($node->logfile);
ok(!(grep { index($log, $_) >= 0 } @secrets), 'the log does not hold a key');

# what would be found if there were something
set(repositories => 'main=' . bkc_repo_url($node) . '?encryption=off');
is(bkc_backup($node)->{encryption_status}, 'none', 'a plain backup elsewhere');
ok((grep { told(slurp_file(bkc_repo_dir($node) . "/$_")) } bkc_repo_objects($node, qr{/data/})), 'shows the marker');

done_testing();
