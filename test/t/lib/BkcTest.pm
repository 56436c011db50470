# BkcTest.pm
#		What the TAP tests share: a server with pg_backupctl and a repository,
#		the client, restores, and the judgement of a restored cluster.
#
#	use BkcTest;
#	my $node = bkc_node('main');					# running, extension created
#	my $sum = bkc_checksum($node);					# rows of all permanent tables
#	my $backup = bkc_backup($node);					# { id, label, status, ... }
#	my $copy = bkc_restore($node, 'copy');			# one assertion; not started
#	bkc_judge($copy, $sum);							# started, checked and stopped
#
# Functions whose comment says "asserts" report through Test::More.

package BkcTest;

use strict;
use warnings;

use Exporter 'import';
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

our @EXPORT = qw(
  bkc_node bkc_repo_dir bkc_repo_url bkc_extension
  bkc_backup bkc_backup_fails bkc_backup_during bkc_backup_end bkc_catalog
  bkc_client bkc_client_ok bkc_client_fails
  bkc_restore bkc_adopt bkc_start_restored bkc_judge bkc_checksum
  bkc_wait_for_sql bkc_set_fault bkc_clear_fault
  bkc_repo_objects bkc_flip_byte bkc_load_start bkc_load_stop
  bkc_poll bkc_wait_up bkc_start bkc_join bkc_join_fails bkc_hold bkc_backup_pids bkc_alive bkc_gone
  bkc_kill_postmaster bkc_leftovers bkc_settled bkc_row_is bkc_aftermath
  bkc_archiving bkc_shipped bkc_segments bkc_end_segment bkc_wal_status bkc_archived
);

# ---- servers ----

