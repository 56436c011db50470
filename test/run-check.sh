#!/bin/bash
#
# run-check.sh
#		Everything: lint, unit, pg_regress, TAP.  A stage that fails does not
#		keep the later ones from running.
#
# Unit tests run with address and undefined-behaviour checks where the machine
# allows that.
#
# The last line is "N passed, N failed": lint rules, unit tests, regression
# test files and TAP assertions together.

. "$(dirname "$0")/stage.sh"
. "$TOP/test/servers/servers.sh"
cd "$TOP" || exit 1

passed=0
failed=0
stage_aside check
log=$STAGE/output

# The stage's own count is its last line of the form "name: N passed, N failed".
stage()
{
	local name=$1 line status
	shift

	echo "== $name"
	"$@" 2>&1 | tee "$log"
	status=${PIPESTATUS[0]}
	line=$(grep -E "^$name: [0-9]+ passed, [0-9]+ failed$" "$log" | tail -n 1)
	if [[ "$line" =~ ([0-9]+)\ passed,\ ([0-9]+)\ failed ]]; then
		passed=$((passed + BASH_REMATCH[1]))
		failed=$((failed + BASH_REMATCH[2]))
		[ "$status" -eq 0 ] || [ "${BASH_REMATCH[2]}" -gt 0 ] || failed=$((failed + 1))
	else
		echo "$name did not finish (exit status $status)"
		failed=$((failed + 1))
	fi
	echo
}

run_make()
{
	"$MAKE" -j"$(nproc)" --no-print-directory "$@"
}

# Sanitizers cost little and find much, but not every machine lets them run.
sanitize=
echo 'int main(void) { return 0; }' >"$log.c"
if "${CC:-gcc}" -fsanitize=address,undefined -o "$log.bin" "$log.c" 2>/dev/null && "$log.bin" 2>/dev/null; then
	sanitize=1
fi
rm -f "$log.c" "$log.bin"

echo "== build"
if ! run_make -s all || ! run_make -s FAULTS=1 all || ! run_make -s FAULTS=1 SANITIZE=$sanitize unit-programs; then
	echo "the build failed"
	echo "0 passed, 1 failed"
	exit 1
fi
echo

# one S3 server for both
servers_begin test/unit/test_*.c test/t/*.pl

stage lint run_make -s lint
stage unit run_make -s unit SANITIZE=$sanitize
stage regress run_make -s installcheck
stage tap run_make -s tap

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
