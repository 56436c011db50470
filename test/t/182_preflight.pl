# What a backup asks before it leaves anything behind: room by what former backups took, and
# whether WAL archiving works.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node(
	'main',
	small => 1,
	initdb => ['--wal-segsize=1'],
	conf => bkc_archiving(),
	start => 0);
my $repo = bkc_repo_dir($node);
my $second = $node->basedir . '/second';

mkdir $second or die "mkdir: $!";
$node->append_conf('postgresql.conf', "pg_backupctl.repositories = 'main=file://$repo, second=file://$second'\n");
$node->start;
bkc_extension($node);

# ---- free space ----

my $first = bkc_backup($node);
my $before = join ' ', bkc_repo_objects($node, qr{/backups/});
my $rows = 'SELECT count(*) FROM backup_catalog';

# as if former backups had taken a thousand times as much as a file system holds
my $huge = "UPDATE backup_catalog SET backup_size_bytes = original_size_bytes * 100000000";
$node->safe_psql('postgres', $huge);
my $error = bkc_backup_fails($node, '', qr/repository "main" has too little free space for a backup/, 'too little space');
like($error, qr/DETAIL:  By former backups about \d+ [TP]B are needed, \d+ [MGT]B are free\./, 'with both numbers');
like($error, qr{HINT:  Free space below "file://\Q$repo\E".*"check_space": false}, 'and what to do');
is(join(' ', bkc_repo_objects($node, qr{/backups/})), $before, 'nothing was written');
is($node->safe_psql('postgres', $rows), 1, 'there is no row of it');
like($node->safe_psql('postgres', "SELECT message FROM backup_event WHERE kind = 'backup' AND result = 'failed'"), qr/too little free space/, 'but an event');

# only backups of the same kind in the same repository count, if there are any
$node->safe_psql('postgres', "SELECT backup_now(options => '{\"check_space\": false}')");
is($node->safe_psql('postgres', $rows), 2, 'it goes on when told so');
like(slurp_file($node->logfile), qr/WARNING:  repository "main" has too little free space/, 'and warns');
bkc_backup_fails($node, '', qr/too little free space/, 'the largest of the last ones counts');
$node->safe_psql('postgres', "SELECT backup_now(repository => 'second', options => '{\"check_space\": false}')");
is($node->safe_psql('postgres', "SELECT backup_now(repository => 'second') > 0"), 't', 'what was in another repository does not');
$node->safe_psql('postgres', "SELECT backup_now(options => '{\"check_space\": false}') FROM generate_series(1, 4)");
is($node->safe_psql('postgres', 'SELECT backup_now() > 0'), 't', 'nor what is long ago');
bkc_backup_fails($node, "options => '{\"check_space\": \"no\"}'", qr/invalid value "no" for option "check_space"/, 'a wrong value');

# ---- archiving fails ----

rename $second, "$second.away" or die "rename: $!";
bkc_segments($node, 2);
bkc_wait_for_sql($node, "SELECT status FROM backup_archiver WHERE repository = 'second'", 'failing', 'archiving fails in the second repository');
my ($stdout, $stderr);
is($node->psql('postgres', 'SELECT backup_now()', stdout => \$stdout, stderr => \$stderr), 0, 'a backup of the first is taken');
like($stderr, qr/WARNING:  WAL cannot be archived in repository "second" at present: ./, 'with a warning');
like(slurp_file($node->logfile), qr/WARNING:  pg_backupctl: WAL cannot be archived in repository "second"/, 'in the log, too');
is($node->safe_psql('postgres', "SELECT severity, result, message LIKE 'backup % completed: %; WAL cannot be archived in repository \"second\"%' FROM backup_event WHERE kind = 'backup' ORDER BY id DESC LIMIT 1"),
	'warning|ok|t', 'and in the event');
bkc_client_ok([ 'verify', '--repo', bkc_repo_url($node) ], 'the backup is good');
is($node->psql('postgres', q(SELECT backup_now(options => '{"wal": "archive"}'))), 0, 'one that relies on the archive of the first is taken');
rename "$second.away", $second or die "rename: $!";
bkc_wait_for_sql($node, "SELECT string_agg(status, ' ') FROM backup_archiver", 'archiving archiving', 'all is well again');
is($node->psql('postgres', 'SELECT backup_now()', stdout => \$stdout, stderr => \$stderr), 0, 'the next backup');
unlike($stderr, qr/WARNING/, 'has no warning');
is($node->safe_psql('postgres', "SELECT severity, result FROM backup_event WHERE kind = 'backup' ORDER BY id DESC LIMIT 1"),
	'info|ok', 'nor its event');
$node->stop;

done_testing();
