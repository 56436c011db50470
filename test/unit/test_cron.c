/*
 * test_cron.c
 *		Cron expressions: known next times, also where clocks change, and what is refused.
 */
#include "test_cron.h"

#define UTC			"UTC"
#define BERLIN		"Europe/Berlin"
#define NEW_YORK	"America/New_York"
#define LORD_HOWE	"Australia/Lord_Howe"
#define SAMOA		"Pacific/Apia"
#define HAVANA		"America/Havana"

typedef struct Known
{
	const char *text;
	const char *zone;
	const char *after;
	const char *next[6];		/* one after the other; NULL ends them */
} Known;

/* ---- the fields ---- */

static const Known in_utc[] = {
	{"* * * * *", UTC, "2026-12-31 23:58:59.999999Z",
	{"2026-12-31 23:59Z", "2027-01-01 00:00Z", "2027-01-01 00:01Z"}},
	{"* * * * *", UTC, "1969-12-31 23:58:59.999999Z", {"1969-12-31 23:59Z", "1970-01-01 00:00Z"}},
	{"*/5 * * * *", UTC, "2026-11-20 12:03:01Z", {"2026-11-20 12:05Z", "2026-11-20 12:10Z"}},
	{"*/5 * * * *", UTC, "2026-11-20 12:05Z", {"2026-11-20 12:10Z"}},
	{"5/20 3 * * *", UTC, "2026-11-20 12:00Z",
	{"2026-11-21 03:05Z", "2026-11-21 03:25Z", "2026-11-21 03:45Z", "2026-11-22 03:05Z"}},
	{"10-50/20,7 23 * * *", UTC, "2026-11-20 12:00Z",
	{"2026-11-20 23:07Z", "2026-11-20 23:10Z", "2026-11-20 23:30Z", "2026-11-20 23:50Z"}},
	{"*/60 */24 * * *", UTC, "2026-11-20 12:00Z", {"2026-11-21 00:00Z", "2026-11-22 00:00Z"}},
	{"0 0 1 jan,JULY *", UTC, "2026-11-20 12:00Z", {"2027-01-01 00:00Z", "2027-07-01 00:00Z"}},
	{"0 0 1 nov-feb/2 *", UTC, "2026-10-20 12:00Z",
	{"2026-11-01 00:00Z", "2027-01-01 00:00Z", "2027-11-01 00:00Z"}},
	{"0 9 * * mon-fri", UTC, "2026-11-20 12:00Z", {"2026-11-23 09:00Z", "2026-11-24 09:00Z"}},
	{"0 9 ? * Fri-Mon", UTC, "2026-11-20 12:00Z",
	{"2026-11-21 09:00Z", "2026-11-22 09:00Z", "2026-11-23 09:00Z", "2026-11-27 09:00Z"}},
	{"0 9 * * 5-7", UTC, "2026-11-20 12:00Z",
	{"2026-11-21 09:00Z", "2026-11-22 09:00Z", "2026-11-27 09:00Z"}},
	{"0 9 * * 7-1", UTC, "2026-11-20 12:00Z", {"2026-11-22 09:00Z", "2026-11-23 09:00Z",
			"2026-11-29 09:00Z"}},
	{"0 9 * * 7", UTC, "2026-11-20 12:00Z", {"2026-11-22 09:00Z", "2026-11-29 09:00Z"}},
	{"0 9 * * 7-7", UTC, "2026-11-20 12:00Z", {"2026-11-22 09:00Z", "2026-11-29 09:00Z"}},
	{"0 9 * * 0-7", UTC, "2026-11-20 12:00Z", {"2026-11-21 09:00Z", "2026-11-22 09:00Z"}},

	/* either day field; both when one of them begins with a star */
	{"0 0 13 * fri", UTC, "2026-11-27 12:00Z",
	{"2026-12-04 00:00Z", "2026-12-11 00:00Z", "2026-12-13 00:00Z", "2026-12-18 00:00Z"}},
	{"0 0 */2 * sun", UTC, "2026-11-20 12:00Z",
	{"2026-11-29 00:00Z", "2026-12-13 00:00Z", "2026-12-27 00:00Z", "2027-01-03 00:00Z"}},
	{"0 1 15 * Sun#1", UTC, "2026-12-05 12:00Z",
	{"2026-12-06 01:00Z", "2026-12-15 01:00Z", "2027-01-03 01:00Z"}},

	/* weeks of a month, and its end */
	{"0 1 * * Sun#1", UTC, "2026-11-20 12:00Z",
	{"2026-12-06 01:00Z", "2027-01-03 01:00Z", "2027-02-07 01:00Z", "2027-03-07 01:00Z"}},
	{"0 1 * * 5#2,wed#5", UTC, "2026-11-20 12:00Z",
	{"2026-12-11 01:00Z", "2026-12-30 01:00Z", "2027-01-08 01:00Z"}},
	{"0 22 * * friL", UTC, "2026-11-20 12:00Z",
	{"2026-11-27 22:00Z", "2026-12-25 22:00Z", "2027-01-29 22:00Z", "2027-02-26 22:00Z"}},
	{"0 22 * * 0l,7#1", UTC, "2026-11-20 12:00Z",
	{"2026-11-29 22:00Z", "2026-12-06 22:00Z", "2026-12-27 22:00Z"}},
	{"0 0 L * *", UTC, "2027-01-31 12:00Z",
	{"2027-02-28 00:00Z", "2027-03-31 00:00Z", "2027-04-30 00:00Z"}},
	{"0 0 L 2 *", UTC, "2027-01-31 12:00Z", {"2027-02-28 00:00Z", "2028-02-29 00:00Z"}},
	{"0 0 l-3,1 * *", UTC, "2027-01-31 12:00Z",
	{"2027-02-01 00:00Z", "2027-02-25 00:00Z", "2027-03-01 00:00Z", "2027-03-28 00:00Z"}},
	{"0 0 L-30 * *", UTC, "2027-01-31 12:00Z", {"2027-03-01 00:00Z", "2027-05-01 00:00Z"}},
	{"0 0 L-28 2 *", UTC, "2026-01-01 00:00Z", {"2028-02-01 00:00Z"}},
	{"0 0 31 * *", UTC, "2026-11-20 12:00Z", {"2026-12-31 00:00Z", "2027-01-31 00:00Z",
			"2027-03-31 00:00Z"}},

	/* leap days */
	{"0 0 29 2 *", UTC, "2026-01-01 00:00Z", {"2028-02-29 00:00Z", "2032-02-29 00:00Z"}},
	{"0 0 29 2 *", UTC, "2096-02-29 00:00Z", {"2104-02-29 00:00Z"}},
	{"0 0 29 2 *", UTC, "1996-02-29 00:00Z", {"2000-02-29 00:00Z"}},
	{"0 0 29 2 */7", UTC, "2026-01-01 00:00Z",
	{"2032-02-29 00:00Z", "2060-02-29 00:00Z", "2088-02-29 00:00Z", "2128-02-29 00:00Z"}},
	{"0 0 * 2 sat#5", UTC, "2026-01-01 00:00Z", {"2048-02-29 00:00Z", "2076-02-29 00:00Z",
			"2116-02-29 00:00Z"}},

	/* short forms and words */
	{"@hourly", UTC, "2026-11-20 12:00Z", {"2026-11-20 13:00Z"}},
	{"@Daily", UTC, "2026-11-20 12:00Z", {"2026-11-21 00:00Z"}},
	{" @midnight\t", UTC, "2026-11-20 12:00Z", {"2026-11-21 00:00Z"}},
	{"@weekly", UTC, "2026-11-20 12:00Z", {"2026-11-22 00:00Z", "2026-11-29 00:00Z"}},
	{"@monthly", UTC, "2026-11-20 12:00Z", {"2026-12-01 00:00Z"}},
	{"@yearly", UTC, "2026-11-20 12:00Z", {"2027-01-01 00:00Z"}},
	{"@annually", UTC, "2026-11-20 12:00Z", {"2027-01-01 00:00Z", "2028-01-01 00:00Z"}},
	{"every minute", UTC, "2026-11-20 12:00Z", {"2026-11-20 12:01Z"}},
	{"every 15 minutes", UTC, "2026-11-20 12:00Z", {"2026-11-20 12:15Z", "2026-11-20 12:30Z"}},
	{"EVERY 90 Minutes", UTC, "2026-11-20 21:00Z", {"2026-11-20 22:30Z", "2026-11-21 00:00Z",
			"2026-11-21 01:30Z"}},
	{"every hour", UTC, "2026-11-20 12:00Z", {"2026-11-20 13:00Z"}},
	{"every 6 hours", UTC, "2026-11-20 12:00Z", {"2026-11-20 18:00Z", "2026-11-21 00:00Z"}},
	{"every 24 hours", UTC, "2026-11-20 12:00Z", {"2026-11-21 00:00Z", "2026-11-22 00:00Z"}},
	{"every day", UTC, "2026-11-20 12:00Z", {"2026-11-21 00:00Z", "2026-11-22 00:00Z"}},
	/* the 21st is 20778 days after 1970-01-01; the month's length does not matter */
	{"every 2 days at 01:30", UTC, "2026-11-20 12:00Z",
	{"2026-11-21 01:30Z", "2026-11-23 01:30Z", "2026-11-25 01:30Z", "2026-11-27 01:30Z",
			"2026-11-29 01:30Z", "2026-12-01 01:30Z"}},
	{"every week", UTC, "2026-11-20 12:00Z", {"2026-11-22 00:00Z", "2026-11-29 00:00Z"}},
	{"every 2 weeks at 2:05", UTC, "1970-01-01 00:00Z",
	{"1970-01-04 02:05Z", "1970-01-18 02:05Z", "1970-02-01 02:05Z"}},
	{"every wed at 23:59", UTC, "2026-11-20 12:00Z", {"2026-11-25 23:59Z", "2026-12-02 23:59Z"}},
	{"every month", UTC, "2026-11-20 12:00Z", {"2026-12-01 00:00Z", "2027-01-01 00:00Z"}},
	{"every 3 months at 04:00", UTC, "2026-11-20 12:00Z", {"2027-01-01 04:00Z",
			"2027-04-01 04:00Z"}},
	{"every year", UTC, "2026-11-20 12:00Z", {"2027-01-01 00:00Z", "2028-01-01 00:00Z"}},
};

