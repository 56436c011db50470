/*
 * test_pipe_walmap_windows.c
 *		Gaps, and what can be restored with the backups that there are.
 */
#include "test_pipe_walmap.h"

#include "base/host.h"
#include "pipe/unpack.h"

static char logged[1024];

static void
take_log(BkcLogLevel level, const char *message)
{
	if (level == BKC_LOG_WARNING)
		snprintf(logged, sizeof(logged), "%s", message);
}

static const BkcHost test_host = {.log = take_log};

/* ---- gaps ---- */

static void
assert_gap(const BkcWalGap *gap, uint32_t timeline, uint64_t first, uint64_t last,
		   int64_t after, int64_t before)
{
	assert_int_equal(gap->timeline, timeline);
	assert_segment(gap->first, timeline, first);
	assert_segment(gap->last, timeline, last);
	assert_int_equal(gap->count, last - first + 1);
	assert_int_equal(gap->after_time, after);
	assert_int_equal(gap->before_time, before);
}

static size_t
find_gaps(BkcStore *store, BkcWalGap **gaps)
{
	BkcWalMap  *map = load(store, SEGSIZE);
	BkcError	err;
	size_t		n;

	assert_ok(bkc_walmap_gaps(map, gaps, &n, &err));
	bkc_walmap_free(map);
	return n;
}

static void
test_no_gaps(void **state)
{
	static const uint64_t fork = LSN(7) + 300;
	BkcStore   *store = util_store();
	BkcWalGap  *gaps;

	assert_int_equal(find_gaps(store, &gaps), 0);
	free(gaps);
	put_run(store, 1, 5, 9);
	put_chunk(store, 1, 10, 1, 0, 100, TIME(10));
	put_history(store, 2, &fork, 1);
	put_run(store, 2, 7, 8);
	assert_int_equal(find_gaps(store, &gaps), 0);
	free(gaps);

	/* chunks before which there is nothing: that may have expired */
	put_chunk(store, 3, 12, 1, 0, 100, TIME(10));
	assert_int_equal(find_gaps(store, &gaps), 0);
	free(gaps);
	bkc_store_close(store);
}

/* Chunks say that the segment before theirs was there. */
static void
test_gaps_before_chunks(void **state)
{
	static const uint64_t fork = LSN(20) + 300;
	BkcStore   *store = util_store();
	BkcWalGap  *gaps;

	put_run(store, 1, 5, 9);
	put_chunk(store, 1, 12, 1, 0, 100, TIME(12));
	assert_int_equal(find_gaps(store, &gaps), 1);
	assert_gap(&gaps[0], 1, 10, 11, TIME(9), TIME(12));
	assert_false(gaps[0].recent);
	free(gaps);

	/* one that begins with chunks */
	put_chunk(store, 1, 10, 1, 0, 100, TIME(10));
	assert_int_equal(find_gaps(store, &gaps), 1);
	assert_gap(&gaps[0], 1, 10, 11, TIME(9), TIME(12));
	free(gaps);

	/* whole ones behind change nothing about 11, and without 12 it may be on its way */
	put_run(store, 1, 13, 14);
	assert_int_equal(find_gaps(store, &gaps), 1);
	assert_gap(&gaps[0], 1, 10, 12, TIME(9), TIME(14) - 1000000);
	assert_false(gaps[0].recent);
	free(gaps);
	put_run(store, 1, 11, 11);
	assert_int_equal(find_gaps(store, &gaps), 2);
	assert_gap(&gaps[0], 1, 10, 10, TIME(9), TIME(11));
	assert_true(gaps[0].recent);
	assert_gap(&gaps[1], 1, 12, 12, TIME(11), TIME(13));
	assert_true(gaps[1].recent);
	free(gaps);

	/* of a child there are only chunks */
	put_history(store, 2, &fork, 1);
	put_chunk(store, 2, 20, 1, 0, 100, TIME(20));
	assert_int_equal(find_gaps(store, &gaps), 3);
	assert_gap(&gaps[2], 1, 15, 19, TIME(14), TIME(20));
	assert_false(gaps[2].recent);
	free(gaps);
	bkc_store_close(store);
}

