/*
 * test_client_wal.c
 *		Restore's look at the WAL between backup and target: what is found there,
 *		what is missing, and where recovery is told to end.
 */
#include "test_pipe_wal.h"

#include "../../src/client/conffile.c"
#include "../../src/client/json.c"
#include "../../src/client/options.c"
#include "../../src/client/report.c"
#include "../../src/client/restore_goal.c"
#include "../../src/client/restore_reach.c"
#include "../../src/client/restore_scan.c"
#include "../../src/client/restore_wal.c"

#include "walmake.h"

#define FIRST		5			/* segment with the backup */
#define SEC			INT64_C(1000000)
#define PG_EPOCH	INT64_C(946684800)	/* 2000-01-01, where the server's times begin */

/*
 * Three segments, the last one open: in each a transaction, at 100, 200 and
 * 300 s; they reach to 110, 250 and 400 s.  The backup ends in the first, at 50 s.
 */
typedef struct World
{
	FileRepo	repo;
	BkcStore   *store;
	BkcWalWriter *writer;
	WalMaker	wal;
	uint64_t	xact[3];		/* where their records begin */
	uint64_t	last;			/* the last record */
	BkcBackup	backup;
	BkcRestore	r;
} World;

static const int64_t segment_time[] = {110 * SEC, 250 * SEC, 400 * SEC};
static int64_t later_time = 500 * SEC;	/* of all that come behind */

static uint64_t
xact_at(World *w, int64_t second)
{
	return wal_xact(&w->wal, 0, 1000, (second - PG_EPOCH) * SEC);
}

static void
switch_segment(World *w)
{
	wal_record(&w->wal, 0, 0x40, 0, NULL, 0);
	wal_fill_segment(&w->wal);
}

static void
put_segment(World *w, uint64_t segno, const uint8_t *data)
{
	char		name[BKC_WAL_NAME_MAX];
	BkcWalFile	file = {
		.file = name,
		.segment_size = MB,
		.time = segno - FIRST < 3 ? segment_time[segno - FIRST] : later_time
	};
	BkcWalOutcome outcome;
	uint64_t	stored;
	BkcError	err;

	bkc_wal_segment_name(1, segno, MB, name);
	file.path = wal_file(&w->repo, name, data, MB);
	assert_ok(bkc_walwriter_put(w->writer, &file, &outcome, &stored, &err));
}

static void
put_chunk(World *w, uint64_t segno, const uint8_t *data, uint32_t len, int64_t time)
{
	char		name[BKC_WAL_NAME_MAX];
	const char *path;
	uint64_t	stored;
	BkcError	err;
	int			fd;

	bkc_wal_segment_name(1, segno, MB, name);
	path = wal_file(&w->repo, "open", data, len);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	assert_ok(bkc_walwriter_chunk(w->writer, name, MB, 1, 0, len, fd, path, time, &stored, &err));
	close(fd);
}

static void
remove_segment(World *w, uint64_t segno)
{
	char		file[BKC_WAL_NAME_MAX];
	char		name[BKC_NAME_MAX];
	const char *names[1] = {name};
	BkcError	err;

	bkc_wal_segment_name(1, segno, MB, file);
	assert_ok(bkc_name_wal_file(SYSID, file, NULL, name, &err));
	assert_ok(bkc_store_remove(w->store, names, 1, &err));
}

/* ---- what restore_choose.c and restore_tell.c do ---- */

static World *the_world;
static void (*at_reload) (World *w);	/* what happens in the repository meanwhile */
static int	reloads;
static const BkcBackupSpan *older;
static int64_t clock_now;
static int	waits;

bool
bkc_restore_reload(BkcRestore *r, BkcError *err)
{
	BkcWay	   *way = &r->way;

	reloads++;
	if (at_reload != NULL)
		at_reload(the_world);
	bkc_walpath_free(&way->path);
	bkc_walmap_free(way->map);
	way->map = NULL;
	return bkc_walmap_load(r->session.store, SYSID, MB, &way->map, err) &&
		bkc_walmap_path(way->map, way->timeline, &way->path, err);
}

const BkcBackupSpan *
bkc_restore_older(const BkcRestore *r)
{
	return older != NULL && older->stop_lsn < r->way.backup.stop_lsn ? older : NULL;
}

