#!/bin/bash
#
# exports.sh
#		Every exported symbol begins with bkc_ or is an entry point of PostgreSQL.
#
# The module shares its address space with others, and the core's objects are
# linked into two programs.  What the module exports must also be no more than
# server functions: nothing of the core or a library linked in.

module=$BUILD/pg_backupctl.so
core=$BUILD/libcore.a

for file in "$module" "$core"; do
	[ -e "$file" ] || { echo "$file is not there: build first"; exit 1; }
done

nm -D --defined-only "$module" | awk '{print $NF}' |
	grep -vE '^(bkc_|pg_finfo_bkc_|Pg_magic_func$|_PG_init$|_PG_archive_module_init$)'
nm --defined-only "$core" 2>/dev/null | awk 'NF == 3 && $2 ~ /[TDBRVW]/ {print $3}' | grep -v '^bkc_'
find "$BUILD/src/server" -name '*.o' -exec nm --defined-only {} + | awk 'NF == 3 && $2 ~ /[TDBRVW]/ {print $3}' |
	grep -vE '^(bkc_|pg_finfo_bkc_|Pg_magic_func$|_PG_init$|_PG_archive_module_init$)'

# A function of the core is hidden in the module.
comm -12 <(nm -D --defined-only "$module" | awk '{print $NF}' | sort -u) \
	<(nm --defined-only "$core" 2>/dev/null | awk 'NF == 3 {print $3}' | sort -u) |
	sed 's/$/ of the core is exported by the module/'
exit 0
