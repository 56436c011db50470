#!/bin/bash
#
# conditionals.sh
#		No FRONTEND anywhere; PostgreSQL's version is asked in src/server/pgcompat.[ch] only.

shopt -s globstar nullglob

grep -nwE 'FRONTEND' src/**/*.[ch] /dev/null
grep -nE 'PG_VERSION_NUM|PG_MAJORVERSION' src/**/*.[ch] /dev/null |
	grep -vE '^src/server/pgcompat\.[ch]:'
exit 0
