# What restore has announced is what is restored: when some of it is lost or damaged before the
# server starts, that stops instead of ending recovery earlier.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('main', small => 1, initdb => ['--wal-segsize=1'], conf => bkc_archiving());
my $repo = bkc_repo_dir($node);

$node->safe_psql('postgres', 'CREATE TABLE t (i int)');
bkc_backup($node);
for my $i (1 .. 3)
{
	$node->safe_psql('postgres', "INSERT INTO t VALUES ($i)");
	bkc_shipped($node);
}
my $early = $node->basedir . '/early';
system_or_bail('cp', '-r', $repo, $early);
my ($open) = map { m{/([0-9A-F]{24})\.chunks/} ? $1 : () } reverse bkc_repo_objects($node);
$node->safe_psql('postgres', 'INSERT INTO t VALUES (4); SELECT pg_switch_wal()');
bkc_shipped($node);
ok( bkc_poll(
		sub {
			my @of = bkc_repo_objects($node, qr{/$open});
			return @of == 1 && $of[0] =~ m{/$open$};
		}),
	'the segment is whole, its chunks are gone');
$node->stop('immediate');

sub rows
{
	my ($server) = @_;

	return $server->safe_psql('postgres', q(SELECT string_agg(i::text, ',' ORDER BY i) FROM t));
}

# Restore from a copy of the repository, call $harm with that, and look what the server does.
my $copies = 0;

sub harmed
{
	my ($from, $what, $pattern, $harm) = @_;
	my $dir = $node->basedir . '/copy' . ++$copies;
	my $copy;

	system_or_bail('cp', '-r', $from, $dir);
	$copy = bkc_restore($node, "server$copies", repo => "file://$dir");
	like(slurp_file($copy->data_dir . '/postgresql.auto.conf'),
		qr/restore_command = .* --until /, "$what: an end was announced");
	$harm->($dir);
	bkc_adopt($copy);
	is($copy->start(fail_ok => 1), 0, "$what: the server stops");
	like(slurp_file($copy->logfile), $pattern, "$what: and says why");
	unlike(slurp_file($copy->logfile), qr/selected new timeline ID/, "$what: it has not ended recovery");
	return ($copy, $dir);
}

sub chunks
{
	my ($dir) = @_;
	my @chunks = sort glob "$dir/*/wal/00000001/*/$open.chunks/*";

	return @chunks;
}

# ---- of the open segment ----

harmed($early, 'the last chunk is gone',
	qr/what is there of WAL segment $open ends at .*, but recovery shall reach .*hint: .*--until 0\//s,
	sub { unlink((chunks($_[0]))[-1]) or die $! });
harmed($early, 'its head is damaged',
	qr/the chunks of WAL segment $open .* are damaged or incomplete: they can be read up to/,
	sub { bkc_flip_byte((chunks($_[0]))[-1], 150) });
harmed($early, 'its content is damaged', qr/the chunks of WAL segment $open .* are damaged/,
	sub { bkc_flip_byte((chunks($_[0]))[-1], -5) });

# ---- of a whole one, of which chunks have come back ----

my ($copy, $dir) = harmed(
	$repo,
	'a segment is lost',
	qr/WAL segment $open is missing, but a later one is there|what is there of WAL segment $open ends/,
	sub {
		my ($whole) = glob "$_[0]/*/wal/00000001/*/$open";

		# it was the newest
		unlink grep { m{/[0-9A-F]{24}$} && $_ ge $whole } glob "$_[0]/*/wal/00000001/*/*";
		system_or_bail('rm', '-rf', grep { m{\.chunks$} } glob "$_[0]/*/wal/00000001/*/*");
		my ($kept) = glob "$early/*/wal/00000001/*/$open.chunks";
		system_or_bail('cp', '-r', $kept, "$whole.chunks");
	});

# ---- what the hint says ----

my ($until) = slurp_file($copy->logfile) =~ /hint: If recovery shall end there, give the restore_command --until (\S+)\./;
ok($until, 'a hint says up to where recovery can go') or BAIL_OUT(slurp_file($copy->logfile));
my $conf = slurp_file($copy->data_dir . '/postgresql.auto.conf');
$conf =~ s/--until [0-9A-F]+\/[0-9A-F]+/--until $until/;
$copy->append_conf('postgresql.auto.conf', (grep /^restore_command/, split /^/, $conf)[-1]);
bkc_start_restored($copy);
is(rows($copy), '1,2,3', 'and there it ends, when told so');
$copy->stop;

# ---- unharmed ----

for my $from ($early, $repo)
{
	my $good = bkc_restore($node, 'good' . ++$copies, repo => "file://$from");

	bkc_start_restored($good);
	is(rows($good), $from eq $early ? '1,2,3' : '1,2,3,4', 'all rows');
	$good->stop;
}

done_testing();
