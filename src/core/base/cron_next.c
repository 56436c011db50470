/*
 * cron_next.c
 *		When a schedule is due (second half of cron.h).
 *
 * Two steps, kept apart: next_local() looks for a matching date and minute
 * in the calendar, which has no time zones; the rest finds the moment when a
 * zone's clock shows it.
 *
 * A zone is known only by its offset at a given second.  It is walked in pieces
 * of constant offset of at most STEP; the end of one is found by halving.
 * As offsets are less than a day, nothing that is further away than two
 * days can have an influence.
 */
#include "base/cron.h"

#define USECS_PER_SEC	INT64_C(1000000)
#define DAY				INT64_C(86400)
#define STEP			(6 * INT64_C(3600))
#define MAX_OFFSET		86399
#define MAX_MONTHS		(45 * 12)

/* Years 1 to 9999: no sum of these overflows, and every zone has an answer. */
#define FIRST_SECOND	INT64_C(-62135596800)
#define LAST_SECOND		INT64_C(253402300799)

/* ---- the calendar ---- */

static int64_t
floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* Days since 1970-01-01.  Years begin in March here, so that a leap day is the last of one. */
static int64_t
day_number(int64_t year, int month, int day)
{
	int64_t		y = month <= 2 ? year - 1 : year;
	int64_t		in_year = (153 * (month + (month <= 2 ? 9 : -3)) + 2) / 5 + day - 1;

	return 365 * y + floor_div(y, 4) - floor_div(y, 100) + floor_div(y, 400) + in_year - 719468;
}

/* The inverse, in periods of 400 years. */
static void
date_of(int64_t number, int64_t *year, int *month, int *day)
{
	int64_t		n = number + 719468;
	int64_t		era = floor_div(n, 146097);
	int64_t		in_era = n - era * 146097;
	int64_t		y = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
	int			in_year = (int) (in_era - (365 * y + y / 4 - y / 100));
	int			m = (5 * in_year + 2) / 153;

	*day = in_year - (153 * m + 2) / 5 + 1;
	*month = m < 10 ? m + 3 : m - 9;
	*year = y + era * 400 + (*month <= 2);
}

uint32_t
bkc_cron_month_days(const BkcCron *cron, int64_t year, int month)
{
	int64_t		first = day_number(year, month, 1);
	int			length;
	uint32_t	found = 0;
	int			day;

	if ((cron->months >> month & 1) == 0)
		return 0;
	length = (int) (day_number(month < 12 ? year : year + 1, month % 12 + 1, 1) - first);
	for (day = 1; day <= length; day++)
	{
		int64_t		number = first + day - 1;
		int			weekday = (int) (number + 4 - 7 * floor_div(number + 4, 7));
		bool		by_day = (cron->days >> day & 1) || (cron->days_back >> (length - day) & 1);
		bool		by_weekday = (cron->weekdays >> weekday & 1) ||
			(cron->nth[weekday] >> ((day + 6) / 7) & 1) ||
			(day > length - 7 && (cron->nth[weekday] & 1));

		if (cron->any_day || cron->any_weekday ? !(by_day && by_weekday) : !(by_day || by_weekday))
			continue;
		if (cron->every_days != 0 &&
			number - cron->every_days * floor_div(number, cron->every_days) != cron->every_phase)
			continue;
		found |= UINT32_C(1) << day;
	}
	return found;
}

/* The first time of the day that is not before minute from; -1 when there is none. */
static int
next_minute(const BkcCron *cron, int from)
{
	uint64_t	left;
	int			hour;

	for (hour = from / 60; hour < 24; hour++)
	{
		left = cron->minutes[hour];
		if (hour == from / 60)
			left &= ~UINT64_C(0) << (from % 60);
		if (left != 0)
			return hour * 60 + __builtin_ctzll(left);
	}
	return -1;
}

/* The first local second of the schedule at or after local; months that do not match are cheap. */
static bool
next_local(const BkcCron *cron, int64_t local, int64_t *found)
{
	int64_t		today = floor_div(local, DAY);
	int			now = (int) ((local - today * DAY + 59) / 60);
	int64_t		year;
	int			month;
	int			day;
	int			i;

	date_of(today, &year, &month, &day);
	for (i = 0; i <= MAX_MONTHS; i++)
	{
		uint32_t	days = bkc_cron_month_days(cron, year, month) & (~UINT32_C(0) << day);

		for (; days != 0; days &= days - 1)
		{
			int64_t		number = day_number(year, month, __builtin_ctz(days));
			int			minute = next_minute(cron, number == today ? now : 0);

			if (minute >= 0)
			{
				*found = number * DAY + minute * 60;
				return true;
			}
		}
		day = 1;
		if (++month > 12)
		{
			month = 1;
			year++;
		}
	}
	return false;
}

/* ---- the zone ---- */