static void
test_gaps_within(void **state)
{
	BkcStore   *store = util_store();
	BkcWalGap  *gaps;

	put_run(store, 1, 5, 6);
	put_run(store, 1, 8, 8);
	put_run(store, 1, 4094, 4095);
	put_run(store, 1, 4100, 4100);
	put_run(store, 2, 50, 50);
	put_run(store, 2, 52, 52);
	damage_segment(store, 1, 4100);
	assert_int_equal(find_gaps(store, &gaps), 4);
	assert_gap(&gaps[0], 1, 7, 7, TIME(6), TIME(8));
	assert_gap(&gaps[1], 1, 9, 4093, TIME(8), TIME(4094));
	assert_gap(&gaps[2], 1, 4096, 4099, TIME(4095), 0);
	assert_gap(&gaps[3], 2, 51, 51, TIME(50), TIME(52));
	assert_false(gaps[0].recent);
	assert_false(gaps[1].recent);
	assert_true(gaps[2].recent);
	assert_true(gaps[3].recent);
	free(gaps);

	/* the hole's first segment counts */
	put_run(store, 2, 53, 66);
	assert_int_equal(find_gaps(store, &gaps), 4);
	assert_true(gaps[3].recent);
	free(gaps);
	put_run(store, 2, 67, 67);
	assert_int_equal(find_gaps(store, &gaps), 4);
	assert_false(gaps[3].recent);
	free(gaps);
	bkc_store_close(store);
}

static void
test_gaps_at_forks(void **state)
{
	static const uint64_t forks[] = {LSN(7) + 300, LSN(12)};
	BkcStore   *store = util_store();
	BkcWalGap  *gaps;

	put_history(store, 2, forks, 1);
	put_history(store, 3, forks, 2);
	put_run(store, 1, 4, 4);	/* 5 and 6 are missing before the fork */
	put_run(store, 2, 9, 10);	/* 7 and 8 behind it, 11 before the next */
	put_run(store, 3, 12, 13);
	assert_int_equal(find_gaps(store, &gaps), 3);
	assert_gap(&gaps[0], 1, 5, 6, TIME(4), TIME(9));
	assert_gap(&gaps[1], 2, 7, 8, TIME(4), TIME(9));
	assert_gap(&gaps[2], 2, 11, 11, TIME(10), TIME(12));
	free(gaps);

	/* the first timeline went on behind the fork: one gap, seen by both */
	put_run(store, 1, 10, 10);
	assert_int_equal(find_gaps(store, &gaps), 3);
	assert_gap(&gaps[0], 1, 5, 9, TIME(4), TIME(10));
	assert_gap(&gaps[1], 2, 7, 8, TIME(4), TIME(9));
	free(gaps);
	bkc_store_close(store);
}

/* What lies before the first segment has expired. */
static void
test_gaps_start_in_middle(void **state)
{
	static const uint64_t fork = LSN(7) + 300;
	BkcStore   *store = util_store();
	BkcWalGap  *gaps;

	put_history(store, 2, &fork, 1);
	put_run(store, 2, 9, 10);
	assert_int_equal(find_gaps(store, &gaps), 0);
	free(gaps);
	put_run(store, 1, 7, 8);	/* nothing of the path to 2 */
	assert_int_equal(find_gaps(store, &gaps), 0);
	free(gaps);
	bkc_store_close(store);
}

/* A timeline between of which there is nothing. */
static void
test_gaps_skip_timeline(void **state)
{
	static const uint64_t forks[] = {LSN(7) + 300, LSN(9) + 300};
	BkcStore   *store = util_store();
	BkcWalGap  *gaps;

	put_history(store, 3, forks, 2);
	put_run(store, 1, 4, 6);
	put_run(store, 3, 9, 10);
	assert_int_equal(find_gaps(store, &gaps), 1);
	assert_gap(&gaps[0], 2, 7, 8, TIME(6), TIME(9));
	free(gaps);
	bkc_store_close(store);
}

static void
test_gaps_faults(void **state)
{
	BkcStore   *store = util_store();
	BkcStore   *inner;
	BkcStore   *faulty;
	BkcWalMap  *map;
	BkcWalGap  *gaps;
	BkcError	err;
	size_t		n;
	bool		ok = false;

	put_run(store, 1, 4, 5);
	put_run(store, 1, 7, 8);
	map = load(store, 0);
	for (uint64_t i = 1; !ok; i++)
	{
		assert_ok(bkc_store_memory_share(store, &inner, &err));
		assert_ok(bkc_store_faulty_new(inner, i, BKC_ERR_TIMEOUT, NULL, &faulty, &err));
		map->store = faulty;
		ok = bkc_walmap_gaps(map, &gaps, &n, &err);
		assert_true(ok || (err.code == BKC_ERR_TIMEOUT && gaps == NULL && n == 0));
		bkc_store_close(faulty);
	}
	assert_int_equal(n, 1);
	free(gaps);
	bkc_walmap_free(map);
	bkc_store_close(store);
}

