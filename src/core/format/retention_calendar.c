/*
 * retention_calendar.c
 *		Days, weeks, months and years in local time.
 *
 * With arithmetic of its own: the C library knows the server's zone at best, and a time
 * that is absurd must give a period like any other.
 */
#include <inttypes.h>
#include <stdio.h>

#include "format/retention_inner.h"

#define SECS_PER_DAY	INT64_C(86400)
#define DAYS_PER_ERA	INT64_C(146097) /* 400 years */

static int64_t
floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* The date of a day since 1970, reckoned in years that begin in March and end with the odd day. */
static void
civil(int64_t day, int64_t *year, int *month, int *mday)
{
	int64_t		shifted = day + 719468; /* days since 0000-03-01 */
	int64_t		era = floor_div(shifted, DAYS_PER_ERA);
	int64_t		doe = shifted - era * DAYS_PER_ERA;
	int64_t		yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t		doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t		mp = (5 * doy + 2) / 153;

	*mday = (int) (doy - (153 * mp + 2) / 5 + 1);
	*month = (int) (mp < 10 ? mp + 3 : mp - 9);
	*year = yoe + era * 400 + (*month <= 2);
}

int64_t
bkc_retention_period(const BkcRetentionPolicy *policy, BkcRetentionPeriod kind, int64_t usec)
{
	int64_t		sec = floor_div(usec, BKC_RETENTION_USEC);
	int64_t		day;
	int64_t		year;
	int			month;
	int			mday;

	if (policy->utc_offset != NULL)
		sec += policy->utc_offset(policy->utc_offset_arg, sec);
	day = floor_div(sec, SECS_PER_DAY);
	civil(day, &year, &month, &mday);
	switch (kind)
	{
		case BKC_RETENTION_DAY:
			return day;
		case BKC_RETENTION_WEEK:
			return floor_div(day + 3, 7);	/* 1970 began on a Thursday */
		case BKC_RETENTION_MONTH:
			return year * 12 + month - 1;
		default:
			return year;
	}
}

void
bkc_retention_period_name(BkcRetentionPeriod kind, int64_t period, char *out, size_t outlen)
{
	int64_t		year;
	int64_t		thursday;
	int64_t		first;			/* the year's first Thursday is in week 1 */
	int			month;
	int			mday;

	switch (kind)
	{
		case BKC_RETENTION_DAY:
			civil(period, &year, &month, &mday);
			snprintf(out, outlen, "%04" PRId64 "-%02d-%02d", year, month, mday);
			break;
		case BKC_RETENTION_WEEK:
			/* a week belongs to the year of its Thursday */
			thursday = period * 7;
			civil(thursday, &year, &month, &mday);
			first = thursday;
			while (month > 1 || mday > 7)
			{
				first -= 7;
				civil(first, &year, &month, &mday);
			}
			snprintf(out, outlen, "%04" PRId64 "-W%02d", year, (int) ((thursday - first) / 7) + 1);
			break;
		case BKC_RETENTION_MONTH:
			year = floor_div(period, 12);
			snprintf(out, outlen, "%04" PRId64 "-%02d", year, (int) (period - year * 12) + 1);
			break;
		default:
			snprintf(out, outlen, "%04" PRId64, period);
	}
}