bool
bkc_restore_use(BkcRestore *r, const BkcBackupSpan *span, BkcError *err)
{
	r->way.backup = *span;
	r->backup->header.start_lsn = span->start_lsn;
	r->backup->header.stop_lsn = span->stop_lsn;
	return true;
}

void
bkc_restore_tell_search(const BkcRestore *r, uint64_t from, uint64_t to)
{
}

static void
test_wait(int ms)
{
	waits++;
	clock_now += ms * INT64_C(1000);
}

static int64_t
test_now(void)
{
	return clock_now;
}

static int
world_begin(void **state)
{
	static const BkcHost host = {.cancelled = wal_cancelled, .log = wal_log, .wait = test_wait,
	.now = test_now};
	World	   *w = calloc(1, sizeof(*w));
	BkcError	err;

	bkc_host_set(&host);
	the_world = w;
	at_reload = NULL;
	older = NULL;
	reloads = waits = 0;
	clock_now = 100000 * SEC;
	assert_ok(filerepo_new(&w->repo, &err));
	assert_ok(bkc_store_memory_new(&w->store, &err));
	w->writer = wal_writer(w->store);
	wal_begin(&w->wal, (uint64_t) FIRST * MB);
	w->backup.header.start_lsn = wal_noise(&w->wal, 300);
	w->backup.header.stop_lsn = wal_pos(&w->wal);
	w->xact[0] = xact_at(w, 100);
	switch_segment(w);
	w->xact[1] = xact_at(w, 200);
	switch_segment(w);
	w->xact[2] = xact_at(w, 300);
	w->last = wal_noise(&w->wal, 20000);

	put_segment(w, FIRST, w->wal.bytes.data);
	put_segment(w, FIRST + 1, w->wal.bytes.data + MB);
	put_chunk(w, FIRST + 2, w->wal.bytes.data + 2 * MB, (uint32_t) (w->wal.bytes.len - 2 * MB),
			  400 * SEC);

	memcpy(w->backup.header.label, LABEL, sizeof(LABEL));
	w->backup.header.system_identifier = SYSID;
	w->backup.header.wal_segment_size = MB;
	w->backup.header.wal_in_archive = true;
	w->backup.header.timeline = 1;
	w->backup.header.stop_time = 50 * SEC;
	w->r.backup = &w->backup;
	w->r.session.store = w->store;
	w->r.session.sysid = SYSID;
	w->r.goal.action = "promote";
	w->r.way.timeline = 1;
	memcpy(w->r.way.backup.label, LABEL, sizeof(LABEL));
	*state = w;
	return 0;
}

static int
world_end(void **state)
{
	World	   *w = *state;

	bkc_walpath_free(&w->r.way.path);
	bkc_walmap_free(w->r.way.map);
	bkc_walwriter_close(&w->writer);
	bkc_store_close(w->store);
	wal_free(&w->wal);
	filerepo_free(&w->repo);
	free(w);
	return 0;
}

static bool
check_way(World *w, BkcError *err)
{
	BkcWay	   *way = &w->r.way;

	bkc_walpath_free(&way->path);
	bkc_walmap_free(way->map);
	way->until = way->last = 0;
	way->at_end = way->lost = false;
	if (!bkc_walmap_load(w->store, SYSID, MB, &way->map, err) ||
		!bkc_walmap_path(way->map, 1, &way->path, err))
		fail_msg("%s", err->message);
	return bkc_restore_wal_check(&w->r, err);
}

static bool
check_time_goal(World *w, int64_t usec, bool exclusive, BkcError *err)
{
	w->r.goal.kind = BKC_GOAL_TIME;
	w->r.goal.time = usec;
	w->r.goal.exclusive = exclusive;
	return check_way(w, err);
}

static bool
check_lsn_goal(World *w, uint64_t lsn, BkcError *err)
{
	w->r.goal.kind = BKC_GOAL_LSN;
	w->r.goal.lsn = lsn;
	return check_way(w, err);
}

/* The answer: behind all WAL or not, and where WAL is cut (0: nowhere). */
static void
assert_way(const World *w, bool at_end, uint64_t until)
{
	assert_int_equal(w->r.way.at_end, at_end);
	assert_int_equal(w->r.way.until, until);
	if (at_end)
		assert_int_equal(w->r.way.last, w->last);
}

static uint64_t
segment_end(const World *w, int n)
{
	return ((uint64_t) FIRST + (uint64_t) n) * MB;
}

