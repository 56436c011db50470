/*
 * test_retention.c
 *		The retention plan: rules, reasons, the recovery window, WAL and
 *		timelines.  (Random histories: test_retention_model.c.)
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "format/retention.h"

#define SEGMENT		(UINT32_C(16) << 20)
#define SEC			INT64_C(1000000)
#define DAYS		INT64_C(86400)
#define MAX			32

/* ---- a repository ---- */

typedef struct Repo
{
	BkcRetentionInput in;
	BkcRetentionBackup backups[MAX];
	BkcRetentionTimeline timelines[MAX];
	BkcHistoryEntry entries[MAX][4];
	BkcRetentionWal wal[MAX];
	BkcRetentionPlan *plan;
} Repo;

static Repo repo;

static int64_t
at(const char *text)
{
	int64_t		usec = 0;
	BkcError	err;
	char		full[40];

	snprintf(full, sizeof(full), "%s+00", text);
	assert_true(bkc_parse_moment(full, &usec, &err));
	return usec;
}

static void
begin(const char *now)
{
	bkc_retention_free(repo.plan);
	memset(&repo, 0, sizeof(repo));
	repo.in.now = at(now);
	repo.in.segment_size = SEGMENT;
	repo.in.timeline = 1;
	repo.in.policy.pitr_window = BKC_RETENTION_UNLIMITED;
	repo.in.backups = repo.backups;
	repo.in.timelines = repo.timelines;
	repo.in.wal = repo.wal;
}

/* A good full backup of an hour: all of segments first .. last on that timeline. */
static BkcRetentionBackup *
backup_on(const char *label, const char *started, uint32_t timeline, uint64_t first, uint64_t last)
{
	BkcRetentionBackup *b = &repo.backups[repo.in.nbackups++];

	assert_true(repo.in.nbackups <= MAX);
	b->label = label;
	b->started = at(started);
	b->finished = b->started + 3600 * SEC;
	b->timeline = timeline;
	b->start_lsn = first * SEGMENT + 40;
	b->stop_lsn = (last + 1) * SEGMENT - 40;
	b->own_wal = true;
	b->known_to_catalog = true;
	return b;
}

static BkcRetentionBackup *
backup(const char *label, const char *started)
{
	uint64_t	first = 10 * repo.in.nbackups + 1;

	return backup_on(label, started, 1, first, first);
}

static BkcRetentionBackup *
incremental(const char *label, const char *started, const char *parent)
{
	BkcRetentionBackup *b = backup(label, started);

	b->kind = BKC_RETENTION_DEPENDENT;
	b->parent = parent;
	return b;
}

static BkcRetentionWal *
wal(uint32_t timeline, uint64_t first, uint64_t last, const char *time)
{
	BkcRetentionWal *w = &repo.wal[repo.in.nwal++];

	w->timeline = timeline;
	w->first = first;
	w->last = last;
	w->time = time != NULL ? at(time) : 0;
	return w;
}

/* The new one continues the other's history; it was left at that LSN. */
static void
timeline(uint32_t number, uint32_t parent, uint64_t left)
{
	BkcRetentionTimeline *t = &repo.timelines[repo.in.ntimelines];
	BkcHistoryEntry *entries = repo.entries[repo.in.ntimelines++];

	for (size_t i = 0; i + 1 < repo.in.ntimelines; i++)
	{
		if (repo.timelines[i].timeline == parent)
		{
			t->n = repo.timelines[i].n;
			memcpy(entries, repo.timelines[i].entries, t->n * sizeof(*entries));
		}
	}
	entries[t->n].timeline = parent;
	entries[t->n++].switch_lsn = left;
	t->timeline = number;
	t->entries = entries;
	repo.in.timeline = number;
}

/* ---- what is expected ---- */

static void
plan(void)
{
	BkcError	err;

	bkc_retention_free(repo.plan);
	if (!bkc_retention_plan(&repo.in, &repo.plan, &err))
		fail_msg("%s", err.message);
}

