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

# The server's own symbols come first when a module is loaded: where it has one
# of the same name as a library of ours (json_object ...), a call of ours would
# land in the server.
postgres=$("${PG_CONFIG:-pg_config}" --bindir)/postgres
if [ -x "$postgres" ]; then
	undefined=$(nm -D -u "$module" | awk '{sub(/@.*/, "", $NF); print $NF}' | sort -u)
	theirs=$(nm -D --defined-only "$postgres" | awk '{sub(/@.*/, "", $NF); print $NF}' | sort -u)
	ldd "$module" | awk '$2 == "=>" && $1 !~ /^(libc|libm|ld-linux)[.-]/ {print $1, $3}' |
		while read -r name file; do
			nm -D --defined-only "$file" | awk '{sub(/@.*/, "", $NF); print $NF}' | sort -u |
				comm -12 - <(printf '%s\n' "$theirs") | comm -12 - <(printf '%s\n' "$undefined") |
				sed "s/\$/ of $name is hidden by the server's own symbol of that name/"
		done
fi
exit 0
