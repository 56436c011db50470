#!/bin/bash
#
# run-sanitized-server.sh [FILE...]
#		TAP tests, one after the other, with address and undefined-behaviour
#		checks in the module and in the client.  Without names: the tests that
#		between them run every part of the module.
#
# Too slow for "make check"; to be run before a release.  What a sanitizer
# reports is a failure, also where the tests pass (a worker may crash unseen).
# The last line is "tap: N passed, N failed".

. "$(dirname "$0")/stage.sh"

tests=(
	001_basic 010_restore 015_load 016_corruption 019_workers 028_catalog	# backups
	050_crash_leader 056_cancel 060_store_faults							# jobs that end early
	080_pitr_targets 083_pitr_ends											# recovery
	100_streamer 101_ownership 102_promotion 104_streamer_faults			# streaming, owners
	105_twins 106_foreign_standby 107_take_over_trouble 108_promotion_backlog
	110_archiver_view 111_wal_conflict 112_wal_in_archive 113_backup_check	# the archive's SQL surface
	120_archive_files 121_archive_refusals 122_archive_crash				# the archiver
	123_archive_away 124_archive_two 125_archive_shutdown 126_archive_time
	130_wal_helpers 131_segment_sizes 132_archive_always
)
[ $# -eq 0 ] || tests=("$@")

# Nobody would notice if the checks were off.  So a module with two known faults
# goes first: each must end its backend with a report.
prove_checks_work()
{
	local fault kind

	stage_begin sanitized
	stage_postgres faults sanitized
	grep -q __asan_report "$STAGE$("$PG_CONFIG" --pkglibdir)/pg_backupctl.so" ||
		die "the module was built without sanitizers"
	cat >"$STAGE/known_faults.c" <<-'EOF'
		#include "postgres.h"
		#include "fmgr.h"

		PG_MODULE_MAGIC;
		PG_FUNCTION_INFO_V1(beyond_the_end);
		PG_FUNCTION_INFO_V1(shift_too_far);

		Datum
		beyond_the_end(PG_FUNCTION_ARGS)
		{
			char	   *volatile p = malloc(10);

			memset(p, 0, 10 + PG_GETARG_INT32(0));
			PG_RETURN_INT32(p[0]);
		}

		Datum
		shift_too_far(PG_FUNCTION_ARGS)
		{
			PG_RETURN_INT32(1 << PG_GETARG_INT32(0));
		}
	EOF
	"${CC:-gcc}" -shared -fPIC -g -fsanitize=address,undefined -fno-sanitize-recover=all \
		-I"$("$PG_CONFIG" --includedir-server)" -o "$STAGE/known_faults.so" "$STAGE/known_faults.c" ||
		die "could not build the module with known faults"
	stage_server "$STAGE/tmp/data"
	for fault in beyond_the_end shift_too_far; do
		"$BINDIR/psql" -Xq -o /dev/null \
			-c "CREATE FUNCTION $fault(int) RETURNS int LANGUAGE c AS '$STAGE/known_faults', '$fault'" \
			-c "SELECT $fault(0)" || die "$fault: the harmless call failed"
		stage_reports || die "$fault: the harmless call was reported"
		"$BINDIR/psql" -Xq -o /dev/null -c "SELECT $fault(40)" 2>/dev/null && die "$fault was not noticed"
		case $fault in
			beyond_the_end) kind='AddressSanitizer: heap-buffer-overflow' ;;
			shift_too_far) kind='runtime error: shift exponent 40' ;;
		esac
		stage_reports | grep -q "$kind" || die "$fault left no report"
		rm -f "$STAGE"/sanitizers/*
		until "$BINDIR/psql" -Xq -o /dev/null -c 'SELECT 1' 2>/dev/null; do
			sleep 0.2
		done
	done
}

(prove_checks_work) || {
	echo "tap: 0 passed, 1 failed"
	exit 1
}

# Everything is some times slower than the tests' own limits expect.
export TAP_SANITIZED=1 TAP_JOBS=${TAP_JOBS:-1} PG_TEST_TIMEOUT_DEFAULT=${PG_TEST_TIMEOUT_DEFAULT:-600}
"$TOP/test/run-tap.sh" "${tests[@]}"