static const BkcRetentionFate *
fate(const char *label)
{
	for (size_t i = 0; i < repo.in.nbackups; i++)
	{
		if (strcmp(repo.backups[i].label, label) == 0)
			return &repo.plan->backups[i];
	}
	fail_msg("no backup %s", label);
	return NULL;
}

static void
stays(const char *label, const char *reasons)
{
	assert_string_equal(fate(label)->reasons, reasons);
	assert_true(fate(label)->keep);
}

static void
goes(const char *label, const char *reasons)
{
	assert_string_equal(fate(label)->reasons, reasons);
	assert_false(fate(label)->keep);
}

/* All of the WAL: one line a part, "1: 5-7 keep reason". */
static void
wal_is(const char *expected)
{
	char		text[4096] = "";
	size_t		len = 0;

	for (size_t i = 0; i < repo.plan->nwal; i++)
	{
		const BkcRetentionRange *r = &repo.plan->wal[i];

		len += (size_t) snprintf(text + len, sizeof(text) - len, "%u: %u-%u %s %s\n", r->timeline,
								 (unsigned) r->first, (unsigned) r->last,
								 r->keep ? "keep" : "remove", r->reason);
		assert_true(len < sizeof(text));
	}
	assert_string_equal(text, expected);
}

/* Labels in the order of removal. */
static void
removal_is(const char *expected)
{
	char		text[1024] = "";
	size_t		len = 0;

	for (size_t i = 0; i < repo.plan->nremoval; i++)
		len += (size_t) snprintf(text + len, sizeof(text) - len, "%s%s", i > 0 ? " " : "",
								 repo.backups[repo.plan->removal[i]].label);
	assert_string_equal(text, expected);
}

/* ---- rules ---- */

static void
last_and_full(void **state)
{
	begin("2026-11-20 12:00");
	repo.in.policy.keep_last = 2;
	repo.in.policy.min_full = 2;
	backup("a", "2026-11-10 01:00");
	backup("b", "2026-11-11 01:00");
	incremental("c", "2026-11-12 01:00", "b");
	incremental("d", "2026-11-13 01:00", "c");
	backup("z", "2026-11-09 01:00");	/* neither the order given nor names count */
	plan();
	stays("d", "last 2; newest good backup");
	stays("c", "last 2; needed by d");
	stays("b", "one of the 2 newest full backups (min_full); needed by c");
	stays("a", "one of the 2 newest full backups (min_full)");
	goes("z", "no rule keeps it");
	removal_is("z");

	repo.in.policy.min_full = 1;
	repo.in.policy.keep_last = 1;
	plan();
	stays("b", "newest full backup (min_full); needed by c");
	stays("c", "needed by d");
	removal_is("z a");
}

static void
calendar(void **state)
{
	begin("2027-01-05 12:00");
	repo.in.policy.keep_daily = 2;
	repo.in.policy.keep_weekly = 2;
	repo.in.policy.keep_monthly = 3;
	repo.in.policy.keep_yearly = 5;
	backup("y25", "2025-06-01 01:00");
	backup("nov", "2026-11-30 23:59:59");
	backup("dec1", "2026-12-27 23:59:59");
	backup("dec2", "2026-12-28 00:00");
	backup("jan1a", "2027-01-01 00:00");
	backup("jan1b", "2027-01-01 23:30");	/* ends on the next day, but is of this one */
	backup("jan3", "2027-01-03 10:00");
	plan();
	stays("jan3", "daily 2027-01-03; weekly 2026-W53; monthly 2027-01; yearly 2027; newest good backup");
	stays("jan1b", "daily 2027-01-01");
	goes("jan1a", "no rule keeps it");
	stays("dec2", "monthly 2026-12; yearly 2026");
	stays("dec1", "weekly 2026-W52");
	stays("nov", "monthly 2026-11");
	stays("y25", "yearly 2025");
}

/* Two hours east in winter, one before; the clock goes back when UTC is at 22:00. */
static int32_t
odd_zone(void *arg, int64_t unix_seconds)
{
	return unix_seconds < *(const int64_t *) arg ? 7200 : 3600;
}

