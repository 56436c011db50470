/*
 * schedule.h
 *		The scheduler: a short job that starts what is due and says when it wants
 *		to look again.
 *
 * The launcher is connected to no database (it would block DROP DATABASE), so it starts this
 * job at the time that the last one has named, when the table of schedules was changed, and
 * when a job has ended.
 */
#ifndef BKC_SERVER_SCHEDULE_H
#define BKC_SERVER_SCHEDULE_H

#include "shared.h"

extern void bkc_schedule_run(BkcJob *job);
extern void bkc_schedule_failed(BkcJob *job, const BkcReport *report, bool cancelled);

/* Ask the launcher for a look. */
extern void bkc_schedule_request(void);

/* ... when this session's transaction is committed, and others see what it has done. */
extern void bkc_schedule_request_at_commit(void);

/* For the launcher: is it time?  Then it is taken note of, and the caller starts the job. */
extern bool bkc_schedule_due(void);

/* Real milliseconds until then. */
extern long bkc_schedule_nap(long max);

/* For leaders: the job of a schedule has ended; report NULL = well.  Does not raise. */
extern void bkc_schedule_ended(const BkcJob *job, const BkcReport *report, bool cancelled);

#endif							/* BKC_SERVER_SCHEDULE_H */
