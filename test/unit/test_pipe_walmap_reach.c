/*
 * test_pipe_walmap_reach.c
 *		How far WAL reaches on a path, and which piece of it reaches a time.
 */
#include "test_pipe_walmap.h"

static void
assert_end(const BkcWalReach *reach, uint32_t timeline, uint64_t lsn, int64_t time)
{
	assert_int_equal(reach->timeline, timeline);
	assert_int_equal(reach->end_lsn, lsn);
	assert_int_equal(reach->end_time, time);
}

static void
assert_beyond(const BkcWalReach *reach, uint64_t beyond, uint64_t gap, int64_t time)
{
	assert_int_equal(reach->beyond, beyond);
	assert_int_equal(reach->gap, gap);
	assert_int_equal(reach->beyond_time, time);
}

static void
test_nothing(void **state)
{
	BkcStore   *store = util_store();
	BkcWalHave	have = {.timeline = 1, .start_lsn = LSN(3) + 40, .end_lsn = LSN(4) + 80, .time = 7};
	BkcWalMap  *map = load(store, 0);
	BkcWalReach reach;

	reach = reach_to(map, 1, 1, LSN(3) + 40, NULL);
	assert_end(&reach, 1, LSN(3) + 40, 0);
	assert_string_equal(reach.missing, "");
	reach = reach_to(map, 1, 1, LSN(3) + 40, &have);
	assert_end(&reach, 1, LSN(4) + 80, 7);
	bkc_walmap_free(map);

	map = load(store, SEGSIZE);
	reach = reach_to(map, 1, 1, LSN(3) + 40, NULL);
	assert_end(&reach, 1, LSN(3) + 40, 0);
	assert_segment(reach.missing, 1, 3);
	assert_false(reach.open);
	reach = reach_to(map, 1, 1, LSN(3) + 40, &have);
	assert_end(&reach, 1, LSN(4) + 80, 7);
	assert_segment(reach.missing, 1, 5);
	have.end_lsn = 0;
	reach = reach_to(map, 1, 1, LSN(3) + 40, &have);
	assert_end(&reach, 1, LSN(3) + 40, 0);
	bkc_walmap_free(map);
	bkc_store_close(store);
}

static void
test_run(void **state)
{
	BkcStore   *store = util_store();
	BkcWalMap  *map;
	BkcWalReach reach;

	put_run(store, 1, 4, 6);
	map = load(store, 0);
	for (uint64_t start = LSN(4); start < LSN(7); start += SEGSIZE / 2)
	{
		reach = reach_to(map, 1, 1, start, NULL);
		assert_end(&reach, 1, LSN(7), TIME(6));
		assert_segment(reach.missing, 1, 7);
		assert_beyond(&reach, 0, 0, 0);
	}
	/* before it and behind it */
	reach = reach_to(map, 1, 1, LSN(2) + 1, NULL);
	assert_end(&reach, 1, LSN(2) + 1, 0);
	assert_segment(reach.missing, 1, 2);
	assert_beyond(&reach, 3, 2, TIME(4));
	reach = reach_to(map, 1, 1, LSN(7), NULL);
	assert_end(&reach, 1, LSN(7), 0);
	assert_segment(reach.missing, 1, 7);
	assert_beyond(&reach, 0, 0, 0);
	bkc_walmap_free(map);
	bkc_store_close(store);
}

static void
test_gap(void **state)
{
	BkcStore   *store = util_store();
	BkcWalHave	have = {.timeline = 1, .start_lsn = LSN(6) + 40, .end_lsn = LSN(8) + 80, .time = 7};
	BkcWalMap  *map;
	BkcWalReach reach;

	put_run(store, 1, 4, 5);
	put_run(store, 1, 8, 8);
	put_run(store, 1, 20, 21);
	map = load(store, 0);
	reach = reach_to(map, 1, 1, LSN(4), NULL);
	assert_end(&reach, 1, LSN(6), TIME(5));
	assert_segment(reach.missing, 1, 6);
	assert_beyond(&reach, 3, 2, TIME(8));

	/* what the backup has itself closes the first gap */
	reach = reach_to(map, 1, 1, LSN(6) + 40, &have);
	assert_end(&reach, 1, LSN(9), TIME(8));
	assert_segment(reach.missing, 1, 9);
	assert_beyond(&reach, 2, 11, TIME(20));

	/* on another timeline it is of no use */
	have.timeline = 2;
	reach = reach_to(map, 1, 1, LSN(6) + 40, &have);
	assert_end(&reach, 1, LSN(6) + 40, 0);
	bkc_walmap_free(map);
	bkc_store_close(store);
}