static void
local_time(void **state)
{
	int64_t		change = at("2026-10-31 22:00") / SEC;

	begin("2026-11-20 12:00");
	repo.in.policy.keep_daily = 2;
	repo.in.policy.utc_offset = odd_zone;
	repo.in.policy.utc_offset_arg = &change;
	backup("a", "2026-10-31 21:30");	/* 23:30 */
	backup("b", "2026-10-31 21:59");	/* 23:59 */
	backup("c", "2026-10-31 22:10");	/* 23:10 again */
	backup("d", "2026-10-31 23:10");	/* 00:10 */
	repo.backups[0].keep_until = at("2033-11-20 22:59");
	repo.backups[1].locked_until = at("2033-11-20 23:00");
	plan();
	stays("d", "daily 2026-11-01; newest good backup");
	stays("c", "daily 2026-10-31");
	stays("b", "locked until 2033-11-21");
	stays("a", "retention date 2033-11-20");
}

static void
odd_dates(void **state)
{
	begin("1970-01-01 12:00");
	repo.in.policy.keep_daily = 3;
	repo.in.policy.keep_weekly = 3;
	repo.in.policy.keep_monthly = 3;
	backup("a", "1969-12-31 23:59:59");
	backup("b", "1970-01-01 00:00");
	backup("c", "1968-02-29 12:00");
	plan();
	stays("b", "daily 1970-01-01; weekly 1970-W01; monthly 1970-01; newest good backup");
	stays("a", "daily 1969-12-31; monthly 1969-12");
	stays("c", "daily 1968-02-29; weekly 1968-W09; monthly 1968-02");

	/* no time and no span makes it fall over */
	repo.backups[0].started = INT64_MIN;
	repo.backups[1].started = INT64_MAX;
	repo.in.policy.keep_within = INT64_MAX;
	repo.in.policy.pitr_window = INT64_MAX;
	repo.in.now = INT64_MIN;
	plan();
	repo.in.now = INT64_MAX;
	plan();
}

static void
within(void **state)
{
	begin("2026-11-20 12:00");
	repo.in.policy.keep_within = 7 * DAYS;
	backup("a", "2026-11-13 10:59:59");
	backup("b", "2026-11-13 11:00");	/* ends exactly then */
	backup("c", "2026-11-19 11:00");
	plan();
	goes("a", "no rule keeps it");
	stays("b", "within 7 days");
	stays("c", "within 7 days; newest good backup");
	repo.in.policy.keep_within = 36 * 3600;
	plan();
	stays("c", "within 36 hours; newest good backup");
	repo.in.policy.keep_within = 1;
	plan();
	stays("c", "newest good backup");
}

static void
said_about_one(void **state)
{
	begin("2026-11-20 12:00");
	repo.in.policy.keep_last = 1;
	backup("a", "2026-11-01 10:00")->held = true;
	backup("b", "2026-11-02 10:00")->held = true;
	repo.backups[1].held_reason = "case 4711";
	backup("c", "2026-11-03 10:00")->keep_until = repo.in.now;
	backup("d", "2026-11-04 10:00")->keep_until = at("2033-11-20 12:00");
	repo.backups[3].held = true;
	repo.backups[3].locked_until = at("2033-11-21 12:00");
	backup("e", "2026-11-05 10:00")->known_to_catalog = false;
	backup("f", "2026-11-06 10:00")->state = BKC_RETENTION_UNFINISHED;
	backup("g", "2026-11-07 10:00")->kind = BKC_RETENTION_REGISTERED;
	backup("h", "2026-11-08 10:00");
	backup("i", "2026-11-20 11:00:00.000001");	/* ends after now */
	incremental("j", "2026-11-20 11:59", "c")->state = BKC_RETENTION_RUNNING;
	plan();
	stays("a", "held");
	stays("b", "held: case 4711");
	stays("c", "needed by j");
	stays("d", "held; retention date 2033-11-20; locked until 2033-11-21");
	stays("e", "not in the catalog");
	stays("f", "unfinished: swept by its owner");
	stays("g", "registered: made by another tool");
	stays("h", "last 1; newest good backup");
	stays("i", "from the future: a clock was wrong");
	stays("j", "running");
}

