#!/bin/bash
#
# bench.sh
#		Speed, CPU time, memory and size of backups, restores and verifications
#		beside those of the peers.  README.md says what is measured, and how.
#
#		make bench				about 3 GB, 5 rounds
#		make bench QUICK=1		about 300 MB, 2 rounds: does everything work
#
# BENCH_MB, ROUNDS, BENCH_FILES, BENCH_SECONDS change the sizes,
# BENCH_PHASES="main load files wal s3 s3wal" and BENCH_ONLY=REGEX narrow it down.
# It needs about six times BENCH_MB below TMPDIR (default /tmp).

. "$(dirname "$0")/../stage.sh"

HERE=$TOP/test/bench
OUT=$TOP/build/bench

if [ -n "${QUICK:-}" ] && [ "$QUICK" != 0 ]; then
	: "${BENCH_MB:=300}" "${ROUNDS:=2}" "${BENCH_FILES:=5000}" "${BENCH_SECONDS:=5}"
else
	: "${BENCH_MB:=3000}" "${ROUNDS:=5}" "${BENCH_FILES:=50000}" "${BENCH_SECONDS:=15}"
fi
export BENCH_MB ROUNDS BENCH_FILES BENCH_SECONDS
export BENCH_PHASES="${BENCH_PHASES:-main load files wal s3 s3wal}" BENCH_ONLY="${BENCH_ONLY:-}"

need()
{
	command -v "$1" >/dev/null || die "$1 is missing; please install the package $2"
}

BENCH=1 "$TOP/test/deps.sh" || exit 1
need /usr/bin/python3 python3
need pgbackrest pgbackrest
need zstd zstd
need tar tar
[ -x "$("$PG_CONFIG" --bindir)/pg_basebackup" ] || die "pg_basebackup is missing beside $PG_CONFIG"

mkdir -p "$OUT" || die "could not make $OUT"
"${CC:-gcc}" -O2 -std=c11 -D_GNU_SOURCE -Wall -o "$OUT/limit" "$HERE/limit.c" \
	-lzstd -llz4 -lcrypto || die "could not build limit"

stage_begin bench
free=$(df -k --output=avail "$STAGE" | tail -n 1)
if [ "$free" -lt $((BENCH_MB * 1024 * 6)) ]; then
	die "$((free / 1024)) MB are free in $(dirname "$STAGE"), but $((BENCH_MB * 6)) are needed;" \
		"TMPDIR names another folder"
fi

# Without this project's part (it does not build) the peers are still worth measuring.
if (stage_postgres) >"$OUT/build.log" 2>&1; then
	export BENCH_OWN=1
else
	export BENCH_OWN=0
	echo "bench: pg_backupctl could not be built and is left out; see build/bench/build.log"
fi
BINDIR=$STAGE$("$PG_CONFIG" --bindir)
[ -x "$BINDIR/postgres" ] || die "could not copy PostgreSQL; see build/bench/build.log"
export PATH=$BINDIR:$PATH BINDIR

# The user that runs the servers need not be able to read the source folder.
mkdir "$STAGE/bench" "$STAGE/out"
cp -r "$TOP/test/servers" "$STAGE/servers"
chmod -R a+rX "$STAGE/servers"
cp "$HERE"/*.py "$OUT/limit" "$STAGE/bench/"
chmod -R a+rX "$STAGE/bench"
[ ${#RUN_AS[@]} -eq 0 ] || chown "$(id -u "$RUN_USER"):$(id -g "$RUN_USER")" "$STAGE/out"

# A server of its own, gone with this script.
cp "$TOP/test/servers/s3.py" "$STAGE/bench/"
if [[ $BENCH_PHASES == *s3* ]]; then
	s3=$(CEPH_MEM_GIB=8 as_user "$STAGE/servers/ceph.sh" start "$STAGE/tmp/ceph" $$) || die "no S3 server"
	while IFS= read -r line; do
		export "${line?}"
	done <<<"$s3"
fi

PYTHONDONTWRITEBYTECODE=1 as_user /usr/bin/python3 "$STAGE/bench/run.py" "$STAGE"
status=$?
for file in "$STAGE"/out/*; do
	[ -f "$file" ] && cat "$file" >"$OUT/$(basename "$file")"
done
echo "bench: results are in build/bench (results.txt, results.json, bench.log)"
exit $status
