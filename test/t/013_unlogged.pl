# Unlogged relations come back empty, temporary ones and temporary files do not
# come back at all, and relations that change their kind while the backup runs
# are as the WAL has them.

use strict;
use warnings;

use BkcTest;
use File::Find;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('main', conf => "max_prepared_transactions = 5\n");
my $base = $node->basedir;

mkdir "$base/space" or die $!;
$node->safe_psql('postgres', "CREATE TABLESPACE space LOCATION '$base/space'");
$node->safe_psql('postgres', <<'SQL');
CREATE UNLOGGED TABLE u (id serial PRIMARY KEY, text text);
INSERT INTO u (text) SELECT repeat(md5(i::text), 500) FROM generate_series(1, 200) AS i;
CREATE UNLOGGED TABLE u_space TABLESPACE space AS SELECT generate_series(1, 10000) AS i;
CREATE INDEX u_space_i ON u_space USING hash (i) TABLESPACE space;
CREATE TABLE p AS SELECT generate_series(1, 10000) AS i;
CREATE TABLE to_unlogged AS SELECT generate_series(1, 1000) AS i;
CREATE UNLOGGED TABLE to_logged AS SELECT generate_series(1, 1000) AS i;
VACUUM u, u_space, p;
CHECKPOINT;
SQL

my @unlogged = split /\n/, $node->safe_psql('postgres', <<'SQL');
SELECT regexp_replace(pg_relation_filepath(oid), '/t\d+_', '/') FROM pg_class
WHERE relpersistence = 'u' AND relname NOT LIKE 'to_logged%' AND relkind IN ('r', 'i', 't', 'S')
ORDER BY 1
SQL
cmp_ok(scalar(@unlogged), '>=', 7, 'table, toast, indexes, sequence');

# Temporary relations and a temporary file that live while the backup runs.
my $session = $node->background_psql('postgres');
$session->query_safe(<<'SQL');
SET work_mem = '64kB';
CREATE TEMP TABLE tmp (id serial PRIMARY KEY, text text);
INSERT INTO tmp (text) SELECT repeat(md5(i::text), 500) FROM generate_series(1, 200) AS i;
CREATE TEMP TABLE tmp_space TABLESPACE space AS SELECT generate_series(1, 10000) AS i;
BEGIN;
DECLARE c CURSOR FOR SELECT a.i FROM generate_series(1, 200000) AS a(i) ORDER BY md5(a.i::text);
FETCH 1 FROM c;
SQL

# Names below a folder that are like that.
sub find_files
{
	my ($top, $pattern) = @_;
	my @found;

	find(sub { push @found, $File::Find::name if $_ =~ $pattern }, $top);
	return @found;
}

cmp_ok(scalar(find_files($node->data_dir, qr/^t\d+_\d+/)), '>=', 4,
	'there are temporary relations');
cmp_ok(scalar(find_files($node->data_dir, qr/^pgsql_tmp\d/)), '>=', 1, 'there are temporary files');
cmp_ok(scalar(find_files("$base/space", qr/^t\d+_\d+/)), '>=', 1, 'also in the tablespace');

$node->safe_psql('postgres',
	"BEGIN; CREATE TABLE prepared AS SELECT generate_series(1, 100) AS i; PREPARE TRANSACTION 'two'");

my $lsn;
my $backup = bkc_backup_during(
	$node,
	sub {
		$lsn = $node->safe_psql('postgres', <<'SQL');
ALTER TABLE to_unlogged SET UNLOGGED;
ALTER TABLE to_logged SET LOGGED;
CREATE UNLOGGED TABLE u_new AS SELECT generate_series(1, 1000) AS i;
CREATE INDEX u_new_i ON u_new (i);
INSERT INTO p SELECT generate_series(10001, 10500);
SELECT pg_current_wal_lsn();
SQL
	});
is($backup->{status}, 'completed', 'backup with changes of kind');
is($node->safe_psql('postgres', "SELECT '$lsn'::pg_lsn < '$backup->{stop_lsn}'"), 't',
	'they came before its end');
$session->quit;
my $sum = bkc_checksum($node);

# ---- what is on disk before the first start ----

my $copy = bkc_restore($node, 'copy', args => [ '--tablespace-map', "$base/space=$base/new" ]);
my $new = $copy->data_dir;
for my $path (@unlogged)
{
	my $file = "$new/$path";

	ok(-f "${file}_init" && !-e $file && !-e "${file}_fsm" && !-e "${file}_vm",
		"of $path there is only the init fork");
}
is_deeply([ find_files($new, qr/^t\d+_\d+/), find_files("$base/new", qr/^t\d+_\d+/) ], [],
	'no temporary relations');
is_deeply([ find_files($new, qr/^pgsql_tmp\d/) ], [], 'no temporary files');

# ---- and after it ----

bkc_judge($copy, $sum, running => 1);
is($copy->safe_psql('postgres', "SELECT count(*) FROM $_"), 0, "$_ is empty")
  for qw(u u_space u_new to_unlogged);
is($copy->safe_psql('postgres', 'SELECT count(*) FROM to_logged'), 1000,
	'what became logged is there');
is($copy->safe_psql('postgres', 'SELECT count(*) FROM p'), 10500, 'what was written last, too');
$copy->safe_psql('postgres', <<'SQL');
INSERT INTO u (text) VALUES ('new');
INSERT INTO u_space SELECT generate_series(1, 100);
INSERT INTO u_new SELECT generate_series(1, 100);
SQL
is($copy->safe_psql('postgres',
	'SET enable_seqscan = off; SELECT count(*) FROM u_space WHERE i = 7'),
	1, 'unlogged relations can be used');
$copy->safe_psql('postgres', "COMMIT PREPARED 'two'");
is($copy->safe_psql('postgres', 'SELECT count(*) FROM prepared'), 100,
	'a prepared transaction is there');
$copy->stop;
command_ok([ 'pg_checksums', '--check', '-D', $new ], 'pg_checksums');

done_testing();
