# Chunks of the open segment that are damaged or missing, while others say that there was more:
# check finds it, restore says where WAL ends, wal-get does not end a recovery by itself.

use strict;
use warnings;

use BkcTest;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('main', small => 1, initdb => ['--wal-segsize=1'], conf => bkc_archiving());
my $repo = bkc_repo_dir($node);
my $sysid = $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');

$node->safe_psql('postgres', 'CREATE TABLE t (i int)');
bkc_backup($node);
for my $i (1 .. 4)
{
	$node->safe_psql('postgres', "INSERT INTO t VALUES ($i)");
	bkc_shipped($node);
}
$node->stop('immediate');
my ($open) = map { m{/([0-9A-F]{24})\.chunks/} ? $1 : () } reverse bkc_repo_objects($node);

my $copies = 0;

# A copy of the repository and its chunks, of which there are at least four.
sub copy_of
{
	my $dir = $node->basedir . '/copy' . ++$copies;

	system_or_bail('cp', '-r', $repo, $dir);
	return ($dir, sort glob "$dir/$sysid/wal/00000001/*/$open.chunks/*");
}

# $rows: a pattern; how many chunks a row takes is not known.
sub is_cut
{
	my ($dir, $what, $rows) = @_;
	my ($status, $stdout, $stderr) = bkc_client('check', '--repo', "file://$dir");
	my ($until, $copy);

	is($status, 4, "$what: check finds it") or diag($stdout);
	like($stdout, qr/^    DAMAGED or missing: chunks of $open, (which can be used up to 0\/\w+ only|of which nothing can be used)$/m,
		"$what: and names them");
	like($stdout, qr/^  1 finding$/m, "$what: as one finding");
	($status, $stdout) = bkc_client('check', '--repo', "file://$dir", '--json');
	ok(decode_json($stdout)->{clusters}[0]{timelines}[0]{open_damaged}, "$what: JSON says so, too");

	($status, $stdout, $stderr) = bkc_client('wal-get', '--repo', "file://$dir", '--cluster', $sysid,
		'--retry', 0, $open, "$dir.get");
	is($status, 254, "$what: wal-get does not end a recovery there");
	like($stderr, qr/the chunks of WAL segment $open .* are damaged or incomplete.*hint: .*--until 0\//s,
		"$what: but says how to");

	$copy = PostgreSQL::Test::Cluster->new("server$copies");
	($status, $stdout, $stderr) = bkc_client('restore', '--repo', "file://$dir", '--pgdata', $copy->data_dir);
	is($status, 0, "$what: restore") or diag($stderr);
	like($stderr, qr/warning: what the repository has of WAL segment $open is damaged or incomplete: WAL ends at 0\/\w+, and there was more/,
		"$what: with a warning");
	bkc_start_restored($copy) or return;
	like($copy->safe_psql('postgres', q(SELECT 'rows ' || coalesce(string_agg(i::text, ',' ORDER BY i), '') FROM t)),
		$rows, "$what: what was before");
	$copy->stop;
	return;
}

# ---- as it is ----

is((bkc_client('check', '--repo', "file://$repo"))[0], 0, 'all is well');
my ($dir, @chunks) = copy_of();
cmp_ok(scalar @chunks, '>=', 4, 'there are some chunks');

# ---- damage, and holes ----

unlink $chunks[-2] or die $!;
is_cut($dir, 'one is missing in the middle', qr/^rows 1,2(,3)?$/);

($dir, @chunks) = copy_of();
bkc_flip_byte($chunks[-1], 150);
is_cut($dir, 'the last one cannot be read', qr/^rows 1,2,3$/);

($dir, @chunks) = copy_of();
unlink $chunks[0] or die $!;
is_cut($dir, 'the first one is missing', qr/^rows $/);

# ---- a life that has begun anew hides it ----

unlink((glob "$repo/$sysid/wal/00000001/*/$open.chunks/*")[1]) or die $!;
is((bkc_client('check', '--repo', "file://$repo"))[0], 4, 'one is missing');
$node->start;
$node->safe_psql('postgres', 'INSERT INTO t VALUES (5)');
bkc_shipped($node);
$node->stop('immediate');
is((bkc_client('check', '--repo', "file://$repo"))[0], 0, 'the new generation has all');
my $copy = bkc_restore($node, 'anew');
bkc_start_restored($copy);
is($copy->safe_psql('postgres', q(SELECT string_agg(i::text, ',' ORDER BY i) FROM t)),
	'1,2,3,4,5', 'all rows');
$copy->stop;

done_testing();
