/*
 * test_retention_closed.c
 *		The retention plan of a predecessor: with its successor one history, until at last it is
 *		gone.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "format/retention.h"

#define SEGMENT		(UINT32_C(16) << 20)
#define SEC			INT64_C(1000000)
#define DAY			(86400 * SEC)
#define NOW			(INT64_C(1795176000) * SEC)
#define MAX			40

/* ---- two clusters ---- */

static BkcRetentionBackup old_backups[MAX];
static BkcRetentionBackup new_backups[MAX];
static BkcRetentionBackup all_backups[2 * MAX];
static const BkcRetentionBackup *others[MAX];
static char labels[2 * MAX][16];
static BkcRetentionWal wal;
static BkcRetentionInput in;
static BkcRetentionPlan *plan;

static BkcRetentionBackup
backup(const char *label, int64_t started)
{
	BkcRetentionBackup b = {
		.label = label, .started = started, .finished = started + 600 * SEC, .timeline = 1,
		.start_lsn = SEGMENT + 40, .stop_lsn = 2 * SEGMENT - 40, .own_wal = true,
		.known_to_catalog = true
	};

	return b;
}

/* The old cluster has been closed that many days ago; its WAL is segments 1 to 9. */
static void
begin(int days)
{
	memset(&in, 0, sizeof(in));
	memset(&wal, 0, sizeof(wal));
	wal.timeline = 1;
	wal.first = 1;
	wal.last = 9;
	wal.time = NOW - days * DAY;
	in.now = NOW;
	in.segment_size = SEGMENT;
	in.closed = true;
	in.policy.min_full = 1;
	in.policy.pitr_window = 7 * 86400;
	in.backups = old_backups;
	in.wal = &wal;
	in.nwal = 1;
	in.others = others;
}

static void
old(const char *label, int days)
{
	old_backups[in.nbackups] = backup(label, NOW - days * DAY);
	old_backups[in.nbackups].start_lsn += in.nbackups * SEGMENT;
	old_backups[in.nbackups].stop_lsn += in.nbackups * SEGMENT;
	in.nbackups++;
}

static void
new(const char *label, int days)
{
	new_backups[in.nothers] = backup(label, NOW - days * DAY);
	others[in.nothers] = &new_backups[in.nothers];
	in.nothers++;
}

static void
make(void)
{
	BkcError	err;

	bkc_retention_free(plan);
	if (!bkc_retention_plan(&in, &plan, &err))
		fail_msg("%s", err.message);
}

static void
is(size_t i, bool keep, const char *reasons)
{
	assert_string_equal(plan->backups[i].reasons, reasons);
	assert_int_equal(plan->backups[i].keep, keep);
}

static void
wal_is(const char *expected)
{
	char		text[1024] = "";
	size_t		len = 0;

	for (size_t i = 0; i < plan->nwal; i++)
		len += (size_t) snprintf(text + len, sizeof(text) - len, "%u-%u %s %s\n",
								 (unsigned) plan->wal[i].first, (unsigned) plan->wal[i].last,
								 plan->wal[i].keep ? "keep" : "remove", plan->wal[i].reason);
	assert_string_equal(text, expected);
}

/* ---- from the upgrade to the end ---- */

static void
as_long_as_it_is_the_newest(void **state)
{
	begin(30);
	in.policy.keep_last = 1;
	old("a", 40);
	old("b", 35);
	make();
	is(0, false, "no rule keeps it");
	is(1, true, "last 1; newest good backup; newest full backup (min_full); base of the recovery window of 7 days");
	wal_is("1-1 remove before everything that is kept\n2-9 keep recovery window from b\n");

	/* as good as nothing: verification says what it is worth, so only counting ones are given */
	new("n", 29);
	make();
	is(1, false, "no rule keeps it");
	wal_is("1-9 remove outside the recovery window\n");
}

static void
as_long_as_the_window_reaches(void **state)
{
	begin(6);
	in.policy.keep_last = 1;
	old("a", 20);
	old("b", 10);
	old("c", 8);
	new("n", 5);
	make();
	is(0, false, "no rule keeps it");
	is(1, false, "no rule keeps it");
	is(2, true, "newest good backup; base of the recovery window of 7 days");
	wal_is("1-2 remove before everything that is kept\n3-9 keep recovery window from c\n");

	wal.time = 0;				/* not known: it may be in it */
	in.now += 30 * DAY;
	make();
	is(2, true, "newest good backup; base of the recovery window of 7 days");
	wal.time = NOW - 6 * DAY;
	make();
	is(2, false, "no rule keeps it");
	wal_is("1-9 remove outside the recovery window\n");

	/* what is left when the backups are gone, or were never good */
	in.nbackups = 0;
	make();
	wal_is("1-9 remove outside the recovery window\n");
	begin(30);
	in.policy.keep_last = 1;
	old("a", 40);
	old_backups[0].verified = BKC_RETENTION_FAILED;
	make();
	is(0, true, "newest complete backup, as there is no good one");
	wal_is("1-9 keep no good backup\n");
	new("n", 29);
	make();
	is(0, false, "no rule keeps it (verification failed)");
	wal_is("1-9 remove outside the recovery window\n");
	wal.time = NOW - DAY;
	make();
	is(0, true, "newest complete backup, as there is no good one");
	wal_is("1-9 keep no good backup\n");
}

