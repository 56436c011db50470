# A --force that is interrupted before it has cleared anything: the links in
# the folder are still those of the cluster that was to be replaced, and what
# they lead to is not the restore's to clear.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node    = bkc_node('main', small => 1);
my $base    = $node->basedir;
my $space   = "$base/space";
my $victim  = "$base/victim";
my @restore = ('restore', '--repo', bkc_repo_url($node), '--jobs', 2, '--pgdata', $victim, '--force');

mkdir $space or die $!;
$node->safe_psql('postgres', "CREATE TABLESPACE space LOCATION '$space'");
$node->safe_psql('postgres',
	'CREATE TABLE elsewhere TABLESPACE space AS SELECT generate_series(1, 1000) AS i');
my $sum = bkc_checksum($node);
bkc_backup($node);

# a stopped copy of the data directory: its link leads to the living cluster's tablespace
$node->stop;
system_or_bail('cp', '-a', $node->data_dir, $victim);
$node->start;

my ($status) =
  bkc_client({ fault => 'restore-marked=kill' }, @restore, '--tablespace-map', "$space=$base/new");
isnt($status, 0, 'the first attempt is killed');
ok(-e "$victim/pg_backupctl.restoring", '... behind its marker');
ok(-l (glob "$victim/pg_tblspc/*")[0],  '... before it has cleared anything');

my ($again, $stdout, $stderr) = bkc_client(@restore);
is($again, 6, 'without the map the next attempt is refused');
like($stderr, qr/"\Q$space\E" of tablespace \d+ is not empty/, '... because of the tablespace');
is(bkc_checksum($node), $sum, 'the living cluster has lost nothing');

bkc_client_ok([ @restore, '--tablespace-map', "$space=$base/new" ], 'with the map it succeeds');
is(bkc_checksum($node), $sum, '... and the living cluster is as it was');
is((glob "$victim/pg_tblspc/*")[0] && readlink((glob "$victim/pg_tblspc/*")[0]),
	"$base/new", '... the link leads to the new folder');

# ---- --pgdata must name a folder ----

($status, $stdout, $stderr) =
  bkc_client('restore', '--repo', bkc_repo_url($node), '--pgdata', '', '--force');
isnt($status, 0, 'an empty --pgdata is refused');
like($stderr, qr/--pgdata is empty/, '... by its name');

# ---- a damaged cluster object does not hide an intact backup ----

my ($cluster) = glob bkc_repo_dir($node) . '/*/cluster';
chmod 0600, $cluster;
bkc_flip_byte($cluster, 40);
bkc_client_ok([ 'verify', '--repo', bkc_repo_url($node) ], 'a damaged cluster object is no hindrance');

$node->stop;
done_testing();
