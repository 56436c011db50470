/*
 * test_pipe_walmap.c
 *		The map of a repository's WAL: what a listing gives, paths through
 *		timelines.
 */
#include "test_pipe_walmap.h"

#include "base/host.h"

static char logged[1024];

static void
take_log(BkcLogLevel level, const char *message)
{
	if (level == BKC_LOG_WARNING)
		snprintf(logged, sizeof(logged), "%s", message);
}

static const BkcHost test_host = {.log = take_log};

static void
assert_run(const BkcWalMap *map, size_t i, uint32_t timeline, uint64_t first, uint64_t last)
{
	assert_true(i < map->nruns);
	assert_int_equal(map->runs[i].timeline, timeline);
	assert_int_equal(map->runs[i].first, first);
	assert_int_equal(map->runs[i].last, last);
}

/* ---- listing ---- */

static void
test_no_wal(void **state)
{
	BkcStore   *store = util_store();
	BkcWalMap  *map = load(store, 0);

	assert_int_equal(map->segment_size, 0);
	assert_int_equal(map->nruns + map->ntails + map->nhistories, 0);
	bkc_walmap_free(map);

	/* other clusters' WAL and other things are no WAL of this one */
	util_put(store, "1/wal/00000001/00000000/000000010000000000000001", "x", 1);
	util_put(store, "7435718529102938471/wal/readme", "x", 1);
	util_put(store, "7435718529102938471/wal/00000001/00000000/000000020000000000000001", "x", 1);
	util_put(store, "7435718529102938471/wal/00000001/00000000/000000010000000000000001x", "x", 1);
	map = load(store, SEGSIZE);
	assert_int_equal(map->segment_size, SEGSIZE);
	assert_int_equal(map->nruns, 0);
	assert_false(bkc_walmap_has(map, 1, 1));
	bkc_walmap_free(map);
	bkc_walmap_free(NULL);
	bkc_store_close(store);
}

static void
test_runs(void **state)
{
	BkcStore   *store = util_store();
	BkcWalMap  *map;

	put_run(store, 1, 5, 5);
	map = load(store, 0);
	assert_int_equal(map->segment_size, SEGSIZE);
	assert_int_equal(map->nruns, 1);
	assert_run(map, 0, 1, 5, 5);
	bkc_walmap_free(map);

	put_run(store, 1, 6, 9);
	put_run(store, 1, 11, 11);
	put_run(store, 1, 40, 42);
	put_run(store, 2, 43, 44);
	put_run(store, 0xABCDEF01, 45, 45);
	map = load(store, 0);
	assert_int_equal(map->nruns, 5);
	assert_run(map, 0, 1, 5, 9);
	assert_run(map, 1, 1, 11, 11);
	assert_run(map, 2, 1, 40, 42);
	assert_run(map, 3, 2, 43, 44);
	assert_run(map, 4, 0xABCDEF01, 45, 45);
	assert_false(bkc_walmap_has(map, 1, 4));
	assert_true(bkc_walmap_has(map, 1, 5));
	assert_true(bkc_walmap_has(map, 1, 9));
	assert_false(bkc_walmap_has(map, 1, 10));
	assert_true(bkc_walmap_has(map, 1, 11));
	assert_false(bkc_walmap_has(map, 1, 43));
	assert_true(bkc_walmap_has(map, 2, 43));
	assert_false(bkc_walmap_has(map, 2, 42));
	assert_false(bkc_walmap_has(map, 3, 43));
	assert_true(bkc_walmap_has(map, 0xABCDEF01, 45));
	assert_false(bkc_walmap_has(map, 0xFFFFFFFF, 45));
	bkc_walmap_free(map);
	bkc_store_close(store);
}

/* A log's last segment is followed by the next log's first. */
static void
test_logs(void **state)
{
	static const uint32_t sizes[] = {SEGSIZE, 16 * SEGSIZE, 64 * SEGSIZE, 1024 * SEGSIZE};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
	{
		BkcStore   *store = util_store();
		uint64_t	per_log = (UINT64_C(1) << 32) / sizes[i];
		BkcWalMap  *map;

		for (uint64_t segno = 3 * per_log - 2; segno <= 3 * per_log + 1; segno++)
			put_sized(store, 1, segno, sizes[i], TIME(0));
		map = load(store, 0);
		assert_int_equal(map->segment_size, sizes[i]);
		assert_int_equal(map->nruns, 1);
		assert_run(map, 0, 1, 3 * per_log - 2, 3 * per_log + 1);
		bkc_walmap_free(map);
		bkc_store_close(store);
	}
}