static void
test_tail(void **state)
{
	BkcStore   *store = util_store();
	BkcWalMap  *map;
	BkcWalReach reach;

	put_run(store, 1, 4, 5);
	put_chunk(store, 1, 6, 1, 0, 1000, TIME(6));
	put_chunk(store, 1, 6, 1, 1000, 500, TIME(6) + 1);
	map = load(store, 0);
	reach = reach_to(map, 1, 1, LSN(4), NULL);
	assert_end(&reach, 1, LSN(6) + 1500, TIME(6) + 1);
	assert_true(reach.open);
	assert_segment(reach.missing, 1, 6);
	assert_beyond(&reach, 0, 0, 0);
	reach = reach_to(map, 1, 1, LSN(6) + 100, NULL);
	assert_end(&reach, 1, LSN(6) + 1500, TIME(6) + 1);
	assert_true(reach.open);

	/* chunks that end before the start are nothing */
	reach = reach_to(map, 1, 1, LSN(6) + 1500, NULL);
	assert_end(&reach, 1, LSN(6) + 1500, 0);
	assert_false(reach.open);
	bkc_walmap_free(map);

	/* a later segment, whole or not, says that this one should be whole */
	put_chunk(store, 1, 7, 1, 0, 1000, TIME(7));
	map = load(store, 0);
	reach = reach_to(map, 1, 1, LSN(4), NULL);
	assert_end(&reach, 1, LSN(6), TIME(5));
	assert_false(reach.open);
	assert_beyond(&reach, 1, 1, 0);
	bkc_walmap_free(map);
	put_run(store, 1, 9, 9);
	map = load(store, 0);
	reach = reach_to(map, 1, 1, LSN(4), NULL);
	assert_end(&reach, 1, LSN(6), TIME(5));
	assert_false(reach.open);
	assert_segment(reach.missing, 1, 6);
	assert_beyond(&reach, 2, 1, 0);
	bkc_walmap_free(map);
	bkc_store_close(store);
}

/* Chunks are sent when the segment before theirs is there, so it was. */
static void
test_tail_apart(void **state)
{
	BkcStore   *store = util_store();
	BkcWalMap  *map;
	BkcWalReach reach;

	put_run(store, 1, 4, 5);
	put_chunk(store, 1, 8, 1, 0, 1000, TIME(8));
	map = load(store, 0);
	reach = reach_to(map, 1, 1, LSN(4), NULL);
	assert_end(&reach, 1, LSN(6), TIME(5));
	assert_false(reach.open);
	assert_segment(reach.missing, 1, 6);
	assert_beyond(&reach, 1, 2, 0);
	bkc_walmap_free(map);

	/* not of that kind: it may have been on its way when 7 arrived */
	put_run(store, 1, 7, 7);
	map = load(store, 0);
	reach = reach_to(map, 1, 1, LSN(4), NULL);
	assert_beyond(&reach, 2, 1, TIME(7));
	bkc_walmap_free(map);
	put_run(store, 1, 6, 6);
	map = load(store, 0);
	reach = reach_to(map, 1, 1, LSN(4), NULL);
	assert_end(&reach, 1, LSN(8) + 1000, TIME(8));
	assert_beyond(&reach, 0, 0, 0);
	bkc_walmap_free(map);
	bkc_store_close(store);
}