/* ---- times ---- */

static void
test_times(void **state)
{
	World	   *w = *state;
	uint64_t	end = wal_pos(&w->wal);
	BkcError	err;

	assert_ok(check_time_goal(w, 50 * SEC, false, &err));
	assert_way(w, false, segment_end(w, 1));
	assert_ok(check_time_goal(w, 100 * SEC, true, &err));
	assert_way(w, false, segment_end(w, 1));
	assert_ok(check_time_goal(w, 100 * SEC, false, &err));
	assert_way(w, false, segment_end(w, 2));
	assert_ok(check_time_goal(w, 105 * SEC, false, &err));
	assert_way(w, false, segment_end(w, 2));
	assert_ok(check_time_goal(w, 300 * SEC - 1, false, &err));
	assert_way(w, false, end);
	assert_ok(check_time_goal(w, 300 * SEC, true, &err));
	assert_way(w, false, end);

	/* nothing ended later: to the last record, and nothing that comes later counts */
	assert_ok(check_time_goal(w, 300 * SEC, false, &err));
	assert_way(w, true, end);
	assert_ok(check_time_goal(w, 300 * SEC + 1, true, &err));
	assert_way(w, true, end);
	assert_ok(check_time_goal(w, 400 * SEC, false, &err));
	assert_way(w, true, end);

	/* who only looks may go on */
	w->r.goal.action = "pause";
	assert_ok(check_time_goal(w, 150 * SEC, false, &err));
	assert_way(w, false, 0);
	assert_ok(check_time_goal(w, 400 * SEC, false, &err));
	assert_way(w, true, end);

	assert_fails(check_time_goal(w, 400 * SEC + 1, false, &err), BKC_ERR_NOT_FOUND);
	assert_non_null(strstr(err.message, "does not reach 1970-01-01 00:06:40.000001+00"));
	assert_non_null(strstr(err.detail, "1970-01-01 00:06:40+00"));
}

/* ---- locations ---- */

static void
test_locations(void **state)
{
	World	   *w = *state;
	uint64_t	end = wal_pos(&w->wal);
	BkcError	err;

	assert_ok(check_lsn_goal(w, w->backup.header.stop_lsn, &err));
	assert_way(w, false, segment_end(w, 1));
	assert_ok(check_lsn_goal(w, w->xact[1], &err));
	assert_way(w, false, segment_end(w, 2));
	assert_ok(check_lsn_goal(w, segment_end(w, 1), &err));	/* a page's header is there */
	assert_way(w, false, segment_end(w, 2));

	/* between a switch and the segment's end no record begins, but one behind it */
	assert_ok(check_lsn_goal(w, segment_end(w, 1) - 8, &err));
	assert_way(w, false, segment_end(w, 2));
	assert_ok(check_lsn_goal(w, w->last, &err));
	assert_way(w, false, end);

	assert_ok(check_lsn_goal(w, w->last + 1, &err));
	assert_way(w, true, end);
	assert_ok(check_lsn_goal(w, end, &err));
	assert_way(w, true, end);
	assert_fails(check_lsn_goal(w, end + 1, &err), BKC_ERR_NOT_FOUND);

	/* the open segment ends with a switch, as a whole one: its zeros are no WAL */
	switch_segment(w);
	w->last = w->wal.prev;
	put_segment(w, FIRST + 2, w->wal.bytes.data + 2 * MB);
	end = segment_end(w, 3);
	assert_ok(check_lsn_goal(w, end, &err));
	assert_way(w, true, end);
	assert_fails(check_lsn_goal(w, end + 8, &err), BKC_ERR_NOT_FOUND);
}