static void
test_beside(void **state)
{
	BkcStore   *store = util_store();
	char		name[BKC_NAME_MAX];
	BkcWalMap  *map;
	BkcError	err;

	put_run(store, 1, 5, 6);
	put_conflict(store, 1, 5, TIME(50));

	/* chunks of a whole segment do not count, however many there are */
	put_chunk(store, 1, 6, 1, 0, 100, TIME(6));
	put_chunk(store, 1, 6, 2, 0, 100, TIME(6));
	put_chunk(store, 1, 7, 2, 0, 100, TIME(7));
	put_chunk(store, 1, 7, 2, 100, 100, TIME(7));
	put_chunk(store, 2, 9, 3, 0, 100, TIME(7));

	/* neither segments nor chunks */
	assert_ok(bkc_name_wal_file(SYSID, "000000010000000000000008.partial", "0123456789abcdef",
								name, &err));
	util_put(store, name, "x", 1);
	assert_ok(bkc_name_wal_file(SYSID, "000000010000000000000008.00000028.backup", NULL,
								name, &err));
	util_put(store, name, "x", 1);

	map = load(store, 0);
	assert_int_equal(map->nruns, 1);
	assert_run(map, 0, 1, 5, 6);
	assert_int_equal(map->nconflicts, 1);
	assert_int_equal(map->conflicts[0].segno, 5);
	assert_int_equal(map->ntails, 2);
	assert_int_equal(map->tails[0].timeline, 1);
	assert_int_equal(map->tails[0].segno, 7);
	assert_int_equal(map->tails[1].timeline, 2);
	assert_int_equal(map->tails[1].segno, 9);
	bkc_walmap_free(map);
	bkc_store_close(store);
}

/* Only chunks: their info tells the segment size, too. */
static void
test_chunks_only(void **state)
{
	BkcStore   *store = util_store();
	BkcWalMap  *map;

	put_chunk(store, 1, 1, 1, 0, 100, TIME(1));
	map = load(store, 0);
	assert_int_equal(map->segment_size, SEGSIZE);
	assert_int_equal(map->nruns, 0);
	assert_int_equal(map->ntails, 1);
	bkc_walmap_free(map);
	bkc_store_close(store);
}

static void
test_size_unknown(void **state)
{
	BkcStore   *store = util_store();
	BkcWalMap  *map;
	BkcError	err;

	put_run(store, 1, 5, 7);
	damage_segment(store, 1, 5);
	map = load(store, 0);
	assert_int_equal(map->segment_size, SEGSIZE);
	assert_run(map, 0, 1, 5, 7);
	bkc_walmap_free(map);

	damage_segment(store, 1, 6);
	damage_segment(store, 1, 7);
	assert_fails(bkc_walmap_load(store, SYSID, 0, &map, &err), BKC_ERR_CORRUPT);
	assert_null(map);

	/* who knows it need not read anything */
	map = load(store, SEGSIZE);
	assert_run(map, 0, 1, 5, 7);
	bkc_walmap_free(map);
	bkc_store_close(store);
}

/* Names that only another segment size can have are left alone. */
static void
test_other_size(void **state)
{
	BkcStore   *store = util_store();
	BkcWalMap  *map;

	put_sized(store, 1, 3, 16 * SEGSIZE, TIME(3));
	put_sized(store, 1, 4095, SEGSIZE, TIME(4));
	map = load(store, 16 * SEGSIZE);
	assert_int_equal(map->nruns, 1);
	assert_run(map, 0, 1, 3, 3);
	bkc_walmap_free(map);
	bkc_store_close(store);
}

/* ---- a store that changes while it is listed ---- */

typedef struct Late
{
	BkcStore	base;
	BkcStoreOps ops;
	BkcStore   *inner;
	BkcStore   *other;
	uint64_t	late[4];		/* segments of timelines 1 and 2 that listings do not show */
	bool	  (*each) (void *arg, const char *name, uint64_t size, BkcError *err);
	void	   *arg;
} Late;

static bool
late_each(void *arg, const char *name, uint64_t size, BkcError *err)
{
	Late	   *late = arg;

	for (size_t i = 0; i < 4; i++)
	{
		for (uint32_t timeline = 1; timeline <= 2; timeline++)
		{
			char		hidden[BKC_NAME_MAX];

			segment_object(timeline, late->late[i], hidden);
			if (strcmp(name, hidden) == 0)
				return true;
		}
	}
	return late->each(late->arg, name, size, err);
}

