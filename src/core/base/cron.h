/*
 * cron.h
 *		When schedules are due: cron expressions and the times they mean.
 *
 * An expression has five fields: minute, hour, day of month, month, day of week.
 *
 *		*  5  1,15  10-50  10-50/10  5/15 (from 5 on), and * with a step
 *		jan, january, sun, SUNDAY; 0 and 7 are Sunday
 *		fri-mon, nov-feb	weekdays and months go on behind the end, nothing else does
 *		?					the same as * in the two day fields
 *		L, L-3				in the day of month: the last day, three days before it
 *		Sun#1, 5#2			the first Sunday, the second Friday of the month (1 to 5)
 *		friL, 5L			the last Friday of the month
 *
 * Both day fields restricted: a day that matches either of them is meant, as in Vixie cron.
 * A field that begins with * (or ?) is not restricted, even with a step: then a day must match
 * both.  This holds for L and # as for everything else: "0 1 * * Sun#1" is the first Sunday,
 * "0 1 15 * Sun#1" the 15th and the first Sunday.
 *
 * Short forms: @hourly @daily @midnight @weekly (Sunday) @monthly @yearly @annually.
 *
 * In words, with "at 01:30" allowed behind all but minutes and hours (otherwise midnight):
 *
 *		every 15 minutes, every 6 hours		counted from local midnight, so the interval must
 *											divide 24 hours; anything else is refused
 *		every day, every 2 days				2: counted from 1970-01-01, whatever the month
 *		every week, every 2 weeks			on Sunday, counted from 1970-01-04
 *		every sunday
 *		every month, every 3 months			on the 1st, counted from January; must divide 12
 *		every year							on 1 January
 *
 * Daylight saving, and any other change of a zone's offset.  There are two kinds of schedule:
 *
 *	 - One that has no time in some hour of the day means certain times, and each is due
 *	   exactly once: at the first moment when the clock on the wall shows it or a later one.
 *	   So times within a skipped hour are due at the moment of the change, together if there
 *	   are several of them; in a repeated hour the first pass counts.  A skipped day (Samoa,
 *	   2011-12-30) is a long skipped hour.
 *	 - One with times in each hour of the day ("*" and "0-23" hours, every 15 minutes) means an
 *	   interval.  It is due whenever the clock on the wall shows one of its times: in both
 *	   passes of a repeated hour, and never within a skipped one.  So every 15 minutes remain 15
 *	   minutes wherever the clock is changed by a multiple of them.
 *
 * Vixie cron tells the two kinds apart by a "*" at the beginning of the minute or the hour; then
 * all runs of a step of minutes at 2 o'clock would be missed in spring and doubled in autumn.
 */
#ifndef BKC_BASE_CRON_H
#define BKC_BASE_CRON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* A parsed expression: plain memory, owns nothing, can be copied.  Its fields are private. */
typedef struct BkcCron
{
	uint64_t	minutes[24];	/* of each hour: bits 0 to 59 */
	uint32_t	days;			/* of the month: bits 1 to 31 */
	uint32_t	days_back;		/* from its end: bit 0 the last, bit 3 three days before */
	uint16_t	months;			/* bits 1 to 12 */
	uint16_t	every_days;		/* not 0: only each so many days, ... */
	uint16_t	every_phase;	/* ... those where days since 1970 leave this remainder */
	uint8_t		weekdays;		/* bits 0 (Sunday) to 6 */
	uint8_t		nth[7];			/* of each weekday: bits 1 to 5, bit 0 the last of the month */
	bool		any_day;		/* the field began with "*" */
	bool		any_weekday;
	bool		every_hour;		/* times in each hour: an interval, see above */
} BkcCron;

/*
 * A time zone: seconds east of UTC at that second since 1970, between -86399 and 86399.
 * Changes less than six hours apart may be overlooked when they undo each other.
 */
typedef struct BkcZone
{
	int32_t		(*utc_offset) (void *arg, int64_t unix_seconds);
	void	   *arg;
} BkcZone;

/*
 * BKC_ERR_INVALID with the field in the message, what is wrong with it as detail, and an example
 * as hint; also when no day would ever match (31 February).
 */
extern bool bkc_cron_parse(const char *text, BkcCron *cron, BkcError *err);

/*
 * The first due time after after_us (microseconds since 1970, like all of them).  False when there
 * is none within 45 years: 29 February may be 8 years away, and one that is a Sunday 40.  That and
 * times beyond year 9999 are the only reasons.
 */
extern bool bkc_cron_next(const BkcCron *cron, int64_t after_us, const BkcZone *zone,
						  int64_t *next_us);

/*
 * The last due time within [not_before_us, at_or_before_us]; false when there is none.  By asking
 * for the next time some 40 times, however many are due in between.
 */
extern bool bkc_cron_last(const BkcCron *cron, int64_t at_or_before_us, int64_t not_before_us,
						  const BkcZone *zone, int64_t *last_us);

/* The days of a month that match, as bits 1 to 31, whatever the time of day. */
extern uint32_t bkc_cron_month_days(const BkcCron *cron, int64_t year, int month);

#endif							/* BKC_BASE_CRON_H */
