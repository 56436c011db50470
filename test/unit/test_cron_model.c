/*
 * test_cron_model.c
 *		Random cron expressions against a model, and random texts.
 *
 * The model goes through a year minute by minute.  It remembers which minutes
 * a clock on the wall has shown, and of an expression it knows how it was
 * made, not its text.
 */
#include "test_cron.h"

#define MINUTES		(366 * 1440)
#define MARGIN		(3 * 1440)	/* what a clock shows is up to a day away */
#define ROUNDS		20

static uint64_t random_state = 88172645463325252u;

static int
any(int n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (int) (random_state % (uint64_t) n);
}

/* ---- expressions ---- */

typedef struct Made
{
	char		text[400];
	bool		minute[60];
	bool		hour[24];
	bool		month[13];
	bool		day[32];
	bool		day_back[31];
	bool		weekday[7];
	bool		nth[7][6];		/* 0: the last one */
	bool		day_star;
	bool		weekday_star;
} Made;

static void
add_text(Made *made, const char *fmt,...) BKC_PRINTF(2, 3);

static void
add_text(Made *made, const char *fmt,...)
{
	size_t		len = strlen(made->text);
	va_list		args;

	va_start(args, fmt);
	vsnprintf(made->text + len, sizeof(made->text) - len, fmt, args);
	va_end(args);
}

/* A list of plain elements; values are those from min to max. */
static bool
make_field(Made *made, bool *values, int min, int max, int star_in)
{
	int			n = 1 + any(3);
	bool		star = any(star_in) == 0;

	for (int i = 0; i < n; i++)
	{
		int			first = min + any(max - min + 1);
		int			last = first + any(max - first + 1);
		int			step = 1 + any(any(2) ? 3 : max - min + 1);
		int			form = any(5);

		if (i > 0)
			add_text(made, ",");
		if (i == 0 && star)
			form = any(2) ? 4 : 5;
		if (form <= 1)
		{
			last = first;
			step = 1;
			add_text(made, "%d", first);
		}
		else if (form == 2)
			add_text(made, "%d-%d/%d", first, last, step);
		else if (form == 3)
		{
			last = max;
			add_text(made, "%d/%d", first, step);
		}
		else
		{
			/* a star that is not the first does not open a day field */
			first = min;
			last = max;
			if (form == 5)
				step = 1;
			if (form == 5)
				add_text(made, "*");
			else if (i == 0 && !star)
				add_text(made, "%d-%d/%d", first, last, step);
			else
				add_text(made, "*/%d", step);
		}
		for (int v = first; v <= last; v += step)
			values[v] = true;
		if (form == 5)
			break;
	}
	add_text(made, " ");
	return star;
}

static void
make(Made *made)
{
	static const char *const names[] = {"SUN", "monday", "Tue", "wednesday", "thu", "FRIDAY", "sat"};

	memset(made, 0, sizeof(*made));
	make_field(made, made->minute, 0, 59, 4);
	if (any(3) == 0)
	{
		/* where clocks change */
		add_text(made, "1-3 ");
		made->hour[1] = made->hour[2] = made->hour[3] = true;
	}
	else
		make_field(made, made->hour, 0, 23, 3);
	if (any(4) == 0)
	{
		int			back = any(31);

		add_text(made, "L-%d,", back);
		made->day_back[back] = true;
		make_field(made, made->day, 1, 31, 1000000);
	}
	else
		made->day_star = make_field(made, made->day, 1, 31, 2);
	make_field(made, made->month, 1, 12, 1 + any(2));
	if (any(3) == 0)
	{
		int			day = any(7);
		int			nth = any(6);

		if (nth == 0)
			add_text(made, "%sL", names[day]);
		else
			add_text(made, "%s#%d", names[day], nth);
		made->nth[day][nth] = true;
	}
	else
		made->weekday_star = make_field(made, made->weekday, 0, 6, 2);
}

