/*
 * joblog.h
 *		Jobs in the server's log: one line when a job starts, one when it has ended, in a
 *		form that does not change.
 *
 *		pg_backupctl: job start kind=backup repository=main type=full by="alice"
 *		pg_backupctl: job end kind=backup result=completed seconds=9.8 repository=main
 *			id=7 label=20261120T120301Z-full-7f3a by="alice": what it has done, or why not
 *
 * (The latter is one line.)  What stands after the colon is for people.  Housekeeping has no
 * start, and an end only when it has failed: what it does has lines of its own.
 */
#ifndef BKC_SERVER_JOBLOG_H
#define BKC_SERVER_JOBLOG_H

#include "shared.h"

extern void bkc_joblog_start(const BkcJob *job);

/* Counts it as well.  report NULL = well, as far as the job itself says so. */
extern void bkc_joblog_end(BkcJob *job, const BkcReport *report, bool cancelled);

extern const char *bkc_job_end_name(BkcJobEnd end);

#endif							/* BKC_SERVER_JOBLOG_H */