/* ---- clocks that change ---- */

static const Known changes[] = {
	/* Berlin: 02:00 to 03:00 on 29 March, 03:00 to 02:00 on 25 October */
	{"30 2 * * *", BERLIN, "2026-03-28 12:00+01",
	{"2026-03-29 03:00+02", "2026-03-30 02:30+02"}},
	{"0,15,30 2 * * *", BERLIN, "2026-03-28 12:00+01",
	{"2026-03-29 03:00+02", "2026-03-30 02:00+02", "2026-03-30 02:15+02"}},
	{"30 1,2,3 * * *", BERLIN, "2026-03-29 01:00+01",
	{"2026-03-29 01:30+01", "2026-03-29 03:00+02", "2026-03-29 03:30+02"}},
	{"0 2,3 * * *", BERLIN, "2026-03-29 01:00+01",
	{"2026-03-29 03:00+02", "2026-03-30 02:00+02"}},
	{"30 2 29 3 *", BERLIN, "2026-01-01 00:00+01", {"2026-03-29 03:00+02", "2027-03-29 02:30+02"}},
	{"every 2 hours", BERLIN, "2026-03-29 00:30+01", {"2026-03-29 03:00+02", "2026-03-29 04:00+02"}},
	{"*/15 * * * *", BERLIN, "2026-03-29 01:40+01",
	{"2026-03-29 01:45+01", "2026-03-29 03:00+02", "2026-03-29 03:15+02"}},
	{"20 * * * *", BERLIN, "2026-03-29 01:00+01",
	{"2026-03-29 01:20+01", "2026-03-29 03:20+02", "2026-03-29 04:20+02"}},
	{"30 2 * * *", BERLIN, "2026-10-24 12:00+02",
	{"2026-10-25 02:30+02", "2026-10-26 02:30+01"}},
	{"30 2 * * *", BERLIN, "2026-10-25 02:10+01", {"2026-10-26 02:30+01"}},
	{"*/30 2 * * *", BERLIN, "2026-10-25 01:00+02",
	{"2026-10-25 02:00+02", "2026-10-25 02:30+02", "2026-10-26 02:00+01"}},
	{"0 3 * * *", BERLIN, "2026-10-24 12:00+02", {"2026-10-25 03:00+01", "2026-10-26 03:00+01"}},
	{"every 2 hours", BERLIN, "2026-10-25 00:30+02",
	{"2026-10-25 02:00+02", "2026-10-25 04:00+01"}},
	{"every 15 minutes", BERLIN, "2026-10-25 02:40+02",
	{"2026-10-25 02:45+02", "2026-10-25 02:00+01", "2026-10-25 02:15+01"}},
	{"30 * 25 10 *", BERLIN, "2026-10-25 01:40+02",
	{"2026-10-25 02:30+02", "2026-10-25 02:30+01", "2026-10-25 03:30+01"}},

	/* New York: 02:00 to 03:00 on 8 March, 02:00 to 01:00 on 1 November */
	{"0 2 * * sun", NEW_YORK, "2026-03-07 12:00-05",
	{"2026-03-08 03:00-04", "2026-03-15 02:00-04"}},
	{"0 1 * * Sun#1", NEW_YORK, "2026-10-31 12:00-04",
	{"2026-11-01 01:00-04", "2026-12-06 01:00-05"}},
	{"30 1 * * *", NEW_YORK, "2026-10-31 12:00-04",
	{"2026-11-01 01:30-04", "2026-11-02 01:30-05"}},
	{"59 1 * * *", NEW_YORK, "2026-11-01 01:58:59-05", {"2026-11-02 01:59-05"}},
	{"@hourly", NEW_YORK, "2026-11-01 00:30-04",
	{"2026-11-01 01:00-04", "2026-11-01 01:00-05", "2026-11-01 02:00-05"}},

	/* half an hour: 02:00 to 01:30 on 5 April, 02:00 to 02:30 on 4 October */
	{"45 1 * * *", LORD_HOWE, "2026-04-04 12:00+11",
	{"2026-04-05 01:45+11", "2026-04-06 01:45+1030"}},
	{"0 2 * * *", LORD_HOWE, "2026-04-04 12:00+11",
	{"2026-04-05 02:00+1030", "2026-04-06 02:00+1030"}},
	{"*/30 * * * *", LORD_HOWE, "2026-04-05 01:20+11",
	{"2026-04-05 01:30+11", "2026-04-05 01:30+1030", "2026-04-05 02:00+1030"}},
	{"15 2 * * *", LORD_HOWE, "2026-10-03 12:00+1030",
	{"2026-10-04 02:30+11", "2026-10-05 02:15+11"}},
	{"*/30 * * * *", LORD_HOWE, "2026-10-04 01:20+1030",
	{"2026-10-04 01:30+1030", "2026-10-04 02:30+11", "2026-10-04 03:00+11"}},

	/* midnight comes twice (01:00 to 00:00 on 1 November), or not at all (8 March) */
	{"@daily", HAVANA, "2026-10-31 12:00-04", {"2026-11-01 00:00-04", "2026-11-02 00:00-05"}},
	{"@daily", HAVANA, "2026-03-07 12:00-05", {"2026-03-08 01:00-04", "2026-03-09 00:00-04"}},

	/* no 30 December 2011 in Samoa, which went from 14 hours behind to 10 hours before */
	{"0 1 30 12 *", SAMOA, "2011-06-01 00:00Z", {"2011-12-31 00:00+14", "2012-12-30 01:00+14"}},
	{"0 1 * * *", SAMOA, "2011-12-29 00:30-10",
	{"2011-12-29 01:00-10", "2011-12-31 00:00+14", "2011-12-31 01:00+14"}},
	{"*/30 * * * *", SAMOA, "2011-12-29 23:10-10",
	{"2011-12-29 23:30-10", "2011-12-31 00:00+14", "2011-12-31 00:30+14"}},
	{"*/30 * 30 12 *", SAMOA, "2011-06-01 00:00Z", {"2012-12-30 00:00+14", "2012-12-30 00:30+14"}},
};