static bool
matches_day(const Made *made, const struct tm *tm)
{
	struct tm	probe = *tm;
	bool		by_day = made->day[tm->tm_mday];
	bool		by_weekday = made->weekday[tm->tm_wday];
	bool		last;

	if (!made->month[tm->tm_mon + 1])
		return false;
	by_weekday = by_weekday || made->nth[tm->tm_wday][1 + (tm->tm_mday - 1) / 7];
	probe.tm_mday += 7;
	timegm(&probe);
	last = probe.tm_mon != tm->tm_mon;
	by_weekday = by_weekday || (made->nth[tm->tm_wday][0] && last);
	for (int back = 0; back < 31; back++)
	{
		probe = *tm;
		probe.tm_mday += back;
		timegm(&probe);
		last = probe.tm_mon == tm->tm_mon;
		probe.tm_mday++;
		timegm(&probe);
		if (made->day_back[back] && last && probe.tm_mon != tm->tm_mon)
			by_day = true;
	}
	if (made->day_star || made->weekday_star)
		return by_day && by_weekday;
	return by_day || by_weekday;
}

/* ---- a year ---- */

typedef struct Year
{
	BkcZone		real;
	int64_t		begin;			/* in minutes since 1970 */
	int32_t		offsets[MINUTES + 2 * MARGIN];	/* minutes, from begin - MARGIN on */
} Year;

static Year year;

/* As quick as a test needs it. */
static int32_t
year_offset(void *arg, int64_t unix_seconds)
{
	int64_t		i = unix_seconds / 60 - (year.begin - MARGIN);

	if (unix_seconds < 0 || i < 0 || i >= MINUTES + 2 * MARGIN)
		return zone_offset(year.real.arg, unix_seconds);
	return year.offsets[i] * 60;
}

static void
load_year(const char *zone, const char *begin)
{
	year.real = zone_named(zone);
	year.begin = moment(begin) / SECOND / 60;
	for (int i = 0; i < MINUTES + 2 * MARGIN; i++)
		year.offsets[i] = zone_offset((void *) zone, (year.begin - MARGIN + i) * 60) / 60;
}

/* Minutes of the year, from begin on, in which the expression is due. */
static int
model(const Made *made, int *due)
{
	static bool shown[MINUTES + 4 * MARGIN];
	static bool matching[MINUTES + 4 * MARGIN];
	int64_t		base = year.begin - 2 * MARGIN; /* of both, in minutes on the wall */
	bool		hourly = true;
	bool		today = false;
	int			n = 0;

	for (int hour = 0; hour < 24; hour++)
		hourly = hourly && made->hour[hour];
	for (int i = 0; i < MINUTES + 4 * MARGIN; i++)
	{
		time_t		t = (time_t) (base + i) * 60;
		struct tm	tm;

		if (i == 0 || (base + i) % 1440 == 0)
		{
			gmtime_r(&t, &tm);
			today = matches_day(made, &tm);
		}
		matching[i] = today && made->minute[(base + i) % 60] && made->hour[(base + i) / 60 % 24];
	}
	memset(shown, 0, sizeof(shown));
	for (int i = 0; i < MINUTES + MARGIN; i++)
	{
		int			wall = i + MARGIN + year.offsets[i];
		int			before = i > 0 ? wall - 1 + year.offsets[i - 1] - year.offsets[i] : wall - 1;
		bool		now = matching[wall] && (hourly || !shown[wall]);

		/* what the hands jumped over */
		for (int skipped = before + 1; skipped < wall && !hourly; skipped++)
			now = now || (matching[skipped] && !shown[skipped]);
		shown[wall] = true;
		if (now && i >= MARGIN)
			due[n++] = i - MARGIN;
	}
	return n;
}

