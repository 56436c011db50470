/*
 * event.h
 *		Rows of backup_event, from processes without a transaction.
 */
#ifndef BKC_SERVER_EVENT_H
#define BKC_SERVER_EVENT_H

#include "shared.h"

/* NULL and 0 where there is nothing to say; detail is a JSON object. */
typedef struct BkcEvent
{
	const char *kind;
	const char *severity;		/* NULL = info */
	const char *result;			/* NULL = ok */
	const char *actor;
	const char *repository;
	int64		backup_id;
	const char *label;
	const char *schedule;
	const char *message;
	const char *detail;
} BkcEvent;

/*
 * In a session's transaction: who is logged in did it.  Raises.  severity, result, actor and
 * schedule are not looked at.
 */
extern void bkc_event_session(const BkcEvent *event);

/* Its id.  Does not raise: what could not be written is a WARNING in the log, and 0. */
extern int64 bkc_event(const BkcEvent *event);

/* One that a function of the extension has written in a leader, where triggers do not fire. */
extern void bkc_event_added(int64 id, const char *kind, const char *severity);

/* How a job ended; report NULL = well. */
extern void bkc_event_job(const BkcJob *job, const BkcReport *report, bool cancelled);

/*
 * Remove what is older than pg_backupctl.event_retention, a batch at a time.  What stays: what an
 * alarm still has to tell of, and the latest of each kind, repository and result, which views
 * and readers of the events build on.  Does not raise but for interrupts.
 */
extern void bkc_event_expire(void);

#endif							/* BKC_SERVER_EVENT_H */
