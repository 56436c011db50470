/*
 * schedule.c
 *		See schedule.h.
 */
#include "format/schedule.h"

#define MINUTE		(INT64_C(60) * 1000000)
#define DOUBLINGS	6			/* about an hour at the most */

int64_t
bkc_schedule_spread(const BkcSchedule *s, int64_t planned)
{
	uint64_t	x = s->seed ^ (uint64_t) planned;

	if (s->jitter <= 0)
		return 0;

	/* the finalizer of splitmix64: neighbouring times come out far from each other */
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	x ^= x >> 31;
	return (int64_t) (x % (uint64_t) s->jitter);
}

int64_t
bkc_schedule_backoff(int failures)
{
	int			doublings = failures < 1 ? 0 : failures - 1;

	return MINUTE << (doublings < DOUBLINGS ? doublings : DOUBLINGS);
}

static int64_t
next_after(const BkcSchedule *s, int64_t time)
{
	int64_t		next;

	return bkc_cron_next(s->cron, time, s->zone, &next) ? next : 0;
}

/* The plan as it should be: made anew where there is none, or a wrong clock has made it. */
static int64_t
plan(const BkcSchedule *s, int64_t now)
{
	int64_t		fresh;

	if (s->next_run != 0 && s->next_run <= now)
		return s->next_run;
	fresh = next_after(s, now);
	if (s->last_run > now && s->last_run - now <= BKC_SCHEDULE_AHEAD)
		return next_after(s, s->last_run);
	return fresh;
}

void
bkc_schedule_decide(const BkcSchedule *s, int64_t now, BkcScheduleDecision *d)
{
	int64_t		planned = plan(s, now);
	int64_t		start = planned + bkc_schedule_spread(s, planned);
	int64_t		allowed = s->catch_up > BKC_SCHEDULE_GRACE ? s->catch_up : BKC_SCHEDULE_GRACE;

	d->action = BKC_SCHEDULE_WAIT;
	d->run_for = 0;
	d->next_run = planned;
	d->wake = planned == 0 ? INT64_MAX : start;
	if (planned == 0 || start > now)
	{
		/* the next planned run makes a retry superfluous, so it is only looked at before it */
		if (s->retry_at == 0)
			return;
		if (s->retry_at <= now)
		{
			d->action = BKC_SCHEDULE_RETRY;
			d->run_for = s->last_run;
		}
		else if (s->retry_at < d->wake)
			d->wake = s->retry_at;
		return;
	}

	/* the latest whose own start has come; the planned one at least */
	if (!bkc_cron_last(s->cron, now, planned, s->zone, &d->run_for) ||
		d->run_for + bkc_schedule_spread(s, d->run_for) > now)
		d->run_for = planned;
	d->action = now - start > allowed && now - d->run_for > allowed + s->jitter ?
		BKC_SCHEDULE_MISSED : BKC_SCHEDULE_RUN;
	d->next_run = next_after(s, d->run_for > now ? d->run_for : now);

	/* with jitter the one after run_for may be planned before now, and not yet started */
	if (s->jitter > 0)
	{
		int64_t		after = next_after(s, d->run_for);

		if (after != 0 && after <= now && after + bkc_schedule_spread(s, after) > now)
			d->next_run = after;
	}
	d->wake = d->next_run == 0 ? INT64_MAX :
		d->next_run + bkc_schedule_spread(s, d->next_run);
}
