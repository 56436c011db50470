/*
 * times.c
 *		Points in time as text (second half of text.h).
 */
#include "base/text.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define USEC_PER_SEC	INT64_C(1000000)

/* Whole seconds, rounded down also before 1970, and what is left of the last. */
static void
split_time(int64_t usec, struct tm *tm, int *fraction)
{
	int64_t		sec = usec / USEC_PER_SEC;
	int64_t		rest = usec % USEC_PER_SEC;
	time_t		t;

	if (rest < 0)
	{
		rest += USEC_PER_SEC;
		sec--;
	}
	t = (time_t) sec;
	if (gmtime_r(&t, tm) == NULL)
		memset(tm, 0, sizeof(*tm));
	*fraction = (int) rest;
}

void
bkc_format_time(int64_t usec, char *out, size_t outlen)
{
	struct tm	tm;
	int			fraction;

	split_time(usec, &tm, &fraction);
	snprintf(out, outlen, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", tm.tm_year + 1900,
			 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, fraction);
}

void
bkc_format_time_gmt(int64_t usec, char *out, size_t outlen)
{
	struct tm	tm;
	int			fraction;

	split_time(usec, &tm, &fraction);
	snprintf(out, outlen, "%04d-%02d-%02d %02d:%02d:%02d GMT", tm.tm_year + 1900,
			 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* Exactly n digits at *p, which moves on. */
static bool
take_digits(const char **p, int n, int *value)
{
	*value = 0;
	for (; n > 0; n--, (*p)++)
	{
		if (**p < '0' || **p > '9')
			return false;
		*value = *value * 10 + (**p - '0');
	}
	return true;
}

static bool
take_char(const char **p, char c)
{
	if (**p != c)
		return false;
	(*p)++;
	return true;
}

/*
 * A date and time in UTC as microseconds.  timegm() puts the 31st of
 * February right: what it changes was no time.
 */
static bool
make_time(struct tm *tm, int year, int month, int fraction, int64_t *usec)
{
	struct tm	check;
	time_t		t;

	tm->tm_year = year - 1900;
	tm->tm_mon = month - 1;
	check = *tm;
	t = timegm(&check);
	if (check.tm_year != tm->tm_year || check.tm_mon != tm->tm_mon ||
		check.tm_mday != tm->tm_mday || check.tm_hour != tm->tm_hour ||
		check.tm_min != tm->tm_min || check.tm_sec != tm->tm_sec)
		return false;
	*usec = (int64_t) t * USEC_PER_SEC + fraction;
	return true;
}

bool
bkc_parse_time(const char *text, int64_t *usec)
{
	struct tm	tm;
	const char *p = text;
	int			year;
	int			month;
	int			fraction = 0;

	memset(&tm, 0, sizeof(tm));
	if (!take_digits(&p, 4, &year) || !take_char(&p, '-') ||
		!take_digits(&p, 2, &month) || !take_char(&p, '-') ||
		!take_digits(&p, 2, &tm.tm_mday) || !take_char(&p, 'T') ||
		!take_digits(&p, 2, &tm.tm_hour) || !take_char(&p, ':') ||
		!take_digits(&p, 2, &tm.tm_min) || !take_char(&p, ':') ||
		!take_digits(&p, 2, &tm.tm_sec))
		return false;
	if (take_char(&p, '.') && !take_digits(&p, 6, &fraction))
		return false;
	if (!take_char(&p, 'Z') || *p != '\0')
		return false;
	return make_time(&tm, year, month, fraction, usec);
}

/* ".5": one to six digits behind the point, as microseconds. */
static bool
take_fraction(const char **p, int *fraction)
{
	int			digit;
	int			n = 0;

	*fraction = 0;
	if (!take_char(p, '.'))
		return true;
	for (; n < 6 && take_digits(p, 1, &digit); n++)
		*fraction = *fraction * 10 + digit;
	if (n == 0)
		return false;
	for (; n < 6; n++)
		*fraction *= 10;
	return true;
}

/* Seconds east of Greenwich, of all that is left of the text. */
static bool
take_zone(const char *p, int *offset)
{
	static const char *const utc[] = {"Z", "UTC", "GMT"};
	int			hours;
	int			minutes = 0;
	bool		west = *p == '-';
	size_t		i;

	*offset = 0;
	for (i = 0; i < sizeof(utc) / sizeof(utc[0]); i++)
	{
		if (strcasecmp(p, utc[i]) == 0)
			return true;
	}
	if (!take_char(&p, '+') && !take_char(&p, '-'))
		return false;
	if (!take_digits(&p, 2, &hours))
		return false;
	if (*p != '\0')
	{
		(void) take_char(&p, ':');
		if (!take_digits(&p, 2, &minutes))
			return false;
	}
	if (*p != '\0' || hours > 15 || minutes > 59)
		return false;
	*offset = (hours * 60 + minutes) * (west ? -60 : 60);
	return true;
}

bool
bkc_parse_moment(const char *text, int64_t *usec, BkcError *err)
{
	struct tm	tm;
	const char *p = text + strspn(text, " \t");
	int			year;
	int			month;
	int			fraction = 0;
	int			offset = 0;
	int64_t		local = 0;
	bool		ok;

	memset(&tm, 0, sizeof(tm));
	ok = take_digits(&p, 4, &year) && take_char(&p, '-') &&
		take_digits(&p, 2, &month) && take_char(&p, '-') &&
		take_digits(&p, 2, &tm.tm_mday) &&
		(take_char(&p, 'T') || take_char(&p, 't') || take_char(&p, ' ')) &&
		take_digits(&p, 2, &tm.tm_hour) && take_char(&p, ':') &&
		take_digits(&p, 2, &tm.tm_min);
	if (ok && take_char(&p, ':'))
		ok = take_digits(&p, 2, &tm.tm_sec) && take_fraction(&p, &fraction);
	ok = ok && year > 0 && make_time(&tm, year, month, fraction, &local);
	p += strspn(p, " \t");
	if (ok && *p == '\0')
	{
		bkc_error_set(err, BKC_ERR_INVALID, "time \"%s\" has no time zone", text);
		return bkc_error_hint(err, "Add one, for example \"%s+00\" or \"%s UTC\".", text, text);
	}
	if (!ok || !take_zone(p, &offset))
	{
		bkc_error_set(err, BKC_ERR_INVALID, "\"%s\" is not a point in time", text);
		return bkc_error_hint(err, "Write date, time and time zone, for example "
							  "\"2026-11-20 12:30:00+00\" or \"2026-11-20T13:30:00.25+01:00\".");
	}
	*usec = local - offset * USEC_PER_SEC;
	return true;
}

void
bkc_format_moment(int64_t usec, bool full, char *out, size_t outlen)
{
	struct tm	tm;
	int			fraction;
	char		behind[12] = "";

	split_time(usec, &tm, &fraction);
	if (full || fraction != 0)
		snprintf(behind, sizeof(behind), ".%06d", fraction);
	snprintf(out, outlen, "%04d-%02d-%02d %02d:%02d:%02d%s+00", tm.tm_year + 1900,
			 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, behind);
}
