/*
 * schedule.h
 *		Is a schedule due?  Decided from its rule, what it has done so far, and the
 *		clock; nothing else, so that years can be tried in moments.
 *
 * A schedule has one planned run.  When its time has come it runs once, however many times of
 * its cron expression have passed meanwhile (the server was down, or a clock was set ahead):
 * for the latest of them, as long as that is not longer ago than catch_up.  A clock that is set
 * back repeats nothing: what has run for a time runs for later ones only, unless that time
 * lies so far ahead that the clock must have been wrong then.
 */
#ifndef BKC_FORMAT_SCHEDULE_H
#define BKC_FORMAT_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cron.h"

/* All times are microseconds since 1970, 0 = none. */
typedef struct BkcSchedule
{
	const BkcCron *cron;
	const BkcZone *zone;
	int64_t		catch_up;		/* how late a missed run may be */
	int64_t		jitter;			/* starts are spread over that long */
	uint64_t	seed;			/* for the spread: differs between clusters and schedules */

	int64_t		next_run;		/* the planned one */
	int64_t		last_run;		/* the time for which it ran last, not when */
	int64_t		retry_at;		/* it failed then, and shall be tried again */
} BkcSchedule;

typedef enum BkcScheduleAction
{
	BKC_SCHEDULE_WAIT,
	BKC_SCHEDULE_RUN,			/* for run_for */
	BKC_SCHEDULE_RETRY,			/* again, for last_run */
	BKC_SCHEDULE_MISSED			/* run_for is too long ago */
} BkcScheduleAction;

typedef struct BkcScheduleDecision
{
	BkcScheduleAction action;
	int64_t		run_for;
	int64_t		next_run;		/* plan from now on; 0 when the expression has no further time */
	int64_t		wake;			/* when to decide again; INT64_MAX = never by itself */
} BkcScheduleDecision;

/* Late by less than this is no lateness: a busy server, a restart. */
#define BKC_SCHEDULE_GRACE	(INT64_C(600) * 1000000)

/* A run "for" a time further ahead of the clock than this was planned by a wrong clock. */
#define BKC_SCHEDULE_AHEAD	(INT64_C(86400) * 1000000)

extern void bkc_schedule_decide(const BkcSchedule *s, int64_t now, BkcScheduleDecision *d);

/* How much later than planned the run for that time starts: below jitter, always the same. */
extern int64_t bkc_schedule_spread(const BkcSchedule *s, int64_t planned);

/* After so many failures in a row (1 = the first): how long until the next try. */
extern int64_t bkc_schedule_backoff(int failures);

#endif							/* BKC_FORMAT_SCHEDULE_H */