/* Zeros behind the last record, without a switch: recovery ends there. */
static void
test_zeros(void **state)
{
	World	   *w = *state;
	uint64_t	end = wal_pos(&w->wal);
	uint64_t	page;
	BkcError	err;

	wal_fill_segment(&w->wal);
	put_segment(w, FIRST + 2, w->wal.bytes.data + 2 * MB);
	assert_ok(check_lsn_goal(w, end, &err));
	assert_way(w, true, end);
	assert_fails(check_lsn_goal(w, end + 8, &err), BKC_ERR_NOT_FOUND);
	assert_non_null(strstr(err.message, "does not reach"));

	/* as a record that ends with its page: the server calls the place behind the next header */
	w->wal.bytes.len -= segment_end(w, 3) - end;
	wal_leave(&w->wal, 32);
	w->last = wal_noise(&w->wal, 8);
	page = wal_pos(&w->wal);
	assert_int_equal(page % WAL_BLOCK, 0);
	remove_segment(w, FIRST + 2);
	wal_fill_segment(&w->wal);
	put_segment(w, FIRST + 2, w->wal.bytes.data + 2 * MB);
	assert_ok(check_lsn_goal(w, page, &err));
	assert_way(w, true, page);
	assert_ok(check_lsn_goal(w, page + 24, &err));
	assert_way(w, true, page);
	assert_fails(check_lsn_goal(w, page + 48, &err), BKC_ERR_NOT_FOUND);
}

/* ---- a timeline without WAL ---- */

/* Recovery to timeline 2, which left timeline 1 at fork. */
static bool
check_child(World *w, uint64_t fork, BkcError *err)
{
	BkcWay	   *way = &w->r.way;
	char		text[64];

	snprintf(text, sizeof(text), "1\t%X/%X\tno recovery target specified\n",
			 (unsigned) (fork >> 32), (unsigned) fork);
	bkc_walpath_free(&way->path);
	bkc_walmap_free(way->map);
	way->until = way->last = 0;
	way->at_end = way->lost = false;
	way->timeline = 2;
	if (!bkc_walmap_load(w->store, SYSID, MB, &way->map, err) ||
		!bkc_walmap_add_history(way->map, 2, text, strlen(text), err) ||
		!bkc_walmap_path(way->map, 2, &way->path, err))
		fail_msg("%s", err->message);
	return bkc_restore_wal_check(&w->r, err);
}

/* The parent's WAL goes on behind the fork; recovery must not. */
static void
test_child_without_wal(void **state)
{
	World	   *w = *state;
	uint64_t	fork = w->xact[1];
	BkcError	err;

	w->r.goal.kind = BKC_GOAL_END;
	w->r.goal.action = NULL;
	assert_ok(check_child(w, fork, &err));
	assert_way(w, false, fork);
	assert_int_equal(w->r.way.reach.timeline, 1);

	w->r.goal.action = "pause";
	w->r.goal.kind = BKC_GOAL_IMMEDIATE;
	assert_ok(check_child(w, fork, &err));
	assert_way(w, false, fork);
	w->r.goal.action = "promote";
	assert_ok(check_child(w, fork, &err));
	assert_way(w, false, segment_end(w, 1));
	assert_ok(check_child(w, w->xact[0], &err));
	assert_way(w, false, w->xact[0]);

	/* what comes behind the fork is none of it */
	w->r.goal.kind = BKC_GOAL_LSN;
	w->r.goal.lsn = fork + 1;
	assert_fails(check_child(w, fork, &err), BKC_ERR_NOT_FOUND);
	w->r.goal.lsn = fork;
	assert_ok(check_child(w, fork, &err));
	assert_true(w->r.way.at_end);
	assert_int_equal(w->r.way.until, segment_end(w, 1));	/* behind the last record */
	w->r.goal.kind = BKC_GOAL_TIME;
	w->r.goal.time = 100 * SEC;
	assert_ok(check_child(w, fork, &err));
	assert_true(w->r.way.at_end);
	assert_int_equal(w->r.way.until, segment_end(w, 1));	/* behind the last record */
}

/* ---- holes ---- */

static void
put_later(World *w, uint64_t from, uint64_t to)
{
	for (uint64_t segno = from; segno <= to; segno++)
		put_segment(w, segno, w->wal.bytes.data);
}