# A new server with the library preloaded and a file repository "main" in its
# base folder.  Options:
#	start => 0			do not start it
#	extension => 0		do not create the extension
#	checksums => 0		no data checksums
#	conf => TEXT		more lines for postgresql.conf
#	repositories =>		value of pg_backupctl.repositories instead of the default
#	initdb => [...]		further arguments for initdb
#	small => 1			without template0 and template1: a third of the files, for tests
#						that take many backups (the server must be started)
sub bkc_node
{
	my ($name, %opt) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	my @initdb = @{ $opt{initdb} // [] };
	my $repositories;

	push @initdb, '--data-checksums' if $opt{checksums} // 1;
	$node->init(allows_streaming => 1, extra => \@initdb);
	mkdir bkc_repo_dir($node) or die "could not create the repository: $!";
	$repositories = $opt{repositories} // 'main=' . bkc_repo_url($node);
	$node->append_conf('postgresql.conf', <<"CONF");
shared_preload_libraries = 'pg_backupctl'
pg_backupctl.repositories = '$repositories'
shared_buffers = 16MB
max_worker_processes = 16
pg_backupctl.health_interval = 0
CONF
	$node->append_conf('postgresql.conf', $opt{conf}) if defined $opt{conf};
	if ($opt{start} // 1)
	{
		$node->start;
		bkc_extension($node) if $opt{extension} // 1;
		$node->safe_psql('postgres', <<'SQL') if $opt{small};
UPDATE pg_database SET datistemplate = false WHERE datistemplate;
DROP DATABASE template0;
DROP DATABASE template1;
SQL
	}
	return $node;
}

sub bkc_extension
{
	my ($node) = @_;

	$node->safe_psql('postgres', 'CREATE EXTENSION pg_backupctl');
	return;
}

sub bkc_repo_dir
{
	my ($node) = @_;

	return $node->basedir . '/repo';
}

sub bkc_repo_url
{
	my ($node) = @_;

	return 'file://' . bkc_repo_dir($node);
}

# ---- backups ----

# Take a backup and return its catalog row as a hash; dies when it fails.
# The argument is the list of backup_now, default 'full'.
sub bkc_backup
{
	my ($node, $arguments) = @_;

	$arguments //= q('full');
	return bkc_catalog($node, $node->safe_psql('postgres', "SELECT backup_now($arguments)"));
}

# Asserts that backup_now fails with a message like that; returns its stderr.
sub bkc_backup_fails
{
	my ($node, $arguments, $pattern, $what) = @_;
	my ($status, $stdout, $stderr);

	$status = $node->psql('postgres', "SELECT backup_now($arguments)",
		stdout => \$stdout, stderr => \$stderr);
	ok($status != 0 && $stderr =~ $pattern, $what)
	  or diag("status $status, stdout: $stdout\nstderr: $stderr");
	return $stderr;
}

# Start a backup, call $code when all files have been copied and before the
# backup stops, and return the catalog row when the backup has ended.  The
# leader is stopped meanwhile: $code must not wait for every process of the
# server (no DROP DATABASE).
sub bkc_backup_during
{
	my ($node, $code, $options) = @_;
	my ($id, $leader);

	$options //= '{}';
	bkc_set_fault($node, 'leader-copied=sleep:2000');
	$id = $node->safe_psql('postgres', "SELECT backup_now(wait => false, options => '$options')");
	$node->poll_query_until('postgres',
		    "SELECT phase = 'copying files' AND files_total > 0 AND files_done = files_total AND workers = 0 "
		  . "FROM backup_progress WHERE id = $id")
	  or die 'the backup did not copy all files';
	$leader = $node->safe_psql('postgres', "SELECT pid FROM backup_progress WHERE id = $id");
	$leader =~ /^\d+$/ or die 'the backup went on before it could be stopped';
	kill 'STOP', $leader or die "could not stop the leader: $!";
	eval { $code->(); };
	kill 'CONT', $leader;
	die $@ if $@;
	bkc_clear_fault($node);
	return bkc_backup_end($node, $id);
}

# Wait until a backup is over and return its catalog row.
sub bkc_backup_end
{
	my ($node, $id) = @_;

	$node->poll_query_until('postgres',
		    "SELECT status <> 'running' AND NOT EXISTS (SELECT FROM backup_jobs() WHERE id = $id) "
		  . "FROM backup_catalog WHERE id = $id")
	  or die "backup $id does not end";
	return bkc_catalog($node, $id);
}

# The catalog's row as a hash; without id the newest one.
sub bkc_catalog
{
	my ($node, $id) = @_;
	my $where = defined $id ? "WHERE id = $id" : 'ORDER BY id DESC LIMIT 1';
	my %row;

	for my $line (
		split /\n/,
		$node->safe_psql('postgres',
			"SELECT key, value FROM (SELECT * FROM backup_catalog $where) AS c, "
			  . "jsonb_each_text(to_jsonb(c)) ORDER BY key",
			extra_params => [ '-F', "\t" ]))
	{
		my ($key, $value) = split /\t/, $line, 2;
		$row{$key} = $value;
	}
	return \%row;
}

# ---- the client ----

# Run the client; returns (exit status, stdout, stderr), 128 + N for a signal.
# A first argument { fault => SPEC } sets fault points in it.
sub bkc_client
{
	my $opt = ref $_[0] eq 'HASH' ? shift : {};
	my @command = ('pg_backupctl', @_);
	my ($stdout, $stderr) = ('', '');
	local %ENV = %ENV;

	$ENV{PG_BACKUPCTL_FAULT} = $opt->{fault} if defined $opt->{fault};
	note('# running: ' . join(' ', @command));
	IPC::Run::run(\@command, '<', \undef, '>', \$stdout, '2>', \$stderr);
	return ($? & 127 ? 128 + ($? & 127) : $? >> 8, $stdout, $stderr);
}

# Asserts exit status 0; returns stdout.
sub bkc_client_ok
{
	my ($arguments, $what) = @_;
	my ($status, $stdout, $stderr) = bkc_client(@$arguments);

	is($status, 0, $what) or diag("stdout: $stdout\nstderr: $stderr");
	return $stdout;
}

# Asserts another exit status than 0 (and no signal) and stderr like the pattern; returns stderr.
sub bkc_client_fails
{
	my ($arguments, $pattern, $what) = @_;
	my ($status, $stdout, $stderr) = bkc_client(@$arguments);

	ok($status > 0 && $status < 128 && $stderr =~ $pattern, $what)
	  or diag("status $status, stdout: $stdout\nstderr: $stderr");
	return $stderr;
}

# ---- restored clusters ----

# Asserts that a restore from the node's repository works; returns a node
# object for the new data directory, not started.  Options:
#	args => [...]	further arguments of the client
#	repo => URL		another repository
sub bkc_restore
{
	my ($node, $name, %opt) = @_;
	my $copy = PostgreSQL::Test::Cluster->new($name);

	bkc_client_ok(
		[
			'restore', '--repo', $opt{repo} // bkc_repo_url($node),
			'--pgdata', $copy->data_dir, @{ $opt{args} // [] }
		],
		"restore of $name");
	return $copy;
}

# A node object whose data directory a test has restored by itself must not
# listen where its original does.  Appends to postgresql.conf once.
sub bkc_adopt
{
	my ($copy) = @_;

	return if $copy->{bkc_adopted}++;
	$copy->append_conf('postgresql.conf', 'port = ' . $copy->port);
	return;
}

# Asserts that the restored server starts and leaves recovery.
sub bkc_start_restored
{
	my ($copy) = @_;

	bkc_adopt($copy);
	ok($copy->start(fail_ok => 1), $copy->name . ' starts') or return 0;
	ok($copy->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()'),
		$copy->name . ' has left recovery');
	return 1;
}

# Asserts all that can be said about a restored cluster: pg_verifybackup finds
# every file as it was in the backup, the server starts and ends recovery,
# pg_amcheck finds no fault, the rows are those of $checksum (not compared
# when undefined), and after a stop pg_checksums agrees where checksums are
# on.  Options:
#	running => 1	leave the server running (and leave pg_checksums out)
#	manifest => 0	no pg_verifybackup (the server was started before)
#	bad_pages => 1	the backup holds broken pages: no pg_amcheck, no pg_checksums
sub bkc_judge
{
	my ($copy, $checksum, %opt) = @_;
	my $name = $copy->name;

	command_ok([ 'pg_verifybackup', '--exit-on-error', $copy->data_dir ], "$name: pg_verifybackup")
	  if $opt{manifest} // 1;

	bkc_start_restored($copy) or return;
	if (!$opt{bad_pages})
	{
		$copy->command_ok(
			[ 'pg_amcheck', '--all', '--install-missing', '--heapallindexed' ],
			"$name: pg_amcheck");
	}
	is(bkc_checksum($copy), $checksum, "$name: rows are those of the backup")
	  if defined $checksum;
	return if $opt{running};

	my $checksums_on = $copy->safe_psql('postgres', 'SHOW data_checksums') eq 'on';
	$copy->stop('fast');
	command_ok([ 'pg_checksums', '--check', '-D', $copy->data_dir ], "$name: pg_checksums")
	  if $checksums_on && !$opt{bad_pages};
	return;
}

# One line "database.table rows hash" for each permanent table of each
# database that takes connections, the extension's own tables left out.  The
# hash does not depend on the order of rows.
sub bkc_checksum
{
	my ($node) = @_;
	my $text = '';

	for my $database (
		split /\n/,
		$node->safe_psql('postgres',
			'SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1'))
	{
		my $sums = $node->safe_psql($database, <<'SQL');
SELECT format('SELECT %L, count(*), coalesce(sum(hashtextextended(t::text, 0)), 0) FROM %s AS t',
			  c.oid::regclass, c.oid::regclass)
FROM pg_class AS c
WHERE c.relkind IN ('r', 'm') AND c.relpersistence = 'p'
	AND c.relnamespace NOT IN (SELECT oid FROM pg_namespace
							   WHERE nspname IN ('pg_catalog', 'information_schema', 'pg_toast'))
	AND NOT EXISTS (SELECT FROM pg_depend AS d
					WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY c.oid::regclass::text COLLATE "C"
\gexec
SQL
		$text .= join('', map { "$database.$_\n" } split /\n/, $sums);
	}
	return $text;
}

# ---- waiting and breaking ----

# Asserts that the query answers so (default t) within the time limit.
sub bkc_wait_for_sql
{
	my ($node, $sql, $expected, $what) = @_;

	ok($node->poll_query_until('postgres', $sql, $expected // 't'), $what // "waited for: $sql");
	return;
}

# Set fault points of the server and wait until new processes will see them.
sub bkc_set_fault
{
	my ($node, $spec) = @_;

	$node->safe_psql('postgres', "ALTER SYSTEM SET pg_backupctl.fault = '$spec'");
	$node->reload;
	# a new session has the setting from the postmaster, as a new worker will
	$node->poll_query_until('postgres', "SELECT current_setting('pg_backupctl.fault')", $spec)
	  or die "the fault specification was not taken";
	return;
}

sub bkc_clear_fault
{
	my ($node) = @_;

	return bkc_set_fault($node, '');
}

# Names of all files below the node's repository, sorted; a pattern selects.
sub bkc_repo_objects
{
	my ($node, $pattern) = @_;
	my $top = bkc_repo_dir($node);
	my @found;
	my @todo = ('');

	while (defined(my $dir = shift @todo))
	{
		# a folder may be removed by a sweep just now
		opendir my $handle, "$top/$dir" or $!{ENOENT} ? next : die "\"$top/$dir\": $!";
		for my $name (readdir $handle)
		{
			next if $name eq '.' || $name eq '..';
			if (-d "$top/$dir$name" && !-l "$top/$dir$name")
			{
				push @todo, "$dir$name/";
			}
			elsif (!defined $pattern || "$dir$name" =~ $pattern)
			{
				push @found, "$dir$name";
			}
		}
	}
	@found = sort @found;
	return @found;
}

# Change one bit of the byte at an offset (negative: from the end).
sub bkc_flip_byte
{
	my ($path, $offset) = @_;
	my $byte;

	chmod 0600, $path;
	open my $fh, '+<:raw', $path or die "could not open \"$path\": $!";
	seek $fh, $offset, $offset < 0 ? 2 : 0 or die "seek: $!";
	read($fh, $byte, 1) == 1 or die "nothing at offset $offset of \"$path\"";
	seek $fh, -1, 1;
	print $fh chr(ord($byte) ^ 1);
	close $fh or die "could not write \"$path\": $!";
	return;
}

# pgbench in the background until bkc_load_stop(); its tables must be there.
sub bkc_load_start
{
	my ($node, @arguments) = @_;
	my %load = (out => '');

	$load{handle} = IPC::Run::start(
		[
			'pgbench', '-n', '-c', 2, '-T', 3600, '-h', $node->host, '-p', $node->port,
			@arguments, 'postgres'
		],
		'<', \undef, '>&', \$load{out});
	return \%load;
}

sub bkc_load_stop
{
	my ($load) = @_;

	$load->{handle}->signal('TERM');
	$load->{handle}->finish;
	return $load->{out};
}

# ---- disasters ----

# Call the code every few milliseconds until it returns true; that, or '' when
# the time (default 45 s) is over.
sub bkc_poll
{
	my ($code, $seconds) = @_;
	my $end = time + ($seconds // 45);

	for (;;)
	{
		my $value = $code->();
		return $value if $value;
		return '' if time > $end;
		usleep(40_000);
	}
}

# Asserts that the server answers; it may be restarting after a crash.
sub bkc_wait_up
{
	my ($node) = @_;
	my @command = ('psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', 'SELECT true');
	my ($out, $err);

	# poll_query_until() writes to psql, which has ended when there is no server
	ok( bkc_poll(
			sub { IPC::Run::run(\@command, '<', \undef, '>', \$out, '2>', \$err) && $out =~ /^t/ }),
		'the server is up')
	  or diag($err);
	return;
}

# Run one statement in a psql beside; bkc_join() gives its end.  The session's
# application_name is "waiter".  Options:
#	settings => '-c name=value'		further settings of the session
sub bkc_start
{
	my ($node, $sql, %opt) = @_;
	my %job = (sql => $sql, out => '', err => '');
	local %ENV = (%ENV, PGAPPNAME => 'waiter', PGOPTIONS => $opt{settings} // '');

	$job{timer} = IPC::Run::timer($PostgreSQL::Test::Utils::timeout_default);
	$job{handle} = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', $sql ],
		'<', \undef, '>', \$job{out}, '2>', \$job{err}, $job{timer});
	return \%job;
}

# (exit status, stdout, stderr) of what bkc_start() started.
sub bkc_join
{
	my ($job) = @_;

	$job->{handle}->finish if !$job->{finished}++;
	return ($job->{handle}->full_result(0) >> 8, $job->{out}, $job->{err});
}

# Asserts that what bkc_start() started failed with a message like that; returns its stderr.
sub bkc_join_fails
{
	my ($job, $pattern, $what) = @_;
	my ($status, $out, $err) = bkc_join($job);

	ok($status != 0 && $err =~ $pattern, $what) or diag("status $status, stdout: $out\nstderr: $err");
	return $err;
}

# Set fault points that hold a backup up, start one and wait until it is there,
# which is when the condition on view backup_progress holds (default: two
# workers copy).  Returns what bkc_start() does.  Options:
#	when => CONDITION	arguments => 'for backup_now'	settings => as for bkc_start
#	sql => 'something else than SELECT backup_now(...)'
sub bkc_hold
{
	my ($node, $fault, %opt) = @_;
	my $when = $opt{when} // q(phase = 'copying files' AND workers = 2);
	my $arguments = $opt{arguments} // q(options => '{"jobs": 2}');
	my $job;

	bkc_set_fault($node, $fault);
	$job = bkc_start($node, $opt{sql} // "SELECT backup_now($arguments)",
		settings => $opt{settings});
	bkc_poll(
		sub {
			# pumped once more after its end, it would start anew
			$job->{handle}->pump_nb if !$job->{finished} && $job->{handle}->pumpable;
			return 'failed'
			  if ($job->{finished} || !$job->{handle}->pumpable) && (bkc_join($job))[0] != 0;
			return $node->safe_psql('postgres',
				"SELECT 'there' FROM backup_progress WHERE job = 'backup' AND id IS NOT NULL AND $when");
		}) eq 'there'
	  or die "the backup did not come to: $when\n$job->{err}";
	return $job;
}

# The processes of running backups: leaders and copy workers.
sub bkc_backup_pids
{
	my ($node) = @_;

	return split /\n/,
	  $node->safe_psql('postgres',
		"SELECT pid FROM pg_stat_activity WHERE backend_type IN ('pg_backupctl backup', 'pg_backupctl copy')");
}

# Those of the processes that run; one that only waits to be reaped has ended.
sub bkc_alive
{
	my @alive;

	for my $pid (@_)
	{
		open my $fh, '<', "/proc/$pid/stat" or next;
		push @alive, $pid if (<$fh> // 'Z') !~ /\) Z |^Z$/;
		close $fh;
	}
	return @alive;
}

# Asserts that these processes end within two seconds (and one more, which is
# for a busy machine).
sub bkc_gone
{
	my ($what, @pids) = @_;
	my $began = time;

	ok(@pids > 0, "$what: there were processes") or return;
	ok(bkc_poll(sub { !bkc_alive(@pids) }, 20) && time - $began < 3,
		"$what: all processes of the backup are gone within two seconds")
	  or diag(sprintf('after %.1f s: %s', time - $began, join ' ', bkc_alive(@pids)));
	return;
}

# Kill the postmaster in the middle of a backup; asserts that the backup's
# processes end, and returns when no process is in the way of the next start.
sub bkc_kill_postmaster
{
	my ($node, $what) = @_;
	my @pids = bkc_backup_pids($node);
	my @all = ($node->{_pid}, split /\n/,
		$node->safe_psql('postgres', 'SELECT pid FROM pg_stat_activity'));

	$node->kill9;
	bkc_gone($what, @pids);

	# also those that only wait to be reaped: the lock file names one of them
	ok(bkc_poll(sub { !grep { kill 0, $_ } @all }), "$what: no process is left");
	return;
}

# What an unfinished job has left behind, as a list of words.  Labels that are
# named may be unfinished.
sub bkc_leftovers
{
	my ($node, @others) = @_;
	my $others = join '|', 'none', @others;
	my $data = $node->data_dir;
	my @objects = bkc_repo_objects($node);
	my %complete = map { m{/backups/([^/]+)/manifest$} ? ($1 => 1) : () } @objects;
	my @left;

	for my $object (@objects)
	{
		next if $object =~ m{^\d+/(?:cluster$|wal/|owner/)} || $object =~ m{^\d+/backups/(?:$others)/};
		next
		  if $object =~ m{^\d+/backups/([^/]+)/(?:begin|manifest|data/\d+-\d+\.pack|notes/[^/.]+)$}
		  && $complete{$1};
		push @left, "object $object";
	}
	push @left, map { "file pg_backupctl/$_" }
	  grep { !/^\.\.?$|^owner$|^standby$|^takeover$|^repository\.|^hole\.|^clock$/ } -d "$data/pg_backupctl" ? slurp_dir("$data/pg_backupctl") : ();
	push @left, map { "file $_" } grep { -e "$data/$_" } qw(backup_label tablespace_map);
	return @left;
}

# Asserts that no row says "running" any more, no job is there, and all that
# is left of unfinished backups has been removed.
sub bkc_settled
{
	my ($node, $what, @others) = @_;
	my ($rows, @left) = ('');

	ok( bkc_poll(
			sub {
				@left = bkc_leftovers($node, @others);
				return 0 if @left;
				$rows = $node->safe_psql('postgres', <<'SQL');
SELECT 'row ' || id || ' ' || status FROM backup_catalog WHERE status = 'running'
UNION ALL SELECT 'copy ' || backup_id FROM backup_copy WHERE status = 'running'
UNION ALL SELECT 'job ' || job FROM backup_jobs()
SQL
				return $rows eq '';
			}),
		"$what: everything is settled")
	  or diag("$rows\n" . join("\n", @left));
	return;
}

# Asserts the row's status and the pattern of its error.
sub bkc_row_is
{
	my ($node, $id, $status, $error, $what) = @_;
	my $row = bkc_catalog($node, $id);

	ok($row->{status} eq $status && $row->{error} =~ $error,
		"$what: the row is $status")
	  or diag("status $row->{status}, error: $row->{error}");
	isnt($row->{finished_at}, '', "$what: the row has an end");
	return $row;
}

# Asserts what must hold after a disaster: with the fault points cleared a new
# backup works at once, all that was unfinished is settled, and the new backup
# restores and passes bkc_judge().  Options:
#	others => [...]		labels of unfinished backups that are not to be touched
#	restore => 0		verify it instead of the restore
my $aftermaths = 0;

sub bkc_aftermath
{
	my ($node, $what, %opt) = @_;
	my $checksum;
	my $backup;

	bkc_clear_fault($node);
	$checksum = bkc_checksum($node);
	$backup = bkc_backup($node);
	is($backup->{status}, 'completed', "$what: a new backup works at once");
	bkc_settled($node, $what, @{ $opt{others} // [] });
	if ($opt{restore} // 1)
	{
		my $copy = bkc_restore($node, 'after' . ++$aftermaths, args => [ '--backup', $backup->{label} ]);

		bkc_judge($copy, $checksum);
		$copy->clean_node;
	}
	else
	{
		bkc_client_ok([ 'verify', '--repo', bkc_repo_url($node), '--backup', $backup->{label} ],
			"$what: the new backup passes verify");
	}
	return $backup;
}

# ---- archiving ----

# Lines for postgresql.conf: WAL goes to the repository, the open segment every second.
sub bkc_archiving
{
	return <<'CONF';
archive_mode = on
archive_library = 'pg_backupctl'
pg_backupctl.rpo_target = 1s
CONF
}

# Asserts that all WAL that is flushed now comes into every repository, in
# whole segments or chunks.
sub bkc_shipped
{
	my ($node) = @_;
	my $lsn = $node->safe_psql('postgres', 'SELECT pg_current_wal_flush_lsn()');

	return bkc_wait_for_sql($node,
		"SELECT count(*) > 0 AND bool_and(GREATEST(shipped_to, archived_to) >= '$lsn'::pg_lsn) FROM backup_archiver",
		't', "WAL is in the repository up to $lsn");
}

# Write and end so many WAL segments; returns their names.
sub bkc_segments
{
	my ($node, $n) = @_;

	return split /\n/, $node->safe_psql('postgres', <<"SQL");
SELECT pg_walfile_name(lsn) FROM (
	SELECT pg_logical_emit_message(false, 'test', 'x'), pg_switch_wal() AS lsn
	FROM generate_series(1, $n)) AS s
SQL
}

# Run the statements, which write WAL, and end the segment that they begin in; returns its name.
sub bkc_end_segment
{
	my ($node, $sql) = @_;
	my $file = $node->safe_psql('postgres', 'SELECT pg_walfile_name(pg_current_wal_insert_lsn())');

	$node->safe_psql('postgres', $sql);
	$node->safe_psql('postgres', 'SELECT pg_switch_wal()');
	return $file;
}

# Names of the WAL files that wait to be archived ('ready') or have been ('done'), in order.
sub bkc_wal_status
{
	my ($node, $status) = @_;
	my @names = sort map { /^(.*)\.\Q$status\E$/ ? $1 : () }
	  slurp_dir($node->data_dir . '/pg_wal/archive_status');

	return @names;
}

# Asserts that these WAL files (default: all) do not wait any more.  It takes as long as the
# back-off after failures.
sub bkc_archived
{
	my ($node, $what, @files) = @_;
	my @left;

	return ok(
		bkc_poll(
			sub {
				my %ready = map { $_ => 1 } bkc_wal_status($node, 'ready');
				@left = @files ? grep { $ready{$_} } @files : keys %ready;
				return !@left;
			},
			90),
		"$what: archived") || diag(join ' ', 'waiting:', sort @left);
}

1;