/* Of the child there are only chunks. */
static void
test_tail_behind_fork(void **state)
{
	static const uint64_t forks[] = {LSN(7) + 300, LSN(9) + 300};
	BkcStore   *store = util_store();
	BkcWalMap  *map;
	BkcWalReach reach;

	put_history(store, 2, forks, 1);
	put_history(store, 3, forks, 2);
	put_run(store, 1, 4, 5);
	put_chunk(store, 2, 7, 1, 0, 1000, TIME(7));
	map = load(store, 0);
	reach = reach_to(map, 2, 1, LSN(4), NULL);
	assert_end(&reach, 1, LSN(6), TIME(5));
	assert_segment(reach.missing, 1, 6);
	assert_beyond(&reach, 1, 1, 0);

	/* to another timeline they are of no concern behind where it leaves theirs */
	reach = reach_to(map, 1, 1, LSN(4), NULL);
	assert_beyond(&reach, 0, 0, 0);
	bkc_walmap_free(map);
	put_chunk(store, 2, 9, 1, 0, 1000, TIME(9));
	map = load(store, 0);
	reach = reach_to(map, 3, 1, LSN(4), NULL);
	assert_beyond(&reach, 1, 1, 0);
	reach = reach_to(map, 2, 1, LSN(4), NULL);
	assert_beyond(&reach, 2, 1, 0);
	bkc_walmap_free(map);
	put_run(store, 1, 6, 6);
	put_run(store, 2, 7, 8);
	map = load(store, 0);
	reach = reach_to(map, 2, 1, LSN(4), NULL);
	assert_end(&reach, 2, LSN(9) + 1000, TIME(9));
	assert_beyond(&reach, 0, 0, 0);
	bkc_walmap_free(map);
	bkc_store_close(store);
}

static void
drop_chunk(BkcStore *store, uint32_t timeline, uint64_t segno, uint64_t generation,
		   uint32_t offset)
{
	char		file[BKC_WAL_NAME_MAX];
	char		name[BKC_NAME_MAX];
	const char *names[1] = {name};
	BkcError	err;

	bkc_wal_segment_name(timeline, segno, SEGSIZE, file);
	assert_ok(bkc_name_wal_chunk(SYSID, file, generation, offset, name, &err));
	assert_ok(bkc_store_remove(store, names, 1, &err));
}

/* Chunks that say that there was more, also those of an ancestor, but not behind a fork. */
static void
test_tail_damaged(void **state)
{
	static const uint64_t fork = LSN(6) + 2000;
	BkcStore   *store = util_store();
	BkcWalMap  *map;
	BkcWalReach reach;

	put_run(store, 1, 4, 5);
	for (uint32_t i = 0; i < 5; i++)
		put_chunk(store, 1, 6, 1, i * 1000, 1000, TIME(6) + i);
	put_history(store, 2, &fork, 1);
	drop_chunk(store, 1, 6, 1, 3000);
	map = load(store, 0);
	reach = reach_to(map, 1, 1, LSN(4), NULL);
	assert_end(&reach, 1, LSN(6) + 3000, TIME(6) + 2);
	assert_segment(reach.damaged, 1, 6);
	assert_beyond(&reach, 0, 0, 0);
	reach = reach_to(map, 2, 1, LSN(4), NULL);
	assert_end(&reach, 1, fork, TIME(5));
	assert_string_equal(reach.damaged, "");
	drop_chunk(store, 1, 6, 1, 1000);
	reach = reach_to(map, 2, 1, LSN(4), NULL);
	assert_end(&reach, 1, LSN(6) + 1000, TIME(5));
	assert_segment(reach.damaged, 1, 6);
	drop_chunk(store, 1, 6, 1, 0);
	reach = reach_to(map, 2, 1, LSN(4), NULL);
	assert_end(&reach, 1, LSN(6), TIME(5));
	assert_segment(reach.damaged, 1, 6);
	reach = reach_to(map, 1, 1, LSN(4), NULL);
	assert_end(&reach, 1, LSN(6), TIME(5));
	assert_segment(reach.damaged, 1, 6);
	assert_false(reach.open);
	bkc_walmap_free(map);
	bkc_store_close(store);
}

