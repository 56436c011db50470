# A predecessor: refused unless it is silent, adopted whole or not at all, its server refused from
# then on; its backups are in the catalog, also a rebuilt one, can be held and verified, and go
# when retention says so, together with those of the successor; what is kept restores.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $conf = bkc_archiving() . "restart_after_crash = on\n";
my $old = bkc_node('old', small => 1, initdb => ['--wal-segsize=1'], conf => $conf);
my $url = bkc_repo_url($old);
my $dir = bkc_repo_dir($old);
my $new = bkc_node('new', small => 1, initdb => ['--wal-segsize=1'], conf => $conf, repositories => "main=$url");

sub sysid
{
	my ($node) = @_;

	return $node->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()');
}

my $before = sysid($old);
my $after = sysid($new);
my (@labels, @sums);

# A backup, then WAL.
sub backup
{
	my ($node) = @_;
	my $label = bkc_backup($node)->{label};

	$node->safe_psql('postgres', "INSERT INTO t SELECT i, md5(i::text) FROM generate_series(1, 1000) AS i");
	bkc_segments($node, 3);
	return $label;
}

sub planned
{
	my ($dry_run) = @_;

	return $new->safe_psql('postgres',
		"SELECT kind, name, action, reason FROM backup_expire($dry_run) ORDER BY kind, name, reason");
}

# Labels that are there of a cluster.
sub there
{
	my ($sysid) = @_;
	my %label = map { m{^$sysid/backups/([^/]+)/manifest} ? ($1 => 1) : () } bkc_repo_objects($old);

	return join ' ', sort keys %label;
}

