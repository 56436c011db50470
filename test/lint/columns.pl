#!/usr/bin/perl
#
# columns.pl [--fix] FILE...
#		What pgindent does and clang-format cannot: a variable's name begins 12
#		columns behind its indentation, a comment behind code at column 32 or at
#		the next tab stop, "..." follows its comma.  Prints the lines that
#		differ, or with --fix mends them.

use strict;
use warnings;

use constant TAB => 4;

sub width
{
	my $text = shift;
	1 while $text =~ s/^([^\t]*)\t/$1 . ' ' x (TAB - length($1) % TAB)/e;
	return length $text;
}

# White space from one column to another.  Where the last tab would be one
# column wide there are spaces instead.
sub gap
{
	my ($from, $to) = @_;
	my $gap = '';

	return ' ' if $to <= $from;
	while ((my $stop = (int($from / TAB) + 1) * TAB) <= $to)
	{
		last if $stop - $from == 1 && $stop + TAB > $to;
		$gap .= "\t";
		$from = $stop;
	}
	return $gap . ' ' x ($to - $from);
}

my $word = qr/[A-Za-z_]\w*/;
my $modifier = qr/(?:const|static|volatile|unsigned|signed|long|struct|enum|union|register)/;
my $statement = qr/^(?:return|goto|else|case|default|typedef|extern|break|sizeof|do)\b/;

sub aligned
{
	my $line = shift;
	my $comment = '';

	$line =~ s/, \.\.\.\)/,...)/ unless $line =~ /"/;

	if ($line =~ m{^(\s*[^\s/].*\S|\s*[^\s/])[ \t]+(/\*.*\*/)$} && $1 !~ m{/\*})
	{
		($line, $comment) = ($1, $2);
	}
	if ($line =~ /^(\t+)((?:$modifier\s+)*$word(?:\s+const)?)[ \t]+(\**)($word)(\s*(?:;|=[^=].*|\[.*|,|:.*))$/
		&& $2 !~ $statement)
	{
		my ($indent, $type, $stars, $rest) = ($1, $2, $3, "$4$5");
		my $begin = width($indent);

		$line = $indent . $type
		  . gap($begin + length($type), $begin + 12 - length($stars))
		  . $stars . $rest;
	}
	if ($comment ne '')
	{
		my $end = width($line);
		my $stop = (int($end / TAB) + 1) * TAB;

		$line .= gap($end, $stop > 32 ? $stop : 32) . $comment;
	}
	return $line;
}

my $fix = @ARGV && $ARGV[0] eq '--fix' && shift;

for my $file (@ARGV)
{
	open my $in, '<', $file or die "$file: $!\n";
	my @lines = <$in>;
	close $in;
	my ($number, $in_macro, $in_comment, $changed) = (0, 0, 0, 0);

	for my $line (@lines)
	{
		my $continued = $in_macro;

		$number++;
		chomp(my $old = $line);
		$in_macro = $old =~ /\\$/;
		if ($in_comment)
		{
			$in_comment = $old !~ m{\*/};
			next;
		}
		$in_comment = $old =~ m{/\*(?!.*\*/)};
		next if $continued || $in_macro || $in_comment || $old =~ /^#(?!endif|else)/;

		my $new = aligned($old);
		next if $new eq $old;
		$changed = 1;
		$line = "$new\n";
		print "$file:$number: columns should be: $new\n" unless $fix;
	}
	if ($fix && $changed)
	{
		open my $out, '>', $file or die "$file: $!\n";
		print $out @lines;
		close $out or die "$file: $!\n";
	}
}