/* The open segment became whole, and its chunks went, after the map was made. */
static void
test_tail_became_whole(void **state)
{
	BkcStore   *store = util_store();
	char		file[BKC_WAL_NAME_MAX];
	char		name[BKC_NAME_MAX];
	const char *names[1] = {name};
	BkcWalMap  *map;
	BkcWalReach reach;
	BkcError	err;

	put_run(store, 1, 4, 5);
	put_chunk(store, 1, 6, 1, 0, 1000, TIME(6));
	map = load(store, 0);
	put_run(store, 1, 6, 6);
	bkc_wal_segment_name(1, 6, SEGSIZE, file);
	assert_ok(bkc_name_wal_chunk(SYSID, file, 1, 0, name, &err));
	assert_ok(bkc_store_remove(store, names, 1, &err));
	reach = reach_to(map, 1, 1, LSN(4), NULL);
	assert_end(&reach, 1, LSN(7), TIME(6));
	assert_false(reach.open);
	assert_segment(reach.missing, 1, 7);

	/* gone without a trace: what was there before them is there */
	segment_object(1, 6, name);
	assert_ok(bkc_store_remove(store, names, 1, &err));
	reach = reach_to(map, 1, 1, LSN(4), NULL);
	assert_end(&reach, 1, LSN(6), TIME(5));
	assert_segment(reach.missing, 1, 6);
	bkc_walmap_free(map);
	bkc_store_close(store);
}

/* Chunks that do not begin the segment, and such as are damaged, give nothing. */
static void
test_tail_useless(void **state)
{
	BkcStore   *store = util_store();
	char		file[BKC_WAL_NAME_MAX];
	char		name[BKC_NAME_MAX];
	BkcWalMap  *map;
	BkcWalReach reach;
	BkcError	err;

	put_run(store, 1, 4, 5);
	put_chunk(store, 1, 6, 1, 100, 1000, TIME(6));
	map = load(store, 0);
	reach = reach_to(map, 1, 1, LSN(4), NULL);
	assert_end(&reach, 1, LSN(6), TIME(5));
	assert_false(reach.open);
	assert_segment(reach.damaged, 1, 6);
	bkc_walmap_free(map);

	put_chunk(store, 1, 6, 2, 0, 1000, TIME(6));
	bkc_wal_segment_name(1, 6, SEGSIZE, file);
	assert_ok(bkc_name_wal_chunk(SYSID, file, 2, 0, name, &err));
	damage(store, name);
	map = load(store, 0);
	reach = reach_to(map, 1, 1, LSN(4), NULL);
	assert_end(&reach, 1, LSN(6), TIME(5));
	assert_false(reach.open);
	bkc_walmap_free(map);
	bkc_store_close(store);
}

static void
test_three_timelines(void **state)
{
	static const uint64_t forks[] = {LSN(6) + 300, LSN(9)};
	BkcStore   *store = util_store();
	BkcWalMap  *map;
	BkcWalReach reach;

	put_history(store, 2, forks, 1);
	put_history(store, 3, forks, 2);
	put_run(store, 1, 4, 6);	/* 6 beyond the fork, too: the old server went on */
	put_run(store, 2, 6, 8);
	put_run(store, 3, 9, 10);
	put_chunk(store, 1, 7, 1, 0, 700, TIME(7));
	put_chunk(store, 3, 11, 1, 0, 900, TIME(11));
	map = load(store, 0);
	reach = reach_to(map, 3, 1, LSN(4) + 40, NULL);
	assert_end(&reach, 3, LSN(11) + 900, TIME(11));
	assert_true(reach.open);
	reach = reach_to(map, 3, 2, LSN(7), NULL);
	assert_end(&reach, 3, LSN(11) + 900, TIME(11));
	reach = reach_to(map, 2, 1, LSN(4), NULL);
	assert_end(&reach, 2, LSN(9), TIME(8));
	assert_segment(reach.missing, 2, 9);
	reach = reach_to(map, 1, 1, LSN(4), NULL);
	assert_end(&reach, 1, LSN(7) + 700, TIME(7));
	bkc_walmap_free(map);
	bkc_store_close(store);
}