static void
no_policy(void **state)
{
	begin("2026-11-20 12:00");
	repo.in.policy.min_full = 1;
	repo.in.policy.pitr_window = 0;
	backup("a", "2026-11-01 10:00");
	backup("b", "2026-11-02 10:00")->verified = BKC_RETENTION_FAILED;
	wal(1, 0, 50, "2026-11-02 12:00");
	plan();
	stays("a", "no policy; newest good backup; newest full backup (min_full)");
	stays("b", "no policy");
	wal_is("1: 0-50 keep no policy\n");
}

static void
failed_verification(void **state)
{
	begin("2026-11-20 12:00");
	repo.in.policy.keep_last = 1;
	repo.in.policy.keep_daily = 9;
	backup("a", "2026-11-01 10:00")->verified = BKC_RETENTION_FAILED;
	wal(1, 0, 50, "2026-11-02 12:00");
	plan();
	stays("a", "newest complete backup, as there is no good one");
	wal_is("1: 0-50 keep no good backup\n");

	backup("b", "2026-10-01 10:00");
	incremental("c", "2026-11-02 10:00", "a");
	incremental("d", "2026-11-03 10:00", "lost");
	backup("e", "2026-11-04 10:00")->own_wal = false;
	repo.wal[0].last = 40;
	plan();
	goes("a", "no rule keeps it (verification failed)");
	stays("b", "last 1; daily 2026-10-01; newest good backup");
	goes("c", "no rule keeps it (a backup that it depends on is not good)");
	goes("d", "no rule keeps it (a backup that it depends on is missing)");
	goes("e", "no rule keeps it (its WAL is missing)");
	removal_is("c a d e");

	/* what is kept keeps its parents, be they good or not */
	repo.backups[2].held = true;
	plan();
	stays("a", "needed by c");
}

static void
order_of_removal(void **state)
{
	begin("2026-11-20 12:00");
	repo.in.policy.keep_last = 1;
	backup("full2", "2026-11-03 10:00");
	incremental("inc2a", "2026-11-04 10:00", "full2");
	incremental("inc2b", "2026-11-05 10:00", "full2");
	incremental("inc2c", "2026-11-06 10:00", "inc2a");
	backup("full1", "2026-11-01 10:00");
	incremental("inc1", "2026-11-07 10:00", "full1");
	backup("full3", "2026-11-08 10:00");
	incremental("inc3a", "2026-11-09 10:00", "full3");
	incremental("inc3b", "2026-11-10 10:00", "full3");
	plan();
	removal_is("inc1 full1 inc2c inc2b inc2a full2 inc3a");
	stays("full3", "needed by inc3b");
	repo.backups[7].held = true;
	plan();
	stays("full3", "needed by inc3b and 1 more");

	/* a ring of parents is damage, and no reason to hang */
	repo.backups[4].kind = BKC_RETENTION_DEPENDENT;
	repo.backups[4].parent = "inc1";
	plan();
	assert_false(fate("inc1")->keep);
	repo.backups[5].held = true;
	plan();
	assert_true(fate("full1")->keep);
}

/* ---- recovery window ---- */

/* Weekly backups, and WAL without a gap: segment 10 belongs to the first. */
static void
weeks(void)
{
	begin("2026-11-29 12:00");
	repo.in.policy.keep_last = 1;
	repo.in.policy.pitr_window = 7 * DAYS;
	backup_on("w1", "2026-11-01 01:00", 1, 10, 11);
	backup_on("w2", "2026-11-08 01:00", 1, 20, 21);
	backup_on("w3", "2026-11-15 01:00", 1, 30, 31);
	backup_on("w4", "2026-11-22 01:00", 1, 40, 41);
	backup_on("w5", "2026-11-29 01:00", 1, 50, 51);
	wal(1, 5, 60, "2026-11-29 11:55");
}