static void
check(const Known *known)
{
	BkcZone		zone = zone_named(known->zone);
	int64_t		at = moment(known->after);
	BkcCron		cron;

	parse_ok(known->text, &cron);
	for (size_t i = 0; i < COUNT(known->next) && known->next[i] != NULL; i++)
	{
		int64_t		expected = moment(known->next[i]);
		int64_t		found = 0;
		char		shown[40];

		assert_true(bkc_cron_next(&cron, at, &zone, &found));
		bkc_format_moment(found, false, shown, sizeof(shown));
		if (found != expected)
			fail_msg("\"%s\" in %s after %s: %s instead of %s", known->text, known->zone,
					 i == 0 ? known->after : known->next[i - 1], shown, known->next[i]);

		/* asked at any time in between, and looked back at */
		assert_true(bkc_cron_next(&cron, at + (expected - at) / 3, &zone, &found));
		assert_true(found == expected);
		assert_true(bkc_cron_next(&cron, expected - 1, &zone, &found));
		assert_true(found == expected);
		assert_true(bkc_cron_last(&cron, expected, at + 1, &zone, &found));
		assert_true(found == expected);
		assert_false(bkc_cron_last(&cron, expected - 1, at + 1, &zone, &found));
		at = expected;
	}
}

static void
known_times(void **state)
{
	for (size_t i = 0; i < COUNT(in_utc); i++)
		check(&in_utc[i]);
}