/* The start is not on the way. */
static void
test_not_on_path(void **state)
{
	static const uint64_t fork = LSN(6) + 300;
	BkcStore   *store = util_store();
	BkcWalMap  *map;
	BkcWalPath	path;
	BkcWalReach reach;
	BkcError	err;
	uint32_t	tli;
	uint64_t	lsn;

	put_history(store, 2, &fork, 1);
	put_run(store, 1, 4, 6);
	map = load(store, 0);
	assert_ok(bkc_walmap_path(map, 2, &path, &err));
	assert_fails(bkc_walmap_reach(map, &path, 1, fork + 1, NULL, &reach, &err), BKC_ERR_INVALID);
	assert_fails(bkc_walmap_reach(map, &path, 2, fork - 1, NULL, &reach, &err), BKC_ERR_INVALID);
	assert_fails(bkc_walmap_reach(map, &path, 3, fork, NULL, &reach, &err), BKC_ERR_INVALID);
	assert_fails(bkc_walmap_at_time(map, &path, 1, fork + 1, &reach, 0, &tli, &lsn, &err),
				 BKC_ERR_INVALID);
	bkc_walpath_free(&path);
	bkc_walmap_free(map);
	bkc_store_close(store);
}

/* The segment with the fork in its middle is wanted under the child's number. */
static void
test_fork_within(void **state)
{
	static const uint64_t fork = LSN(6) + 300;
	BkcStore   *store = util_store();
	BkcWalHave	have = {.timeline = 1, .start_lsn = LSN(5), .end_lsn = LSN(6) + 200,
	.time = TIME(5) + 7};
	char		name[BKC_NAME_MAX];
	const char *names[1] = {name};
	BkcWalMap  *map;
	BkcWalReach reach;
	BkcError	err;

	put_history(store, 2, &fork, 1);
	put_run(store, 1, 4, 6);
	put_run(store, 2, 7, 8);
	map = load(store, 0);

	/* when that is not there the server takes its parent's, which is good up to the fork */
	reach = reach_to(map, 2, 1, LSN(4), NULL);
	assert_end(&reach, 1, fork, TIME(5));
	assert_true(reach.fork);
	assert_segment(reach.missing, 2, 6);
	assert_beyond(&reach, 2, 1, TIME(7));
	bkc_walmap_free(map);

	/* also when that is inside the backup only */
	segment_object(1, 6, name);
	assert_ok(bkc_store_remove(store, names, 1, &err));
	map = load(store, 0);
	reach = reach_to(map, 2, 1, LSN(4), NULL);
	assert_end(&reach, 1, LSN(6), TIME(5));
	assert_false(reach.fork);
	reach = reach_to(map, 2, 1, LSN(5) + 40, &have);
	assert_end(&reach, 1, LSN(6) + 200, TIME(5) + 7);
	assert_segment(reach.missing, 2, 6);
	assert_beyond(&reach, 2, 1, TIME(7));
	have.end_lsn = LSN(7);		/* never beyond the fork */
	reach = reach_to(map, 2, 1, LSN(5) + 40, &have);
	assert_end(&reach, 1, fork, TIME(5) + 7);
	bkc_walmap_free(map);

	put_run(store, 2, 6, 6);
	map = load(store, 0);
	reach = reach_to(map, 2, 1, LSN(5) + 40, &have);
	assert_end(&reach, 2, LSN(9), TIME(8));
	bkc_walmap_free(map);
	bkc_store_close(store);
}

static void
test_fork_at_boundary(void **state)
{
	static const uint64_t fork = LSN(6);
	BkcStore   *store = util_store();
	BkcWalMap  *map;
	BkcWalReach reach;

	put_history(store, 2, &fork, 1);
	put_run(store, 1, 4, 5);
	put_run(store, 2, 6, 8);
	map = load(store, 0);
	reach = reach_to(map, 2, 1, LSN(4), NULL);
	assert_end(&reach, 2, LSN(9), TIME(8));
	bkc_walmap_free(map);

	/* the parent's last segment before the fork must be there */
	put_run(store, 1, 6, 7);
	map = load(store, 0);
	reach = reach_to(map, 2, 1, LSN(4), NULL);
	assert_end(&reach, 2, LSN(9), TIME(8));
	bkc_walmap_free(map);
	bkc_store_close(store);

	store = util_store();
	put_history(store, 2, &fork, 1);
	put_run(store, 1, 4, 4);
	put_run(store, 2, 6, 8);
	map = load(store, 0);
	reach = reach_to(map, 2, 1, LSN(4), NULL);
	assert_end(&reach, 1, LSN(5), TIME(4));
	assert_segment(reach.missing, 1, 5);
	assert_beyond(&reach, 3, 1, TIME(6));
	bkc_walmap_free(map);
	bkc_store_close(store);
}