static void
window_and_its_base(void **state)
{
	weeks();
	plan();
	stays("w5", "last 1; newest good backup");
	stays("w4", "base of the recovery window of 7 days");
	removal_is("w1 w2 w3");
	wal_is("1: 5-39 remove before everything that is kept\n"
		   "1: 40-60 keep recovery window from w4\n");

	/* at the border: what ends exactly when the window begins is the base */
	repo.in.now = at("2026-11-29 02:00");
	plan();
	stays("w4", "base of the recovery window of 7 days");
	repo.in.now--;
	plan();
	stays("w3", "base of the recovery window of 7 days");
	stays("w4", "last 1; newest good backup");
	stays("w5", "from the future: a clock was wrong");

	repo.in.now = at("2026-11-29 12:00");
	repo.in.policy.pitr_window = BKC_RETENTION_UNLIMITED;
	repo.in.policy.keep_last = 3;
	plan();
	stays("w3", "last 3");
	removal_is("w1 w2");
	wal_is("1: 5-29 remove before everything that is kept\n"
		   "1: 30-60 keep recovery window from w3\n");
}

static void
kept_outside_the_window(void **state)
{
	weeks();
	repo.backups[0].held = true;
	repo.backups[1].held = true;
	repo.backups[1].own_wal = false;
	plan();
	wal_is("1: 5-19 remove before everything that is kept\n"
		   "1: 20-21 keep makes w2 consistent\n"
		   "1: 22-39 remove outside the recovery window\n"
		   "1: 40-60 keep recovery window from w4\n");

	/* borders between segments belong to the one in which there is a byte to be read */
	repo.backups[1].start_lsn = 20 * (uint64_t) SEGMENT;
	repo.backups[1].stop_lsn = 21 * (uint64_t) SEGMENT;
	repo.backups[3].start_lsn = 40 * (uint64_t) SEGMENT;
	plan();
	wal_is("1: 5-19 remove before everything that is kept\n"
		   "1: 20-20 keep makes w2 consistent\n"
		   "1: 21-39 remove outside the recovery window\n"
		   "1: 40-60 keep recovery window from w4\n");
}

static void
missing_wal_in_the_window(void **state)
{
	weeks();
	repo.in.policy.pitr_window = 20 * DAYS;
	plan();
	stays("w2", "base of the recovery window of 20 days");
	removal_is("w1 w3 w4");

	/* what is behind the gap can be restored from w4 on only */
	repo.wal[0].last = 34;
	wal(1, 36, 60, "2026-11-29 11:55");
	repo.wal[0].time = at("2026-11-16 12:00");
	plan();
	stays("w2", "base of the recovery window of 20 days");
	stays("w4", "first in the recovery window behind missing WAL");
	removal_is("w1 w3");

	/* a young repository has no base yet */
	repo.in.policy.pitr_window = 60 * DAYS;
	plan();
	stays("w1", "first in the recovery window of 60 days");

	/* one that is no good, but held, keeps its WAL as well */
	repo.backups[0].verified = BKC_RETENTION_FAILED;
	repo.backups[0].held = true;
	plan();
	stays("w2", "first in the recovery window of 60 days");
	wal_is("1: 5-9 remove before everything that is kept\n"
		   "1: 10-34 keep recovery window from w1\n"
		   "1: 36-60 keep recovery window from w1\n");
}

static void
no_wal_at_all(void **state)
{
	weeks();
	repo.in.nwal = 0;
	repo.in.segment_size = 0;
	plan();
	stays("w4", "base of the recovery window of 7 days");
	repo.in.policy.pitr_window = 20 * DAYS;
	plan();
	removal_is("w1");			/* each of the others is a point that nothing else leads to */
}

/* ---- timelines ---- */