static void
test_hole(void **state)
{
	World	   *w = *state;
	uint64_t	end = wal_pos(&w->wal);
	BkcError	err;

	w->r.goal.kind = BKC_GOAL_END;
	w->r.goal.action = NULL;
	assert_ok(check_way(w, &err));
	assert_way(w, false, end);	/* what was announced is what is restored */
	assert_int_equal(w->r.way.reach.end_lsn, end);

	/* of segment 7 there are chunks only, and later ones are whole */
	put_later(w, FIRST + 3, FIRST + 17);
	assert_ok(check_way(w, &err));
	assert_true(w->r.way.lost);
	assert_int_equal(w->r.way.until, end);
	w->r.goal.action = "promote";
	assert_ok(check_time_goal(w, 350 * SEC, false, &err));
	assert_way(w, true, end);
	w->r.goal.action = "pause";
	assert_ok(check_time_goal(w, 150 * SEC, false, &err));
	assert_way(w, false, end);

	/* one more, and it is no loss in flight */
	put_later(w, FIRST + 18, FIRST + 18);
	w->r.goal.kind = BKC_GOAL_END;
	assert_fails(check_way(w, &err), BKC_ERR_NOT_FOUND);
	assert_non_null(strstr(err.message, "WAL segment 000000010000000000000007, "));
	assert_non_null(strstr(err.detail, "then 1 segment is missing, and of the later ones 16 are there, whole or in part."));
	w->r.goal.kind = BKC_GOAL_XID;
	assert_fails(check_way(w, &err), BKC_ERR_NOT_FOUND);
	w->r.goal.kind = BKC_GOAL_NAME;
	w->r.goal.name = "x";
	assert_fails(check_way(w, &err), BKC_ERR_NOT_FOUND);
	assert_non_null(strstr(err.message, "000000010000000000000007"));
	assert_fails(check_time_goal(w, 450 * SEC, false, &err), BKC_ERR_NOT_FOUND);
	assert_fails(check_lsn_goal(w, segment_end(w, 3), &err), BKC_ERR_NOT_FOUND);
	assert_non_null(strstr(err.message, "000000010000000000000007"));

	/* what lies before it is not concerned, nor is the backup alone */
	assert_ok(check_time_goal(w, 150 * SEC, false, &err));
	assert_way(w, false, end);
	w->r.goal.kind = BKC_GOAL_IMMEDIATE;
	w->r.goal.action = "promote";
	assert_ok(check_way(w, &err));
	assert_way(w, false, segment_end(w, 1));
	w->r.goal = (BkcGoal) {.standby = true};
	assert_ok(check_way(w, &err));
	assert_way(w, false, 0);
}

/* Few segments in a long time are none that are sent in parallel. */
static void
test_old_hole(void **state)
{
	World	   *w = *state;
	uint64_t	end = wal_pos(&w->wal);
	BkcError	err;

	w->r.goal.kind = BKC_GOAL_END;
	w->r.goal.action = NULL;
	later_time = 400 * SEC + 600 * SEC;
	put_later(w, FIRST + 3, FIRST + 3);
	assert_ok(check_way(w, &err));
	assert_true(w->r.way.lost && w->r.way.in_flight);
	remove_segment(w, FIRST + 3);

	later_time++;
	put_later(w, FIRST + 3, FIRST + 3);
	later_time = 500 * SEC;
	assert_fails(check_way(w, &err), BKC_ERR_NOT_FOUND);
	assert_non_null(strstr(err.message, "000000010000000000000007, which is needed for a recovery to the end"));
	assert_non_null(strstr(err.hint, "--accept-loss"));
	assert_int_equal(waits, 0);

	w->r.accept_loss = true;
	assert_ok(check_way(w, &err));
	assert_true(w->r.way.lost && !w->r.way.in_flight);
	assert_way(w, false, end);
}

static void
send_late(World *w)
{
	if (reloads == 3)
		put_segment(w, FIRST + 2, w->wal.bytes.data + 2 * MB);
}

/* One that is missing just now, in the repository of a living cluster. */
static void
test_young_hole(void **state)
{
	World	   *w = *state;
	BkcError	err;

	wal_fill_segment(&w->wal);
	w->r.goal.kind = BKC_GOAL_END;
	w->r.goal.action = NULL;
	clock_now = 510 * SEC;
	put_later(w, FIRST + 3, FIRST + 3);
	assert_ok(check_way(w, &err));
	assert_true(w->r.way.lost);
	assert_int_equal(waits, 20);

	/* what lies before it does not wait, nor does what is older */
	waits = 0;
	assert_ok(check_time_goal(w, 150 * SEC, false, &err));
	w->r.goal.kind = BKC_GOAL_END;
	clock_now = 560 * SEC;
	assert_ok(check_way(w, &err));
	assert_int_equal(waits, 0);

	clock_now = 501 * SEC;
	at_reload = send_late;
	reloads = 0;
	assert_ok(check_way(w, &err));
	assert_int_equal(reloads, 3);
	assert_false(w->r.way.lost);
	assert_way(w, false, segment_end(w, 4));
}