static void
known_changes(void **state)
{
	for (size_t i = 0; i < COUNT(changes); i++)
		check(&changes[i]);
}

/* ---- catching up ---- */

static void
last_time(void **state)
{
	static const struct
	{
		const char *text;
		const char *at;
		const char *not_before;
		const char *last;		/* NULL: none */
	}			known[] = {
		{"@daily", "2026-11-20 12:00Z", "2026-11-13 00:00Z", "2026-11-20 00:00Z"},
		{"@daily", "2026-11-20 00:00Z", "2026-11-20 00:00Z", "2026-11-20 00:00Z"},
		{"@daily", "2026-11-20 12:00Z", "2026-11-20 00:00:00.000001Z", NULL},
		{"@daily", "2026-11-20 12:00Z", "2026-11-20 13:00Z", NULL},
		{"* * * * *", "2026-11-20 12:00:59.999999Z", "2001-01-01 00:00Z", "2026-11-20 12:00Z"},
		{"0 0 29 2 *", "2027-11-20 12:00Z", "1997-01-01 00:00Z", "2024-02-29 00:00Z"},
		{"* 0-5 * * *", "2026-11-20 23:59Z", "2026-11-01 00:00Z", "2026-11-20 05:59Z"},
	};
	BkcZone		zone = zone_named(UTC);
	BkcCron		cron;
	int64_t		found;

	for (size_t i = 0; i < COUNT(known); i++)
	{
		int64_t		at = moment(known[i].at);
		int64_t		not_before = moment(known[i].not_before);

		parse_ok(known[i].text, &cron);
		if (known[i].last == NULL)
		{
			assert_false(bkc_cron_last(&cron, at, not_before, &zone, &found));
			continue;
		}
		zone_calls = 0;
		assert_true(bkc_cron_last(&cron, at, not_before, &zone, &found));
		assert_true(found == moment(known[i].last));
		assert_true(zone_calls < 3000);
	}
	assert_true(bkc_cron_last(&cron, moment("2026-11-20 23:59Z"), INT64_MIN, &zone, &found));
	assert_true(found == moment("2026-11-20 05:59Z"));
	assert_true(bkc_cron_last(&cron, INT64_MAX, moment("9999-12-31 05:58Z"), &zone, &found));
	assert_true(found == moment("9999-12-31 05:59Z"));
}

