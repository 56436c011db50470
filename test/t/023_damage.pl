# Damage to a repository is found by the client's verify, by backup_verify() and
# by restore; what cannot be read is no verdict.

use strict;
use warnings;

use BkcTest;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('main');
my $repo = bkc_repo_url($node);
my $base = $node->basedir;

$node->safe_psql('postgres', <<'SQL');
CREATE TABLE t AS SELECT i, sha512(i::text::bytea) AS noise FROM generate_series(1, 50000) AS i;
SQL
my $sum = bkc_checksum($node);
my $other = bkc_backup($node, q('full', options => '{"jobs": 2}'));
my $backup = bkc_backup($node, q('full', options => '{"jobs": 2}'));
my $label = $backup->{label};
my ($manifest) = map { bkc_repo_dir($node) . "/$_" } bkc_repo_objects($node, qr{/$label/manifest$});
my $other_manifest = $manifest =~ s/\Q$label\E/$other->{label}/r;
my @packs = map { bkc_repo_dir($node) . "/$_" } bkc_repo_objects($node, qr{/$label/data/});
@packs = sort { -s $b <=> -s $a } @packs;
my $pack = $packs[0];
my $other_pack = $pack =~ s/\Q$label\E/$other->{label}/r;
cmp_ok(scalar(@packs), '>=', 2, 'several packs');
ok(-f $other_pack, 'the other backup has one of that name');

sub put
{
	my ($path, $content) = @_;

	unlink $path;
	open my $fh, '>:raw', $path or die "$path: $!";
	print $fh $content;
	close $fh or die $!;
	return;
}

# Break it, see that everybody finds it, and mend it again.
my $round = 0;

sub found
{
	my ($what, $path, $kind, $break) = @_;
	my $kept = slurp_file($path);
	my ($status, $stdout, $stderr, $result);

	$break->($path, $kept);
	($status, $stdout) = bkc_client('verify', '--repo', $repo, '--backup', $label, '--json');
	is($status, 4, "$what: verify has exit status 4");
	$result = eval { decode_json($stdout) } // {};
	is($result->{status}, 'failed', "$what: and says failed");
	my %kinds = map { $_->{kind} => 1 } @{ $result->{backups}[0]{findings} };
	ok($kinds{$kind}, "$what: a finding about a $kind") or diag($stdout);

	($status, $stdout, $stderr) = $node->psql('postgres', "SELECT backup_verify($backup->{id})");
	is($stdout, 'failed', "$what: backup_verify says failed");
	like($stderr, qr/WARNING:  backup $label is damaged: .*the first: /, "$what: and what")
	  or diag($stderr);
	my $row = bkc_catalog($node, $backup->{id});
	is($row->{verification_status}, 'failed', "$what: so does the catalog");
	cmp_ok(scalar(@{ decode_json($row->{metadata})->{verification}{findings} }), '>', 0,
		"$what: with findings");

	$round++;
	($status, $stdout, $stderr) = bkc_client('restore', '--repo', $repo, '--backup', $label,
		'--pgdata', "$base/broken$round");
	is($status, 4, "$what: restore has exit status 4") or diag($stderr);
	ok(!-e "$base/broken$round/global/pg_control", "$what: and leaves nothing that starts");

	put($path, $kept);
	return;
}

for my $place ([ 0, 'pack' ], [ 20, 'pack' ], [ 100_000, 'file' ], [ int((-s $pack) / 2), 'file' ],
	[ -60, 'pack' ], [ -1, 'pack' ])
{
	my ($offset, $kind) = @$place;

	found("byte $offset of a pack", $pack, $kind, sub { bkc_flip_byte($_[0], $offset) });
}
found('a byte cut off', $pack, 'pack', sub { put($_[0], substr($_[1], 0, -1)) });
found('half of a pack', $pack, 'pack', sub { put($_[0], substr($_[1], 0, length($_[1]) / 2)) });
found('an empty pack', $pack, 'pack', sub { put($_[0], '') });
found('a byte too many', $pack, 'pack', sub { put($_[0], "$_[1]x") });
found('no pack', $pack, 'pack', sub { unlink $_[0] or die $! });
found("another backup's pack", $pack, 'pack', sub { put($_[0], slurp_file($other_pack)) });
found("another worker's pack", $pack, 'pack', sub { put($_[0], slurp_file($packs[1])) });
found('zeroes', $pack, 'pack', sub { put($_[0], "\0" x length($_[1])) });

found("byte $_ of the manifest", $manifest, 'manifest', sub { bkc_flip_byte($_[0], $_) })
  for 0, 30, 300, -1;
found('half a manifest', $manifest, 'manifest',
	sub { put($_[0], substr($_[1], 0, length($_[1]) / 2)) });
found('an empty manifest', $manifest, 'manifest', sub { put($_[0], '') });
found("another backup's manifest", $manifest, 'manifest',
	sub { put($_[0], slurp_file($other_manifest)) });

# ---- without its manifest a backup does not exist ----

my $kept = slurp_file($manifest);
unlink $manifest or die $!;
bkc_client_fails([ 'verify', '--repo', $repo, '--backup', $label ], qr/$label is unfinished/,
	'no manifest, no backup');
like(bkc_client_ok([ 'verify', '--repo', $repo ], 'verify'),
	qr/^backup $other->{label}: .* every hash correct/m,
	'the other one is not touched');
is($node->safe_psql('postgres', "SELECT backup_verify($backup->{id})"), 'failed',
	'backup_verify says so, too');
put($manifest, $kept);

# ---- what cannot be read is no verdict ----

is($node->safe_psql('postgres', "SELECT backup_verify($backup->{id})"), 'passed', 'mended');
is(bkc_catalog($node, $backup->{id})->{verification_status}, 'passed', 'in the catalog');
chmod 0, $pack;
my ($status, $stdout, $stderr) = bkc_client('verify', '--repo', $repo, '--backup', $label,
	'--json');
is($status, 5, 'verify of a pack that cannot be read: exit status 5');
($status, $stdout, $stderr) = $node->psql('postgres', "SELECT backup_verify($backup->{id})");
isnt($status, 0, 'backup_verify fails');
like($stderr, qr/ERROR:.*Permission denied/, 'with the reason');
is(bkc_catalog($node, $backup->{id})->{verification_status}, 'passed', 'and gives no verdict');
chmod 0600, $pack;

bkc_client_ok([ 'verify', '--repo', $repo ], 'in the end all is well');
$node->stop;
bkc_judge(bkc_restore($node, 'copy', args => [ '--backup', $label ]), $sum);

done_testing();