/* ---- backups ---- */

/* A complete backup that was taken in hour n. */
static void
backup_label(int n, char label[BKC_LABEL_MAX])
{
	snprintf(label, BKC_LABEL_MAX, "20231114T%02d0000Z-full-7f3a", n % 24);
}

static void
put_backup(BkcStore *store, int n, uint32_t timeline, uint64_t start, uint64_t stop, bool archive)
{
	BkcManifestHeader h = {
		.type = "full",
		.system_identifier = SYSID,
		.cluster_name = "prod",
		.host = "db1",
		.pg_version_num = 150020,
		.catalog_version = 202209061,
		.control_version = 1300,
		.block_size = 8192,
		.segment_blocks = 131072,
		.wal_segment_size = SEGSIZE,
		.wal_in_archive = archive,
		.start_time = TIME(start / SEGSIZE),
		.stop_time = TIME(stop / SEGSIZE),
		.timeline = timeline,
		.start_lsn = start,
		.stop_lsn = stop,
		.backup_label = "START WAL LOCATION\n",
		.software = "pg_backupctl 1.0"
	};
	BkcManifestPut *put;
	BkcError	err;

	backup_label(n, h.label);
	assert_ok(bkc_manifest_put_begin(store, &h, &put, &err));
	assert_ok(bkc_manifest_put_commit(put, NULL, &err));
	bkc_manifest_put_close(put);
}

/* One of two that is in an archive class hides itself, not the other. */
static void
frozen_is_passed_over(BkcStore *store)
{
	uint64_t	calls = 0;
	size_t		passed = 0;

	/* until none is left to fail */
	for (uint64_t i = 1; calls + 1 >= i; i++)
	{
		BkcStore   *inner;
		BkcStore   *faulty;
		BkcBackupSpan *spans;
		size_t		n;
		BkcError	err;
		bool		ok;

		assert_ok(bkc_store_memory_share(store, &inner, &err));
		calls = 0;
		assert_ok(bkc_store_faulty_new(inner, i, BKC_ERR_ARCHIVED, &calls, &faulty, &err));
		ok = bkc_repo_spans(faulty, SYSID, &spans, &n, &err);
		assert_true(ok ? n == 1 || n == 2 : err.code == BKC_ERR_ARCHIVED);
		calls = ok ? calls : i;
		passed += ok && n == 1;
		free(spans);
		bkc_store_close(faulty);
	}
	assert_true(passed >= 2);
}

static void
test_spans(void **state)
{
	BkcStore   *store = util_store();
	BkcManifestHeader header;
	char		label[BKC_LABEL_MAX];
	char		name[BKC_NAME_MAX];
	BkcBackupSpan *spans;
	BkcError	err;
	size_t		n;

	assert_ok(bkc_repo_spans(store, SYSID, &spans, &n, &err));
	assert_int_equal(n, 0);
	free(spans);

	put_backup(store, 2, 1, LSN(4) + 40, LSN(5) + 80, false);
	put_backup(store, 1, 3, LSN(2) + 40, LSN(2) + 80, true);
	put_backup(store, 3, 3, LSN(6), LSN(7), false);
	backup_label(3, label);
	assert_ok(bkc_name_manifest(SYSID, label, name, &err));
	damage(store, name);
	backup_label(4, label);		/* unfinished */
	assert_ok(bkc_name_begin(SYSID, label, name, &err));
	util_put(store, name, "x", 1);

	logged[0] = '\0';
	assert_ok(bkc_repo_spans(store, SYSID, &spans, &n, &err));
	backup_label(3, label);
	assert_non_null(strstr(logged, label));
	assert_int_equal(n, 2);
	backup_label(1, label);
	assert_string_equal(spans[0].label, label);
	assert_int_equal(spans[0].timeline, 3);
	assert_true(spans[0].wal_in_archive);
	assert_int_equal(spans[1].start_lsn, LSN(4) + 40);
	assert_int_equal(spans[1].stop_lsn, LSN(5) + 80);
	assert_int_equal(spans[1].start_time, TIME(4));
	assert_int_equal(spans[1].stop_time, TIME(5));
	assert_int_equal(spans[1].segment_size, SEGSIZE);
	assert_int_equal(spans[1].pg_version_num, 150020);
	assert_false(spans[1].wal_in_archive);
	free(spans);
	frozen_is_passed_over(store);

	/* the header by itself */
	assert_ok(bkc_manifest_peek(store, SYSID, label, &header, &err));
	assert_string_equal(header.host, "db1");
	bkc_manifest_header_free(&header);
	assert_fails(bkc_manifest_peek(store, SYSID, "20231114T050000Z-full-7f3a", &header, &err),
				 BKC_ERR_NOT_FOUND);
	assert_null(header.host);
	assert_fails(bkc_manifest_peek(store, 1, label, &header, &err), BKC_ERR_NOT_FOUND);
	backup_label(3, label);
	assert_fails(bkc_manifest_peek(store, SYSID, label, &header, &err), BKC_ERR_CORRUPT);
	bkc_manifest_header_free(&header);
	bkc_store_close(store);
}