sub adopt_fails
{
	my ($arguments, $pattern, $what, $server) = @_;
	my ($status, $stdout, $stderr) = ($server // $new)->psql('postgres', "SELECT backup_adopt($arguments)");

	ok($status != 0 && $stderr =~ $pattern, $what) or diag($stderr);
	return $stderr;
}

# All rows of the old cluster, but for ids and when they were made.
sub old_rows
{
	return $new->safe_psql('postgres', <<"SQL");
SET TimeZone = 'UTC';
SELECT to_jsonb(c) - ARRAY['id', 'created_at'] #- '{metadata,verification,seconds}', y.repository, y.status, y.verification
FROM backup_catalog c JOIN backup_copy y ON y.backup_id = c.id
WHERE system_identifier = $before ORDER BY label
SQL
}

for my $node ($old, $new)
{
	$node->safe_psql('postgres', 'CREATE TABLE t (i int, text text)');
}
for (1 .. 4)
{
	push @sums, bkc_checksum($old);
	push @labels, backup($old);
}
my $sum = bkc_checksum($old);
bkc_shipped($old);
is($old->safe_psql('postgres', "SELECT tier, held FROM backup_catalog WHERE label = '$labels[0]'"), '|f', 'a row of the old server');

# ---- who is not adopted ----

is($new->safe_psql('postgres', 'SELECT * FROM backup_catalog_sync()'), 'main|0|0|0|1', 'at first it is a foreign cluster');
adopt_fails($after, qr/$after is this cluster itself/, 'not itself');
adopt_fails('4711', qr/no repository holds cluster 4711.*DETAIL:.*Repository "main" holds $before \(old, PostgreSQL 15\.\d+\)\./s, 'an unknown one: those that are there');
adopt_fails($before, qr/the server of cluster $before is running.*Process \d+ has the data directory/s, 'not while its server runs');
my $job = bkc_hold($old, 'copy-frame=sleep:60000@50');
$old->stop('immediate');
bkc_join($job);
adopt_fails($before, qr/backup \S+ of cluster $before in repository "main" is not finished.*DETAIL:.*last 7 days.*HINT:.*force => true/s, 'nor in the middle of a backup');
$old->start;
bkc_clear_fault($old);
bkc_settled($old, 'the unfinished backup', @labels);
$old->stop;
adopt_fails($before, qr/cluster $before has written to repository "main" within the last 5 minutes.*DETAIL:.*HINT:.*force => true/s, 'nor shortly after');
$new->safe_psql('postgres', 'ALTER SYSTEM SET pg_backupctl.enabled = off');
$new->reload;
bkc_wait_for_sql($new, 'SHOW pg_backupctl.enabled', 'off', 'off');
adopt_fails("$before, force => true", qr/pg_backupctl is switched off/, 'nor by a server that is off');
$new->safe_psql('postgres', 'ALTER SYSTEM RESET pg_backupctl.enabled');
$new->reload;
bkc_wait_for_sql($new, 'SHOW pg_backupctl.enabled', 'on', 'on again');
$new->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($new, 'base', has_streaming => 1);
$standby->start;
adopt_fails("$before, force => true", qr/a standby cannot adopt a predecessor/, 'nor by a standby', $standby);
$standby->stop;
ok(!(grep { slurp_file("$dir/$_") =~ /"adopted"/ } bkc_repo_objects($old, qr{/owner/})), 'none of this has claimed anything');

# ---- adopted: crashes before and after the only write ----

for my $point (qw(adopt adopted))
{
	bkc_set_fault($new, "$point=kill");
	my ($status) = $new->psql('postgres', "SELECT backup_adopt($before, force => true)");
	isnt($status, 0, "$point: the server crashes");
	bkc_wait_up($new);
	bkc_clear_fault($new);
	is(scalar(grep { slurp_file("$dir/$_") =~ /"adopted"/ } bkc_repo_objects($old, qr{^$before/owner/})), $point eq 'adopt' ? 0 : 1,
		"$point: it was claimed, or was not");
}
is($new->safe_psql('postgres', "SELECT backup_adopt($before)"), 1, 'once more: in one repository');
is($new->safe_psql('postgres', "SELECT kind, result, message, detail->>'system_identifier' FROM backup_event WHERE kind = 'adopt'"),
	"adopt|ok|cluster $before is a predecessor of this one already|$before", 'an event tells of it');
is($new->safe_psql('postgres', "SELECT string_agg(label, ' ' ORDER BY label) FROM backup_catalog WHERE system_identifier = $before AND status = 'completed'"),
	"@labels", 'its backups are in the catalog');
is($new->safe_psql('postgres', 'SELECT * FROM backup_catalog_sync()'), 'main|0|0|0|0', 'it is no foreign cluster any more');
is($new->safe_psql('postgres', "SELECT status, value FROM backup_health WHERE check_name = 'last_backup'"), 'critical|never', 'none of them is of this cluster');
like(bkc_client_ok([ 'check', '--repo', $url ], 'check'), qr/adopted by cluster $after/, 'the client says whose it is');

# ---- the old server, started by mistake ----

$old->start;
bkc_backup_fails($old, q('full'), qr/repository "main" belongs to another data directory.*is the predecessor of cluster $after, which has adopted it/s,
	'the old server takes no backup');
$old->safe_psql('postgres', 'INSERT INTO t VALUES (0, $$lost$$); SELECT pg_switch_wal()');
bkc_wait_for_sql($old, "SELECT status = 'refused' FROM backup_archiver", 't', 'nor does it archive');
my ($status, $stdout, $stderr) = $old->psql('postgres', "SELECT * FROM backup_expire(false)");
like($stderr, qr/belongs to another data directory/, 'nor expire');
$old->stop;

# ---- held and verified ----

my $id = $new->safe_psql('postgres', "SELECT id FROM backup_catalog WHERE label = '$labels[1]'");
is($new->safe_psql('postgres', "SELECT backup_verify($id)"), 'passed', 'one is verified');
is($new->safe_psql('postgres', "SELECT backup_hold($id, 'case 4711')"), 1, 'and held');
is(scalar(bkc_repo_objects($old, qr{^$before/backups/\Q$labels[1]\E/notes/.*-(verify|hold)$})), 2, 'both are noted beside it');

# ---- the catalog rebuilt ----

my $rows = old_rows();
like($rows, qr/"held": true.*"verification_status": "passed"/, 'the catalog knows both');
$new->safe_psql('postgres', 'DROP EXTENSION pg_backupctl CASCADE; CREATE EXTENSION pg_backupctl');
is($new->safe_psql('postgres', 'SELECT * FROM backup_catalog_sync()'), 'main|4|0|0|0', 'a new catalog gets all rows');
is(old_rows(), $rows, 'as they were');
$id = $new->safe_psql('postgres', "SELECT id FROM backup_catalog WHERE label = '$labels[1]'");

# ---- retention: one history ----

$new->safe_psql('postgres', "SELECT backup_set_policy(keep_last => 2, pitr_window => '0')");
my $dry = planned('true');
like($dry, qr/^backup\|\Q$labels[3]\E\|keep\|predecessor $before: last 2; newest good backup/m, 'the newest of all stays');
like($dry, qr/^backup\|\Q$labels[2]\E\|keep\|predecessor $before: last 2$/m, 'and the one before');
like($dry, qr/^backup\|\Q$labels[1]\E\|keep\|predecessor $before: held: case 4711$/m, 'and what is held');
like($dry, qr/^backup\|\Q$labels[0]\E\|remove\|predecessor $before: no rule keeps it$/m, 'the first goes');
unlike($dry, qr/^wal\|.*\|remove\|(?!predecessor)/m, 'no WAL of the new cluster goes');
my @mine = backup($new);
$dry = planned('true');
like($dry, qr/^backup\|\Q$mine[0]\E\|keep\|last 2; newest good backup/m, 'the new one takes the first place');
like($dry, qr/^backup\|\Q$labels[3]\E\|keep\|predecessor $before: last 2$/m, 'the newest of the old cluster the second');
like($dry, qr/^backup\|\Q$labels[2]\E\|remove\|predecessor $before: no rule keeps it$/m, 'there is no third');
like($dry, qr/^wal\|\S+ to \S+\|remove\|predecessor $before: outside the recovery window$/m, 'its WAL is outside the window');

# a window that reaches it keeps its base and its WAL
$new->safe_psql('postgres', "SELECT backup_set_policy(keep_last => 1, pitr_window => '1 day')");
like(planned('true'), qr/^backup\|\Q$labels[0]\E\|keep\|predecessor $before: first in the recovery window of 1 day$/m, 'a window reaches it');
like(planned('false'), qr/^wal\|.*\|keep\|predecessor $before: recovery window from \Q$labels[0]\E$/m, 'and keeps its WAL');
is(there($before), "@labels[0, 1, 3]", 'so its end can be restored');
bkc_judge(bkc_restore($old, 'end', args => [ '--cluster', $before ]), $sum);

# ---- a crash in the middle, then what is kept restores ----

$new->safe_psql('postgres', "SELECT backup_set_policy(keep_last => 2, pitr_window => '0')");
bkc_set_fault($new, 'expire-row=kill');
($status) = $new->psql('postgres', 'SELECT count(*) FROM backup_expire(dry_run => false)');
isnt($status, 0, 'expiry: the server crashes');
bkc_wait_up($new);
bkc_clear_fault($new);
bkc_wait_for_sql($new, 'SELECT count(*) FROM backup_progress', 0, 'it is up');
$dry = planned('false');
unlike(planned('true'), qr/\|remove\|/, 'the next run goes through, and nothing is left to do');
is(there($before), "$labels[1] $labels[3]", 'what is to stay is there');
is($new->safe_psql('postgres', "SELECT string_agg(label, ' ' ORDER BY label) FROM backup_catalog WHERE system_identifier = $before"), there($before), 'so the catalog says');
is(there($after), "@mine", 'nothing of the new cluster was removed');
ok(!bkc_repo_objects($old, qr{^$before/wal/.*/\d+/[0-9A-F]{24}$}), 'the old WAL is gone');
ok(scalar(bkc_repo_objects($old, qr{^$after/wal/})), 'the new is not');
for my $i (1, 3)
{
	my $copy = bkc_restore($old, "copy$i", args => [ '--cluster', $before, '--backup', $labels[$i], '--immediate' ]);

	bkc_judge($copy, $sums[$i]);
	$copy->clean_node;
}

# ---- until it is gone ----

push @mine, backup($new);
planned('false');
is(there($before), $labels[1], 'when the new cluster satisfies the rule, what is held is left');
$new->safe_psql('postgres', "SELECT backup_release($id)");
planned('false');
is(there($before), '', 'and then nothing');
is(there($after), "@mine", 'of the new cluster everything');
$sum = bkc_checksum($new);
bkc_shipped($new);
my $copy = bkc_restore($old, 'last', args => [ '--cluster', $after ]);
bkc_judge($copy, $sum);

# ---- taken back ----

$old->start;
is($old->safe_psql('postgres', "SELECT backup_take_over('main')"), 't', 'the old server takes its part back');
is(bkc_backup($old)->{status}, 'completed', 'and works on');
is($new->safe_psql('postgres', 'SELECT * FROM backup_catalog_sync()'), 'main|0|0|0|1', 'to the new one it is foreign again');
unlike(planned('true'), qr/predecessor/, 'and is not planned');
adopt_fails("$before, force => false", qr/is running/, 'it could be adopted again');
$old->stop;

# ---- on another host ----

SKIP:
{
	my @elsewhere = qw(unshare --user --map-current-user --keep-caps --uts sh -c);

	my $unseen = qr/whether the server of cluster $before on host "elsewhere" is stopped cannot be seen from here.*DETAIL:.*an idle server writes nothing.*HINT:.*force => true/s;

	skip 'host names of their own are not possible here', 6
	  unless eval { run_log([ @elsewhere, 'hostname elsewhere' ]) };
	is($new->safe_psql('postgres', "SELECT backup_adopt($before, force => true)"), 1, 'adopted again');
	command_ok([ @elsewhere, 'hostname elsewhere && exec "$0" "$@"', 'pg_ctl', '-w', '-D', $old->data_dir, '-l', $old->logfile, 'start' ],
		'the old server on another host');
	$old->_update_pid(1);
	is($old->safe_psql('postgres', "SELECT backup_take_over('main')"), 't', 'it takes its part back there');
	adopt_fails($before, $unseen, 'whether it runs cannot be seen');
	$old->stop;
	adopt_fails($before, $unseen, 'nor that it does not');
	is($new->safe_psql('postgres', "SELECT backup_adopt($before, force => true)"), 1, 'who knows says so');
}
$new->stop;

done_testing();
