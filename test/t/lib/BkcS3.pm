# BkcS3.pm
#		What TAP tests with S3 share: buckets on the server that run-tap.sh has
#		started, a look into them that does not go through pg_backupctl, and a
#		proxy that breaks requests.
#
#	use Test::More;
#	use BkcTest;
#	use BkcS3;								# skips the test when there is no server
#	my $bucket = bkc_s3_bucket();
#	my $url = bkc_s3_url($bucket, prefix => 'prod');
#	my $node = bkc_node('main', repositories => "main=$url");
#	like($_, qr/.../) for bkc_s3_objects($bucket);

package BkcS3;

use strict;
use warnings;

use Exporter 'import';
use File::Basename qw(dirname);
use IPC::Run;
use JSON::PP;
use Test::More;

our @EXPORT = qw(
  bkc_s3 bkc_s3_fails bkc_s3_bucket bkc_s3_url bkc_s3_objects bkc_s3_uploads bkc_s3_settled
  bkc_s3_key bkc_s3_key_remove bkc_s3_credentials bkc_s3_takes
  bkc_s3_proxy bkc_s3_proxy_set bkc_s3_proxy_log bkc_s3_proxy_stop
);

if (!defined $ENV{BKC_S3_URL})
{
	my $why = $ENV{BKC_S3_FAILED} // $ENV{BKC_S3_ABSENT} // 'run it by make tap';

	die "there is no S3 server: $why\n"
	  if defined $ENV{BKC_S3_FAILED} || ($ENV{CI} // '') eq 'true';
	plan skip_all => "there is no S3 server: $why";
}

# Run s3.py with these arguments; returns (success, stdout, stderr).
sub run_s3
{
	my @command = ("$ENV{BKC_SERVERS}/s3.py", @_);
	my ($out, $err) = ('', '');
	my $ok = IPC::Run::run(\@command, '<', \undef, '>', \$out, '2>', \$err);

	return ($ok, $out, $err);
}

# Run it; returns the lines it prints (in scalar context: the text).  Dies when it fails.
sub bkc_s3
{
	my ($ok, $out, $err) = run_s3(@_);

	die "s3.py @_: $err" if !$ok;
	return wantarray ? split(/\n/, $out) : $out;
}

# Asserts that it fails with a message like that.
sub bkc_s3_fails
{
	my ($arguments, $pattern, $what) = @_;
	my ($ok, $out, $err) = run_s3(@$arguments);

	return ok(!$ok && $err =~ $pattern, $what) || diag("stdout: $out\nstderr: $err");
}

# ---- buckets ----

# Make a bucket that nobody else has; returns its name.  Options:
#	lock => 1		with object lock
#	versions => 1	with versions
my $buckets = 0;

sub bkc_s3_bucket
{
	my (%opt) = @_;
	my $name = sprintf 'tap-%d-%d-%06x', $$, ++$buckets, int rand 1 << 24;

	bkc_s3('mkbucket', $name, $opt{lock} ? 'lock' : ());
	bkc_s3('versioning', $name, 'Enabled') if $opt{versions};
	return $name;
}

# The URL of a repository in a bucket.  Options:
#	prefix => 'a/b'		more => '&part_size=5MB'
#	tls => 1			https
#	host => 1			bucket in the host's name, which libcurl resolves by itself
#	port => N			of a proxy
#	credentials => FILE	instead of the test user's own
sub bkc_s3_url
{
	my ($bucket, %opt) = @_;
	my ($scheme, $port) =
	  ($opt{tls} ? $ENV{BKC_S3_TLS_URL} : $ENV{BKC_S3_URL}) =~ m{^(\w+)://.*:(\d+)$};
	my @params = (
		"region=$ENV{BKC_S3_REGION}",
		"endpoint=$scheme://" . ($opt{host} ? 's3.localhost' : '127.0.0.1') . ':' . ($opt{port} // $port),
		'style=' . ($opt{host} ? 'host' : 'path'),
		'credentials=' . ($opt{credentials} // $ENV{BKC_S3_CREDENTIALS}));

	push @params, "ca_file=$ENV{BKC_S3_CA}" if $opt{tls};
	return "s3://$bucket" . (defined $opt{prefix} ? "/$opt{prefix}" : '') . '?' . join('&', @params)
	  . ($opt{more} // '');
}

# Keys of all objects in a bucket, sorted; a pattern selects.
sub bkc_s3_objects
{
	my ($bucket, $pattern) = @_;
	my @keys = map { /^\d+ (.*)$/ ? $1 : die "not a line of a listing: $_" } bkc_s3('list', $bucket);

	@keys = sort grep { !defined $pattern || $_ =~ $pattern } @keys;
	return @keys;
}

# Keys of unfinished uploads, sorted.
sub bkc_s3_uploads
{
	my ($bucket) = @_;
	my @keys = sort map { (split / /, $_, 2)[1] } bkc_s3('uploads', $bucket);

	return @keys;
}

# Asserts that nothing is left of unfinished work: no upload, no object of a backup without manifest.
sub bkc_s3_settled
{
	my ($bucket, $what) = @_;
	my @left;

	return ok(
		BkcTest::bkc_poll(
			sub {
				my @keys = bkc_s3_objects($bucket);
				my %complete = map { m{(?:^|/)backups/([^/]+)/manifest$} ? ($1 => 1) : () } @keys;

				@left = map { "upload $_" } bkc_s3_uploads($bucket);
				push @left, map { "object $_" } grep { m{(?:^|/)backups/([^/]+)/} && !$complete{$1} } @keys;
				push @left, map { "object $_" } grep { m{(?:^|/)probe/} } @keys;
				return !@left;
			}),
		"$what: nothing is left in the bucket") || diag(join "\n", @left);
}

# ---- keys ----

sub run_key
{
	PostgreSQL::Test::Utils::system_or_bail("$ENV{BKC_SERVERS}/ceph.sh", 'key',
		dirname($ENV{BKC_S3_CREDENTIALS}), @_);
	return;
}

# Another key of the test user; returns (access key, secret key).
my $keys = 0;

sub bkc_s3_key
{
	my ($access, $secret) = map { sprintf '%s%d%dx%06x', $_, $$, $keys, int rand 1 << 24 } qw(key secret);

	$keys++;
	run_key('add', $access, $secret);
	return ($access, $secret);
}

sub bkc_s3_key_remove
{
	my ($access) = @_;

	return run_key('remove', $access);
}

# Write a credentials file; one that is there is replaced at once.
sub bkc_s3_credentials
{
	my ($path, $access, $secret) = @_;

	open my $fh, '>', "$path.new" or die "could not write \"$path.new\": $!";
	chmod 0600, "$path.new" or die "chmod: $!";
	print $fh "[default]\naws_access_key_id = $access\naws_secret_access_key = $secret\n";
	close $fh or die "could not write \"$path.new\": $!";
	rename "$path.new", $path or die "could not rename: $!";
	return;
}

# Asserts that the server takes ($yes) or refuses the credentials in that file, by now or soon.
sub bkc_s3_takes
{
	my ($bucket, $path, $yes, $what) = @_;
	local $ENV{BKC_S3_CREDENTIALS} = $path;

	return ok(
		BkcTest::bkc_poll(
			sub {
				my ($ok, $out, $err) = run_s3('list', $bucket);
				return $yes ? $ok : !$ok && $err =~ /InvalidAccessKeyId/;
			}),
		$what);
}

# ---- faults ----

# faultproxy.py in front of the server.  Returns { port, ... }; ends with the test.  Options:
#	tls => 1	in front of its TLS port, where faults are those of a stream
my @proxies;

sub bkc_s3_proxy
{
	my (%opt) = @_;
	# tests that run at the same time share tmp_check
	my $name = PostgreSQL::Test::Utils::tempdir() . "/proxy." . (@proxies + 1);
	my ($target) = ($opt{tls} ? $ENV{BKC_S3_TLS_URL} : $ENV{BKC_S3_URL}) =~ /:(\d+)$/;
	my %proxy = (control => "$name.json", log => "$name.log", out => '');

	bkc_s3_proxy_set(\%proxy, {});
	$proxy{handle} = IPC::Run::start(
		[
			"$ENV{BKC_SERVERS}/faultproxy.py", 0, $target, $proxy{control}, '--log', $proxy{log},
			$opt{tls} ? '--raw' : ()
		],
		'<', \undef, '>', \$proxy{out});
	$proxy{handle}->pump until $proxy{out} =~ /^ready (\d+)\n/ || !$proxy{handle}->pumpable;
	($proxy{port}) = $proxy{out} =~ /^ready (\d+)\n/ or die 'faultproxy.py did not start';
	push @proxies, \%proxy;
	return \%proxy;
}

# What it does from now on, see faultproxy.py; {} for nothing.  Its counts begin anew.
sub bkc_s3_proxy_set
{
	my ($proxy, $faults) = @_;

	for my $file (["$proxy->{control}.new", encode_json($faults)], [ $proxy->{log}, '' ])
	{
		open my $fh, '>', $file->[0] or die "could not write \"$file->[0]\": $!";
		print $fh $file->[1];
		close $fh;
	}
	rename "$proxy->{control}.new", $proxy->{control} or die "could not rename: $!";
	return;
}

# Its requests since then: { number, method, target, status, fault } each.
sub bkc_s3_proxy_log
{
	my ($proxy) = @_;
	my @requests;

	open my $fh, '<', $proxy->{log} or die "could not read \"$proxy->{log}\": $!";
	while (<$fh>)
	{
		chomp;
		my %request;
		@request{qw(number method target status fault)} = split / /;
		push @requests, \%request;
	}
	close $fh;
	return @requests;
}

sub bkc_s3_proxy_stop
{
	my ($proxy) = @_;

	$proxy->{handle}->kill_kill if !$proxy->{stopped}++;
	return;
}

END
{
	local $?;
	bkc_s3_proxy_stop($_) for @proxies;
}

1;
