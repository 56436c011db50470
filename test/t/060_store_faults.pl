# Each call to the repository fails once: the backup is completed and can be
# read, or it has failed and nothing is left; nothing in between.

use strict;
use warnings;

use BkcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = bkc_node('main', small => 1);
my $two  = q('full', options => '{"jobs": 2, "compression": "lz4"}');

bkc_backup($node, $two);

# The fault hits the n-th call of every process that comes so far; the sweep
# ends when it has hit nothing twice.  The first calls are tried one by one.
for my $point (qw(store-open-write store-write store-commit store-read store-list store-remove))
{
	my ($unhurt, $failed, $completed) = (0, 0, 0);
	my @wrong;

	for (my $n = 1; $n < 10000 && $unhurt < 2; $n = $n < 10 ? $n + 1 : int($n * 1.7))
	{
		my $fault = "$point=fail\@$n";
		my $log   = -s $node->logfile;
		my ($status, $stderr, $row, $manifest);

		bkc_set_fault($node, $fault);
		$status = $node->psql('postgres', "SELECT backup_now($two)", stderr => \$stderr);
		$unhurt = slurp_file($node->logfile, $log) =~ /fault point $point/ ? 0 : $unhurt + 1;
		push @wrong, "$fault: $stderr" if $status != 0 && $stderr !~ /fault point $point/;

		# the session's view, the catalog's and the repository's are the same
		bkc_clear_fault($node);
		$node->poll_query_until('postgres',
			q(SELECT count(*) = 0 FROM backup_catalog WHERE status = 'running'));
		$row      = bkc_catalog($node);
		$manifest = bkc_repo_objects($node, qr{/\Q$row->{label}\E/manifest$});
		if ($status == 0)
		{
			$completed++;
			push @wrong, "$fault: row $row->{status}, manifest $manifest"
			  if $row->{status} ne 'completed' || !$manifest;
			my ($verify, undef, $err) =
			  bkc_client('verify', '--repo', bkc_repo_url($node), '--backup', $row->{label});
			push @wrong, "$fault: verify says $err" if $verify != 0;
		}
		else
		{
			$failed++;
			push @wrong, "$fault: row $row->{status} with manifest $manifest after $stderr"
			  if ($row->{status} eq 'completed') != ($manifest != 0);
		}
	}
	is_deeply(\@wrong, [], "$point: $failed failures and $completed successes, all clean");
	is($unhurt, 2, "$point: all calls were tried");
	bkc_settled($node, $point);
}

bkc_aftermath($node, 'at the end');
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|terminated by signal/, 'nothing has crashed');
done_testing();
