# 20,000 tables: tens of thousands of small files are backed up, verified and
# restored, in bounded memory.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $tables = 20000;
my $node = bkc_node('main', conf => <<'CONF');
autovacuum = off
fsync = off
max_locks_per_transaction = 256
checkpoint_timeout = 1h
max_wal_size = 2GB
shared_buffers = 64MB
CONF

# As many catalog rows as tables, and a file each with a page in every second.
my $began = time;
$node->safe_psql('postgres', <<"SQL");
CREATE PROCEDURE make_tables(n int) LANGUAGE plpgsql AS \$\$
BEGIN
	FOR i IN 1 .. n LOOP
		EXECUTE format('CREATE TABLE t_%s (a int, b int)', i);
		IF i % 2 = 0 THEN
			EXECUTE format('INSERT INTO t_%s VALUES (%s, 1)', i, i);
		END IF;
		IF i % 500 = 0 THEN
			COMMIT;
		END IF;
	END LOOP;
END
\$\$;
CALL make_tables($tables);
CHECKPOINT;
SQL
note(sprintf('%d tables made in %.1f s', $tables, time - $began));

# Private memory of a process now, in kB; 0 when it has gone.
sub private_memory
{
	my ($pid) = @_;
	my $text = eval { slurp_file("/proc/$pid/status") } // '';

	return $text =~ /^RssAnon:\s+(\d+) kB/m ? $1 : 0;
}

$began = time;
my $id = $node->safe_psql('postgres', 'SELECT backup_now(wait => false)');
my %peak;
while (1)
{
	my $pids = $node->safe_psql('postgres',
		"SELECT backend_type || '/' || pid FROM pg_stat_activity WHERE backend_type ~ '^pg_backupctl (backup|copy)'");
	for (split /\n/, $pids)
	{
		my ($type, $pid) = split m{/};
		my $kb = private_memory($pid);

		$peak{$type} = $kb if $kb > ($peak{$type} // 0);
	}
	last if $node->safe_psql('postgres',
		"SELECT status <> 'running' FROM backup_catalog WHERE id = $id") eq 't';
}
my $backup = bkc_backup_end($node, $id);
is($backup->{status}, 'completed', 'the backup completes');
my ($files) = $backup->{metadata} =~ /"files": (\d+)/;
cmp_ok($files, '>', $tables, 'with all files');
note(sprintf('%d files backed up in %.1f s; peak of private memory: %s', $files, time - $began,
		join(', ', map { "$_ $peak{$_} kB" } sort keys %peak)));
cmp_ok($peak{'pg_backupctl copy'} // 0, '<', 64 * 1024, 'a worker stays below 64 MB');
cmp_ok($peak{'pg_backupctl backup'} // 0, '<', 64 * 1024 + $files * 300 / 1024,
	'so does the leader');
cmp_ok(scalar(bkc_repo_objects($node, qr/\Q$backup->{label}\E/)), '<', 50,
	'small files share objects');

my $sum = $node->safe_psql('postgres', 'SELECT count(*), sum(oid::bigint) FROM pg_class');
$node->stop;

# The client has little memory, too: address space of 300 MB for each process.
command_ok(
	[
		'sh', '-c', 'ulimit -v 307200 && exec "$@"', 'sh', 'pg_backupctl',
		'verify', '--repo', bkc_repo_url($node)
	],
	'verify with little memory');
command_ok(
	[
		'sh', '-c', 'ulimit -v 307200 && exec "$@"', 'sh', 'pg_backupctl',
		'restore', '--repo', bkc_repo_url($node), '--pgdata', $node->basedir . '/little'
	],
	'restore with little memory');
$began = time;
bkc_client_ok([ 'verify', '--repo', bkc_repo_url($node) ], 'verify');
note(sprintf('verified in %.1f s', time - $began));
$began = time;
my $copy = bkc_restore($node, 'copy');
note(sprintf('restored in %.1f s', time - $began));
command_ok([ 'pg_verifybackup', '--no-parse-wal', $copy->data_dir ], 'pg_verifybackup');
bkc_start_restored($copy) or die 'no server';
is($copy->safe_psql('postgres', 'SELECT count(*), sum(oid::bigint) FROM pg_class'), $sum,
	'the same relations');
is( $copy->safe_psql('postgres', <<'SQL'), 't', 'every table can be read');
CREATE TABLE total (sum bigint);
CREATE PROCEDURE add_up(n int) LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. n LOOP
		EXECUTE format('INSERT INTO total SELECT sum(a) FROM t_%s', i);
		IF i % 500 = 0 THEN
			COMMIT;				-- for the locks' sake
		END IF;
	END LOOP;
END
$$;
CALL add_up(20000);
SELECT sum(sum) = 10000::bigint * 10001 FROM total;
SQL
$copy->stop;
command_ok([ 'pg_checksums', '--check', '-D', $copy->data_dir ], 'pg_checksums');

done_testing();
