#!/bin/bash
#
# headers.sh
#		Every header of the core compiles by itself, is guarded, and is its source's first include.

shopt -s globstar nullglob

for header in src/core/**/*.h; do
	guard=BKC_$(printf '%s' "${header#src/core/}" | tr 'a-z/.' 'A-Z__')
	grep -q "^#ifndef $guard\$" "$header" || echo "$header: its guard is not $guard"
	${CC:-gcc} -std=c11 -D_GNU_SOURCE -Isrc/core -Wall -Wextra -fsyntax-only -x c "$header" 2>&1 |
		grep -v 'pragma once' | head -n 5

	source=${header%.h}.c
	if [ -e "$source" ]; then
		first=$(grep -m 1 -E '^#include' "$source")
		[ "$first" = "#include \"${header#src/core/}\"" ] || echo "$source: first include is $first"
	fi
done

# A file says at its top what it is.
for file in src/**/*.[ch]; do
	head -n 2 "$file" | tail -n 1 | grep -q "^ \* $(basename "$file")\$" || echo "$file: no head comment with its name"
done
exit 0
