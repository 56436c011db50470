#!/bin/bash
#
# run-lint.sh BUILD_FOLDER
#		Run every rule of test/lint/.  A rule is a script that prints what breaks
#		it, one place a line, and nothing when all is well.
#
# The last line is "lint: N passed, N failed".

set -u
cd "$(dirname "$0")/.." || exit 1
export LC_ALL=C BUILD=${1:-build/release}

passed=0
failed=0
for rule in test/lint/*.sh; do
	name=$(basename "$rule" .sh)
	found=$(bash "$rule" 2>&1)
	status=$?
	if [ -z "$found" ] && [ $status -eq 0 ]; then
		passed=$((passed + 1))
		printf '%-20s ok\n' "$name"
	else
		failed=$((failed + 1))
		printf '%-20s FAILED: %s\n' "$name" "$(sed -n 's/^#\t\t//p' "$rule" | head -n 1)"
		printf '%s\n' "${found:-exit status $status}" | head -n 40 | sed 's/^/    /'
	fi
done

echo "lint: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