/* ---- limits ---- */

/* A zone that nobody has: each hour has another offset, up to 24 hours and more. */
static int32_t
wild_offset(void *arg, int64_t unix_seconds)
{
	uint64_t	x = (uint64_t) (unix_seconds / 3600) * UINT64_C(0x9E3779B97F4A7C15);

	zone_calls++;
	return (int32_t) (x >> 46) - 131072;
}

static void
searches_end(void **state)
{
	static const char *const texts[] = {"0 0 29 2 */7", "*/30 * 29 2 *", "* * * * *", "@yearly"};
	BkcZone		wild = {wild_offset, NULL};
	BkcZone		berlin = zone_named(BERLIN);
	BkcCron		cron;
	int64_t		found;

	for (size_t i = 0; i < COUNT(texts); i++)
	{
		parse_ok(texts[i], &cron);
		zone_calls = 0;
		assert_true(bkc_cron_next(&cron, moment("2088-03-01 00:00Z"), &berlin, &found));
		assert_true(zone_calls < 100);
		assert_true(bkc_cron_next(&cron, INT64_MIN, &berlin, &found));
		assert_false(bkc_cron_next(&cron, INT64_MAX, &berlin, &found));
		zone_calls = 0;
		(void) bkc_cron_next(&cron, moment("2026-01-01 00:00Z"), &wild, &found);
		(void) bkc_cron_last(&cron, moment("2026-01-01 00:00Z"), 0, &wild, &found);
		assert_true(zone_calls < 500000);
	}
}

/* ---- what is refused ---- */