/* Two forks within one segment: the newest child has it. */
static void
test_two_forks_in_one(void **state)
{
	static const uint64_t forks[] = {LSN(6) + 300, LSN(6) + 900};
	BkcStore   *store = util_store();
	BkcWalMap  *map;
	BkcWalReach reach;

	put_history(store, 3, forks, 2);
	put_run(store, 1, 4, 5);
	put_run(store, 2, 6, 6);
	put_run(store, 3, 6, 7);
	map = load(store, 0);
	reach = reach_to(map, 3, 1, LSN(4), NULL);
	assert_end(&reach, 3, LSN(8), TIME(7));
	reach = reach_to(map, 3, 2, LSN(6) + 400, NULL);
	assert_end(&reach, 3, LSN(8), TIME(7));
	bkc_walmap_free(map);
	bkc_store_close(store);
}

/* A timeline of which nothing but the history has arrived. */
static void
test_only_history(void **state)
{
	static const uint64_t forks[] = {LSN(6) + 300, LSN(6) + 900};
	BkcStore   *store = util_store();
	BkcWalMap  *map;
	BkcWalReach reach;

	put_history(store, 2, forks, 1);
	put_history(store, 3, forks, 2);
	put_run(store, 1, 4, 9);
	map = load(store, 0);
	for (uint32_t target = 2; target <= 3; target++)
	{
		reach = reach_to(map, target, 1, LSN(4), NULL);
		assert_end(&reach, 1, forks[0], TIME(5));
		assert_true(reach.fork);
		assert_segment(reach.missing, target, 6);
		assert_beyond(&reach, 0, 0, 0);
	}
	bkc_walmap_free(map);

	/* of two ancestors the newer one's segment counts, or its chunks */
	put_chunk(store, 2, 6, 1, 0, 700, TIME(6));
	map = load(store, 0);
	reach = reach_to(map, 3, 1, LSN(4), NULL);
	assert_end(&reach, 2, LSN(6) + 700, TIME(5));
	bkc_walmap_free(map);
	put_chunk(store, 2, 6, 1, 700, 300, TIME(6));
	map = load(store, 0);
	reach = reach_to(map, 3, 1, LSN(4), NULL);
	assert_end(&reach, 2, forks[1], TIME(5));
	assert_true(reach.fork);
	assert_false(reach.open);
	bkc_walmap_free(map);
	put_run(store, 2, 6, 7);
	map = load(store, 0);
	reach = reach_to(map, 3, 1, LSN(4), NULL);
	assert_end(&reach, 2, forks[1], TIME(5));
	bkc_walmap_free(map);

	/* the child's own come first, even when they reach less far */
	put_chunk(store, 3, 6, 1, 0, 200, TIME(6));
	map = load(store, 0);
	reach = reach_to(map, 3, 1, LSN(4), NULL);
	assert_end(&reach, 3, LSN(6) + 200, TIME(6));
	assert_true(reach.open);
	assert_false(reach.fork);
	bkc_walmap_free(map);
	bkc_store_close(store);
}

static void
test_conflict_time(void **state)
{
	BkcStore   *store = util_store();
	BkcWalMap  *map;
	BkcWalReach reach;

	put_run(store, 1, 4, 6);
	put_conflict(store, 1, 6, TIME(60));
	map = load(store, 0);
	reach = reach_to(map, 1, 1, LSN(4), NULL);
	assert_end(&reach, 1, LSN(7), TIME(60));
	bkc_walmap_free(map);
	bkc_store_close(store);
}

static void
test_damaged(void **state)
{
	BkcStore   *store = util_store();
	BkcWalMap  *map;
	BkcWalReach reach;

	put_run(store, 1, 4, 6);
	put_run(store, 1, 8, 8);
	damage_segment(store, 1, 6);
	damage_segment(store, 1, 8);
	map = load(store, SEGSIZE);
	reach = reach_to(map, 1, 1, LSN(4), NULL);
	assert_end(&reach, 1, LSN(7), 0);
	assert_beyond(&reach, 1, 1, 0);
	bkc_walmap_free(map);
	bkc_store_close(store);
}

