# Restore points with one name: the server stops at the first that it comes by,
# so a backup within which one was made is passed over.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('main', small => 1, initdb => ['--wal-segsize=1'], conf => bkc_archiving());
my $repo = bkc_repo_url($node);
my $target = $node->basedir . '/target';

sub insert
{
	my ($i) = @_;

	$node->safe_psql('postgres', "INSERT INTO t VALUES ($i)");
	return;
}

sub point
{
	my ($name) = @_;

	$node->safe_psql('postgres', "SELECT pg_create_restore_point('$name')");
	return;
}

# Asserts that a restore to the name comes from that backup and leads to these rows.
my $copies = 0;

sub leads_to
{
	my ($name, $backup, $rows, @args) = @_;
	my $copy = PostgreSQL::Test::Cluster->new('copy' . ++$copies);
	my $out = bkc_client_ok(
		[ 'restore', '--repo', $repo, '--pgdata', $copy->data_dir, '--target-name', $name, @args ],
		"restore to $name");

	like($out, qr/backup $backup->{label}, /, "$name: from backup $backup->{label}");
	if (bkc_start_restored($copy))
	{
		is($copy->safe_psql('postgres', q(SELECT string_agg(i::text, ',' ORDER BY i) FROM t)),
			$rows, "$name: rows $rows");
		$copy->stop;
	}
	$copy->clean_node;
	return;
}

sub refused
{
	my ($what, $name, $pattern, @args) = @_;

	bkc_client_fails([ 'restore', '--repo', $repo, '--pgdata', $target, '--target-name', $name, @args ],
		$pattern, "refused: $what");
	ok(!-e $target, 'nothing was written');
	return;
}

$node->safe_psql('postgres', 'CREATE TABLE t (i int)');

# ---- one backup, within which the first of two was made ----

my $first = bkc_backup_during($node, sub { point('alone') });
insert(1);
point('alone');
point('before');
insert(2);
bkc_shipped($node);
refused('no older backup', 'alone',
	qr/backup $first->{label} cannot be restored to restore point "alone": one of that name was made while the backup ran.*It is at 0\/\w+, before the end of the backup.*no older backup.*--target-time/s);

# ---- a newer backup ----

my $second = bkc_backup_during(
	$node,
	sub {
		insert(3);
		point('twice');
		point('within');
		insert(4);
	});
insert(5);
point('twice');
insert(6);
point('behind');
insert(7);
bkc_shipped($node);
leads_to('twice', $first, '1,2,3');
leads_to('within', $first, '1,2,3');
leads_to('before', $first, '1');
leads_to('behind', $second, '1,2,3,4,5,6');
refused('a backup that was named', 'twice',
	qr/backup $second->{label} cannot be restored to restore point "twice".*Without --backup older ones are tried/s,
	'--backup', $second->{label});
leads_to('twice', $first, '1,2,3', '--backup', $first->{label});

done_testing();
