#!/usr/bin/perl
#
# code.pl FILE...
#		Print C files as "file:line:code", without comments and with string and
#		character constants emptied, so that rules see code only.

use strict;
use warnings;

for my $file (@ARGV)
{
	open my $fh, '<', $file or die "$file: $!\n";
	local $/;
	my $text = <$fh>;
	close $fh;

	$text =~ s{
		( /\* .*? \*/ )						# comment: keep its line ends
		| ( " (?: [^"\\\n] | \\. )* " )		# string
		| ( ' (?: [^'\\\n] | \\. )* ' )		# character
		}{ defined $1 ? " " . ("\n" x ($1 =~ tr/\n//)) : defined $2 ? '""' : "''" }gsex;

	my $line = 0;
	print "$file:", ++$line, ":$_\n" for split /\n/, $text, -1;
}