static void
failover(void **state)
{
	weeks();

	/* timeline 2 begins within segment 45; of it both have one */
	timeline(2, 1, 45 * (uint64_t) SEGMENT + 4096);
	repo.wal[0].last = 46;
	repo.wal[0].time = at("2026-11-25 11:00");
	repo.backups[4].timeline = 2;
	wal(2, 45, 60, "2026-11-29 11:55");
	plan();
	stays("w4", "base of the recovery window of 7 days");
	wal_is("1: 5-39 remove before everything that is kept\n"
		   "1: 40-46 keep recovery window from w4\n"
		   "2: 45-60 keep recovery window from w4\n");

	/* a week later only timeline 2 has points in the window */
	repo.in.now = at("2026-12-07 12:00");
	repo.wal[1].time = repo.in.now - 60 * SEC;
	plan();
	stays("w5", "last 1; newest good backup; base of the recovery window of 7 days");
	goes("w4", "no rule keeps it");
	wal_is("1: 5-46 remove no kept backup leads to timeline 1\n"
		   "2: 45-49 remove before everything that is kept\n"
		   "2: 50-60 keep recovery window from w5\n");

	/* the old primary still writes: its points need a base of their own */
	repo.wal[0].time = repo.in.now - 3600 * SEC;
	plan();
	stays("w4", "base of the recovery window of 7 days");
	wal_is("1: 5-39 remove before everything that is kept\n"
		   "1: 40-46 keep recovery window from w4\n"
		   "2: 45-60 keep recovery window from w4\n");
}

static void
two_from_one(void **state)
{
	weeks();

	/* timeline 2 has a backup of its own, but 3 began again from 1 */
	timeline(2, 1, 35 * (uint64_t) SEGMENT);
	timeline(3, 1, 33 * (uint64_t) SEGMENT);
	repo.wal[0].last = 34;
	repo.wal[0].time = at("2026-11-16 11:00");
	repo.backups[3].timeline = 2;
	repo.in.nbackups = 4;
	wal(2, 35, 44, "2026-11-22 02:00");
	wal(3, 33, 39, "2026-11-29 11:55");
	plan();
	stays("w4", "last 1; newest good backup");
	stays("w3", "base of the recovery window of 7 days");
	removal_is("w1 w2");
	wal_is("1: 5-29 remove before everything that is kept\n"
		   "1: 30-34 keep recovery window from w3\n"
		   "2: 35-44 keep recovery window from w3\n"
		   "3: 33-39 keep recovery window from w3\n");

	/* timeline 3 has its own base: 1 and 2 are of the past */
	backup_on("v5", "2026-11-22 02:00", 3, 36, 37);
	plan();
	stays("v5", "last 1; newest good backup; base of the recovery window of 7 days");
	removal_is("w1 w2 w3 w4");
	wal_is("1: 5-34 remove no kept backup leads to timeline 1\n"
		   "2: 35-44 remove no kept backup leads to timeline 2\n"
		   "3: 33-35 remove before everything that is kept\n"
		   "3: 36-39 keep recovery window from v5\n");
}

static void
forks_at_borders(void **state)
{
	weeks();
	repo.in.policy.pitr_window = 0;

	/* left exactly where the backup stops: it leads to all of timeline 2 */
	timeline(2, 1, repo.backups[4].stop_lsn);
	repo.wal[0].last = 52;
	repo.wal[0].time = at("2026-11-29 11:00");
	wal(2, 51, 60, "2026-11-29 11:55");
	plan();
	stays("w5", "last 1; newest good backup; base of the recovery window of 0 days");
	removal_is("w1 w2 w3 w4");
	wal_is("1: 5-49 remove before everything that is kept\n"
		   "1: 50-52 keep recovery window from w5\n"
		   "2: 51-60 keep recovery window from w5\n");

	/* one byte before: w5 is on the dead branch, and what is new is reached from w4 */
	repo.entries[0][0].switch_lsn--;
	plan();
	stays("w5", "last 1; newest good backup");
	stays("w4", "base of the recovery window of 0 days");
	wal_is("1: 5-39 remove before everything that is kept\n"
		   "1: 40-52 keep recovery window from w4\n"
		   "2: 51-60 keep recovery window from w4\n");
}