/* The last segments that there can be. */
static void
test_end_of_numbers(void **state)
{
	uint64_t	last = UINT64_MAX / SEGSIZE;
	BkcStore   *store = util_store();
	BkcWalMap  *map;
	BkcWalReach reach;

	put_sized(store, 1, last - 2, SEGSIZE, TIME(1));
	put_sized(store, 1, last - 1, SEGSIZE, TIME(2));
	map = load(store, 0);
	reach = reach_to(map, 1, 1, LSN(last - 2), NULL);
	assert_end(&reach, 1, LSN(last), TIME(2));
	assert_segment(reach.missing, 1, last);
	bkc_walmap_free(map);
	bkc_store_close(store);
}

static void
test_reach_faults(void **state)
{
	BkcStore   *store = util_store();
	BkcStore   *inner;
	BkcStore   *faulty;
	BkcWalMap  *map;
	BkcWalPath	path;
	BkcWalReach reach;
	BkcError	err;
	bool		ok = false;

	put_run(store, 1, 4, 5);
	put_run(store, 1, 7, 8);
	map = load(store, 0);
	assert_ok(bkc_walmap_path(map, 1, &path, &err));
	for (uint64_t n = 1; !ok; n++)
	{
		assert_ok(bkc_store_memory_share(store, &inner, &err));
		assert_ok(bkc_store_faulty_new(inner, n, BKC_ERR_TIMEOUT, NULL, &faulty, &err));
		map->store = faulty;
		ok = bkc_walmap_reach(map, &path, 1, LSN(4), NULL, &reach, &err);
		assert_true(ok || err.code == BKC_ERR_TIMEOUT);
		bkc_store_close(faulty);
	}
	assert_end(&reach, 1, LSN(6), TIME(5));
	bkc_walpath_free(&path);
	bkc_walmap_free(map);
	bkc_store_close(store);
}

/* ---- by time ---- */

static uint64_t
at_time(const BkcWalMap *map, uint32_t target, uint32_t timeline, uint64_t start,
		const BkcWalHave *have, int64_t time, uint32_t *tli)
{
	BkcWalReach reach = reach_to(map, target, timeline, start, have);
	BkcWalPath	path;
	BkcError	err;
	uint64_t	lsn = 0;

	*tli = 0;
	assert_ok(bkc_walmap_path(map, target, &path, &err));
	if (!bkc_walmap_at_time(map, &path, timeline, start, &reach, time, tli, &lsn, &err))
	{
		assert_int_equal(err.code, BKC_ERR_NOT_FOUND);
		lsn = 0;
	}
	bkc_walpath_free(&path);
	return lsn;
}

static void
test_at_time(void **state)
{
	BkcStore   *store = util_store();
	BkcWalMap  *map;
	uint32_t	tli;

	put_run(store, 1, 4, 20);
	put_chunk(store, 1, 21, 1, 0, 1000, TIME(21));
	map = load(store, 0);
	assert_int_equal(at_time(map, 1, 1, LSN(4) + 40, NULL, 0, &tli), LSN(4));
	for (uint64_t segno = 4; segno <= 21; segno++)
	{
		assert_int_equal(at_time(map, 1, 1, LSN(4) + 40, NULL, TIME(segno), &tli), LSN(segno));
		assert_int_equal(tli, 1);
		assert_int_equal(at_time(map, 1, 1, LSN(4) + 40, NULL, TIME(segno) - 1, &tli), LSN(segno));
		assert_int_equal(at_time(map, 1, 1, LSN(4) + 40, NULL, TIME(segno) + 1, &tli),
						 segno < 21 ? LSN(segno + 1) : 0);
	}
	/* from a later start on */
	assert_int_equal(at_time(map, 1, 1, LSN(10), NULL, TIME(4), &tli), LSN(10));
	/* nothing at all */
	assert_int_equal(at_time(map, 1, 1, LSN(22), NULL, 0, &tli), 0);
	bkc_walmap_free(map);
	bkc_store_close(store);
}