static bool
late_list(BkcStore *store, const char *prefix, bool deep,
		  bool (*each) (void *arg, const char *name, uint64_t size, BkcError *err),
		  void *arg, BkcError *err)
{
	Late	   *late = (Late *) store;

	late->each = each;
	late->arg = arg;
	return bkc_store_list(late->inner, prefix, deep, late_each, late, err);
}

static bool
late_open_read(BkcStore *store, const char *name, uint64_t offset, uint64_t length,
			   BkcReader **reader, BkcError *err)
{
	return bkc_store_open_read(((Late *) store)->inner, name, offset, length, reader, err);
}

static bool
late_stat(BkcStore *store, const char *name, uint64_t *size, BkcError *err)
{
	return bkc_store_stat(((Late *) store)->inner, name, size, err);
}

static void
test_came_late(void **state)
{
	char		location[] = "memory://late";
	Late		late = {0};
	BkcWalMap  *map;

	late.inner = util_store();
	late.ops = (BkcStoreOps) {.list = late_list, .open_read = late_open_read, .stat = late_stat};
	late.base.ops = &late.ops;
	late.base.location = location;
	put_run(late.inner, 1, 5, 7);
	put_run(late.inner, 1, 10, 20);
	put_run(late.inner, 1, 23, 25);

	/* in the newest hole of a timeline those are found that came meanwhile ... */
	late.late[0] = 14;
	late.late[1] = 15;
	put_chunk(late.inner, 1, 26, 1, 0, 100, TIME(26));
	map = load(&late.base, SEGSIZE);
	assert_int_equal(map->nruns, 4);
	assert_run(map, 1, 1, 10, 13);	/* ... but older holes are none of that kind */
	assert_run(map, 2, 1, 16, 20);
	assert_int_equal(map->ntails, 1);
	bkc_walmap_free(map);

	put_run(late.inner, 1, 21, 22);
	late.late[0] = 21;
	late.late[1] = 22;
	map = load(&late.base, SEGSIZE);
	assert_int_equal(map->nruns, 2);
	assert_run(map, 1, 1, 10, 25);
	bkc_walmap_free(map);

	/* the open segment is whole now */
	put_run(late.inner, 1, 26, 26);
	late.late[0] = 26;
	map = load(&late.base, SEGSIZE);
	assert_int_equal(map->nruns, 2);
	assert_run(map, 1, 1, 10, 26);
	assert_int_equal(map->ntails, 0);
	bkc_walmap_free(map);

	/* so is the next one, and there are chunks of what follows it */
	put_run(late.inner, 1, 27, 28);
	late.late[1] = 27;
	late.late[2] = 28;
	put_chunk(late.inner, 1, 27, 1, 0, 100, TIME(27));
	put_chunk(late.inner, 1, 29, 1, 0, 100, TIME(29));
	map = load(&late.base, SEGSIZE);
	assert_int_equal(map->nruns, 2);
	assert_run(map, 1, 1, 10, 28);
	assert_int_equal(map->ntails, 1);
	assert_int_equal(map->tails[0].segno, 29);
	bkc_walmap_free(map);

	/* a timeline of which nothing else is shown than the chunks behind */
	put_run(late.inner, 2, 26, 28);
	put_chunk(late.inner, 2, 28, 1, 0, 100, TIME(28));
	put_chunk(late.inner, 2, 29, 1, 0, 100, TIME(29));
	late.late[0] = 26;
	map = load(&late.base, SEGSIZE);
	assert_int_equal(map->nruns, 3);
	assert_run(map, 2, 2, 26, 28);
	assert_int_equal(map->ntails, 2);
	assert_int_equal(map->tails[1].timeline, 2);
	assert_int_equal(map->tails[1].segno, 29);
	bkc_walmap_free(map);
	bkc_store_close(late.inner);
}

static void
test_faults(void **state)
{
	bool		ok = false;

	for (uint64_t n = 1; !ok; n++)
	{
		BkcStore   *store = util_store();
		BkcStore   *inner;
		BkcStore   *faulty;
		BkcWalMap  *map;
		uint64_t	calls;
		uint64_t	fork = LSN(6);
		BkcError	err;

		put_run(store, 1, 5, 6);
		put_run(store, 1, 8, 9);
		put_history(store, 2, &fork, 1);
		assert_ok(bkc_store_memory_share(store, &inner, &err));
		assert_ok(bkc_store_faulty_new(inner, n, BKC_ERR_UNAVAILABLE, &calls, &faulty, &err));
		ok = bkc_walmap_load(faulty, SYSID, 0, &map, &err);
		if (ok)
		{
			assert_true(calls < n);
			assert_int_equal(map->nruns, 2);
			assert_int_equal(map->nhistories, 1);
			assert_true(n > 5);
		}
		else
		{
			assert_int_equal(err.code, BKC_ERR_UNAVAILABLE);
			assert_null(map);
		}
		bkc_walmap_free(map);
		bkc_store_close(faulty);
		bkc_store_close(store);
	}
}

