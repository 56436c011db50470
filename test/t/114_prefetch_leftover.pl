# What wal-get has fetched ahead goes when the server is out of recovery, and not before.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('main');

# As wal-get leaves it.
sub leave
{
	my ($server) = @_;
	my $top = $server->data_dir . '/pg_wal/pg_backupctl-prefetch';

	mkdir $_ or die "$_: $!" for $top, "$top/1-2";
	append_to_file("$top/1-2/$_", 'x' x 10000) for '000000010000000000000044', 'lock';
	return $top;
}

$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
my $spool = leave($standby);
$standby->start;
$node->wait_for_catchup($standby);
ok(-e "$spool/1-2/000000010000000000000044", 'a standby may need it');
$standby->promote;
ok(bkc_poll(sub { !-e $spool }), 'it is removed after a promotion');
$standby->stop;

$spool = leave($node);
$node->restart;
ok(bkc_poll(sub { !-e $spool }), '... and after a start');
$node->stop;

# A link is nothing that wal-get has made, and no reason for an error that ends the launcher.
my $elsewhere = $node->basedir . '/elsewhere';
mkdir $elsewhere or die "$elsewhere: $!";
append_to_file("$elsewhere/file", 'x');
symlink $elsewhere, $spool or die "symlink: $!";
$node->start;
is(bkc_backup($node)->{status}, 'completed', 'the server works');
ok(-e "$elsewhere/file", 'a link is not followed');
$node->stop;

done_testing();