static void
test_at_time_timelines(void **state)
{
	static const uint64_t forks[] = {LSN(6) + 300, LSN(9)};
	BkcStore   *store = util_store();
	BkcWalMap  *map;
	uint32_t	tli;

	put_history(store, 3, forks, 2);
	put_run(store, 1, 4, 6);
	put_run(store, 2, 6, 8);
	put_run(store, 3, 9, 10);
	map = load(store, 0);
	for (uint64_t segno = 4; segno <= 10; segno++)
	{
		assert_int_equal(at_time(map, 3, 1, LSN(4), NULL, TIME(segno), &tli), LSN(segno));
		assert_int_equal(tli, segno < 6 ? 1 : segno < 9 ? 2 : 3);
	}
	assert_int_equal(at_time(map, 3, 1, LSN(4), NULL, TIME(10) + 1, &tli), 0);
	bkc_walmap_free(map);
	bkc_store_close(store);
}

/* A segment that cannot be read may be the one, so an answer is never too late. */
static void
test_at_time_damaged(void **state)
{
	for (uint64_t bad = 4; bad <= 12; bad++)
	{
		BkcStore   *store = util_store();
		BkcWalMap  *map;
		uint32_t	tli;

		put_run(store, 1, 4, 12);
		damage_segment(store, 1, bad);
		map = load(store, SEGSIZE);
		for (uint64_t segno = 4; segno <= 12; segno++)
		{
			uint64_t	lsn = at_time(map, 1, 1, LSN(4), NULL, TIME(segno), &tli);

			if (segno == bad + 1)
				assert_true(lsn == LSN(bad) || lsn == LSN(segno));
			else
				assert_int_equal(lsn, LSN(segno));
		}
		bkc_walmap_free(map);
		bkc_store_close(store);
	}
}

static void
test_at_time_backup(void **state)
{
	BkcStore   *store = util_store();
	BkcWalHave	have = {.timeline = 1, .start_lsn = LSN(4) + 40, .end_lsn = LSN(7) + 80,
						.time = TIME(7)};
	BkcWalMap  *map;
	uint32_t	tli;

	put_run(store, 1, 5, 5);	/* 4, 6 and 7 are only in the backup */
	put_run(store, 1, 8, 10);
	map = load(store, 0);
	assert_int_equal(at_time(map, 1, 1, LSN(4) + 40, &have, TIME(7) + 1, &tli), LSN(8));
	assert_int_equal(at_time(map, 1, 1, LSN(4) + 40, &have, TIME(8) + 1, &tli), LSN(9));
	bkc_walmap_free(map);
	bkc_store_close(store);

	/* the backup is all there is */
	store = util_store();
	map = load(store, SEGSIZE);
	assert_int_equal(at_time(map, 1, 1, LSN(4) + 40, &have, TIME(7), &tli), LSN(7));
	assert_int_equal(at_time(map, 1, 1, LSN(4) + 40, &have, TIME(7) + 1, &tli), 0);
	bkc_walmap_free(map);
	bkc_store_close(store);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_run),
		cmocka_unit_test(test_gap),
		cmocka_unit_test(test_tail),
		cmocka_unit_test(test_tail_apart),
		cmocka_unit_test(test_tail_behind_fork),
		cmocka_unit_test(test_tail_damaged),
		cmocka_unit_test(test_tail_became_whole),
		cmocka_unit_test(test_tail_useless),
		cmocka_unit_test(test_three_timelines),
		cmocka_unit_test(test_not_on_path),
		cmocka_unit_test(test_fork_within),
		cmocka_unit_test(test_fork_at_boundary),
		cmocka_unit_test(test_two_forks_in_one),
		cmocka_unit_test(test_only_history),
		cmocka_unit_test(test_conflict_time),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_end_of_numbers),
		cmocka_unit_test(test_reach_faults),
		cmocka_unit_test(test_at_time),
		cmocka_unit_test(test_at_time_timelines),
		cmocka_unit_test(test_at_time_damaged),
		cmocka_unit_test(test_at_time_backup)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