/* ---- the open segment ---- */

static void
chunk_name(uint64_t segno, uint32_t offset, char name[BKC_NAME_MAX])
{
	char		file[BKC_WAL_NAME_MAX];
	BkcError	err;

	bkc_wal_segment_name(1, segno, MB, file);
	assert_ok(bkc_name_wal_chunk(SYSID, file, 1, offset, name, &err));
}

/* What chunks say of themselves is not what is in them. */
static void
test_damaged_chunk(void **state)
{
	World	   *w = *state;
	uint64_t	middle = wal_pos(&w->wal);
	uint32_t	offset = (uint32_t) (middle % MB);
	char		segment[BKC_WAL_NAME_MAX];
	char		name[BKC_NAME_MAX];
	const char *path;
	uint64_t	stored;
	uint64_t	end;
	BkcError	err;
	int			fd;

	(void) wal_noise(&w->wal, 30000);
	end = wal_pos(&w->wal);
	bkc_wal_segment_name(1, FIRST + 2, MB, segment);
	path = wal_file(&w->repo, "more", w->wal.bytes.data + 2 * MB, end - segment_end(w, 2));
	fd = open(path, O_RDONLY);
	assert_ok(bkc_walwriter_chunk(w->writer, segment, MB, 1, offset, (uint32_t) (end - middle), fd,
								  path, 450 * SEC, &stored, &err));
	close(fd);
	w->r.goal.kind = BKC_GOAL_END;
	w->r.goal.action = NULL;
	assert_ok(check_way(w, &err));
	assert_way(w, false, end);

	chunk_name(FIRST + 2, offset, name);
	wal_flip(w->store, name, 700);
	assert_ok(check_way(w, &err));
	assert_way(w, false, middle);
	assert_int_equal(w->r.way.reach.end_lsn, middle);
	assert_int_equal(w->r.way.reach.end_time, 400 * SEC);

	/* recovery must not come to the damage, wherever it ends */
	w->r.goal.action = "promote";
	assert_ok(check_time_goal(w, 300 * SEC - 1, false, &err));
	assert_way(w, false, middle);
	w->r.goal.action = "pause";
	assert_ok(check_time_goal(w, 150 * SEC, false, &err));
	assert_way(w, false, middle);
	w->r.goal.kind = BKC_GOAL_END;
	w->r.goal.action = NULL;

	chunk_name(FIRST + 2, 0, name);
	wal_flip(w->store, name, 700);
	assert_ok(check_way(w, &err));
	assert_way(w, false, segment_end(w, 2));
	assert_int_equal(w->r.way.reach.end_time, 250 * SEC);
	assert_fails(check_time_goal(w, 251 * SEC, false, &err), BKC_ERR_NOT_FOUND);
}

/* ---- transactions and restore points ---- */

static void
test_find(void **state)
{
	World	   *w = *state;
	BkcBackupSpan first = {
		.label = "20261120T110000Z-full-7f3a",
		.timeline = 1,
		.start_lsn = w->backup.header.start_lsn,
		.stop_lsn = w->backup.header.stop_lsn
	};
	uint8_t		point[72] = {0};
	BkcError	err;

	memcpy(point + 8, "here", 5);
	(void) wal_main(&w->wal, 0, 0x70, 0, point, sizeof(point));
	(void) wal_xact(&w->wal, 0, 2000, 0);
	put_segment(w, FIRST + 2, (wal_fill_segment(&w->wal), w->wal.bytes.data + 2 * MB));

	w->r.goal.kind = BKC_GOAL_XID;
	w->r.goal.xid = 2000;
	assert_ok(check_way(w, &err));
	assert_way(w, false, segment_end(w, 3));
	w->r.goal.xid = 1000;
	assert_ok(check_way(w, &err));
	assert_way(w, false, segment_end(w, 1));
	w->r.goal.xid = 1001;
	assert_fails(check_way(w, &err), BKC_ERR_NOT_FOUND);
	assert_non_null(strstr(err.message, "transaction 1001 is not in the WAL from backup"));
	w->r.goal.kind = BKC_GOAL_NAME;
	w->r.goal.name = "here";
	w->r.goal.action = "pause";
	assert_ok(check_way(w, &err));
	assert_way(w, false, 0);
	w->r.goal.name = "her";
	assert_fails(check_way(w, &err), BKC_ERR_NOT_FOUND);
	assert_non_null(strstr(err.message, "restore point \"her\" is not in the WAL"));

	/* of a backup that ends behind the first two transactions: the older one is taken */
	w->r.goal.kind = BKC_GOAL_XID;
	w->r.goal.xid = 1000;
	w->r.goal.action = "promote";
	w->backup.header.start_lsn = w->xact[1];
	w->backup.header.stop_lsn = segment_end(w, 2);
	w->r.way.backup.stop_lsn = segment_end(w, 2);
	w->r.way.suitable = 2;
	assert_ok(check_way(w, &err));
	assert_way(w, false, segment_end(w, 3));
	assert_string_equal(w->r.way.backup.label, LABEL);

	/* the third is found behind it, the second only before */
	w->r.goal.xid = 2000;
	older = &first;
	assert_ok(check_way(w, &err));
	assert_string_equal(w->r.way.backup.label, LABEL);
	w->r.goal.xid = 7;
	assert_fails(check_way(w, &err), BKC_ERR_NOT_FOUND);
	assert_string_equal(w->r.way.backup.label, first.label);
	assert_int_equal(w->r.way.suitable, 1);
}