/* The first line of a manifest of many frames is read without the rest. */
static void
test_peek_large(void **state)
{
	BkcStore   *store = util_store();
	BkcManifestHeader h;
	BkcManifestPut *put;
	char		name[BKC_NAME_MAX];
	char		label[BKC_LABEL_MAX];
	BkcBuffer	bytes = {0};
	BkcError	err;

	put_backup(store, 1, 1, LSN(4), LSN(5), false);
	backup_label(1, label);
	assert_ok(bkc_manifest_peek(store, SYSID, label, &h, &err));
	h.label[10] = '9';
	assert_ok(bkc_manifest_put_begin(store, &h, &put, &err));
	bkc_manifest_header_free(&h);
	for (int i = 0; i < 40000; i++)
	{
		char		path[64];
		BkcEntry	e = {.type = BKC_ENTRY_DIR, .mode = 0700, .path = path};

		snprintf(path, sizeof(path), "folder%d", i);
		assert_ok(bkc_manifest_put_entry(put, &e, &err));
	}
	assert_ok(bkc_manifest_put_commit(put, NULL, &err));
	bkc_manifest_put_close(put);

	memcpy(label, "20231114T090000Z-full-7f3a", 27);
	assert_ok(bkc_name_manifest(SYSID, label, name, &err));
	util_get(store, name, &bytes);
	assert_ok(bkc_manifest_peek(store, SYSID, label, &h, &err));
	bkc_manifest_header_free(&h);

	/* damage behind the first frame is not seen */
	bytes.data[bytes.len - 10] ^= 1;
	util_put(store, name, bytes.data, bytes.len);
	assert_ok(bkc_manifest_peek(store, SYSID, label, &h, &err));
	bkc_manifest_header_free(&h);
	bkc_buffer_free(&bytes);
	bkc_store_close(store);
}

/* ---- windows ---- */

static void
assert_window(const BkcRecoveryWindow *w, uint32_t timeline, int first, int last, uint32_t backups,
			  uint64_t start, uint64_t end, int64_t start_time, int64_t end_time)
{
	char		label[BKC_LABEL_MAX];

	assert_int_equal(w->timeline, timeline);
	backup_label(first, label);
	assert_string_equal(w->first_backup, label);
	backup_label(last, label);
	assert_string_equal(w->last_backup, label);
	assert_int_equal(w->backups, backups);
	assert_int_equal(w->start_lsn, start);
	assert_int_equal(w->end_lsn, end);
	assert_int_equal(w->start_time, start_time);
	assert_int_equal(w->end_time, end_time);
}

static size_t
find_windows(BkcStore *store, uint32_t segsize, BkcRecoveryWindow **windows)
{
	BkcWalMap  *map = load(store, segsize);
	BkcBackupSpan *spans;
	BkcError	err;
	size_t		nspans;
	size_t		n;

	assert_ok(bkc_repo_spans(store, SYSID, &spans, &nspans, &err));
	assert_ok(bkc_recovery_windows(map, spans, nspans, windows, &n, &err));
	free(spans);
	bkc_walmap_free(map);
	return n;
}

static void
test_windows_no_wal(void **state)
{
	BkcStore   *store = util_store();
	BkcRecoveryWindow *w;

	assert_int_equal(find_windows(store, 0, &w), 0);
	free(w);
	put_backup(store, 1, 1, LSN(4) + 40, LSN(5) + 80, false);
	put_backup(store, 2, 1, LSN(9), LSN(9) + 80, false);
	put_backup(store, 3, 1, LSN(12), LSN(12) + 80, true);
	for (uint32_t segsize = 0; segsize <= SEGSIZE; segsize += SEGSIZE)
	{
		assert_int_equal(find_windows(store, segsize, &w), 2);
		assert_window(&w[0], 1, 1, 1, 1, LSN(5) + 80, LSN(5) + 80, TIME(5), TIME(5));
		assert_window(&w[1], 1, 2, 2, 1, LSN(9) + 80, LSN(9) + 80, TIME(9), TIME(9));
		free(w);
	}
	bkc_store_close(store);
}

