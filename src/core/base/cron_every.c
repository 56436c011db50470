/*
 * cron_every.c
 *		Schedules in words: "every 6 hours" (contract: cron.h).
 */
#include "base/cron_inner.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define DAY_MINUTES		1440
#define ALL_DAYS		UINT32_C(0xFFFFFFFE)
#define ALL_MONTHS		0x1FFE
#define ALL_WEEKDAYS	0x7F

/* Far more than anybody wants, and little enough for the search of the next one. */
#define MAX_DAYS		366
#define MAX_WEEKS		52

/* 1970-01-04 was the first Sunday. */
#define SUNDAY_PHASE	3

typedef enum Unit
{
	UNIT_MINUTE,
	UNIT_HOUR,
	UNIT_DAY,
	UNIT_WEEK,
	UNIT_MONTH,
	UNIT_YEAR,
	UNITS
} Unit;

static const char *const unit_names[UNITS][2] = {
	{"minute", "minutes"}, {"hour", "hours"}, {"day", "days"},
	{"week", "weeks"}, {"month", "months"}, {"year", "years"}
};

static bool
refuse(const char *text, const char *detail, const char *hint, BkcError *err)
{
	bkc_error_set(err, BKC_ERR_INVALID, "could not parse schedule \"%.*s\"",
				  bkc_text_clip(text, strlen(text), BKC_CRON_SHOW), text);
	bkc_error_detail(err, "%s", detail);
	return bkc_error_hint(err, "%s", hint != NULL ? hint :
						  "Write for example \"every 15 minutes\", \"every 6 hours\", "
						  "\"every 2 days at 01:30\" or \"every sunday at 02:00\".");
}

/* "1:30", "01:30" */
static bool
parse_clock(BkcCronWord word, int *minute)
{
	const char *colon = memchr(word.p, ':', word.len);
	BkcCronWord before = {word.p, colon != NULL ? (size_t) (colon - word.p) : 0};
	BkcCronWord behind = {word.p + before.len + 1, 2};
	int			hours;
	int			minutes;

	if (colon == NULL || word.len != before.len + 3 || before.len > 2 ||
		!bkc_cron_number(before, &hours) || !bkc_cron_number(behind, &minutes) ||
		hours > 23 || minutes > 59)
		return false;
	*minute = hours * 60 + minutes;
	return true;
}

/* Minutes and hours: the same times every day, so that nobody has to know since when they count. */
static bool
set_interval(const char *text, int count, Unit unit, BkcCron *cron, BkcError *err)
{
	int			total = unit == UNIT_HOUR ? count * 60 : count;
	char		hint[160];
	int			minute;

	if (DAY_MINUTES % total != 0)
	{
		if (total % DAY_MINUTES == 0)
			snprintf(hint, sizeof(hint), "Write \"every %d days\".", total / DAY_MINUTES);
		else if (unit == UNIT_HOUR)
			snprintf(hint, sizeof(hint), "Choose 1, 2, 3, 4, 6, 8, 12 or 24 hours, or whole days.");
		else
			snprintf(hint, sizeof(hint),
					 "Choose for example 1, 5, 10, 15, 20, 30, 45, 60 or 90 minutes.");
		return refuse(text, "Runs are counted from midnight, so the interval must divide a day of "
					  "24 hours evenly.", hint, err);
	}
	for (minute = 0; minute < DAY_MINUTES; minute += total)
		cron->minutes[minute / 60] |= UINT64_C(1) << (minute % 60);
	return true;
}

static bool
set_days(const char *text, int count, Unit unit, BkcCron *cron, BkcError *err)
{
	int			month;

	if (unit == UNIT_YEAR && count != 1)
		return refuse(text, "Only every single year can be meant.",
					  "Write \"every year\", or a number of months that divides 12.", err);
	if (unit == UNIT_YEAR)
		count = 12;
	if (unit == UNIT_YEAR || unit == UNIT_MONTH)
	{
		if (count > 12 || 12 % count != 0)
			return refuse(text, "Months are counted from January, so their number must divide 12.",
						  "Choose 1, 2, 3, 4, 6 or 12 months.", err);
		cron->days = 1 << 1;
		cron->months = 0;
		for (month = 1; month <= 12; month += count)
			cron->months |= (uint16_t) (1 << month);
		return true;
	}
	if (count > (unit == UNIT_DAY ? MAX_DAYS : MAX_WEEKS))
		return refuse(text, "The interval is longer than a year.", "Choose a shorter one.", err);
	if (unit == UNIT_WEEK)
	{
		cron->weekdays = 1 << 0;
		cron->every_days = (uint16_t) (7 * count);
		cron->every_phase = SUNDAY_PHASE;
	}
	else
		cron->every_days = (uint16_t) count;
	return true;
}

/* The unit, or the weekday, that a word names. */
static bool
parse_unit(BkcCronWord word, Unit *unit, int *weekday)
{
	int			i;

	*weekday = bkc_cron_weekday(word);
	for (i = 0; i < UNITS; i++)
	{
		if (bkc_cron_same_word(word, unit_names[i][0]) ||
			bkc_cron_same_word(word, unit_names[i][1]))
			break;
	}
	*unit = (Unit) i;
	return i < UNITS || *weekday >= 0;
}

bool
bkc_cron_parse_every(const char *text, const BkcCronWord *words, size_t n, BkcCron *cron,
					 BkcError *err)
{
	size_t		at = 1;			/* words[0] is "every" */
	int			count = 1;
	int			minute = 0;
	int			weekday;
	Unit		unit;
	bool		counted = false;
	bool		timed;
	char		detail[BKC_CRON_SHOW + 100];

	if (at < n && words[at].p[0] >= '0' && words[at].p[0] <= '9')
	{
		if (!bkc_cron_number(words[at], &count) || count == 0)
		{
			snprintf(detail, sizeof(detail), "\"%.*s\" is not a number from 1 to 9999.",
					 bkc_text_clip(words[at].p, words[at].len, BKC_CRON_SHOW), words[at].p);
			return refuse(text, detail, NULL, err);
		}
		counted = true;
		at++;
	}
	if (at >= n)
		return refuse(text, "The unit is missing.", NULL, err);
	if (!parse_unit(words[at], &unit, &weekday) || (weekday >= 0 && counted))
	{
		snprintf(detail, sizeof(detail), "\"%.*s\" is not a unit of time%s.",
				 bkc_text_clip(words[at].p, words[at].len, BKC_CRON_SHOW), words[at].p,
				 counted ? "" : " or a day of the week");
		return refuse(text, detail, NULL, err);
	}
	at++;
	timed = at < n;
	if (timed && !(n == at + 2 && bkc_cron_same_word(words[at], "at") &&
				   parse_clock(words[at + 1], &minute)))
		return refuse(text, "Behind the unit, only a time of day such as \"at 01:30\" is understood.",
					  NULL, err);

	cron->days = ALL_DAYS;
	cron->months = ALL_MONTHS;
	cron->weekdays = ALL_WEEKDAYS;
	cron->any_day = cron->any_weekday = true;
	if (weekday < 0 && (unit == UNIT_MINUTE || unit == UNIT_HOUR))
	{
		if (timed)
			return refuse(text, "A time of day goes with days, weeks and months only.", NULL, err);
		return set_interval(text, count, unit, cron, err);
	}
	cron->minutes[minute / 60] = UINT64_C(1) << (minute % 60);
	if (weekday < 0)
		return set_days(text, count, unit, cron, err);
	cron->weekdays = (uint8_t) (1 << weekday);
	return true;
}