/* Found only before the end of the newest backup: the older one is restored. */
static void
test_find_older(void **state)
{
	World	   *w = *state;
	BkcBackupSpan first = {
		.label = "20261120T110000Z-full-7f3a",
		.timeline = 1,
		.start_lsn = w->backup.header.start_lsn,
		.stop_lsn = w->backup.header.stop_lsn
	};
	BkcError	err;

	w->r.goal.kind = BKC_GOAL_XID;
	w->r.goal.xid = 1000;
	w->backup.header.start_lsn = w->xact[2];
	w->backup.header.stop_lsn = w->last;
	w->r.way.backup.stop_lsn = w->last;
	w->r.way.suitable = 2;
	assert_fails(check_way(w, &err), BKC_ERR_NOT_FOUND);
	older = &first;
	assert_ok(check_way(w, &err));
	assert_string_equal(w->r.way.backup.label, first.label);
	assert_way(w, false, segment_end(w, 1));
}

/*
 * One name twice, first within the backup: the server would stop there, where it may not.  The
 * older backup leads to the first.
 */
static void
test_find_twice(void **state)
{
	World	   *w = *state;
	BkcBackupSpan first = {
		.label = "20261120T110000Z-full-7f3a",
		.timeline = 1,
		.start_lsn = w->backup.header.start_lsn,
		.stop_lsn = w->backup.header.stop_lsn
	};
	uint8_t		point[72] = {0};
	BkcError	err;

	memcpy(point + 8, "twice", 6);
	w->backup.header.start_lsn = wal_noise(&w->wal, 300);
	(void) wal_main(&w->wal, 0, 0x70, 0, point, sizeof(point));
	w->backup.header.stop_lsn = wal_pos(&w->wal);
	w->r.way.backup.stop_lsn = w->backup.header.stop_lsn;
	w->r.way.suitable = 1;
	switch_segment(w);
	put_segment(w, FIRST + 2, w->wal.bytes.data + 2 * MB);
	(void) wal_main(&w->wal, 0, 0x70, 0, point, sizeof(point));
	switch_segment(w);
	put_segment(w, FIRST + 3, w->wal.bytes.data + 3 * MB);

	w->r.goal.kind = BKC_GOAL_NAME;
	w->r.goal.name = "twice";
	assert_fails(check_way(w, &err), BKC_ERR_UNSUPPORTED);
	assert_non_null(strstr(err.message, "one of that name was made while the backup ran"));
	assert_non_null(strstr(err.hint, "There is no older backup"));
	w->r.way.suitable = 0;
	assert_fails(check_way(w, &err), BKC_ERR_UNSUPPORTED);
	assert_non_null(strstr(err.hint, "Without --backup older ones are tried"));

	w->r.way.suitable = 2;
	older = &first;
	assert_ok(check_way(w, &err));
	assert_string_equal(w->r.way.backup.label, first.label);
	assert_int_equal(w->r.way.suitable, 1);
	assert_way(w, false, segment_end(w, 3));
}