static void
switch_points_need_not_grow(void **state)
{
	weeks();
	repo.in.policy.pitr_window = 0;

	/* along timeline 2, which left 1 in segment 45, recovery ended in segment 25 already */
	timeline(2, 1, 45 * (uint64_t) SEGMENT);
	timeline(3, 2, 25 * (uint64_t) SEGMENT);
	repo.in.nbackups = 2;
	backup_on("old", "2026-11-22 01:00", 1, 30, 31);
	repo.wal[0].last = 44;
	repo.wal[0].time = at("2026-11-22 12:00");
	wal(2, 45, 46, "2026-11-23 12:00");
	wal(3, 25, 28, "2026-11-29 11:55");
	plan();

	/* the newest backup does not lead to 3, which left all behind before it: w2 does */
	stays("old", "last 1; newest good backup");
	stays("w2", "base of the recovery window of 0 days");
	wal_is("1: 5-19 remove before everything that is kept\n"
		   "1: 20-44 keep recovery window from w2\n"
		   "2: 45-46 keep recovery window from w2\n"
		   "3: 25-28 keep recovery window from w2\n");

	/* without w2 nothing leads there */
	repo.in.nbackups = 1;
	backup_on("old", "2026-11-22 01:00", 1, 30, 31);
	repo.backups[0].start_lsn = repo.backups[1].start_lsn;
	repo.backups[0].stop_lsn = repo.backups[1].stop_lsn;
	plan();
	wal_is("1: 5-29 remove before everything that is kept\n"
		   "1: 30-44 keep recovery window from old\n"
		   "2: 45-46 keep recovery window from old\n"
		   "3: 25-28 keep newer than every backup that counts\n");
}

static void
recovered_to_before_all(void **state)
{
	weeks();
	timeline(2, 1, 9 * (uint64_t) SEGMENT);
	wal(2, 9, 12, "2026-11-29 11:59");
	repo.wal[0].time = at("2026-11-29 11:00");
	plan();
	wal_is("1: 5-39 remove before everything that is kept\n"
		   "1: 40-60 keep recovery window from w4\n"
		   "2: 9-12 keep newer than every backup that counts\n");

	/* also when nothing else is in the window, all that is newer than the newest backup stays */
	repo.in.policy.pitr_window = 0;
	plan();
	removal_is("w1 w2 w3 w4");
	wal_is("1: 5-49 remove before everything that is kept\n"
		   "1: 50-60 keep recovery window from w5\n"
		   "2: 9-12 keep newer than every backup that counts\n");
	repo.in.policy.pitr_window = 7 * DAYS;

	/* with a backup there it is like any other */
	backup_on("x", "2026-11-29 10:00", 2, 11, 11);
	plan();
	stays("x", "last 1; newest good backup; first in the recovery window of 7 days");
	wal_is("1: 5-39 remove before everything that is kept\n"
		   "1: 40-60 keep recovery window from w4\n"
		   "2: 9-10 remove before everything that is kept\n"
		   "2: 11-12 keep recovery window from x\n");
}

static void
unknown_history(void **state)
{
	weeks();
	repo.in.timeline = 3;
	repo.wal[0].last = 50;
	repo.wal[0].time = at("2026-11-22 11:00");
	repo.in.nbackups = 4;
	wal(3, 12, 35, "2026-11-10 11:00");
	wal(3, 38, 60, "2026-11-29 11:55");
	plan();

	/* it may come from any of them, and from anywhere */
	stays("w1", "history of timeline 3 is not known");
	stays("w4", "last 1; newest good backup; history of timeline 3 is not known");
	wal_is("1: 5-9 remove before everything that is kept\n"
		   "1: 10-50 keep recovery window from w1\n"
		   "3: 12-35 keep history of timeline 3 is not known\n"
		   "3: 38-60 keep history of timeline 3 is not known\n");

	/* with a base of its own the others are needed no more; segments before all starts neither */
	backup_on("x", "2026-11-21 01:00", 3, 42, 43);
	repo.in.timeline = 0;
	plan();
	removal_is("w1 w2 w3");
	wal_is("1: 5-39 remove before everything that is kept\n"
		   "1: 40-50 keep recovery window from w4\n"
		   "3: 12-35 remove before everything that is kept\n"
		   "3: 38-39 remove before everything that is kept\n"
		   "3: 40-60 keep history of timeline 3 is not known\n");
}