static const struct
{
	const char *text;
	const char *message;
	const char *detail;
	const char *hint;
}			bad[] = {
	{"", "cron expression is empty", "", "\"30 1 * * *\""},
	{" \t\n", "cron expression is empty", "", "\"30 1 * * *\""},
	{"0 25 * * *", "could not parse the hour field \"25\" of cron expression \"0 25 * * *\"",
	"25 is not between 0 and 23.", "\"8-18\""},
	{"60 * * * *", "the minute field \"60\"", "60 is not between 0 and 59.", "\"*/15\""},
	{"99999999999 * * * *", "the minute field", "99999999999 is not between 0 and 59.", "0,30"},
	{"-1 * * * *", "the minute field \"-1\"", "\"-1\" is not understood here.", "0,30"},
	{"x * * * *", "the minute field \"x\"", "\"x\" is not understood here.", "0,30"},
	{"? * * * *", "the minute field \"?\"", "\"?\" is not understood here.", "0,30"},
	{"1,,2 * * * *", "the minute field \"1,,2\"", "An element of the list is empty.", ""},
	{", * * * *", "the minute field \",\"", "An element of the list is empty.", ""},
	{"1, * * * *", "the minute field \"1,\"", "An element of the list is empty.", ""},
	{"1- * * * *", "the minute field \"1-\"", "A value is missing.", ""},
	{"*/ * * * *", "the minute field \"*/\"", "A value is missing.", ""},
	{"*/0 * * * *", "the minute field \"*/0\"", "Step 0 is not between 1 and 60.", "*/15"},
	{"*/90 * * * *", "the minute field \"*/90\"", "Step 90 is not between 1 and 60.", "*/15"},
	{"*5 * * * *", "the minute field \"*5\"", "\"5\" is not understood here.", ""},
	{"1-2-3 * * * *", "the minute field", "\"-3\" is not understood here.", ""},
	{"1/2/3 * * * *", "the minute field", "\"/3\" is not understood here.", ""},
	{"\xC3\xA9 * * * *", "the minute field \"\xC3\xA9\"", "\"\xC3\xA9\" is not understood here.", ""},
	{"0 22-2 * * *", "the hour field \"22-2\"",
	"The range 22-2 runs backwards: write \"22-23,0-2\" if that is meant.", ""},
	{"0 1pm * * *", "the hour field \"1pm\"", "\"pm\" is not understood here.", ""},
	{"0 0 0 * *", "the day-of-month field \"0\"", "0 is not between 1 and 31.", "\"L\""},
	{"0 0 32 * *", "the day-of-month field \"32\"", "32 is not between 1 and 31.", "\"L-3\""},
	{"0 0 L-31 * *", "the day-of-month field \"L-31\"", "31 is not between 0 and 30.", ""},
	{"0 0 LW * *", "the day-of-month field \"LW\"", "\"W\" is not understood here.", ""},
	{"0 0 15W * *", "the day-of-month field \"15W\"", "\"W\" is not understood here.", ""},
	{"0 0 mon * *", "the day-of-month field \"mon\"", "\"mon\" is not understood here.", ""},
	{"0 0 1 13 *", "the month field \"13\"", "13 is not between 1 and 12.", "jan,jul"},
	{"0 0 1 0 *", "the month field \"0\"", "0 is not between 1 and 12.", "jan,jul"},
	{"0 0 1 janu *", "the month field \"janu\"", "\"janu\" is not the name of a month.", ""},
	{"0 0 1 L *", "the month field \"L\"", "\"L\" is not the name of a month.", ""},
	{"0 0 * * 8", "the day-of-week field \"8\"", "8 is not between 0 and 7.", "Sun#1"},
	{"0 0 * * tues", "the day-of-week field \"tues\"", "\"tues\" is not the name of a day", ""},
	{"0 0 * * sun#6", "the day-of-week field \"sun#6\"", "#6 is not between 1 and 5.", "Sun#1"},
	{"0 0 * * sun#0", "the day-of-week field \"sun#0\"", "#0 is not between 1 and 5.", "Sun#1"},
	{"0 0 * * sun#", "the day-of-week field \"sun#\"", "A value is missing.", "Sun#1"},
	{"0 0 * * #1", "the day-of-week field \"#1\"", "\"#1\" is not understood here.", "Sun#1"},
	{"0 0 * * sun#1-2", "the day-of-week field", "\"-2\" is not understood here.", ""},
	{"0 0 * * mon-friL", "the day-of-week field", "\"L\" is not understood here.", "friL"},
	{"0 0 * * L", "the day-of-week field \"L\"", "\"L\" needs a day of the week before it.", "friL"},
	{"0 0 * * xxL", "the day-of-week field \"xxL\"", "\"xx\" is not the name of a day", "friL"},
	{"0 0 31 2 *", "cron expression \"0 0 31 2 *\" never fires", "No year has such a day.", "\"L\""},
	{"0 0 31 4,6,9,11 ?", "never fires", "", ""},
	{"0 0 L-29 feb *", "never fires", "", ""},
	{"0 0 */40 * *", "the day-of-month field \"*/40\"", "Step 40 is not between 1 and 31.", ""},
	{"* * * *", "could not parse cron expression \"* * * *\"", "It has 4 fields instead of 5.", ""},
	{"*", "could not parse cron expression \"*\"", "It has 1 field instead of 5.", ""},
	{"0 * * * * *", "could not parse cron expression", "It has 6 fields instead of 5.", "minute"},
	{"1 2 3 4 5 6 7 8", "could not parse", "It has 7 fields or more instead of 5.", ""},
	{"@reboot", "could not parse cron expression \"@reboot\"", "", "@daily"},
	{"@daily x", "could not parse cron expression \"@daily x\"", "", "@daily"},
	{"every", "could not parse schedule \"every\"", "The unit is missing.", "every 6 hours"},
	{"every 6", "could not parse schedule \"every 6\"", "The unit is missing.", "every 6 hours"},
	{"every 0 hours", "could not parse schedule", "\"0\" is not a number from 1 to 9999.", ""},
	{"every 99999 hours", "could not parse schedule", "\"99999\" is not a number from", ""},
	{"every 6h", "could not parse schedule \"every 6h\"", "\"6h\" is not a number from", ""},
	{"every fortnight", "could not parse", "\"fortnight\" is not a unit of time or a day of", ""},
	{"every 2 sundays", "could not parse", "\"sundays\" is not a unit of time.", ""},
	{"every 2 sunday", "could not parse", "\"sunday\" is not a unit of time.", ""},
	{"every 7 hours", "could not parse schedule \"every 7 hours\"", "divide a day of 24 hours",
	"1, 2, 3, 4, 6, 8, 12 or 24 hours"},
	{"every 48 hours", "could not parse", "divide a day", "\"every 2 days\""},
	{"every 7 minutes", "could not parse", "divide a day", "90 minutes"},
	{"every 6 hours at 01:00", "could not parse", "goes with days, weeks and months only", ""},
	{"every day at", "could not parse", "only a time of day", "\"every 2 days at 01:30\""},
	{"every day at 24:00", "could not parse", "only a time of day", ""},
	{"every day at 1:60", "could not parse", "only a time of day", ""},
	{"every day at 1:5", "could not parse", "only a time of day", ""},
	{"every day at 130", "could not parse", "only a time of day", ""},
	{"every day at :30", "could not parse", "only a time of day", ""},
	{"every day at 01:30 x", "could not parse", "only a time of day", ""},
	{"every day 01:30", "could not parse", "only a time of day", ""},
	{"every 367 days", "could not parse", "longer than a year", ""},
	{"every 5 months", "could not parse", "must divide 12", ""},
	{"every 2 years", "could not parse", "single year", "every year"},
};

static void
refused(void **state)
{
	BkcCron		cron;
	BkcError	err;
	char		text[2000];

	for (size_t i = 0; i < COUNT(bad); i++)
	{
		if (bkc_cron_parse(bad[i].text, &cron, &err))
			fail_msg("accepted: \"%s\"", bad[i].text);
		assert_int_equal(err.code, BKC_ERR_INVALID);
		if (strstr(err.message, bad[i].message) == NULL ||
			strstr(err.detail, bad[i].detail) == NULL || strstr(err.hint, bad[i].hint) == NULL)
			fail_msg("\"%s\": %s / %s / %s", bad[i].text, err.message, err.detail, err.hint);
		assert_true(err.hint[0] != '\0');
	}

	/* a long one is shown in part */
	memset(text, '1', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_false(bkc_cron_parse(text, &cron, &err));
	memcpy(text + sizeof(text) - 10, " * * * *", 9);
	assert_false(bkc_cron_parse(text, &cron, &err));
	assert_true(strlen(err.message) < 300);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_times),
		cmocka_unit_test(known_changes),
		cmocka_unit_test(last_time),
		cmocka_unit_test(searches_end),
		cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
