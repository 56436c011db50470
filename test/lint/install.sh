#!/bin/bash
#
# install.sh
#		"make install" brings the files for monitoring and the README, and "make uninstall" takes all of it away.

# a make of its own, not one of the caller's jobs
unset MAKEFLAGS MFLAGS MAKELEVEL

root=$(mktemp -d) || exit 1
trap 'rm -rf "$root"' EXIT
flags=$([[ $BUILD == *faults* ]] && echo FAULTS=1)
run()
{
	make -s --no-print-directory $flags "$1" DESTDIR="$root" >"$root.log" 2>&1 || cat "$root.log"
	rm -f "$root.log"
}

run install
for file in $(cd share && find . -type f); do
	cmp -s "share/$file" "$root$("$(make -s print-pg_config)" --sharedir)/pg_backupctl/$file" || echo "share/$file is not installed"
done
cmp -s README.md "$root$("$(make -s print-pg_config)" --docdir)/pg_backupctl/README.md" || echo "README.md is not installed"
run uninstall
find "$root" -type f
find "$root" -type d -path '*pg_backupctl*'
