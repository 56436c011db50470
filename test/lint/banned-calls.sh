#!/bin/bash
#
# banned-calls.sh
#		Calls that are never made: an escape needs a comment "lint: allow CALL: reason" on the line.

shopt -s globstar nullglob

banned='v?sprintf|strcpy|strcat|strncpy|strncat|strtok|atoi|atol|atoll|atof|gets|gmtime|localtime|asctime|ctime|alloca|system|popen|mktemp|tmpnam|tempnam|pthread_create'

test/lint/code.pl src/**/*.[ch] |
	grep -E "(^|[^A-Za-z0-9_>.])($banned)[[:space:]]*\(" |
	while IFS=: read -r file line code; do
		call=$(grep -oE "(^|[^A-Za-z0-9_>.])($banned)[[:space:]]*\(" <<<"$code" | head -n 1 | grep -oE '[a-z]+')
		sed -n "${line}p" "$file" | grep -qE "/\* lint: allow $call: .+ \*/" || echo "$file:$line:$code"
	done

# comments are /* */; variable-length arrays are the compiler's to find (-Wvla)
test/lint/code.pl src/**/*.[ch] test/unit/*.[ch] | grep -E '//'
exit 0
