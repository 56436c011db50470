#!/bin/bash
#
# form.sh
#		Tabs, no trailing space, lines of 100 columns at most, pgindent's columns.

git ls-files -z -- 'src/*.c' 'src/*.h' 'test/*.c' 'test/*.h' | xargs -0 -r perl -e '
	for my $file (@ARGV)
	{
		open my $fh, "<", $file or next;
		my ($n, $last) = (0, "\n");
		while (my $line = $last = <$fh>)
		{
			$n++;
			chomp $line;
			print "$file:$n: trailing space\n" if $line =~ /[ \t]$/;
			print "$file:$n: carriage return\n" if $line =~ /\r/;
			print "$file:$n: indented with spaces\n" if $line =~ /^ {4}/;
			# the text of a message stays in one piece, as PostgreSQL has it: easier to search for
			my $wide = $line;
			$wide =~ s/"(?:[^"\\]|\\.)*"/""/g;
			1 while $wide =~ s/^([^\t]*)\t/$1 . " " x (4 - length($1) % 4)/e;
			print "$file:$n: ", length($wide), " columns beside its strings\n" if length($wide) > 100;
			# "if (...) {", "else {" and "} else": braces stand on their own lines
			print "$file:$n: brace at the end of the line\n"
			  if $line =~ /^\s*(\}\s*)?(if|else|for|while|switch|do)\b.*\{$/ && $line !~ /^\s*#/;
		}
		print "$file: no newline at the end\n" if defined $last && $last !~ /\n\z/;
	}'

git ls-files -z -- 'src/*.c' 'src/*.h' 'test/*.c' 'test/*.h' | xargs -0 -r test/lint/columns.pl

git ls-files -z -- '*.sh' '*.pl' '*.pm' '*.md' '*.sql' Makefile 'src/server/Makefile' ':!expected' |
	xargs -0 -r grep -nIE '[[:space:]]+$' -- | sed 's/$/<- trailing space/'
exit 0
