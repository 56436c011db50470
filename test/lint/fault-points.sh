#!/bin/bash
#
# fault-points.sh
#		Every fault point of fault.h stands in the code once or more, and a test uses it.

shopt -s globstar nullglob

sed -nE 's/^[[:space:]]*X\(([A-Z_]+),[[:space:]]*"([a-z-]+)"\).*/\1 \2/p' src/core/base/fault.h |
	while read -r id name; do
		grep -qw "BKC_FAULT_$id" src/**/*.c || echo "$name: not in the code"
		grep -qE "\b$name\b([^-]|$)" test/t/*.pl test/unit/*.c /dev/null || echo "$name: no test uses it"
	done
exit 0