static void
test_windows_one(void **state)
{
	BkcStore   *store = util_store();
	BkcRecoveryWindow *w;

	put_run(store, 1, 3, 20);
	put_chunk(store, 1, 21, 1, 0, 500, TIME(21));
	assert_int_equal(find_windows(store, 0, &w), 0);
	free(w);
	put_backup(store, 1, 1, LSN(4) + 40, LSN(5) + 80, false);
	put_backup(store, 2, 1, LSN(9), LSN(9) + 80, true);
	put_backup(store, 3, 1, LSN(12), LSN(21) + 80, false);
	assert_int_equal(find_windows(store, 0, &w), 1);
	assert_window(&w[0], 1, 1, 3, 3, LSN(5) + 80, LSN(21) + 500, TIME(5), TIME(21));
	free(w);
	bkc_store_close(store);
}

static void
test_windows_gap(void **state)
{
	BkcStore   *store = util_store();
	BkcRecoveryWindow *w;

	put_run(store, 1, 3, 7);
	put_run(store, 1, 10, 20);
	put_backup(store, 1, 1, LSN(4) + 40, LSN(5) + 80, false);
	put_backup(store, 2, 1, LSN(6), LSN(6) + 80, true);
	put_backup(store, 3, 1, LSN(6), LSN(11) + 80, true);	/* not to be had */
	put_backup(store, 4, 1, LSN(14), LSN(14) + 80, false);
	assert_int_equal(find_windows(store, 0, &w), 2);
	assert_window(&w[0], 1, 1, 2, 2, LSN(5) + 80, LSN(8), TIME(5), TIME(7));
	assert_window(&w[1], 1, 4, 4, 1, LSN(14) + 80, LSN(21), TIME(14), TIME(20));
	free(w);

	/* the same backup with its own WAL: from its stop on all is well */
	put_backup(store, 5, 1, LSN(7) + 40, LSN(11) + 80, false);
	assert_int_equal(find_windows(store, 0, &w), 2);
	assert_window(&w[1], 1, 5, 4, 2, LSN(11) + 80, LSN(21), TIME(11), TIME(20));
	free(w);
	bkc_store_close(store);
}

/* A long backup around a short one; the archive begins in between. */
static void
test_windows_overlap(void **state)
{
	BkcStore   *store = util_store();
	BkcRecoveryWindow *w;

	put_run(store, 1, 6, 20);
	put_backup(store, 1, 1, LSN(4), LSN(12) + 80, true);
	put_backup(store, 2, 1, LSN(8), LSN(9) + 80, true);
	put_backup(store, 3, 1, LSN(7), LSN(11) + 80, true);
	assert_int_equal(find_windows(store, 0, &w), 1);
	assert_window(&w[0], 1, 2, 3, 2, LSN(9) + 80, LSN(21), TIME(9), TIME(20));
	free(w);
	bkc_store_close(store);
}

static void
test_windows_timelines(void **state)
{
	static const uint64_t forks[] = {LSN(7) + 300, LSN(12)};
	BkcStore   *store = util_store();
	BkcRecoveryWindow *w;

	put_history(store, 2, forks, 1);
	put_history(store, 3, forks, 2);
	put_run(store, 1, 3, 9);	/* went on behind the fork */
	put_run(store, 2, 7, 11);
	put_run(store, 3, 12, 14);
	put_backup(store, 1, 1, LSN(4), LSN(4) + 80, false);
	put_backup(store, 2, 1, LSN(8), LSN(8) + 80, false);	/* only on 1 */
	put_backup(store, 3, 2, LSN(9), LSN(9) + 80, false);
	put_backup(store, 4, 3, LSN(13), LSN(13) + 80, false);
	assert_int_equal(find_windows(store, 0, &w), 3);
	assert_window(&w[0], 1, 1, 2, 2, LSN(4) + 80, LSN(10), TIME(4), TIME(9));
	assert_window(&w[1], 2, 1, 3, 2, LSN(4) + 80, LSN(12), TIME(4), TIME(11));
	assert_window(&w[2], 3, 1, 4, 3, LSN(4) + 80, LSN(15), TIME(4), TIME(14));
	free(w);
	bkc_store_close(store);

	/* timeline 2 begins with a gap: nothing from before it reaches it */
	store = util_store();
	put_history(store, 2, forks, 1);
	put_run(store, 1, 3, 9);
	put_run(store, 2, 8, 11);
	put_backup(store, 1, 1, LSN(4), LSN(4) + 80, false);
	put_backup(store, 3, 2, LSN(9), LSN(9) + 80, false);
	assert_int_equal(find_windows(store, 0, &w), 2);
	assert_window(&w[0], 1, 1, 1, 1, LSN(4) + 80, LSN(10), TIME(4), TIME(9));
	assert_window(&w[1], 2, 3, 3, 1, LSN(9) + 80, LSN(12), TIME(9), TIME(11));
	free(w);
	bkc_store_close(store);
}

