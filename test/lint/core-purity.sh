#!/bin/bash
#
# core-purity.sh
#		The core is plain C11: nothing of PostgreSQL, no exit, no printing, no setting of its own.

shopt -s globstar nullglob

# PostgreSQL's headers are never named from the core or the client ...
grep -nE '#[[:space:]]*include[[:space:]]*[<"](postgres|postgres_fe|postgres_ext|c|pg_config|port|fmgr|miscadmin|libpq-fe)\.h[>"]' \
	src/core/**/*.[ch] src/client/*.[ch] /dev/null
grep -nE '#[[:space:]]*include[[:space:]]*[<"](access|catalog|common|executor|lib|libpq|nodes|port|postmaster|replication|storage|tcop|utils)/' \
	src/core/**/*.[ch] src/client/*.[ch] /dev/null

# ... nor its functions; only the client may exit or print.
test/lint/code.pl src/core/**/*.[ch] |
	grep -E '\b(ereport|elog|palloc0?|pstrdup|psprintf|pfree|CHECK_FOR_INTERRUPTS|PG_TRY|StringInfo|exit|abort|printf|puts|putchar|perror|vprintf)[[:space:]]*\(' |
	grep -vE '(->|\.)(exit|abort)[[:space:]]*\(' |
	grep -vE '\*[[:space:]]*abort\)[[:space:]]*\(' |
	grep -vE '^src/core/base/fault\.c:.*\b_exit\('
test/lint/code.pl src/core/**/*.[ch] | grep -E '\b(stdout|stderr|getenv|secure_getenv)\b' |
	grep -vE '^src/core/store/s3/creds_source\.c:.*\bgetenv\b'

# The server half never leaves the process by itself, except where a worker ends.
test/lint/code.pl src/server/*.[ch] | grep -E '(^|[^_>.a-z])(printf|puts|fprintf)[[:space:]]*\('
exit 0
