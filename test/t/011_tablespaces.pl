# Tablespaces: linked, in place and inside the data directory; put elsewhere by
# --tablespace-map; refused where somebody may be living.

use strict;
use warnings;

use BkcTest;
use File::Path qw(rmtree);
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('main', conf => "allow_in_place_tablespaces = on\n");
my $base = $node->basedir;
my %place = (
	one => "$base/ts one",
	two => "$base/ts=two",
	three => "$base/ts\nthree\\\"x",
	nested => $node->data_dir . '/sub/nested');

mkdir $node->data_dir . '/sub' or die $!;
for my $name (sort keys %place)
{
	mkdir $place{$name} or die $!;
	$node->safe_psql('postgres', "CREATE TABLESPACE $name LOCATION '$place{$name}'");
}
$node->safe_psql('postgres', "CREATE TABLESPACE here LOCATION ''");
for my $name (qw(one two three nested here))
{
	$node->safe_psql('postgres', <<"SQL");
CREATE TABLE t_$name TABLESPACE $name AS SELECT i, repeat('$name', i % 50) FROM generate_series(1, 5000) i;
CREATE INDEX ON t_$name (i) TABLESPACE $name;
SQL
}
$node->safe_psql('postgres', 'CREATE DATABASE moved TABLESPACE two');
$node->safe_psql('moved', 'CREATE TABLE in_moved AS SELECT generate_series(1, 100) AS i');
append_to_file("$place{one}/stray", 'not of PostgreSQL');
my $sum = bkc_checksum($node);
my $backup = bkc_backup($node);

# ---- refusals: the folders of the running cluster, folders that are not empty ----

sub map_args
{
	my ($target, @names) = @_;

	return map {
		my ($old, $new) = ($place{$_}, "$target/$_");
		s/=/\\=/g for $old, $new;
		('--tablespace-map', "$old=$new");
	} @names;
}

sub refused
{
	my ($pattern, $what, @args) = @_;
	my $dir = "$base/refused";

	bkc_client_fails([ 'restore', '--repo', bkc_repo_url($node), '--pgdata', $dir, @args ],
		$pattern, $what);
	ok(!-e $dir, '... and nothing was made');
	return;
}

refused(qr/is not empty.*may still live there.*--tablespace-map/s,
	'the original folders are in use');
refused(qr/\Q$place{nested}\E" of tablespace \d+ is not empty/,
	'one tablespace was not mapped', map_args("$base/x", qw(one two three)));
mkdir "$base/full" or die $!;
mkdir "$base/full/one" or die $!;
append_to_file("$base/full/one/precious", 'mine');
refused(qr/is not empty/, 'a target holds something',
	map_args("$base/full", qw(one two three nested)));
refused(qr/is not empty/, '... also with --force',
	'--force', map_args("$base/full", qw(one two three nested)));
is_deeply([ grep { !/^\./ } slurp_dir("$base/full/one") ], ['precious'],
	'... which is still there');
refused(qr/would share folder/, 'two tablespaces in one folder',
	map { ('--tablespace-map', s/=/\\=/r . "=$base/x/same") } sort values %place);
refused(qr/lie in one another/, 'a tablespace in the new data directory',
	map_args("$base/x", qw(one two three)), '--tablespace-map', "$place{nested}=$base/refused/sub");
refused(qr/has no tablespace at "\/nowhere".*Its tablespaces/s, 'an unknown tablespace',
	'--tablespace-map', "/nowhere=$base/x");
refused(qr/not of the form OLD=NEW/, 'no equals sign', '--tablespace-map', "$base");
refused(qr/mapped twice/, 'mapped twice', (map_args("$base/x", 'one')) x 2);
ok(!-e "$base/x", 'no folder was made for a refused restore');
is($node->safe_psql('postgres', 'SELECT count(*) FROM t_one'), 5000, 'the original is unharmed');

# ---- mapped, beside the running original ----

my $copy = bkc_restore($node, 'copy',
	args => [ map_args($node->basedir . '/new', qw(one two three nested)) ]);
ok(!-e "$base/new/one/stray", 'what is not of PostgreSQL is not in the backup');
ok(!-e $copy->data_dir . '/sub/nested', 'a nested tablespace is not copied twice');
bkc_judge($copy, $sum, running => 1);
is( $copy->safe_psql('postgres',
		"SELECT string_agg(spcname || '=' || pg_tablespace_location(oid), ' ' ORDER BY spcname COLLATE \"C\")"
		  . ' FROM pg_tablespace WHERE oid > 16000'),
	join(' ', "here=pg_tblspc/" . $copy->safe_psql('postgres',
		q(SELECT oid FROM pg_tablespace WHERE spcname = 'here')),
		map { "$_=$base/new/$_" } qw(nested one three two)),
	'each is where it was told to be');
$copy->safe_psql('postgres', "INSERT INTO t_$_ VALUES (0)") for qw(one two three nested here);
$copy->stop;
is(bkc_checksum($node), $sum, 'the original does not notice');

# ---- the machine is lost: back to the original folders ----

$node->stop;
rmtree($_) for $node->data_dir, @place{qw(one two three)};
my $nested = $place{nested} =~ s/=/\\=/gr;
my @elsewhere = ('--tablespace-map', "$nested=$base/was_nested");
my $data = $node->data_dir;
bkc_client_fails([ 'restore', '--repo', bkc_repo_url($node), '--pgdata', $data ],
	qr/lie in one another.*--tablespace-map/s, 'a tablespace inside PGDATA has to be mapped');
my $out = bkc_client_ok([ 'restore', '--repo', bkc_repo_url($node), '--pgdata', $data, @elsewhere ],
	'restore to where all was');
like($out, qr/tablespace \d+ is in \Q$place{one}\E$/m, 'the summary says where tablespaces are');
ok(-d "$place{one}/PG_15_202209061", 'in its original folder');
ok(!grep({ !/^(\.\.?|PG_.*)$/ } slurp_dir($place{one})),
	'which holds nothing but it');
bkc_judge($node, $sum);

done_testing();
