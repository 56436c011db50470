#!/bin/bash
#
# run-unit.sh FOLDER [NAME...]
#		Run the unit test programs in FOLDER (all, or those named), and count.
#
# The last line is "unit: N passed, N failed"; exit status 0 only without failure.
# With UNIT_VALGRIND=1 each program runs under valgrind.

. "$(dirname "$0")/stage.sh"
. "$TOP/test/servers/servers.sh"
folder=$1
shift

if [ $# -gt 0 ]; then
	programs=()
	for name in "$@"; do
		name=$(basename "$name" .c)
		programs+=("$folder/test_${name#test_}")
	done
else
	programs=("$folder"/test_*)
fi

wrap=()
if [ -n "${UNIT_VALGRIND:-}" ]; then
	wrap=(valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite)
fi

if [ ! -e "${programs[0]}" ]; then
	echo "no such program: ${programs[0]}"
	echo "unit: 0 passed, 1 failed"
	exit 1
fi

passed=0
failed=0
skipped=77						# exit status of a program that wants something that is not there
stage_aside unit
out=$STAGE/output
sources=()
for program in "${programs[@]}"; do
	sources+=("$TOP/test/unit/$(basename "$program").c")
done
servers_begin "${sources[@]}"

for program in "${programs[@]}"; do
	name=$(basename "$program")
	CMOCKA_MESSAGE_OUTPUT=STDOUT "${wrap[@]}" "$program" >"$out" 2>&1 </dev/null
	status=$?
	if [ $status -eq $skipped ]; then
		printf '%-32s skipped: %s\n' "$name" "$(tail -n 1 "$out")"
		continue
	fi
	ok=$(grep -c '^\[       OK \]' "$out")
	bad=$(grep '^\[  FAILED  \] [A-Za-z_0-9]*$' "$out" | sort -u | wc -l)
	# a crash, a leak or a program that runs nothing counts as one failure
	if [ $status -ne 0 ] && [ "$bad" -eq 0 ] || [ "$ok" -eq 0 ] && [ "$bad" -eq 0 ]; then
		bad=1
	fi
	passed=$((passed + ok))
	failed=$((failed + bad))
	if [ "$bad" -eq 0 ] && [ $status -eq 0 ]; then
		printf '%-32s ok (%d)\n' "$name" "$ok"
	else
		printf '%-32s FAILED (exit status %d)\n' "$name" "$status"
		sed 's/^/    /' "$out"
	fi
done

if [ "$failed" -gt 0 ] && [ -n "${BKC_SERVERS:-}" ] && rm -rf "$TOP/build/unit" && mkdir -p "$TOP/build/unit"; then
	servers_keep "$TOP/build/unit" && echo "the servers' logs are in build/unit"
fi
echo "unit: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