/* A clock that was set back: times do not rise with WAL. */
static void
test_clock(void **state)
{
	World	   *w = *state;
	uint8_t    *wal;
	BkcError	err;

	/* the same WAL, but the first transaction is later than all others */
	wal_free(&w->wal);
	wal_begin(&w->wal, (uint64_t) FIRST * MB);
	(void) wal_noise(&w->wal, 300);
	w->xact[0] = xact_at(w, 390);
	switch_segment(w);
	w->xact[1] = xact_at(w, 200);
	switch_segment(w);
	(void) xact_at(w, 300);
	wal_fill_segment(&w->wal);
	wal = w->wal.bytes.data;
	remove_segment(w, FIRST);
	put_segment(w, FIRST, wal);
	remove_segment(w, FIRST + 1);
	put_segment(w, FIRST + 1, wal + MB);
	put_segment(w, FIRST + 2, wal + 2 * MB);
	assert_ok(check_time_goal(w, 350 * SEC, false, &err));
	assert_way(w, false, segment_end(w, 1));

	/* it ended before the backup did: the server would refuse to stop there */
	w->backup.header.stop_lsn = w->xact[1];
	assert_fails(check_time_goal(w, 350 * SEC, false, &err), BKC_ERR_UNSUPPORTED);
	assert_non_null(strstr(err.message, "a transaction in it ended later"));
}

static void
test_backup_without_wal(void **state)
{
	World	   *w = *state;
	BkcError	err;

	remove_segment(w, FIRST);
	w->r.goal.kind = BKC_GOAL_IMMEDIATE;
	assert_fails(check_way(w, &err), BKC_ERR_NOT_FOUND);
	assert_non_null(strstr(err.message, "000000010000000000000005, which is needed for the backup itself"));

	/* one that has its own would need it, too: the manifest says so */
	w->backup.header.wal_in_archive = false;
	assert_fails(check_way(w, &err), BKC_ERR_CORRUPT);
}

/* ---- damage ---- */

static void
test_damage(void **state)
{
	World	   *w = *state;
	char		name[BKC_NAME_MAX];
	BkcError	err;

	/* a segment that was archived like this: recovery would end in the middle */
	remove_segment(w, FIRST + 1);
	memset(w->wal.bytes.data + MB + 40, 0, 8);
	put_segment(w, FIRST + 1, w->wal.bytes.data + MB);
	assert_fails(check_time_goal(w, 150 * SEC, false, &err), BKC_ERR_CORRUPT);
	assert_non_null(strstr(err.message, "WAL is not valid from 0/600000 on"));
	assert_fails(check_lsn_goal(w, w->xact[1], &err), BKC_ERR_CORRUPT);
	assert_ok(check_time_goal(w, 300 * SEC - 1, false, &err));	/* not looked at any more */

	/* one whose bytes are not those that were stored */
	assert_ok(bkc_name_wal_file(SYSID, "000000010000000000000005", NULL, name, &err));
	wal_flip(w->store, name, 800);
	assert_fails(check_time_goal(w, 60 * SEC, false, &err), BKC_ERR_CORRUPT);
	assert_non_null(strstr(err.message, "000000010000000000000005"));
}

/* Cancelled anywhere it ends with that, and leaves nothing behind. */
static void
test_cancel(void **state)
{
	World	   *w = *state;
	BkcError	err;
	bool		done = false;

	assert_ok(check_time_goal(w, 400 * SEC, false, &err));
	for (int n = 0; !done && n < 1000; n++)
	{
		wal_cancel_after = n;
		done = bkc_restore_wal_check(&w->r, &err);
		wal_cancel_after = -1;
		if (!done)
			assert_int_equal(err.code, BKC_ERR_CANCELLED);
	}
	assert_true(done);
}

#define WORLD_TEST(f) cmocka_unit_test_setup_teardown(f, world_begin, world_end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(test_times),
		WORLD_TEST(test_locations),
		WORLD_TEST(test_zeros),
		WORLD_TEST(test_child_without_wal),
		WORLD_TEST(test_hole),
		WORLD_TEST(test_old_hole),
		WORLD_TEST(test_young_hole),
		WORLD_TEST(test_damaged_chunk),
		WORLD_TEST(test_find),
		WORLD_TEST(test_find_older),
		WORLD_TEST(test_find_twice),
		WORLD_TEST(test_clock),
		WORLD_TEST(test_backup_without_wal),
		WORLD_TEST(test_damage),
		WORLD_TEST(test_cancel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