static int32_t
offset_at(const BkcZone *zone, int64_t second)
{
	int32_t		offset = zone->utc_offset(zone->arg, second);

	if (offset > MAX_OFFSET)
		return MAX_OFFSET;
	return offset < -MAX_OFFSET ? -MAX_OFFSET : offset;
}

/*
 * The offset at begin, and where a piece ends in which it does not change: at
 * limit at the latest, behind begin in any case.
 */
static int64_t
piece(const BkcZone *zone, int64_t begin, int64_t limit, int32_t *offset)
{
	int64_t		same = begin;
	int64_t		end = limit - begin > STEP ? begin + STEP : limit;

	*offset = offset_at(zone, begin);
	if (offset_at(zone, end) == *offset)
		return end;
	while (end - same > 1)
	{
		int64_t		middle = same + (end - same) / 2;

		if (offset_at(zone, middle) == *offset)
			same = middle;
		else
			end = middle;
	}
	return end;
}

/* The furthest that the clock on the wall has got by then; further than now in a repeated hour. */
static int64_t
furthest_local(const BkcZone *zone, int64_t second)
{
	int64_t		begin = second - 2 * DAY;
	int64_t		furthest = INT64_MIN;
	int64_t		end;
	int32_t		offset;

	for (; begin <= second; begin = end)
	{
		end = piece(zone, begin, second + 1, &offset);
		if (end - 1 + offset > furthest)
			furthest = end - 1 + offset;
	}
	return furthest;
}

/* The first second when the clock shows that local time or a later one. */
static int64_t
first_showing(const BkcZone *zone, int64_t local)
{
	int64_t		begin = local - DAY;
	int64_t		end;
	int32_t		offset;

	for (;; begin = end)
	{
		end = piece(zone, begin, begin + STEP, &offset);
		if (local - offset <= begin)
			return begin;		/* also the moment of a change that skipped it */
		if (local - offset < end)
			return local - offset;
	}
}

/*
 * The first second after that one when the clock shows a time of the schedule.
 *
 * Clocks go back, so a time of the schedule that has passed may come again.
 * From a moment with local time l on no clock shows anything before l - 2
 * days, nor at any later moment anything two days ahead of what that offset
 * gives; hence the leap to two days before the next candidate.  Near one it
 * goes on by pieces.
 */
static bool
next_shown(const BkcCron *cron, int64_t after, const BkcZone *zone, int64_t *next)
{
	int64_t		begin = after + 1;
	int64_t		end;
	int64_t		local;
	int32_t		offset;

	for (;;)
	{
		end = piece(zone, begin, begin + STEP, &offset);
		if (!next_local(cron, begin + offset - 2 * DAY, &local))
			return false;
		if (local - offset - 2 * DAY > begin)
		{
			begin = local - offset - 2 * DAY;
			continue;
		}
		if (!next_local(cron, begin + offset, &local))
			return false;
		if (local - offset < end)
		{
			*next = local - offset;
			return true;
		}
		if (end > LAST_SECOND)
			return false;
		begin = end;
	}
}

/*
 * In whole seconds.  A time of a schedule of the other kind is due when the
 * clock first shows it or a later one.  So it is still to come exactly if
 * the clock has never got that far yet.
 */
static bool
next_second(const BkcCron *cron, int64_t after, const BkcZone *zone, int64_t *next)
{
	int64_t		local;

	if (after > LAST_SECOND)
		return false;
	if (after < FIRST_SECOND)
		after = FIRST_SECOND;
	if (cron->every_hour)
	{
		if (!next_shown(cron, after, zone, next))
			return false;
	}
	else
	{
		if (!next_local(cron, furthest_local(zone, after) + 1, &local))
			return false;
		*next = first_showing(zone, local);
	}
	return *next <= LAST_SECOND;
}

/* ---- what others call ---- */

bool
bkc_cron_next(const BkcCron *cron, int64_t after_us, const BkcZone *zone, int64_t *next_us)
{
	int64_t		next;

	if (!next_second(cron, floor_div(after_us, USECS_PER_SEC), zone, &next))
		return false;
	*next_us = next * USECS_PER_SEC;
	return true;
}

/*
 * The next time never becomes earlier when one asks from later on, so the
 * last one up to a point is found by halving.
 */
bool
bkc_cron_last(const BkcCron *cron, int64_t at_or_before_us, int64_t not_before_us,
			  const BkcZone *zone, int64_t *last_us)
{
	int64_t		at = floor_div(at_or_before_us, USECS_PER_SEC);
	int64_t		after = not_before_us == INT64_MIN ? FIRST_SECOND :
		floor_div(not_before_us - 1, USECS_PER_SEC);
	int64_t		none = at;		/* from there on the next one is too late */
	int64_t		last;
	int64_t		next;

	if (!next_second(cron, after, zone, &last) || last > at)
		return false;
	for (after = last; after < none;)
	{
		int64_t		middle = after + (none - after) / 2;

		if (next_second(cron, middle, zone, &next) && next <= at)
			after = last = next;
		else
			none = middle;
	}
	*last_us = last * USECS_PER_SEC;
	return true;
}
