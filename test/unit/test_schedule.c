/*
 * test_schedule.c
 *		Whole years of a schedule in moments: every planned time runs once, whatever the
 *		server and its clock do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "format/schedule.h"

#define SECOND	INT64_C(1000000)
#define MINUTE	(60 * SECOND)
#define HOUR	(60 * MINUTE)
#define DAY		(24 * HOUR)
#define START	(INT64_C(1767225600) * SECOND)	/* 2026-01-01 00:00:00 UTC */

static BkcError err;

static int32_t
utc(void *arg, int64_t unix_seconds)
{
	return 0;
}

static BkcZone zone = {.utc_offset = utc};
static BkcCron cron;
static BkcSchedule s;

/* What has run, and for which times. */
static int	runs;
static int	missed;
static int64_t last_for;

static void
begin(const char *text)
{
	assert_true(bkc_cron_parse(text, &cron, &err));
	s = (BkcSchedule) {.cron = &cron, .zone = &zone, .catch_up = DAY, .seed = 42};
	runs = missed = 0;
	last_for = 0;
}

/* As the server does it; returns when it wants to look again. */
static int64_t
look(int64_t now)
{
	BkcScheduleDecision d;

	bkc_schedule_decide(&s, now, &d);
	s.next_run = d.next_run;
	if (d.action == BKC_SCHEDULE_RUN)
	{
		assert_true(d.run_for <= now);
		assert_true(d.run_for > last_for);
		assert_true(d.next_run > d.run_for);
		last_for = s.last_run = d.run_for;
		s.retry_at = 0;
		runs++;
	}
	else if (d.action == BKC_SCHEDULE_MISSED)
	{
		last_for = s.last_run = d.run_for;
		missed++;
	}
	else if (d.action == BKC_SCHEDULE_RETRY)
		s.retry_at = 0;
	if (d.action == BKC_SCHEDULE_WAIT)
		assert_true(d.wake > now);
	return d.wake;
}

static void
whole_year(void **state)
{
	int64_t		now = START;

	begin("0 1 * * *");
	while (now < START + 365 * DAY)
		now = look(now);
	assert_int_equal(runs, 365);
	assert_int_equal(missed, 0);

	/* looked at much more often than needed */
	begin("0 */6 * * *");
	for (now = START; now < START + 30 * DAY; now += 7 * MINUTE)
		(void) look(now);
	assert_int_equal(runs, 30 * 4 - 1); /* the first is planned from START on */
}

static void
down(void **state)
{
	/* a week: once, for the latest time */
	begin("0 1 * * *");
	(void) look(START);
	(void) look(START + 7 * DAY + 3 * HOUR);
	assert_int_equal(runs, 1);
	assert_true(last_for == START + 7 * DAY + HOUR);
	assert_true(s.next_run == START + 8 * DAY + HOUR);

	/* longer than catch_up: missed */
	begin("0 1 1 * *");
	(void) look(START + 2 * HOUR);
	(void) look(START + 40 * DAY);
	assert_int_equal(runs, 0);
	assert_int_equal(missed, 1);
	assert_true(s.next_run == START + (31 + 28) * DAY + HOUR);

	/* a little late is not late, whatever catch_up says */
	begin("0 1 * * *");
	s.catch_up = 0;
	(void) look(START);
	(void) look(START + HOUR + 9 * MINUTE);
	assert_int_equal(runs, 1);
	(void) look(START + DAY + HOUR + 11 * MINUTE);
	assert_int_equal(runs, 1);
	assert_int_equal(missed, 1);
}

static void
clocks(void **state)
{
	int64_t		wake;

	/* set back by an hour after the run: not again */
	begin("0 1 * * *");
	(void) look(START);
	(void) look(START + HOUR);
	assert_int_equal(runs, 1);
	(void) look(START + MINUTE);
	(void) look(START + HOUR + MINUTE);
	assert_int_equal(runs, 1);
	assert_true(s.next_run == START + DAY + HOUR);

	/* a year ahead, and back: goes on as if nothing had been */
	(void) look(START + 365 * DAY + 2 * HOUR);
	assert_int_equal(runs, 2);
	last_for = 0;
	wake = look(START + 2 * HOUR);
	assert_true(wake == START + DAY + HOUR);
	(void) look(wake);
	assert_int_equal(runs, 3);
}

static void
retries(void **state)
{
	int64_t		wake;

	begin("0 1 * * *");
	(void) look(START);
	(void) look(START + HOUR);
	s.retry_at = START + HOUR + bkc_schedule_backoff(1);
	wake = look(START + HOUR + SECOND);
	assert_true(wake == START + HOUR + MINUTE);
	(void) look(wake);
	assert_int_equal(s.retry_at, 0);

	/* the next planned run makes it superfluous */
	s.retry_at = START + DAY + HOUR - SECOND;
	(void) look(START + DAY + HOUR);
	assert_int_equal(runs, 2);
	assert_int_equal(s.retry_at, 0);
	assert_true(bkc_schedule_backoff(0) == MINUTE && bkc_schedule_backoff(3) == 4 * MINUTE);
	assert_true(bkc_schedule_backoff(1000) == 64 * MINUTE);
}

static void
jitter(void **state)
{
	int64_t		now = START;
	int64_t		first = -1;
	bool		differs = false;

	begin("0 1 * * *");
	s.jitter = 10 * MINUTE;
	while (now < START + 100 * DAY)
	{
		int			before = runs;

		now = look(now);
		if (runs > before)
		{
			int64_t		spread = bkc_schedule_spread(&s, last_for);

			assert_true(spread >= 0 && spread < 10 * MINUTE);
			differs |= first >= 0 && spread != first;
			first = spread;
		}
	}
	assert_int_equal(runs, 100);
	assert_true(differs);

	/* wider than the interval: each still runs once, in order */
	begin("*/5 * * * *");
	s.jitter = 30 * MINUTE;
	for (now = START; now < START + DAY;)
	{
		int64_t		wake = look(now);

		now = wake > now ? wake : now + SECOND;
	}
	assert_true(runs > 48 && runs < 24 * 12);
}

/* Looks at random times, with clocks that jump a little: never twice for one time. */
static void
random_looks(void **state)
{
	srand(7);
	for (int round = 0; round < 200; round++)
	{
		static const char *const texts[] = {"0 1 * * *", "*/15 * * * *", "30 2 * * Sun#1", "0 0 L * *"};
		int64_t		now = START;

		begin(texts[round % 4]);
		s.jitter = round % 3 * 20 * MINUTE;
		for (int i = 0; i < 500; i++)
		{
			now += rand() % (int) (3 * HOUR / SECOND) * SECOND;
			if (rand() % 10 == 0)
				now -= rand() % 1800 * SECOND;
			(void) look(now);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_year), cmocka_unit_test(down), cmocka_unit_test(clocks),
		cmocka_unit_test(retries), cmocka_unit_test(jitter), cmocka_unit_test(random_looks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