/* ---- histories and paths ---- */

static void
assert_leg(const BkcWalPath *path, size_t i, uint32_t timeline, uint64_t begin, uint64_t end)
{
	assert_true(i < path->n);
	assert_int_equal(path->legs[i].timeline, timeline);
	assert_int_equal(path->legs[i].begin, begin);
	assert_int_equal(path->legs[i].end, end);
}

static void
test_histories(void **state)
{
	static const uint64_t forks[] = {0x3000100, 0x5000000};
	BkcStore   *store = util_store();
	BkcWalMap  *map;
	BkcWalPath	path;
	BkcError	err;

	put_history(store, 2, forks, 1);
	put_history(store, 3, forks, 2);
	put_history_text(store, 4, "this is no history\n");
	logged[0] = '\0';
	map = load(store, SEGSIZE);
	assert_non_null(strstr(logged, "timeline 4"));
	assert_int_equal(map->nhistories, 2);

	assert_ok(bkc_walmap_path(map, 1, &path, &err));
	assert_int_equal(path.n, 1);
	assert_leg(&path, 0, 1, 0, UINT64_MAX);
	bkc_walpath_free(&path);
	assert_ok(bkc_walmap_path(map, 3, &path, &err));
	assert_int_equal(path.n, 3);
	assert_leg(&path, 0, 1, 0, 0x3000100);
	assert_leg(&path, 1, 2, 0x3000100, 0x5000000);
	assert_leg(&path, 2, 3, 0x5000000, UINT64_MAX);
	assert_true(bkc_walpath_contains(&path, 1, 0));
	assert_true(bkc_walpath_contains(&path, 1, 0x3000100));
	assert_false(bkc_walpath_contains(&path, 1, 0x3000101));
	assert_false(bkc_walpath_contains(&path, 2, 0x30000FF));
	assert_true(bkc_walpath_contains(&path, 2, 0x3000100));
	assert_true(bkc_walpath_contains(&path, 3, UINT64_MAX));
	assert_false(bkc_walpath_contains(&path, 4, 0x5000000));
	bkc_walpath_free(&path);
	bkc_walpath_free(&path);

	/* without its history a timeline stands alone */
	assert_ok(bkc_walmap_path(map, 4, &path, &err));
	assert_int_equal(path.n, 1);
	assert_leg(&path, 0, 4, 0, UINT64_MAX);
	bkc_walpath_free(&path);
	bkc_walmap_free(map);
	bkc_store_close(store);
}

static void
test_damaged_history(void **state)
{
	static const uint64_t forks[] = {0x3000100};
	BkcStore   *store = util_store();
	char		name[BKC_NAME_MAX];
	BkcWalMap  *map;
	BkcError	err;

	put_history(store, 2, forks, 1);
	assert_ok(bkc_name_wal_file(SYSID, "00000002.history", NULL, name, &err));
	damage(store, name);
	logged[0] = '\0';
	map = load(store, 0);
	assert_int_equal(map->nhistories, 0);
	assert_non_null(strstr(logged, "00000002.history"));
	assert_int_equal(map->ndamaged, 1);
	assert_int_equal(bkc_walmap_unknown_above(map, 1), 2);
	assert_int_equal(bkc_walmap_unknown_above(map, 2), 0);
	bkc_walmap_free(map);

	/* WAL whose history is not there at all */
	put_run(store, 4, 6, 7);
	put_chunk(store, 3, 5, 1, 0, 100, TIME(5));
	map = load(store, 0);
	assert_int_equal(bkc_walmap_unknown_above(map, 1), 2);
	assert_int_equal(bkc_walmap_unknown_above(map, 2), 3);
	assert_int_equal(bkc_walmap_unknown_above(map, 3), 4);
	assert_int_equal(bkc_walmap_unknown_above(map, 4), 0);

	/* the backup's own copy helps */
	assert_ok(bkc_walmap_add_history(map, 2, "1\t0/3000100\tx\n", 14, &err));
	assert_int_equal(bkc_walmap_unknown_above(map, 1), 3);
	assert_int_equal(map->nhistories, 1);
	assert_int_equal(map->histories[0].entries[0].switch_lsn, 0x3000100);
	assert_ok(bkc_walmap_add_history(map, 2, "1\t0/4000100\tx\n", 14, &err));
	assert_int_equal(map->nhistories, 1);
	assert_int_equal(map->histories[0].entries[0].switch_lsn, 0x3000100);
	assert_ok(bkc_walmap_add_history(map, 9, "1\t0/4000100\tx\n", 14, &err));
	assert_ok(bkc_walmap_add_history(map, 5, "1\t0/4000100\tx\n", 14, &err));
	assert_int_equal(map->nhistories, 3);
	assert_int_equal(map->histories[1].timeline, 5);
	assert_fails(bkc_walmap_add_history(map, 7, "nonsense", 8, &err), BKC_ERR_CORRUPT);
	assert_int_equal(map->nhistories, 3);
	bkc_walmap_free(map);
	bkc_store_close(store);
}

