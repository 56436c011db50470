#!/bin/bash
#
# docs.sh
#		The README names every setting, SQL object, option, client command and exit status there is.

missing()
{
	grep -qF -- "$2" README.md || echo "README.md does not mention $1 $2"
}

for setting in $(grep -hoE '"pg_backupctl\.[a-z_]+"' src/server/settings.c | tr -d '"' | sort -u); do
	# fault points are for tests
	[ "$setting" = pg_backupctl.fault ] || [ "$setting" = pg_backupctl.test_clock ] || missing setting "$setting"
done
# ... and no setting that is not there
for setting in $(grep -hoE '\bpg_backupctl\.[a-z_]+\b' README.md | sort -u); do
	case $setting in
		pg_backupctl.git | pg_backupctl.control | pg_backupctl.json) ;;
		*) grep -qF "\"$setting\"" src/server/settings.c || echo "README.md names $setting, which is no setting" ;;
	esac
done

perl -ne '
	print "$1\n" while /^CREATE\s+(?:FUNCTION|PROCEDURE|TABLE|VIEW)\s+\@extschema\@\.(\w+)/g;' pg_backupctl--*.sql |
	sort -u | while read -r object; do
		grep -qE "DROP FUNCTION @extschema@\.$object\b" pg_backupctl--*.sql || missing "SQL object" "\`$object"
	done
# columns of the catalog
perl -0ne '
	print "$1\n" if /CREATE TABLE \@extschema\@\.backup_catalog \((.*?)\n\);/s' pg_backupctl--1.0.sql |
	sed -nE 's/^\t([a-z_]+) .*/\1/p' | while read -r column; do
		missing column "\`$column\`"
	done
# options of backup_now
sed -n '/^static const Option options/,/^};/p' src/server/sqlfuncs.c | grep -oE '"[a-z_]+"' | tr -d '"' |
	while read -r option; do
		missing option "\`$option\`"
	done

for command in $(sed -nE 's/^[[:space:]]*\.name = "([a-z-]+)",?$/\1/p' src/client/*.c); do
	missing "client command" "\`$command"
done
for option in $(sed -nE 's/^[[:space:]]*\{"([a-z-]+)", (0|.[^,]*), (NULL|"[^"]*"), (true|false),.*/\1/p' src/client/*.[ch] | sort -u); do
	missing "client option" "--$option"
done
sed -nE 's/^[[:space:]]*"  ([0-9]+)  .*/\1/p' src/client/report.c | while read -r status; do
	missing "exit status" "| $status |"
done
exit 0