/* The cluster got another segment size in between. */
static void
test_windows_other_size(void **state)
{
	BkcStore   *store = util_store();
	BkcRecoveryWindow *w;

	put_sized(store, 1, 1, 16 * SEGSIZE, TIME(20));
	put_sized(store, 1, 2, 16 * SEGSIZE, TIME(21));
	put_backup(store, 1, 1, LSN(17), LSN(17) + 80, false);
	put_backup(store, 2, 1, LSN(18), LSN(18) + 80, true);
	assert_int_equal(find_windows(store, 16 * SEGSIZE, &w), 1);
	assert_window(&w[0], 1, 1, 1, 1, LSN(17) + 80, LSN(17) + 80, TIME(17), TIME(17));
	free(w);
	bkc_store_close(store);
}

/* Times that cannot be read: at least the last backup's stop. */
static void
test_windows_damaged(void **state)
{
	BkcStore   *store = util_store();
	BkcRecoveryWindow *w;

	put_run(store, 1, 3, 9);
	damage_segment(store, 1, 9);
	put_backup(store, 1, 1, LSN(4), LSN(4) + 80, false);
	put_backup(store, 2, 1, LSN(6), LSN(6) + 80, false);
	assert_int_equal(find_windows(store, SEGSIZE, &w), 1);
	assert_window(&w[0], 1, 1, 2, 2, LSN(4) + 80, LSN(10), TIME(4), TIME(6));
	free(w);
	bkc_store_close(store);
}

static void
test_windows_faults(void **state)
{
	BkcStore   *store = util_store();
	bool		ok = false;

	put_run(store, 1, 3, 9);
	put_backup(store, 1, 1, LSN(4), LSN(4) + 80, false);
	put_backup(store, 2, 1, LSN(12), LSN(12) + 80, false);
	for (uint64_t i = 1; !ok; i++)
	{
		BkcWalMap  *map = load(store, SEGSIZE);
		BkcStore   *inner;
		BkcStore   *faulty;
		BkcBackupSpan *spans;
		BkcRecoveryWindow *w = NULL;
		size_t		nspans;
		size_t		n = 0;
		BkcError	err;

		assert_ok(bkc_store_memory_share(store, &inner, &err));
		assert_ok(bkc_store_faulty_new(inner, i, BKC_ERR_TIMEOUT, NULL, &faulty, &err));
		map->store = faulty;
		ok = bkc_repo_spans(faulty, SYSID, &spans, &nspans, &err) &&
			bkc_recovery_windows(map, spans, nspans, &w, &n, &err);
		assert_true(ok || err.code == BKC_ERR_TIMEOUT);
		assert_int_equal(n, ok ? 2 : 0);
		free(w);
		free(spans);
		bkc_store_close(faulty);
		bkc_walmap_free(map);
	}
	bkc_store_close(store);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_gaps),
		cmocka_unit_test(test_gaps_before_chunks),
		cmocka_unit_test(test_gaps_within),
		cmocka_unit_test(test_gaps_at_forks),
		cmocka_unit_test(test_gaps_start_in_middle),
		cmocka_unit_test(test_gaps_skip_timeline),
		cmocka_unit_test(test_gaps_faults),
		cmocka_unit_test(test_spans),
		cmocka_unit_test(test_peek_large),
		cmocka_unit_test(test_windows_no_wal),
		cmocka_unit_test(test_windows_one),
		cmocka_unit_test(test_windows_gap),
		cmocka_unit_test(test_windows_overlap),
		cmocka_unit_test(test_windows_timelines),
		cmocka_unit_test(test_windows_other_size),
		cmocka_unit_test(test_windows_damaged),
		cmocka_unit_test(test_windows_faults)
	};

	bkc_host_set(&test_host);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
