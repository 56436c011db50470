# BkcSinks.pm
#		Real servers that take alarms: HTTP and SMTP, on this machine, which also answer with
#		errors and hang.
#
#	use Test::More;
#	use BkcTest;
#	use BkcSinks;							# skips the test when a package is missing
#	my $hook = bkc_webhook();				# { url, dir }
#	bkc_webhook_does($hook, status => 500, times => 1);
#	my $mail = bkc_smtp(tls => [ $cert, $key ], auth => 'user:password');	# { port, dir }
#	bkc_taken($hook, 2, 'two alarms');		# asserts; returns them, decoded

package BkcSinks;

use strict;
use warnings;

use BkcTest;
use Exporter 'import';
use IO::Socket::INET;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(
  bkc_webhook bkc_webhook_does bkc_hooks bkc_smtp bkc_mails bkc_taken bkc_certificate bkc_secret
);

if (defined $ENV{BKC_SINKS_ABSENT} || !defined $ENV{BKC_SERVERS})
{
	my $why = defined $ENV{BKC_SINKS_ABSENT}
	  ? "please install the Debian package $ENV{BKC_SINKS_ABSENT}"
	  : 'run it by make tap';

	die "there is no mail server: $why\n" if ($ENV{CI} // '') eq 'true';
	plan skip_all => "there is no mail server: $why";
}

my @running;

# Start it and wait until it says "ready"; returns what follows.
sub start_sink
{
	my @command = @_;
	my ($out, $err) = ('', '');
	my $handle =
	  IPC::Run::start([ '/usr/bin/python3', @command ], '<', \undef, '>', \$out, '2>', \$err);

	push @running, $handle;
	bkc_poll(sub { $handle->pump_nb; $out =~ /^ready/m || !$handle->pumpable }) && $out =~ /^ready ?(\d*)/m
	  or die "@command: $err";
	return $1;
}

END
{
	local $?;
	$_->kill_kill for @running;
}

sub bkc_webhook
{
	my %opt = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my %sink = (dir => $dir, control => "$dir/control");
	my $port = start_sink("$ENV{BKC_SERVERS}/webhook-sink.py", 0, $dir, '--control', $sink{control},
		$opt{tls} ? ('--tls', @{ $opt{tls} }) : ());

	$sink{url} = ($opt{tls} ? 'https' : 'http') . "://localhost:$port/hook";
	return \%sink;
}

# How it answers from now on; nothing = well.
sub bkc_webhook_does
{
	my ($sink, %how) = @_;

	append_to_file("$sink->{control}.new", encode_json(\%how));
	rename "$sink->{control}.new", $sink->{control} or die "rename: $!";
	return;
}

# All that it was sent: { status, headers, body (decoded) }.
sub bkc_hooks
{
	my ($sink) = @_;
	my @all;

	for my $name (sort grep { /^\d+\.json$/ } slurp_dir($sink->{dir}))
	{
		my $call = decode_json(slurp_file("$sink->{dir}/$name"));

		$name =~ s/json$/body/;
		$call->{body} = decode_json(slurp_file("$sink->{dir}/$name"));
		push @all, $call;
	}
	return @all;
}

sub bkc_smtp
{
	my %opt = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my $port = PostgreSQL::Test::Cluster::get_free_port();

	start_sink("$ENV{BKC_SERVERS}/smtpd.py", $port, $dir, $opt{tls} ? ('--tls', @{ $opt{tls} }) : (),
		$opt{auth} ? ('--auth', $opt{auth}) : (), $opt{implicit} ? '--implicit' : ());
	return { port => $port, dir => $dir };
}

# All mails, as text with simple line ends.
sub bkc_mails
{
	my ($sink) = @_;

	return map { slurp_file("$sink->{dir}/$_") =~ s/\r\n/\n/gr }
	  sort grep { /^\d+\.eml$/ } slurp_dir($sink->{dir});
}

# Asserts that the sink gets so many successful messages; returns them.
sub bkc_taken
{
	my ($sink, $n, $what) = @_;
	my @got;
	my $get = $sink->{url} ? sub { grep { $_->{status} == 200 } bkc_hooks($sink) } : sub { bkc_mails($sink) };

	ok(bkc_poll(sub { @got = $get->(); @got >= $n }) && @got == $n, $what)
	  or diag('messages: ' . scalar(@got));
	return @got;
}

# (certificate, key) of a server on localhost; the certificate is its own authority.
sub bkc_certificate
{
	my $dir = PostgreSQL::Test::Utils::tempdir();

	PostgreSQL::Test::Utils::system_or_bail('openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
		'ec_paramgen_curve:P-256', '-nodes', '-days', 30, '-subj', '/CN=localhost', '-addext',
		'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', "$dir/key", '-out', "$dir/crt");
	return ("$dir/crt", "$dir/key");
}

# A file that only we read, with that content.
sub bkc_secret
{
	my ($content, $mode) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . '/secret';

	append_to_file($file, "$content\n");
	chmod $mode // 0600, $file;
	return $file;
}

1;
