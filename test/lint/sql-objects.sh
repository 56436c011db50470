#!/bin/bash
#
# sql-objects.sh
#		Every SQL object has a comment, and PUBLIC may call nothing.

shopt -s nullglob

for file in pg_backupctl--*.sql; do
	case $file in
		pg_backupctl--*--*.sql) continue ;;
	esac
	perl - "$file" <<'PERL'
use strict;
use warnings;

my $file = shift;
open my $fh, '<', $file or die;
my $sql = do { local $/; <$fh> };
$sql =~ s/^--.*$//mg;

my %made;
while ($sql =~ /\bCREATE\s+(?:OR\s+REPLACE\s+)?(FUNCTION|PROCEDURE|TABLE|VIEW|TYPE|DOMAIN|SEQUENCE)\s+(?:\@extschema\@\.)?(\w+)/gi)
{
	$made{ lc "$1 $2" } = 1;
}
for my $object (sort keys %made)
{
	my ($kind, $name) = split / /, $object;
	next if $sql =~ /\bDROP\s+$kind\s+(?:\@extschema\@\.)?$name\b/i;	# only for the script itself
	print "$file: $object has no comment\n"
	  unless $sql =~ /\bCOMMENT\s+ON\s+$kind\s+(?:\@extschema\@\.)?$name\b/i;
	next unless $kind eq 'function' || $kind eq 'procedure';
	print "$file: $object is not revoked from PUBLIC\n"
	  unless $sql =~ /\bREVOKE\s+ALL\s+ON\s+(?:$kind|ROUTINE)\s+(?:\@extschema\@\.)?$name\b[^;]*\bFROM\s+PUBLIC\b/i
	  || $sql =~ /\bREVOKE\s+ALL\s+ON\s+ALL\s+(?:${kind}S|ROUTINES)\s+IN\s+SCHEMA\s+\@extschema\@\s+FROM\s+PUBLIC\b/i
	  || grep { /\b$name\b/ } $sql =~ /\bREVOKE\s+(?:ALL|EXECUTE)\s+ON\s+(?:${kind}S?|ROUTINES?)\s+([^;]*?)\s+FROM\s+PUBLIC\b/gi;
}
PERL
done
exit 0