static void
compare(const Made *made, const int *due, int n)
{
	BkcZone		zone = {year_offset, NULL};
	int64_t		begin = year.begin * 60 * SECOND;
	int64_t		end = begin + MINUTES * 60 * SECOND;
	int64_t		at = begin - 1;
	int64_t		found;
	BkcCron		cron;

	parse_ok(made->text, &cron);
	for (int i = 0; i <= n; i++)
	{
		int64_t		expected = i < n ? begin + due[i] * 60 * SECOND : end;

		found = end;
		(void) bkc_cron_next(&cron, at, &zone, &found);
		if (i < n ? found != expected : found < end)
			fail_msg("\"%s\" in %s: minute %d, not %d", made->text, (char *) year.real.arg,
					 (int) ((found - begin) / SECOND / 60), i < n ? due[i] : MINUTES);
		at = expected;
	}
	for (int i = 0; i < 20; i++)
	{
		int64_t		from = begin + any(MINUTES) * 60 * SECOND + any(60000000);
		int64_t		to = from + any(any(2) ? 1440 : 100000) * 60 * SECOND;
		int			k = n;

		if (to >= end)
			continue;
		while (k > 0 && begin + due[k - 1] * 60 * SECOND > to)
			k--;
		if (k == 0 || begin + due[k - 1] * 60 * SECOND < from)
			assert_false(bkc_cron_last(&cron, to, from, &zone, &found));
		else
		{
			assert_true(bkc_cron_last(&cron, to, from, &zone, &found));
			assert_true(found == begin + due[k - 1] * 60 * SECOND);
		}
	}
}

static void
as_the_model(void **state)
{
	static const struct
	{
		const char *zone;
		const char *begin;
	}			years[] = {
		{"UTC", "2028-01-01 00:00Z"},
		{"Europe/Berlin", "2026-01-01 00:00Z"},
		{"America/New_York", "2026-01-01 00:00Z"},
		{"Australia/Lord_Howe", "2026-01-01 00:00Z"},
		{"Pacific/Apia", "2011-01-01 00:00Z"},
		{"America/Havana", "2026-01-01 00:00Z"},
		{"Africa/Casablanca", "2026-01-01 00:00Z"},
	};
	static int	due[MINUTES];

	for (size_t y = 0; y < COUNT(years); y++)
	{
		int			rounds = 0;

		load_year(years[y].zone, years[y].begin);
		while (rounds < ROUNDS)
		{
			Made		made;
			BkcCron		cron;
			BkcError	err;
			int			n;

			make(&made);
			n = model(&made, due);
			if (!bkc_cron_parse(made.text, &cron, &err))
			{
				assert_non_null(strstr(err.message, "never fires"));
				assert_int_equal(n, 0);
				continue;
			}
			compare(&made, due, n);
			rounds++;
		}
	}
}

/* ---- random texts ---- */

static void
no_text_does_harm(void **state)
{
	static const char *const pieces[] = {
		"*", "?", "L", "-", "/", ",", "#", " ", " ", " ", " ", "0", "1", "5", "7", "31", "59", "99999",
		"sun", "FRI", "feb", "December", "@daily", "@", "every", "every ", "2", "6", "hours",
		" minutes", " days", "weeks ", " at ", "01:30", "W", "\xC3\xA9", "\xFF", "\t", "\x01", "%s%n"
	};
	BkcZone		zone = zone_named("Europe/Berlin");
	int			good = 0;

	for (int i = 0; i < 100000; i++)
	{
		char		text[400] = "";
		size_t		len = 0;
		BkcCron		cron;
		BkcError	err;
		int64_t		found;
		int64_t		at = (int64_t) any(2000000000) * SECOND;

		if (i % 2 == 0)
		{
			/* one of ours with a character changed */
			Made		made;

			make(&made);
			snprintf(text, sizeof(text), "%s", made.text);
			text[any((int) strlen(text))] = (char) (any(4) ? "*/-,L# 0123456789"[any(17)] : any(256));
		}
		for (int n = i % 2 ? any(16) : 0; n > 0; n--)
			len += (size_t) snprintf(text + len, sizeof(text) - len, "%s",
									 pieces[any(COUNT(pieces))]);

		bkc_error_clear(&err);
		if (!bkc_cron_parse(text, &cron, &err))
		{
			assert_int_equal(err.code, BKC_ERR_INVALID);
			assert_true(err.message[0] != '\0' && err.hint[0] != '\0');
			continue;
		}
		good++;
		assert_true(bkc_cron_next(&cron, at, &zone, &found));
		assert_true(found > at && found % SECOND == 0);
	}
	assert_true(good > 5000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_the_model),
		cmocka_unit_test(no_text_does_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