/*
 * A recovery towards timeline 2 ended before timeline 2 began: the server
 * writes such a history, and then uses timeline 1 up to where 3 begins.
 */
static void
test_leg_of_nothing(void **state)
{
	static const uint64_t odd[] = {0x5000000, 0x4000000};
	static const uint64_t same[] = {0x5000000, 0x5000000};
	static const uint64_t deep[] = {0x6000000, 0x7000000, 0x4000000};
	BkcStore   *store = util_store();
	BkcWalMap  *map;
	BkcWalPath	path;
	BkcError	err;

	put_history(store, 3, odd, 2);
	put_history(store, 5, same, 2);
	put_history(store, 7, deep, 3);
	map = load(store, SEGSIZE);
	assert_int_equal(map->nhistories, 3);
	assert_ok(bkc_walmap_path(map, 3, &path, &err));
	assert_int_equal(path.n, 2);
	assert_leg(&path, 0, 1, 0, 0x4000000);
	assert_leg(&path, 1, 3, 0x4000000, UINT64_MAX);
	bkc_walpath_free(&path);
	assert_ok(bkc_walmap_path(map, 5, &path, &err));
	assert_int_equal(path.n, 2);
	assert_leg(&path, 0, 1, 0, 0x5000000);
	assert_leg(&path, 1, 5, 0x5000000, UINT64_MAX);
	bkc_walpath_free(&path);
	assert_ok(bkc_walmap_path(map, 7, &path, &err));
	assert_int_equal(path.n, 2);
	assert_leg(&path, 0, 1, 0, 0x4000000);
	assert_leg(&path, 1, 7, 0x4000000, UINT64_MAX);
	bkc_walpath_free(&path);
	bkc_walmap_free(map);
	bkc_store_close(store);
}

static void
assert_latest(const BkcWalMap *map, uint32_t timeline, uint64_t lsn, uint32_t expected)
{
	uint32_t	latest;
	BkcError	err;

	assert_ok(bkc_walmap_latest(map, timeline, lsn, &latest, &err));
	assert_int_equal(latest, expected);
}

/* 1 -> 2 -> 3 and, from an early point of 1, 4. */
static void
test_latest(void **state)
{
	BkcStore   *store = util_store();
	BkcWalMap  *map;

	put_history_text(store, 2, "1\t0/5000000\tx\n");
	put_history_text(store, 3, "1\t0/5000000\tx\n\n2\t0/7000000\tx\n");
	put_history_text(store, 4, "1\t0/3000000\tx\n");
	map = load(store, SEGSIZE);
	assert_int_equal(map->nhistories, 3);
	assert_latest(map, 1, 0x2000000, 4);
	assert_latest(map, 1, 0x3000000, 4);
	assert_latest(map, 1, 0x3000001, 3);
	assert_latest(map, 1, 0x5000000, 3);
	assert_latest(map, 1, 0x5000001, 1);
	assert_latest(map, 2, 0x6000000, 3);
	assert_latest(map, 2, 0x7000001, 2);
	assert_latest(map, 3, 0x8000000, 3);
	assert_latest(map, 4, 0x8000000, 4);
	assert_latest(map, 9, 0x8000000, 9);
	bkc_walmap_free(map);
	bkc_store_close(store);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_wal),
		cmocka_unit_test(test_runs),
		cmocka_unit_test(test_logs),
		cmocka_unit_test(test_beside),
		cmocka_unit_test(test_chunks_only),
		cmocka_unit_test(test_size_unknown),
		cmocka_unit_test(test_other_size),
		cmocka_unit_test(test_came_late),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_histories),
		cmocka_unit_test(test_damaged_history),
		cmocka_unit_test(test_leg_of_nothing),
		cmocka_unit_test(test_latest)
	};

	bkc_host_set(&test_host);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