static void
what_rules_and_people_keep(void **state)
{
	begin(30);
	in.policy.keep_yearly = 5;
	in.policy.min_full = 3;
	old("a", 700);
	old("b", 600);
	old("c", 90);
	old("d", 80);
	old("e", 40);
	old_backups[0].held = true;
	old_backups[1].own_wal = false;
	old_backups[1].keep_until = NOW + DAY;
	new("m", 20);
	new("n", 10);
	make();
	is(0, true, "held; yearly 2024");
	is(1, true, "retention date 2026-11-21; yearly 2025");
	is(2, false, "no rule keeps it");
	is(3, false, "no rule keeps it");
	is(4, true, "one of the 3 newest full backups (min_full)");
	wal_is("1-1 remove outside the recovery window\n2-2 keep makes b consistent\n"
		   "3-9 remove outside the recovery window\n");

	/* without a window all WAL from the oldest kept one on */
	in.policy.pitr_window = BKC_RETENTION_UNLIMITED;
	make();
	is(4, true, "one of the 3 newest full backups (min_full)");
	wal_is("1-9 keep recovery window from a\n");

	/* without rules everything */
	in.policy.keep_yearly = 0;
	make();
	is(3, true, "no policy");
	wal_is("1-9 keep no policy\n");
}

static void
running_ones(void **state)
{
	begin(30);
	in.policy.keep_last = 1;
	old("a", 40);
	old("b", 35);
	old_backups[1].state = BKC_RETENTION_RUNNING;
	old_backups[1].timeline = 0;
	new("n", 29);
	make();
	is(0, false, "no rule keeps it");
	is(1, true, "running");
	wal_is("1-9 keep not known where this backup began: b\n");
}

/* ---- both together are what one would be ---- */

static uint64_t seed = 4711;

static uint32_t
rnd(uint32_t n)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t) ((seed >> 33) % n);
}

static void
random_policy(BkcRetentionPolicy *policy)
{
	memset(policy, 0, sizeof(*policy));
	policy->keep_last = rnd(2) ? rnd(6) : 0;
	policy->keep_daily = rnd(2) ? rnd(8) : 0;
	policy->keep_weekly = rnd(2) ? rnd(6) : 0;
	policy->keep_monthly = rnd(2) ? rnd(8) : 0;
	policy->keep_yearly = 1 + rnd(3);
	policy->keep_within = rnd(2) ? rnd(60) * 86400 : 0;
	policy->min_full = 1 + rnd(8);
	policy->pitr_window = BKC_RETENTION_UNLIMITED;
}

/* n_old of the old cluster, the rest of the new one, which has at least one good one. */
static void
compare(size_t n, size_t n_old)
{
	BkcRetentionInput whole = in;
	BkcRetentionInput part = in;
	BkcRetentionPlan *expected;
	BkcRetentionPlan *first;
	BkcRetentionPlan *second;
	BkcError	err;

	whole.closed = false;
	whole.backups = all_backups;
	whole.nbackups = n;
	assert_true(bkc_retention_plan(&whole, &expected, &err));
	whole.backups = all_backups + n_old;
	whole.nbackups = n - n_old;
	assert_true(bkc_retention_plan(&whole, &first, &err));
	part.backups = all_backups;
	part.nbackups = n_old;
	part.nothers = 0;
	for (size_t i = n_old; i < n; i++)
		if (first->backups[i - n_old].counts)
			others[part.nothers++] = &all_backups[i];
	assert_true(bkc_retention_plan(&part, &second, &err));
	for (size_t i = 0; i < n; i++)
	{
		const BkcRetentionFate *fate = i < n_old ? &second->backups[i] : &first->backups[i - n_old];

		assert_int_equal(fate->keep, expected->backups[i].keep);
		assert_string_equal(fate->reasons, expected->backups[i].reasons);
	}
	bkc_retention_free(expected);
	bkc_retention_free(first);
	bkc_retention_free(second);
}

static void
one_history(void **state)
{
	for (int round = 0; round < 3000; round++)
	{
		size_t		n = 2 + rnd(MAX - 2);
		size_t		n_old = rnd((uint32_t) n);
		int64_t		when = NOW - (int64_t) rnd(900) * DAY;

		begin(0);
		in.nwal = 0;
		random_policy(&in.policy);
		for (size_t i = 0; i < n; i++)
		{
			when += rnd(3) * (int64_t) rnd(30) * DAY + rnd(3) * 3600 * SEC;
			when = when > NOW - DAY ? NOW - DAY : when;
			snprintf(labels[i], sizeof(labels[i]), "%03u", (unsigned) i % 1000);
			all_backups[i] = backup(labels[i], when);
			if (rnd(10) == 0 && i + 1 < n)
				all_backups[i].verified = BKC_RETENTION_FAILED;
			if (rnd(10) == 0)
				all_backups[i].held = true;
		}
		compare(n, n_old);
	}
}

static int
end(void **state)
{
	bkc_retention_free(plan);
	plan = NULL;
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_long_as_it_is_the_newest),
		cmocka_unit_test(as_long_as_the_window_reaches),
		cmocka_unit_test(what_rules_and_people_keep),
		cmocka_unit_test(running_ones),
		cmocka_unit_test(one_history),
	};

	return cmocka_run_group_tests(tests, NULL, end);
}