static void
running_backups(void **state)
{
	BkcRetentionBackup *b;

	weeks();
	b = backup_on("r", "2026-11-29 11:00", 1, 38, 38);
	b->state = BKC_RETENTION_RUNNING;
	b->own_wal = false;
	plan();
	wal_is("1: 5-37 remove before everything that is kept\n"
		   "1: 38-60 keep needed by r, which is running\n");
	b->start_lsn = 0;
	plan();
	wal_is("1: 5-60 keep not known where this backup began: r\n");
}

static void
other_segment_size(void **state)
{
	weeks();
	repo.in.policy.keep_last = 5;
	repo.backups[1].segment_size = SEGMENT * 4;
	plan();
	wal_is("1: 5-39 remove before everything that is kept\n"
		   "1: 40-60 keep recovery window from w4\n");

	/* nobody knows which segments it relies on */
	repo.backups[1].own_wal = false;
	plan();
	wal_is("1: 5-60 keep makes w2 consistent\n");
}

static void
chunks(void **state)
{
	weeks();
	wal(1, 61, 61, "2026-11-29 11:59")->open = true;
	wal(1, 3, 3, "2026-11-01 11:59")->open = true;
	plan();
	wal_is("1: 5-39 remove before everything that is kept\n"
		   "1: 40-60 keep recovery window from w4\n"
		   "1: 61-61 keep recovery window from w4\n"
		   "1: 3-3 remove before everything that is kept\n");
}

static void
refused(void **state)
{
	BkcError	err;

	weeks();
	bkc_retention_free(repo.plan);
	repo.backups[1].label = "w1";
	assert_false(bkc_retention_plan(&repo.in, &repo.plan, &err));
	assert_int_equal(err.code, BKC_ERR_INVALID);
	assert_non_null(strstr(err.message, "w1"));
	assert_null(repo.plan);
	repo.backups[1].label = "";
	assert_false(bkc_retention_plan(&repo.in, &repo.plan, &err));
	repo.backups[1].label = "w2";
	repo.in.segment_size = 0;
	assert_false(bkc_retention_plan(&repo.in, &repo.plan, &err));
	repo.in.segment_size = SEGMENT;
	repo.wal[0].first = 61;
	assert_false(bkc_retention_plan(&repo.in, &repo.plan, &err));
	repo.wal[0].last = UINT64_MAX;
	assert_false(bkc_retention_plan(&repo.in, &repo.plan, &err));
	repo.wal[0].last = 61;
	repo.in.policy.keep_within = -1;
	assert_false(bkc_retention_plan(&repo.in, &repo.plan, &err));

	begin("2026-11-20 12:00");
	repo.in.policy.keep_last = 1;
	plan();						/* nothing there, nothing to do */
	assert_int_equal(repo.plan->nremoval, 0);
	wal(1, 1, 2, NULL);
	plan();
	wal_is("1: 1-2 keep no good backup\n");
	bkc_retention_free(NULL);
}

static int
end(void **state)
{
	bkc_retention_free(repo.plan);
	repo.plan = NULL;
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(last_and_full),
		cmocka_unit_test(calendar),
		cmocka_unit_test(local_time),
		cmocka_unit_test(odd_dates),
		cmocka_unit_test(within),
		cmocka_unit_test(said_about_one),
		cmocka_unit_test(no_policy),
		cmocka_unit_test(failed_verification),
		cmocka_unit_test(order_of_removal),
		cmocka_unit_test(window_and_its_base),
		cmocka_unit_test(kept_outside_the_window),
		cmocka_unit_test(missing_wal_in_the_window),
		cmocka_unit_test(no_wal_at_all),
		cmocka_unit_test(failover),
		cmocka_unit_test(two_from_one),
		cmocka_unit_test(forks_at_borders),
		cmocka_unit_test(switch_points_need_not_grow),
		cmocka_unit_test(recovered_to_before_all),
		cmocka_unit_test(unknown_history),
		cmocka_unit_test(running_backups),
		cmocka_unit_test(other_segment_size),
		cmocka_unit_test(chunks),
		cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, end);
}
